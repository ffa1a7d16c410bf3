/**
 * Holds what the README shows to what is: its examples run, and its tables are those of the code.
 *
 * Examples run in Node as a user's program would, with `posthaste/…` read from `src/`.
 */
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Exit, Option, Schema } from "effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { findPackageJSON, stripTypeScriptTypes } from "node:module"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { Auth } from "../src/domain/Auth.ts"
import { Format, methodOf, problems as formatProblems } from "../src/domain/Format.ts"
import { defaultVerdicts } from "../src/domain/OnFailure.ts"
import { presets, type RetryPolicy } from "../src/domain/RetryPolicy.ts"
import { AnySecretText, decode, keyOf } from "../src/domain/Secret.ts"
import { Signature } from "../src/domain/Signature.ts"
import { isPair } from "../src/send/Ed25519.ts"
import { load } from "../src/Settings.ts"
import { delayMs } from "../src/settle/Backoff.ts"
import { codesOf, table as tableOf } from "./support/Markdown.ts"
import { root } from "./support/Sources.ts"

const read = (file: string) => fs.readFileSync(path.join(root, file), "utf8")
const readme = read("README.md")

/** The code of the README's examples in a language. */
const examples = (language: string): ReadonlyArray<string> =>
  [...readme.matchAll(/^```(\w+)\n(.*?)^```$/gms)].flatMap(([, name, code = ""]) =>
    name === language ? [code] : []
  )

/** The only example that holds a text. */
const example = (language: string, text: string): string => {
  const found = examples(language).filter((code) => code.includes(text))
  assert.lengthOf(found, 1, `examples with ${text}`)
  return found[0]!
}

/** The rows of the README's table whose first column has this heading. */
const table = (heading: string) => tableOf(readme, heading)

/** The file that an import of an example means. */
const fileOf = (specifier: string): string => {
  const [scopeOrName = "", name = ""] = specifier.split("/")
  const packageName = scopeOrName.startsWith("@") ? `${scopeOrName}/${name}` : scopeOrName
  const manifest =
    packageName === "posthaste"
      ? path.join(root, "package.json")
      : findPackageJSON(specifier, import.meta.url)
  assert.isDefined(manifest, specifier)
  const { exports } = JSON.parse(fs.readFileSync(manifest!, "utf8"))
  const entry = exports[`.${specifier.slice(packageName.length)}`]
  const target: string = typeof entry === "string" ? entry : (entry?.import ?? entry?.default)
  assert.isString(target, specifier)
  const file = path.join(path.dirname(manifest!), target)
  return packageName === "posthaste" ? file.replace(/\bdist\b(.*)\.js$/, "src$1.ts") : file
}

/** Runs an example as a module of its own. */
const run = (code: string): Promise<unknown> => {
  const linked = stripTypeScriptTypes(code).replaceAll(
    /^(import .* from )"([^".]+)"$/gm,
    (_, before: string, specifier: string) =>
      `${before}"${specifier.startsWith("node:") ? specifier : pathToFileURL(fileOf(specifier)).href}"`
  )
  return import(/* @vite-ignore */ `data:text/javascript,${encodeURIComponent(linked)}`)
}

describe("The README's example of a test", async () => {
  // It defines its own test, which belongs to this suite then.
  await run(example("ts", "TestEngine"))
})

describe("The README's other examples", () => {
  it("import what the package has", async () => {
    for (const code of examples("ts")) {
      for (const [, names = "", specifier = ""] of code.matchAll(
        /^import \{ (.*) \} from "(posthaste[^"]*)"$/gm
      )) {
        const found = await import(pathToFileURL(fileOf(specifier)).href)
        for (const name of names.split(", ")) assert.property(found, name, specifier)
      }
    }
  })

  it("make a private key that is one", () => {
    const { stderr, stdout } = spawnSync("sh", ["-c", example("sh", "generateKeyPairSync")], {
      encoding: "utf8",
      env: { PATH: `${path.dirname(process.execPath)}${path.delimiter}${process.env["PATH"]}` }
    })
    const kept = decode(stdout.trim())
    assert.isTrue(Option.isSome(kept), stderr)
    if (Option.isSome(kept)) assert.isTrue(isPair(keyOf(kept.value)))
  })

  it("have secrets that can be used", () => {
    for (const [secret] of readme.matchAll(/\bwhsec_[A-Za-z0-9+/=]+/g)) {
      assert.isTrue(Schema.is(AnySecretText)(secret), secret)
      assert.isTrue(Option.isSome(decode(secret)), secret)
    }
  })
})

