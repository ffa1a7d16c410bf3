import { assert, describe, it } from "@effect/vitest"
import * as http from "node:http"
import { isReserved, problems } from "../../src/domain/RequestHeaders.ts"

const messages = (headers: Record<string, string>) =>
  problems(headers).map(({ message }) => message)

describe("RequestHeaders", () => {
  it("passes what can be sent", () => {
    assert.deepStrictEqual(
      problems({
        "X-Api-Key": "abc",
        authorization: "Bearer x",
        "x-tab": "a\tb",
        "!#$%&'*+.^_`|~-1": "~",
        empty: ""
      }),
      []
    )
  })

  it("refuses every single byte that may not stand in a name or a value", () => {
    for (let code = 0; code < 256; code++) {
      const char = String.fromCharCode(code)
      const isToken = /[A-Za-z0-9!#$%&'*+.^_`|~-]/.test(char)
      assert.strictEqual(problems({ [`x${char}y`]: "v" }).length === 0, isToken, `name ${code}`)
      const isValue = code === 9 || (code >= 32 && code <= 126)
      assert.strictEqual(problems({ x: `a${char}b` }).length === 0, isValue, `value ${code}`)
      assert.strictEqual(
        problems({ x: `a${char}` }).length === 0,
        isValue && char !== " " && char !== "\t",
        `end ${code}`
      )
    }
    assert.lengthOf(problems({ "": "v" }), 1)
    assert.lengthOf(problems(JSON.parse(`{"__proto__":"v"}`)), 1)
  })

  it("refuses line breaks however they are written", () => {
    for (const value of [
      "a\r\nx: y",
      "a\nx: y",
      "a\rx: y",
      "a\u2028b",
      "a\u0085b",
      "a\u010ab",
      "a\u560d\u560ab",
      "\r\n\r\nbody"
    ]) {
      assert.lengthOf(problems({ x: value }), 1, JSON.stringify(value))
    }
  })

  it("never passes what Node would throw on", () => {
    for (let code = 0; code < 0x500; code++) {
      const char = String.fromCharCode(code)
      for (const [name, value] of [
        [`n${char}`, "v"],
        ["n", `v${char}v`]
      ] as const) {
        if (problems({ [name]: value }).length > 0) continue
        http.validateHeaderName(name)
        http.validateHeaderValue(name, value)
      }
    }
  })

  it("reserves names in all casings", () => {
    for (const name of [
      "host",
      "connection",
      "keep-alive",
      "te",
      "trailer",
      "trailers",
      "transfer-encoding",
      "upgrade",
      "content-length",
      "content-type",
      "content-encoding",
      "expect",
      "date",
      "accept-encoding",
      "user-agent",
      "cookie",
      "forwarded",
      "via",
      "x-forwarded-for",
      "x-forwarded-anything",
      "x-real-ip",
      "proxy-authorization",
      "sec-fetch-site",
      "http2-settings",
      "webhook-id",
      "webhook-signature",
      "svix-id",
      "posthaste-attempt",
      "traceparent",
      "tracestate",
      "baggage",
      "b3",
      "x-b3-traceid",
      "metadata",
      "metadata-flavor",
      "x-google-anything",
      "x-goog-anything",
      "x-aws-ec2-metadata-token",
      "x-amz-date",
      "x-azure-anything"
    ]) {
      for (const cased of [
        name,
        name.toUpperCase(),
        name.replaceAll(/\b\w/g, (char) => char.toUpperCase())
      ]) {
        assert.isTrue(isReserved(cased), cased)
        assert.deepStrictEqual(messages({ [cased]: "v" }), ["This header is reserved"])
      }
    }
    for (const name of ["x-host", "contents", "webhook", "x-b3", "hosted"]) {
      assert.isFalse(isReserved(name), name)
    }
  })

  it("refuses the same name in two casings", () => {
    assert.deepStrictEqual(problems({ "X-A": "1", "x-a": "2" }), [
      { name: "x-a", message: "Given twice, in another case" }
    ])
  })

  it("bounds how many there are and how long", () => {
    const many = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`x-${i}`, "v"]))
    assert.deepStrictEqual(messages(many(20)), [])
    assert.deepStrictEqual(messages(many(21)), ["Expected at most 20 headers"])
    assert.deepStrictEqual(messages({ x: "v".repeat(4_095) }), [])
    assert.deepStrictEqual(messages({ x: "v".repeat(4_096) }), ["Expected at most 4096 bytes"])
    const big = "v".repeat(4_000)
    assert.deepStrictEqual(messages({ x: big, y: big }), [])
    assert.deepStrictEqual(messages({ x: big, y: big, z: big }), [
      "Expected at most 8192 bytes in all"
    ])
  })
})
