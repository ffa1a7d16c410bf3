/**
 * Holds the import graph of src/ to the plan: which way the arrows point, and why. The plan is the
 * tables below; the rules that read them are functions of the sources, so each is also tried on
 * planted sources that break it.
 *
 * In the tables a path that ends in `/` stands for everything below it.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  blank,
  type Import,
  importsOf,
  lineAt,
  readSources,
  type Sources
} from "./support/Sources.ts"

interface Violation {
  readonly file: string
  readonly line: number
  /** What the file does, as the rest of a sentence that starts with its name. */
  readonly does: string
  readonly reason: string
}

interface Rule {
  readonly id: string
  /** What holds, as a test's name. */
  readonly fact: string
  readonly check: (graph: Graph) => ReadonlyArray<Violation>
  /** Sources that keep the rule though they come near to breaking it. */
  readonly keeps: Readonly<Record<string, string>>
  /** Sources that break the rule, each once and in the file that is named first. */
  readonly breaks: ReadonlyArray<Readonly<Record<string, string>>>
}

/** The order of travel. A stage imports its own folder and what stands after it. */
const path = ["publish", "route", "send", "settle", "store", "telemetry", "domain"].map(
  (stage) => `src/${stage}/`
)

/** Every folder of src/ that the plan knows. */
const folders = [
  ...path,
  "src/api/",
  "src/cli/",
  "src/cluster/",
  "src/dashboard/",
  "src/http/",
  "src/ingress/",
  "src/testing/"
]

/** What a part may import of ours. Parts that are not named here may import what `onlyFor` leaves open. */
const onlyFrom: ReadonlyArray<{
  readonly part: string
  readonly from: ReadonlyArray<string>
  readonly reason: string
}> = [
  {
    part: "src/domain/",
    from: ["src/domain/"],
    reason: "Domain values are pure: everything may stand on them because they stand on nothing."
  },
  ...path.slice(0, -1).map((stage, index) => ({
    part: stage,
    from: path.slice(index),
    reason: "A message travels one way, so a stage imports only its own folder and later stages."
  })),
  {
    part: "src/api/",
    from: ["src/api/", "src/domain/"],
    reason: "The API's contract goes to clients and browsers, which have no engine."
  },
  {
    part: "src/dashboard/web/",
    from: ["src/dashboard/web/", "src/api/", "src/domain/"],
    reason: "The dashboard's pages run in a browser and talk only through the API's contract."
  },
  {
    part: "src/Operations.ts",
    from: path,
    reason: "What is told about webhooks is published above the path, and is no door of its own."
  },
  {
    part: "src/Engine.ts",
    from: [...path, "src/Operations.ts"],
    reason: "The engine is the path and nothing else, so a library user gets no doors."
  }
]

/** Who may import a part of ours. Its own files always may. */
const onlyFor: ReadonlyArray<{
  readonly part: string
  readonly for: ReadonlyArray<string>
  readonly reason: string
}> = [
  ...["http", "dashboard", "ingress", "cluster"].map((door) => ({
    part: `src/${door}/`,
    for: ["src/Server.ts", "src/index.ts"],
    reason: "Doors never import each other, and nothing behind a door knows that it is there."
  })),
  {
    part: "src/cli/",
    for: ["src/main.ts"],
    reason: "Doors never import each other; the command line is opened by the process alone."
  },
  {
    part: "src/api/",
    for: ["src/http/", "src/cli/", "src/dashboard/web/", "src/index.ts"],
    reason: "Only the two sides of the HTTP API speak its contract; the engine speaks domain."
  },
  {
    part: "src/Operations.ts",
    for: ["src/Engine.ts", "src/index.ts"],
    reason: "Operational messages follow from what was settled; nothing on the path waits for them."
  },
  {
    part: "src/Engine.ts",
    for: ["src/Server.ts", "src/testing/", "src/index.ts"],
    reason: "The engine is wired once; a service that imported it would contain itself."
  },
  {
    part: "src/Server.ts",
    for: ["src/main.ts", "src/cli/", "src/index.ts"],
    reason: "The server is the outermost Layer; only what starts it may import it."
  },
  {
    part: "src/Settings.ts",
    for: ["src/Server.ts", "src/main.ts", "src/cli/"],
    reason: "Services take options with defaults, so the library needs no environment variables."
  },
  ...["src/testing/", "src/testing.ts"].map((part) => ({
    part,
    for: ["src/testing.ts"],
    reason: "The testing kit is for users' tests; production code that used it would ship it."
  })),
  { part: "src/main.ts", for: [], reason: "Importing the process would start it." },
  {
    part: "src/index.ts",
    for: [],
    reason: "Inside, a file names the file it needs, not the barrel."
  }
]