describe("The README's tables", () => {
  it("name every setting, and no other", () => {
    const settings = new Set(read("src/Settings.ts").match(/\b(?:POSTHASTE|OTEL)_[A-Z_]+/g))
    // For tests of Posthaste itself; test/TESTING.md tells of it.
    settings.delete("POSTHASTE_FAILPOINT")
    const shown = table("variable").flatMap(([names = ""]) => codesOf(names))
    assert.deepStrictEqual(shown.toSorted(), [...settings].toSorted())
  })

  it.effect("tell the defaults of settings", () =>
    Effect.gen(function* () {
      const settings = yield* load
      const defaults: Readonly<Record<string, string>> = {
        POSTHASTE_HOST: settings.host,
        POSTHASTE_PORT: String(settings.port),
        POSTHASTE_DATA_DIR: settings.dataDir,
        POSTHASTE_RETENTION_DAYS: String(settings.retentionDays),
        POSTHASTE_AUDIT_RETENTION: `${Duration.toDays(settings.auditRetention)} days`,
        POSTHASTE_MAX_BODY_BYTES: String(settings.maxBodyBytes),
        POSTHASTE_MAX_CONNECTIONS: String(settings.maxConnections),
        POSTHASTE_MAX_REQUESTS: String(settings.maxRequests),
        POSTHASTE_MAX_IN_FLIGHT: String(settings.maxInFlight),
        POSTHASTE_MAX_IN_FLIGHT_PER_ADDRESS: String(settings.maxInFlightPerAddress),
        POSTHASTE_TENANT_MAX_WEBHOOKS: String(settings.tenantMaxWebhooks),
        POSTHASTE_SHUTDOWN_TIMEOUT: `${Duration.toSeconds(settings.shutdownTimeout)} seconds`,
        POSTHASTE_LOG_LEVEL: settings.logLevel.toLowerCase()
      }
      for (const [names = "", , cell = ""] of table("variable")) {
        const values = codesOf(cell)
        for (const [i, name] of codesOf(names).entries()) {
          if (name in defaults) assert.strictEqual(values[i], defaults[name], name)
        }
      }
    }).pipe(
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env: {} }))
    )
  )

  it.effect("tell every retry preset as it is", () =>
    Effect.gen(function* () {
      const rows = table("preset")
      assert.deepStrictEqual(
        rows.map(([name = ""]) => codesOf(name)[0]),
        Object.keys(presets)
      )
      for (const [name = "", cell = ""] of rows) {
        const policy = Object.entries(presets).find(([preset]) => name === `\`${preset}\``)?.[1]
        assert.isDefined(policy, name)
        const delays = yield* delaysOf(policy!)
        const [waits = "", count] = cell.split(": ")
        const share = /\(± (\d+) %\)/.exec(waits)?.[1] ?? "0"
        assert.strictEqual(Number(share) / 100, policy!.jitter, name)
        const plain = waits.replace(/ \(.*\)/, "")
        const [first = "", last] = plain.split(" doubling to ")
        if (last === undefined) {
          assert.deepStrictEqual(plain.split(", ").map(millisOf), delays, name)
        } else {
          assert.deepInclude(policy, { factor: 2, capMs: millisOf(last) }, name)
          assert.strictEqual(delays[0], millisOf(first), name)
        }
        const attempts = count?.split(" ")[0]
        if (attempts !== undefined) assert.strictEqual(numbers[delays.length + 1], attempts, name)
      }
      const standard = yield* delaysOf(presets.standard)
      const inAll = standard.reduce((sum, delay) => sum + delay, 0)
      assert.strictEqual(inAll, ((75 * 60 + 35) * 60 + 5) * 1_000)
      assert.include(readme, "ten attempts in 75 h 35 min 5 s")
    })
  )

  it("name every signature and every format, each as it is written in a webhook", () => {
    const names = Signature.members[0].literals
    const cells = table("`signature`").flatMap(([cell = ""]) => codesOf(cell))
    const written = cells.filter((code) => code.startsWith("{"))
    assert.sameMembers(
      cells.filter((code) => !code.startsWith("{")),
      [...names]
    )
    assert.isNotEmpty(written)
    for (const code of written) assert.isTrue(Schema.is(Signature)(JSON.parse(code)), code)
    assert.deepStrictEqual(
      table("`format`").map(([cell = ""]) => codesOf(cell)[0]),
      [...Format.literals]
    )
  })

  it("name every class of failures with its verdict", () => {
    const rows = table("class").flatMap(([classes = "", , verdict = ""]) =>
      codesOf(classes).map((of) => [of, codesOf(verdict)[0]])
    )
    assert.deepStrictEqual<unknown>(Object.fromEntries(rows), defaultVerdicts)
    assert.lengthOf(rows, Object.keys(defaultVerdicts).length)
  })

  it("name every kind of auth with its members", () => {
    const shared = ["kind", "ca"]
    assert.deepStrictEqual(
      table("`auth.kind`").map(([kind = "", members = ""]) => [codesOf(kind)[0], codesOf(members)]),
      Auth.members.map(({ fields }) => [
        fields.kind.literal,
        Object.keys(fields).filter((name) => !shared.includes(name))
      ])
    )
    const written = Schema.decodeUnknownExit(Auth)(JSON.parse(example("json", "oauth2")).auth)
    assert.isTrue(Exit.isSuccess(written))
  })

  it("show URLs and methods that go with the formats", () => {
    const telegram = /`(https:\/\/api\.telegram\.org\S+)`/.exec(readme)?.[1] ?? ""
    const url = telegram.replace("<token>", "1:a").replace("<chat>", "-1")
    assert.deepStrictEqual(formatProblems({ format: "telegram" }, url), [])
    const query = /^(https:\/\/\S*\{\S*)/m.exec(readme)?.[1] ?? ""
    assert.include(query, "{type}")
    assert.deepStrictEqual(formatProblems({ format: "query" }, query), [])
    assert.strictEqual(methodOf("query", undefined), "GET")
  })
})

/** What a policy waits after each of its attempts but the last, without jitter. */
const delaysOf = Effect.fnUntraced(function* (policy: RetryPolicy) {
  const exact = { ...policy, jitter: 0 }
  const delays: Array<number> = []
  while (true) {
    const delay = yield* delayMs(exact, delays.length + 1)
    if (Option.isNone(delay)) return delays
    delays.push(delay.value)
  }
})

const millisOf = (text: string): number => {
  const [, count, unit = ""] = /^(\d+) (s|min|h)$/.exec(text) ?? []
  assert.isDefined(count, text)
  return Number(count) * { s: 1_000, min: 60_000, h: 3_600_000 }[unit as "s" | "min" | "h"]
}

const numbers = [
  "no",
  "one",
  "two",
  "three",
  "four",
  "five",
  "six",
  "seven",
  "eight",
  "nine",
  "ten",
  "eleven"
]
