import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { InvalidInput } from "../../src/api/Problems.ts"
import { report } from "../../src/cli/Report.ts"
import { WebhookNotFound } from "../../src/domain/Webhook.ts"
import { SettingInvalid } from "../../src/Settings.ts"
import { root } from "../support/Sources.ts"

describe("report", () => {
  it("words a problem with the places that it names", () => {
    const problem = new InvalidInput({
      detail: "two",
      errors: [{ pointer: "/url", message: "Expected a URL" }]
    })
    assert.deepStrictEqual(report(problem), {
      text: "The input is invalid: two\n  /url: Expected a URL",
      exitCode: 1
    })
  })

  it("tells by the exit code what went wrong", () => {
    assert.strictEqual(report(new WebhookNotFound({})).exitCode, 66)
    assert.deepStrictEqual(report(new SettingInvalid({ message: "POSTHASTE_PORT: expected" })), {
      text: "POSTHASTE_PORT: expected",
      exitCode: 78
    })
    assert.deepStrictEqual(report(new Error("broken")), { text: "broken", exitCode: 1 })
  })

  it("has the exit codes that users are told of", () => {
    const rows = (file: string) => {
      const text = fs.readFileSync(path.join(root, file), "utf8")
      return [...text.matchAll(/\| (\d+) \| ([^|]+) \|/g)].map(([, code, means]) => [code, means])
    }
    const told = rows("src/cli/README.md")
    assert.isNotEmpty(told)
    assert.deepStrictEqual(rows("src/cli/Report.ts"), told)
  })
})
