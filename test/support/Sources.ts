/**
 * Reads source text for the tests that hold the house to its plan (architecture and tidy). Sources
 * are a map from a path below the repository's root to the file's text, so that those tests can
 * also be given planted sources.
 *
 * It understands just enough TypeScript to tell code from comments and strings; the compiler and
 * the linter judge the rest.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

/** Texts by path, with forward slashes, such as `src/send/Lane.ts`. */
export type Sources = ReadonlyMap<string, string>

/** One module named by another: by an import, a type import, a re-export, `import()` or `new URL`. */
export interface Import {
  readonly specifier: string
  /** The path in the sources if the specifier is relative. */
  readonly target: string | undefined
  readonly reexport: boolean
  /** Whether nothing of it is left when the program runs. */
  readonly isType: boolean
  readonly line: number
}

/** The repository's root directory. */
export const root = fileURLToPath(new URL("../..", import.meta.url))

/** Reads all files below the given folders, and none where a folder is missing. */
export const readSources = (...folders: ReadonlyArray<string>): Sources => {
  const sources = new Map<string, string>()
  for (const folder of folders) {
    const from = path.join(root, folder)
    if (!fs.existsSync(from)) continue
    for (const entry of fs.readdirSync(from, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue
      const file = path.join(entry.parentPath, entry.name)
      sources.set(
        path.relative(root, file).replaceAll(path.sep, "/"),
        fs.readFileSync(file, "utf8")
      )
    }
  }
  return sources
}

/** Lists the modules that a file names, in order. */
export const importsOf = (file: string, text: string): ReadonlyArray<Import> => {
  const code = blank(text, { strings: true })
  const found: Array<Import> = []
  for (const form of importForms) {
    for (const match of code.matchAll(form.pattern)) {
      // Strings are blanked in `code`, with their quotes and lengths kept.
      const end = match.index + match[0].length - 1
      const start = code.lastIndexOf(code.charAt(end), end - 1) + 1
      const specifier = text.slice(start, end)
      found.push({
        specifier,
        target: specifier.startsWith(".")
          ? path.posix.join(path.posix.dirname(file), specifier)
          : undefined,
        reexport: form.reexport,
        isType: /^(?:import|export)\s+type\b/.test(match[0]),
        line: lineAt(text, match.index)
      })
    }
  }
  return found.sort((a, b) => a.line - b.line)
}

/** The number of the line, from 1, that holds the character at an index. */
export const lineAt = (text: string, index: number): number =>
  text.slice(0, index).split("\n").length

/**
 * Replaces comments, and on request what strings hold, with spaces. Lengths and lines stay. Code
 * inside `${…}` of a template is kept.
 */
export const blank = (text: string, options: { readonly strings: boolean }): string => {
  let out = ""
  // The braces that are open in each `${…}` being read; empty outside of templates.
  const templates: Array<number> = []
  const hide = (upTo: number) => {
    out += text.slice(out.length, upTo).replaceAll(/[^\n]/g, " ")
  }
  const keep = (upTo: number) => {
    out += text.slice(out.length, upTo)
  }
  const content = (upTo: number) => (options.strings ? hide(upTo) : keep(upTo))
  // Reads a template's text up to its end or to the next `${`.
  const template = (from: number) => {
    const end = seek(text, from, /`|\$\{/y)
    content(end)
    if (text[end] === "$") templates.push(0)
    keep(end + (text[end] === "$" ? 2 : 1))
  }
  while (out.length < text.length) {
    const at = out.length
    const char = text.charAt(at)
    if (text.startsWith("//", at)) hide(indexOr(text, "\n", at))
    else if (text.startsWith("/*", at)) hide(indexOr(text, "*/", at + 2) + 2)
    else if (char === '"' || char === "'") {
      keep(at + 1)
      const end = seek(text, at + 1, char === '"' ? /["\n]/y : /['\n]/y)
      content(end)
      keep(end + 1)
    } else if (char === "/" && startsRegex(out)) {
      keep(at + 1)
      const end = regexEnd(text, at + 1)
      content(end)
      keep(end + 1)
    } else if (char === "`") {
      keep(at + 1)
      template(at + 1)
    } else {
      const open = templates.pop()
      if (open === undefined) keep(at + 1)
      else if (char === "}" && open === 0) {
        keep(at + 1)
        template(at + 1)
      } else {
        templates.push(open + (char === "{" ? 1 : char === "}" ? -1 : 0))
        keep(at + 1)
      }
    }
  }
  return out
}

const importForms: ReadonlyArray<{ readonly pattern: RegExp; readonly reexport: boolean }> = [
  {
    pattern:
      /\bimport\s+(?:type\s+)?(?:[\w$]+\s*,?\s*)?(?:\*\s*as\s+[\w$]+|\{[^{}]*\})?\s*from\s*(["'])\s*\1/g,
    reexport: false
  },
  {
    pattern: /\bexport\s+(?:type\s+)?(?:\*(?:\s*as\s+[\w$]+)?|\{[^{}]*\})\s*from\s*(["'])\s*\1/g,
    reexport: true
  },
  { pattern: /\bimport\s*(["'])\s*\1/g, reexport: false },
  { pattern: /\bimport\s*\(\s*(["'])\s*\1/g, reexport: false },
  { pattern: /\bnew\s+URL\s*\(\s*(["'])\s*\1(?=\s*,\s*import\.meta\.url)/g, reexport: false }
]

const indexOr = (text: string, what: string, from: number): number => {
  const index = text.indexOf(what, from)
  return index === -1 ? text.length : index
}

/** The index of the first match of a sticky pattern that no backslash escapes. */
const seek = (text: string, from: number, pattern: RegExp): number => {
  for (let at = from; at < text.length; at++) {
    if (text[at] === "\\") {
      at++
      continue
    }
    pattern.lastIndex = at
    if (pattern.test(text)) return at
  }
  return text.length
}

/** Tells a regular expression from a division by what stands before it. */
const startsRegex = (before: string): boolean => {
  const code = before.trimEnd()
  return code === "" || /[(,=:[!&|?{;+*%<>~^-]$|\b(?:return|typeof|case|in|of|yield)$/.test(code)
}

const regexEnd = (text: string, from: number): number => {
  let inClass = false
  for (let at = from; at < text.length; at++) {
    const char = text[at]
    if (char === "\n") return at
    if (char === "\\") at++
    else if (char === "[") inClass = true
    else if (char === "]") inClass = false
    else if (char === "/" && !inClass) return at
  }
  return text.length
}