/** The files that name what is public, one for each way into the package that has more than a file. */
const barrels: ReadonlySet<string> = new Set([
  "src/index.ts",
  // Programs that embed the engine must not load the kit, so it has a way in of its own.
  "src/testing.ts"
])

/** Third-party packages that one place wraps, so that replacing one is a change of one place. */
const wrapped: ReadonlyArray<{
  readonly packages: ReadonlyArray<string>
  readonly by: ReadonlyArray<string>
  readonly reason: string
}> = [
  {
    packages: ["undici", "@effect/platform-node/Undici"],
    by: ["src/send/wire/Client.ts"],
    reason:
      "Every request to a receiver passes the guard, so nothing else may open connections; and " +
      "undici as a whole would change how the host's own requests are sent."
  },
  {
    packages: ["@electric-sql/pglite"],
    by: ["src/store/Pglite.ts"],
    reason: "The embedded database is one implementation of Database and an optional one."
  },
  {
    packages: ["ajv"],
    by: ["src/publish/JsonSchema.ts"],
    reason: "Schemas that people write are judged and bounded in one place."
  },
  {
    packages: ["re2js"],
    by: ["src/domain/Pattern.ts"],
    reason: "Patterns that people write run in one engine, in time linear in the text."
  },
  {
    packages: ["@effect/sql-pg"],
    by: ["src/store/"],
    reason: "What is written down is known to the store alone."
  }
]

