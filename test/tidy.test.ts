/**
 * Reads all source text and holds it to the few habits that protect behaviour or the reader's
 * trust. What a habit excepts is named here with its reason. The scans are functions of the
 * sources, so each is also tried on planted sources.
 */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { blank, importsOf, lineAt, readSources, root, type Sources } from "./support/Sources.ts"

interface Exception {
  readonly file: string
  readonly reason: string
}

interface Ban {
  readonly name: string
  readonly pattern: RegExp
  readonly instead: string
  readonly except: ReadonlyArray<Exception>
}

const theProcess: Exception = {
  file: "src/main.ts",
  reason: "The process itself: it bounds its own end in real time, when no runtime is left to."
}

const theReceiver: Exception = {
  file: "src/verify.ts",
  reason: "Runs in receivers, which have no Effect clock; a caller may name the time."
}

const theBrowser: Exception = {
  file: "src/dashboard/web/Clock.ts",
  reason: "The clock of the pages, which run in browsers without an Effect clock."
}

const theLog: Exception = {
  file: "src/telemetry/Log.ts",
  reason: "Lists every line that the log can hold, so that nothing else gets into it."
}

/** What code in src/ must not ask the machine for, as fake clocks and seeds would stop there. */
const bans: ReadonlyArray<Ban> = [
  {
    name: "Date.now",
    pattern: /\bDate\s*\.\s*now\b/g,
    instead: "Use Clock.currentTimeMillis.",
    except: [theReceiver, theBrowser]
  },
  {
    name: "new Date()",
    pattern: /\bnew\s+Date\b(?!\s*\(\s*[^\s)]|\s*[\w.])|(?<!new\s+|[.\w])Date\s*\(/g,
    instead: "Use DateTime.now.",
    except: []
  },
  {
    name: "performance.now",
    pattern: /\bperformance\s*\.\s*now\b/g,
    instead: "Use Clock.currentTimeNanos.",
    except: []
  },
  {
    name: "Math.random",
    pattern: /\bMath\s*\.\s*random\b/g,
    instead: "Use Random.",
    except: []
  },
  {
    name: "a timer",
    pattern: /(?<![.\w])(?:globalThis\s*\.\s*)?set(?:Timeout|Interval|Immediate)\b/g,
    instead: "Use Effect.sleep, Effect.timeout or a Schedule.",
    except: [theProcess, theBrowser]
  },
  {
    name: "console",
    pattern: /(?<![.\w])(?:globalThis\s*\.\s*)?console\s*\./g,
    instead: "Use Effect.log, or Console for what a command prints.",
    except: [theProcess]
  },
  {
    name: "process.env",
    pattern: /\bprocess\s*\.\s*env\b/g,
    instead: "Use Config in Settings.ts.",
    except: [theProcess]
  }
]

/** What would write to the log past the list of what may be in it. */
const looseLines: Ban = {
  name: "a log line without a kind",
  pattern:
    /\bEffect\s*\.\s*(?:log(?:Trace|Debug|Info|Warning|Error|Fatal|WithLevel)?|annotateLogs)\s*\(/g,
  instead:
    "Use log of telemetry/Log.ts: add the kind and its fields there, and to .deploy/README.md.",
  except: [theLog]
}

/** The database's own time, which a fake clock cannot move. */
const databaseTime: Ban = {
  name: "the database's clock",
  pattern:
    /\b(?:now|clock_timestamp|statement_timestamp|transaction_timestamp)\s*\(\s*\)|\b(?:current_timestamp|localtimestamp|current_date)\b/gi,
  instead: 'Pass "now" as a parameter.',
  except: []
}

/** Where reading begins: what is public and what is run. Every other file is reached from these. */
const roots: ReadonlyArray<string> = [
  "src/index.ts",
  "src/main.ts",
  "src/testing.ts",
  "src/verify.ts",
  // Loaded by browsers.
  "src/dashboard/web/Main.ts"
]

/** What the top level holds besides dotfiles. */
const topLevel: ReadonlySet<string> = new Set([
  "CHANGELOG.md",
  "LICENSE",
  "README.md",
  "bench",
  "migrations",
  "package-lock.json",
  "package.json",
  "src",
  "test",
  "tsconfig.json"
])

/** Reports each use of something banned in code, outside the files that are excepted. */
const banned = (sources: Sources, ban: Ban): ReadonlyArray<string> =>
  [...sources]
    .filter(([file]) => !ban.except.some((exception) => exception.file === file))
    .flatMap(([file, text]) => uses(file, blank(text, { strings: true }), ban))

/** Reports each use of something banned in SQL: in migrations, and in the strings of code. */
const bannedInSql = (sources: Sources, ban: Ban): ReadonlyArray<string> =>
  [...sources].flatMap(([file, text]) => {
    // A comment of SQL runs from two dashes to the end of the line.
    if (file.endsWith(".sql")) return uses(file, text.replaceAll(/--.*/g, ""), ban)
    const code = blank(text, { strings: true })
    const all = blank(text, { strings: false })
    // Where the two differ stands what a string holds.
    const strings = all
      .split("")
      .map((char, at) => (char === code[at] && char !== "\n" ? " " : char))
    return uses(file, strings.join(""), ban)
  })

const uses = (file: string, text: string, ban: Ban): ReadonlyArray<string> =>
  [...text.matchAll(ban.pattern)].map(
    (match) => `${file}:${lineAt(text, match.index)} uses ${ban.name}. ${ban.instead}`
  )

/** Reports code files that no root reaches, once both main roots exist. */
const dead = (sources: Sources): ReadonlyArray<string> => {
  if (!sources.has("src/index.ts") || !sources.has("src/main.ts")) return []
  const reached = new Set(
    [...sources.keys()].filter((file) =>
      roots.some((at) => (at.endsWith("/") ? file.startsWith(at) : file === at))
    )
  )
  // A set that grows while it is walked is walked to its end.
  for (const file of reached) {
    for (const { target } of importsOf(file, sources.get(file) ?? "")) {
      if (target !== undefined && sources.has(target)) reached.add(target)
    }
  }
  return [...sources.keys()].filter((file) => !reached.has(file))
}

/** Reports migrations that have no number of their own, or are not listed, or listed only. */
const unlisted = (
  files: ReadonlyArray<string>,
  list: string | undefined
): ReadonlyArray<string> => {
  const wrong = files.flatMap((file) => {
    const number = file.slice(0, 4)
    return /^\d{4}_[a-z0-9_]+\.sql$/.test(file) &&
      files.every((other) => other === file || !other.startsWith(number))
      ? []
      : [`migrations/${file} should be <number of its own>_<words>.sql`]
  })
  if (list === undefined) return wrong
  const named = new Set(blank(list, { strings: false }).match(/\b\d{4}_[a-z0-9_]+/g))
  const names = new Set(files.map((file) => file.replace(/\.sql$/, "")))
  return [
    ...wrong,
    ...[...names].filter((name) => !named.has(name)).map((name) => `${name} is not listed`),
    ...[...named].filter((name) => !names.has(name)).map((name) => `${name} is listed but missing`)
  ]
}

/** Reports words that promise a change later: an issue is the place for them. */
const markers = (sources: Sources): ReadonlyArray<string> =>
  [...sources].flatMap(([file, text]) =>
    // Written so that this file does not hold them.
    [...text.matchAll(/\b(?:TO[D]O|FIX[M]E|X[X]X)\b/g)].map(
      (match) => `${file}:${lineAt(text, match.index)} says ${match[0]}`
    )
  )

/** Reports code files that do not open with a module comment of a sentence or more. */
const uncommented = (sources: Sources): ReadonlyArray<string> =>
  [...sources]
    .filter(([, text]) => !/^(?:#!.*\n)?\/\*\*\s[^/]{12}/.test(text))
    .map(([file]) => `${file} does not start with a module comment`)

/** Lists the files of src/ that the linter's configuration treats apart. */
const lintExceptions = (config: string): ReadonlyArray<string> => {
  const { overrides }: { overrides: ReadonlyArray<{ files: ReadonlyArray<string> }> } =
    JSON.parse(config)
  return overrides.flatMap(({ files }) => files.filter((file) => file.startsWith("src/"))).sort()
}

const only = (sources: Sources, ending: RegExp): Sources =>
  new Map([...sources].filter(([file]) => ending.test(file)))

const all = readSources("src", "test", "bench", "migrations")
const code = only(all, /^src\/.*\.tsx?$/)
const none = (found: ReadonlyArray<string>) =>
  assert.strictEqual(found.length, 0, `\n${found.join("\n")}\n`)

describe("Source text", () => {
  for (const ban of bans) {
    it(`uses ${ban.name} nowhere but in the files that are excepted`, () => {
      none(banned(code, ban))
    })
  }

  it("logs nothing but the kinds of lines that are listed", () => {
    none(banned(code, looseLines))
  })

  it("decides by a time that is passed to the database, never by the database's own", () => {
    none(bannedInSql(only(all, /^src\/store\/.*\.ts$|^migrations\/.*\.sql$/), databaseTime))
  })

  it("lists every migration", () => {
    const files = [...all.keys()].filter((file) => file.startsWith("migrations/"))
    none(
      unlisted(
        files.map((file) => file.slice("migrations/".length)),
        code.get("src/store/Migrations.ts")
      )
    )
  })

  it("has no file that nothing reaches", () => {
    none(dead(code))
  })

  it("leaves no marker of unfinished work", () => {
    none(markers(all))
  })

  it("opens every file of src/ with a module comment", () => {
    none(uncommented(code))
  })
})

describe("The repository", () => {
  it("keeps its top level short", () => {
    const files = execFileSync("git", ["ls-files"], { cwd: root, encoding: "utf8" }).split("\n")
    const names = new Set(files.map((file) => file.split("/")[0] ?? ""))
    assert.deepStrictEqual(
      [...names].filter((name) => name !== "" && !name.startsWith(".") && !topLevel.has(name)),
      []
    )
  })

  it("excepts the same files of src/ in the linter as here", () => {
    const config = fs.readFileSync(path.join(root, ".oxlintrc.json"), "utf8")
    const files = new Set(bans.flatMap((ban) => ban.except.map((exception) => exception.file)))
    assert.deepStrictEqual(lintExceptions(blank(config, { strings: false })), [...files].sort())
  })
})

describe("The scans", () => {
  const scan = (ban: string, text: string) => {
    const found = bans.find(({ name }) => name === ban)
    assert.isDefined(found)
    return banned(new Map([["src/send/Lane.ts", text]]), found).length
  }

  it("find what is banned, and not what only looks like it", () => {
    assert.strictEqual(scan("Date.now", "const a = Date.now()\nconst b = `${Date.now()}`"), 2)
    assert.strictEqual(scan("Date.now", '/** Never Date.now. */\nconst a = "Date.now()"'), 0)
    assert.strictEqual(scan("new Date()", "f(new Date())\nf(new Date)\nf(Date())"), 3)
    assert.strictEqual(
      scan("new Date()", "new Date(0)\nnew Date( at )\nfromDate(x)\nx.Date(y)\nlet a: Date"),
      0
    )
    assert.strictEqual(scan("performance.now", "performance.now()"), 1)
    assert.strictEqual(scan("Math.random", "Math.random()"), 1)
    assert.strictEqual(
      scan("a timer", "setTimeout(f, 1)\nglobalThis.setInterval(f)\nf(setImmediate)"),
      3
    )
    assert.strictEqual(scan("a timer", "socket.setTimeout(1)\nresetTimeout()"), 0)
    assert.strictEqual(scan("console", "console.log(1)"), 1)
    assert.strictEqual(scan("console", "Console.log(1)\nlayer.console.log"), 0)
    assert.strictEqual(scan("process.env", 'process.env["A"]'), 1)
  })

  it("allow what is banned in the files that are excepted", () => {
    for (const ban of bans) {
      for (const { file } of ban.except) {
        assert.deepStrictEqual(
          banned(new Map([[file, "console.error(process.env, setTimeout)"]]), ban),
          []
        )
      }
    }
  })

  it("find log lines that no list knows", () => {
    const find = (text: string) => banned(new Map([["src/send/Lane.ts", text]]), looseLines).length
    assert.strictEqual(find('Effect.logInfo("a")\nEffect.log(b)\nEffect.annotateLogs(c)'), 3)
    assert.strictEqual(find('log("engine_owning")\nEffect.logLevel'), 0)
  })

  it("find the database's clock in SQL text, but not in its comments", () => {
    const find = (file: string, text: string) =>
      bannedInSql(new Map([[file, text]]), databaseTime).length
    assert.strictEqual(find("src/store/A.ts", "sql`select now()`"), 1)
    assert.strictEqual(find("src/store/A.ts", "const a = now()\nf(`${now()}`)"), 0)
    assert.strictEqual(find("migrations/1.sql", "a timestamptz default CURRENT_TIMESTAMP"), 1)
    assert.strictEqual(find("migrations/1.sql", "-- never now()\nselect 1"), 0)
  })

  it("find files that nothing reaches", () => {
    const sources = new Map([
      ["src/index.ts", `export { a } from "./send/A.ts"`],
      ["src/main.ts", `const url = new URL("./worker.ts", import.meta.url)`],
      ["src/worker.ts", ""],
      ["src/send/A.ts", `import type { B } from "./B.ts"`],
      ["src/send/B.ts", ""],
      ["src/send/Dead.ts", `import { a } from "./A.ts"`],
      ["src/testing.ts", `export { TestEngine } from "./testing/TestEngine.ts"`],
      ["src/testing/TestEngine.ts", ""]
    ])
    assert.deepStrictEqual(dead(sources), ["src/send/Dead.ts"])
  })

  it("find migrations that are misnumbered, not listed, or missing", () => {
    const list = `/** 0009_old */ const all = ["0001_a", "0002_b.sql"]`
    assert.deepStrictEqual(unlisted(["0001_a.sql", "0002_b.sql"], list), [])
    assert.strictEqual(unlisted(["0001_a.sql"], list).length, 1)
    assert.strictEqual(unlisted(["0001_a.sql", "0002_b.sql", "0003_c.sql"], list).length, 1)
    assert.strictEqual(unlisted(["0001_a.sql", "3_c.sql"], undefined).length, 1)
    assert.strictEqual(unlisted(["0001_a.sql", "0001_b.sql"], undefined).length, 2)
  })

  it("find markers of unfinished work", () => {
    const text = ["TO" + "DO: later", "FIX" + "ME", "// X" + "XX", "mastodons"].join("\n")
    assert.strictEqual(markers(new Map([["src/A.ts", text]])).length, 3)
  })

  it("find files without a module comment", () => {
    const find = (text: string) => uncommented(new Map([["src/A.ts", text]])).length
    assert.strictEqual(find("/**\n * Sends one request.\n */\nimport a"), 0)
    assert.strictEqual(find("#!/usr/bin/env node\n/** Starts the process. */"), 0)
    assert.strictEqual(find('import { a } from "b"\n/** Sends one request. */'), 1)
    assert.strictEqual(find("/** */\nimport a"), 1)
    assert.strictEqual(find(""), 1)
  })
})
