import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { render } from "../../../src/send/Format.ts"
import { jsonOf, published, raw } from "./Samples.ts"

const url = new URL("https://example.com/hook?a={data.b}")

describe("The format json", () => {
  it("sends the stored bytes themselves, whatever they are", () => {
    const everyByte = Uint8Array.from({ length: 1_024 }, (_, i) => i)
    for (const message of [
      published('{ "n": 1.0, "big": 12345678901234567890, "n": "\\u00e9" }'),
      published(jsonOf(1)),
      raw("application/octet-stream", everyByte),
      raw("text/plain; charset=latin1", new Uint8Array([0xe9, 0xff])),
      raw("application/xml", "<a/>"),
      raw("application/json", "no JSON"),
      raw("image/png", "")
    ]) {
      const rendered = Result.getOrThrow(render({ format: "json", url, message }))
      assert.strictEqual(rendered.body, message.body)
      assert.strictEqual(rendered.contentType, message.contentType)
      assert.strictEqual(rendered.url, url)
      assert.strictEqual(rendered.method, "POST")
    }
  })

  it("uses the method that is set, but for GET, which has no body", () => {
    const message = published("{}")
    for (const method of ["POST", "PUT", "PATCH"] as const) {
      const rendered = Result.getOrThrow(render({ format: "json", method, url, message }))
      assert.strictEqual(rendered.method, method)
    }
    const refused = render({ format: "json", method: "GET", url, message })
    assert.isTrue(Result.isFailure(refused) && refused.failure.rule === "format")
  })
})