const rules: ReadonlyArray<Rule> = [
  {
    id: "only-from",
    fact: "a part imports only what its place on the path allows",
    check: ({ edges }) =>
      onlyFrom.flatMap(({ part, from, reason }) =>
        edges
          .filter((edge) => covers(part, edge.file) && !from.some((at) => covers(at, edge.target)))
          .map((edge) => importing(edge, reason))
      ),
    keeps: {
      "src/send/Lane.ts": `import { a } from "./Signer.ts"\nimport { b } from "../domain/Message.ts"`,
      "src/api/Api.ts": `import { a } from "../domain/Message.ts"`,
      "src/Engine.ts": `import { a } from "./publish/Publisher.ts"`,
      "src/dashboard/web/Home.ts": `import type { A } from "../../api/ApiClient.ts"`
    },
    breaks: [
      { "src/send/Lane.ts": `import { a } from "../publish/Publisher.ts"` },
      { "src/store/WebhookRepo.ts": `import type { A } from "../settle/Settler.ts"` },
      { "src/domain/Message.ts": `import { a } from "../telemetry/Metrics.ts"` },
      { "src/api/Api.ts": `export { a } from "../publish/Publisher.ts"` },
      { "src/settle/AutoDisable.ts": `import { a } from "../api/Api.ts"` },
      { "src/dashboard/web/Home.ts": `import { a } from "../../store/Database.ts"` },
      { "src/Engine.ts": `import { a } from "./http/Http.ts"` }
    ]
  },
  {
    id: "only-for",
    fact: "doors, wiring, settings and the testing kit are imported only from where they may be",
    check: ({ edges }) =>
      onlyFor.flatMap(({ part, for: users, reason }) =>
        edges
          .filter(
            (edge) =>
              covers(part, edge.target) &&
              !covers(part, edge.file) &&
              !users.some((user) => covers(user, edge.file))
          )
          .map((edge) => importing(edge, reason))
      ),
    keeps: {
      "src/Server.ts": `import { a } from "./Settings.ts"\nimport { b } from "./http/Http.ts"`,
      "src/http/Http.ts": `import { a } from "./WebhooksHandlers.ts"\nimport { b } from "../api/Api.ts"`,
      "src/cli/serve.ts": `import { a } from "../Server.ts"\nimport { b } from "../Settings.ts"`,
      "src/testing/TestEngine.ts": `import { a } from "../Engine.ts"\nimport { b } from "./Samples.ts"`,
      "src/testing.ts": `export { a } from "./testing/TestEngine.ts"`
    },
    breaks: [
      { "src/http/Http.ts": `import { a } from "../dashboard/Dashboard.ts"` },
      { "src/ingress/Ingress.ts": `import { a } from "../cluster/Cluster.ts"` },
      { "src/Server.ts": `import { a } from "./cli/serve.ts"` },
      { "src/dashboard/Dashboard.ts": `import type { A } from "../api/Api.ts"` },
      { "src/http/Http.ts": `import { a } from "../Engine.ts"` },
      { "src/cluster/Cluster.ts": `import { a } from "../Server.ts"` },
      { "src/http/Http.ts": `import type { A } from "../Settings.ts"` },
      { "src/index.ts": `export { a } from "./testing/TestEngine.ts"` },
      { "src/index.ts": `export { a } from "./testing.ts"` },
      { "src/cli/serve.ts": `import { a } from "../main.ts"` },
      { "src/testing/TestEngine.ts": `import { a } from "../index.ts"` }
    ]
  },
  {
    id: "wrapped",
    fact: "a wrapped third-party package is imported only by its wrapper",
    check: ({ imports }) =>
      wrapped.flatMap(({ packages, by, reason }) =>
        imports
          .filter(
            ({ file, specifier }) =>
              packages.some((name) => specifier === name || specifier.startsWith(`${name}/`)) &&
              !by.some((place) => covers(place, file))
          )
          .map((found) => importing(found, reason))
      ),
    keeps: {
      "src/send/wire/Client.ts": `import type * as Undici from "undici"`,
      "src/store/Pglite.ts": `import { PGlite } from "@electric-sql/pglite"`,
      "src/store/Database.ts": `import { PgClient } from "@effect/sql-pg"`,
      "src/Server.ts": `import { NodeHttpServer } from "@effect/platform-node"`
    },
    breaks: [
      { "src/send/Lane.ts": `import { request } from "undici"` },
      { "src/http/Http.ts": `import * as Undici from "@effect/platform-node/Undici"` },
      { "src/store/Database.ts": `import type { PGlite } from "@electric-sql/pglite"` },
      { "src/Engine.ts": `const vector = await import("@electric-sql/pglite/vector")` },
      { "src/Server.ts": `import * as PgClient from "@effect/sql-pg/PgClient"` }
    ]
  },
  {
    id: "types-only-in-pages",
    fact: "the dashboard's pages load nothing but each other",
    check: ({ imports }) =>
      imports
        .filter(
          ({ file, isType, target }) =>
            covers("src/dashboard/web/", file) &&
            !isType &&
            !(target !== undefined && covers("src/dashboard/web/", target))
        )
        .map((found) =>
          importing(
            found,
            "A browser gets the files of the folder as they are; only types may be from elsewhere."
          )
        ),
    keeps: {
      "src/dashboard/web/Home.ts": `import { a } from "./Dom.ts"\nimport type { B } from "../../api/Api.ts"`,
      "src/dashboard/Dashboard.ts": `import { a } from "effect"`
    },
    breaks: [
      { "src/dashboard/web/Home.ts": `import { a } from "../../api/Api.ts"` },
      { "src/dashboard/web/Home.ts": `import { type A } from "../../domain/Message.ts"` },
      { "src/dashboard/web/Home.ts": `import { Effect } from "effect"` }
    ]
  },
  {
    id: "sql-in-store",
    fact: "SQL text is written only in the store",
    check: ({ sources }) =>
      matches(sources, /\bsql(?:\s*<[^`;=]*>)?\s*`|\bsql\s*\.\s*unsafe\s*\(/g)
        .filter(({ file }) => !covers("src/store/", file))
        .map((found) => ({
          ...found,
          does: "writes SQL",
          reason: "Tables are known to the store alone, so a migration is a change of one folder."
        })),
    keeps: {
      "src/store/MessageRepo.ts": "const a = sql`select 1`",
      "src/http/Http.ts": '/** Never uses sql`…`. */\nconst a = "sql`x`"\nconst sqlState = `x`'
    },
    breaks: [
      { "src/settle/Settler.ts": "const a = sql`select 1`" },
      { "src/cluster/Cluster.ts": "const a = sql<{ readonly id: string }>`select id`" },
      { "src/publish/Publisher.ts": 'const a = yield* sql.unsafe("select 1")' }
    ]
  },
  {
    id: "one-barrel",
    fact: "nothing but a barrel of the package re-exports, and a barrel does nothing else",
    check: ({ sources, imports }) => [
      ...imports
        .filter(({ file, reexport }) => reexport && !barrels.has(file))
        .map((found) => ({
          ...found,
          does: `re-exports ${found.specifier}`,
          reason: "A name has one address; a barrel hides the arrow to the file behind it."
        })),
      ...[...sources.keys()]
        .filter((file) => /.\/index\.ts$/.test(file.slice("src".length)))
        .map((file) => ({
          file,
          line: 1,
          does: "is a barrel by its name",
          reason: "A folder is no module: files are imported by their own names."
        })),
      ...matches(
        sources,
        /^(?!export\b)(?:import|const|let|function|class)\b|^export\s+(?!type\s*\{|[*{])\w+/gm
      )
        .filter(({ file }) => barrels.has(file))
        .map((found) => ({
          ...found,
          does: "defines something",
          reason: "What is public is defined where it belongs and only named here."
        }))
    ],
    keeps: {
      "src/index.ts": `/** Public. */\nexport { A } from "./A.ts"\nexport type { B } from "./B.ts"\nexport * as C from "./C.ts"`,
      "src/testing.ts": `export { A, type B } from "./testing/A.ts"`,
      "src/send/Lane.ts": `const a = 1\nexport { a }\nexport type { B }\nexport const from = "./A.ts"`
    },
    breaks: [
      { "src/send/Lane.ts": `export { a } from "./Signer.ts"` },
      { "src/send/Lane.ts": `export type * from "./Signer.ts"` },
      { "src/send/index.ts": `export const a = 1` },
      { "src/index.ts": `export const a = 1` },
      { "src/index.ts": `import { a } from "./A.ts"\nexport { a }` },
      { "src/testing.ts": `export const a = 1` }
    ]
  },
  {
    id: "no-cycles",
    fact: "no file imports itself through others, types included",
    check: ({ edges }) => {
      const targets = Map.groupBy(edges, (edge) => edge.file)
      // One report a cycle: from the file whose path sorts first among those it passes.
      return [...targets.keys()].sort().flatMap((start) => {
        const cycle = wayBack(start, (file) =>
          (targets.get(file) ?? []).map((edge) => edge.target).filter((target) => target >= start)
        )
        return cycle === undefined
          ? []
          : [
              {
                file: start,
                line: 1,
                does: `imports itself: ${cycle.join(" → ")}`,
                reason: "Two files that need each other are one file, or hide a third."
              }
            ]
      })
    },
    keeps: {
      "src/send/A.ts": `import "./B.ts"\nimport "./C.ts"`,
      "src/send/B.ts": `import "./C.ts"`,
      "src/send/C.ts": `export const c = 1`
    },
    breaks: [
      { "src/send/A.ts": `import "./A.ts"` },
      {
        "src/send/A.ts": `import { b } from "./B.ts"`,
        "src/send/B.ts": `import { c } from "./C.ts"`,
        "src/send/C.ts": `import type { A } from "./A.ts"`
      }
    ]
  },
  {
    id: "known-folders",
    fact: "every folder of src/ has a place in the plan",
    check: ({ sources }) =>
      [...sources.keys()]
        .filter((file) => file.split("/").length > 2 && !folders.some((at) => covers(at, file)))
        .map((file) => ({
          file,
          line: 1,
          does: "lies in a folder that the plan does not know",
          reason: "A folder without a place on the path escapes every rule about it."
        })),
    keeps: { "src/main.ts": "", "src/send/formats/Json.ts": "", "src/dashboard/web/Home.ts": "" },
    breaks: [{ "src/utils/strings.ts": "" }]
  }
]

interface Graph {
  readonly sources: Sources
  readonly imports: ReadonlyArray<Import & { readonly file: string }>
  /** The imports that name a file of ours. */
  readonly edges: ReadonlyArray<Import & { readonly file: string; readonly target: string }>
}

const graphOf = (sources: Sources): Graph => {
  const code = new Map([...sources].filter(([file]) => /\.tsx?$/.test(file)))
  const imports = [...code].flatMap(([file, text]) =>
    importsOf(file, text).map((found) => ({ ...found, file }))
  )
  const edges = imports.flatMap((found) =>
    found.target?.startsWith("src/") ? [{ ...found, target: found.target }] : []
  )
  return { sources: code, imports, edges }
}

const covers = (part: string, file: string) =>
  part.endsWith("/") ? file.startsWith(part) : file === part

const importing = (found: Import & { readonly file: string }, reason: string): Violation => ({
  file: found.file,
  line: found.line,
  does: `imports ${found.target ?? found.specifier}`,
  reason
})

const matches = (sources: Sources, pattern: RegExp) =>
  [...sources].flatMap(([file, text]) =>
    [...blank(text, { strings: true }).matchAll(pattern)].map((match) => ({
      file,
      line: lineAt(text, match.index)
    }))
  )

/** Finds the shortest way from a file back to itself. */
const wayBack = (
  start: string,
  next: (file: string) => ReadonlyArray<string>
): ReadonlyArray<string> | undefined => {
  const seen = new Set<string>()
  let ways: ReadonlyArray<ReadonlyArray<string>> = [[start]]
  while (ways.length > 0) {
    const longer: Array<ReadonlyArray<string>> = []
    for (const way of ways) {
      for (const file of next(way[way.length - 1] ?? start)) {
        if (file === start) return [...way, file]
        if (!seen.has(file)) longer.push([...way, file])
        seen.add(file)
      }
    }
    ways = longer
  }
  return undefined
}

const report = (rule: Rule, sources: Sources): ReadonlyArray<string> =>
  rule
    .check(graphOf(sources))
    .map(({ file, line, does, reason }) => `[${rule.id}] ${file}:${line} ${does}. ${reason}`)

const house = readSources("src")

describe("The house", () => {
  for (const rule of rules) {
    it(`${rule.fact} (${rule.id})`, () => {
      const violations = report(rule, house)
      assert.strictEqual(violations.length, 0, `\n${violations.join("\n")}\n`)
    })
  }
})

describe("The rules", () => {
  for (const rule of rules) {
    it(`${rule.id} accepts sources that keep it`, () => {
      assert.deepStrictEqual(report(rule, new Map(Object.entries(rule.keeps))), [])
    })

    it.for(rule.breaks)(`${rule.id} reports planted sources %#`, (planted) => {
      const violations = report(rule, new Map(Object.entries(planted)))
      assert.strictEqual(violations.length, 1, violations.join("\n"))
      assert.include(violations[0], `[${rule.id}] ${Object.keys(planted)[0]}:`)
    })
  }
})
