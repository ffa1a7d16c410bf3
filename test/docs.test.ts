/**
 * Holds the tables of .deploy/README.md to the code. A row that is missing or wrong is printed as it should be.
 */
import { assert, describe, expect, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Instruments from "../src/telemetry/Instruments.ts"
import { kinds } from "../src/telemetry/Log.ts"
import "../src/telemetry/Metrics.ts"
import { codesOf, table } from "./support/Markdown.ts"
import { readSources, root } from "./support/Sources.ts"

const sources = readSources("src")
const readme = fs.readFileSync(path.join(root, "README.md"), "utf8")
const operating = fs.readFileSync(path.join(root, ".deploy/README.md"), "utf8")

/** Compares a table with the rows that it should have, in whatever order. */
const holds = (heading: string, rows: ReadonlyArray<ReadonlyArray<string>>) => {
  const line = (cells: ReadonlyArray<string>) => `| ${cells.join(" | ")} |`.replaceAll("  ", " ")
  const shown = new Set(table(operating, heading).map(line))
  const wanted = new Set(rows.map(line))
  const missing = [...wanted].filter((row) => !shown.has(row))
  const extra = [...shown].filter((row) => !wanted.has(row))
  assert.isTrue(
    missing.length + extra.length === 0,
    `In .deploy/README.md, table of ${heading}:\n` +
      [...missing.map((row) => `add     ${row}`), ...extra.map((row) => `remove  ${row}`)].join(
        "\n"
      )
  )
}

const code = (text: string) => `\`${text}\``

describe("The tables of .deploy/README.md", () => {
  it("name every metric", () => {
    holds(
      "metric",
      Instruments.all.map(({ label, meaning, name, type }) => [
        code(name),
        type,
        (label?.split(", ") ?? []).map(code).join(" "),
        meaning
      ])
    )
  })

  it("name every kind of log line", () => {
    holds(
      "event",
      Object.entries(kinds).map(([event, { level, says }]) => [
        code(event),
        level.toLowerCase(),
        says
      ])
    )
  })

  it("name every refusal with its status", () => {
    const classes = [...sources.values()].flatMap((text) => [
      ...text.matchAll(/\bproblem<\w+>\(\)\(/g)
    ])
    const problems = [...sources.values()].flatMap((text) => [
      ...text.matchAll(/\{\s*code: "(\w+)",\s*status: (\d+),\s*title: "([^"]+)"/g)
    ])
    assert.lengthOf(problems, classes.length, "each says code, status and title, in this order")
    holds(
      "code",
      problems.map(([, name = "", status = "", title = ""]) => [code(name), status, title])
    )
  })
})

describe(".env.example", () => {
  it("names every setting of the README with its meaning and default", async () => {
    const settings = table(readme, "variable").flatMap(
      ([names = "", meaning = "", standard = ""]) =>
        codesOf(names).flatMap((name, i) => [
          "",
          ...(i === 0
            ? [`# ${meaning.replaceAll("`", "")} (${standard.replaceAll("`", "")})`]
            : []),
          `# ${name}=${codesOf(standard)[i] ?? ""}`
        ])
    )
    const head =
      "# Settings of Posthaste. Copy to .env and start with: node --env-file=.env dist/main.js serve"
    // `npm test -- test/docs.test.ts -u` writes it anew.
    await expect([head, ...settings, ""].join("\n")).toMatchFileSnapshot(
      path.join(root, ".env.example")
    )
  })
})
