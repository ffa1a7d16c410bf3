/**
 * Plants a bug in a copy of the sources, so that it can be seen whether the simulation catches it.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { root } from "../support/Sources.ts"

/** A bug: a text of a source file, which stands there once, and what takes its place. */
export interface Planted {
  /** What goes wrong, in a few words. */
  readonly name: string
  readonly file: string
  readonly text: string
  readonly instead: string
}

/** The source of a bug's file with the bug in it. Throws unless the text stands there exactly once. */
export const applied = ({ file, instead, name, text }: Planted): string => {
  const source = fs.readFileSync(path.join(root, file), "utf8")
  const found = source.split(text).length - 1
  if (found !== 1) throw new Error(`${name}: its text stands ${found} times in ${file}`)
  return source.replace(text, () => instead)
}

/** Does something with a copy of the sources and of this simulation that has the bug. */
export const inCopy = async <A>(bug: Planted, use: (copy: string) => Promise<A>): Promise<A> => {
  const copy = fs.mkdtempSync(path.join(os.tmpdir(), "posthaste-planted-"))
  try {
    for (const part of ["src", "test/simulation", "test/support", "package.json"]) {
      fs.cpSync(path.join(root, part), path.join(copy, part), { recursive: true })
    }
    fs.symlinkSync(path.join(root, "node_modules"), path.join(copy, "node_modules"))
    fs.symlinkSync(path.join(root, "migrations"), path.join(copy, "migrations"))
    fs.writeFileSync(path.join(copy, bug.file), applied(bug))
    return await use(copy)
  } finally {
    fs.rmSync(copy, { recursive: true, force: true })
  }
}
