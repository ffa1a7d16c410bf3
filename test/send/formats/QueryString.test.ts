import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { render } from "../../../src/send/Format.ts"
import type { OutgoingMessage } from "../../../src/store/DeliveryQueue.ts"
import { id, jsonOf, nastyTexts, published, raw, timestamp } from "./Samples.ts"

const renderTo = (url: string, message: OutgoingMessage) =>
  render({ format: "query", url: new URL(url), message })

const sent = (url: string, data: string): string => {
  const rendered = Result.getOrThrow(
    renderTo(url, published(data, { resource: { type: "user", id: "u/1" } }))
  )
  assert.strictEqual(rendered.method, "GET")
  assert.isNull(rendered.body)
  assert.isNull(rendered.contentType)
  return rendered.url.href
}

const refused = (url: string, message: OutgoingMessage): string => {
  const rendered = renderTo(url, message)
  assert.isTrue(Result.isFailure(rendered) && rendered.failure.rule === "format", url)
  return Result.isFailure(rendered) ? rendered.failure.detail : ""
}

/** What a value may try: to leave its place in a path or a query. */
const attacks: ReadonlyArray<string> = [
  "/",
  "//evil.example/",
  "../admin",
  "..",
  ".",
  "%2e%2e",
  "%2E",
  "..%2f..",
  "..\\..\\",
  "?admin=1",
  "#x",
  "&admin=1",
  "=",
  ";a=b",
  "a+b c",
  "%",
  "%00",
  "\0",
  "\r\nHost: evil.example\r\n\r\n",
  "@evil.example",
  "http://evil.example",
  "{data.x}",
  "é😀\ud800",
  "'\"<>`|^[]()!*~",
  "\u2025",
  "\uff0e\uff0e\uff0f"
]

describe("The format query", () => {
  it("makes parameters of the data, in its order", () => {
    assert.strictEqual(
      sent(
        "https://example.com/postback",
        '{"value":100,"user_id":"user_123","token":"abc123","signature":"xyz789"}'
      ),
      "https://example.com/postback?value=100&user_id=user_123&token=abc123&signature=xyz789"
    )
  })

  it("adds them to the parameters that the URL has, which stand as they are", () => {
    assert.strictEqual(
      sent("https://example.com/?key=S%20x+y&flag&value=1", '{"value":2,"key":"evil","n":3}'),
      "https://example.com/?key=S%20x+y&flag&value=1&n=3"
    )
    assert.strictEqual(sent("https://example.com?", '{"n":3}'), "https://example.com/?n=3")
    assert.strictEqual(sent("https://example.com", "{}"), "https://example.com/")
  })

  it("writes scalars as text, objects with dots, lists by repetition, and keeps digits", () => {
    assert.strictEqual(
      sent(
        "https://example.com/",
        '{"t":true,"z":null,"e":"","big":12345678901234567890,"f":1.0,"o":{"a":{"b":1},"c":[1,"x y",null,{"d":[2]}]},"none":[],"nil":{}}'
      ),
      "https://example.com/?t=true&z=&e=&big=12345678901234567890&f=1.0&o.a.b=1&o.c=1&o.c=x%20y&o.c=&o.c=%7B%22d%22%3A%5B2%5D%7D"
    )
  })

  it("dots names of at most 32 parts, and writes as JSON what is below", () => {
    const data = `${'{"a":'.repeat(34)}1${"}".repeat(34)}`
    assert.strictEqual(
      sent("https://example.com/", data),
      `https://example.com/?${Array.from({ length: 32 }, () => "a").join(".")}=${encodeURIComponent('{"a":{"a":1}}')}`
    )
  })

  it("makes no parameters of data without names", () => {
    for (const data of ["null", "5", '"x"', "[1,2]"]) {
      assert.strictEqual(sent("https://example.com/a", data), "https://example.com/a")
    }
    assert.strictEqual(sent("https://example.com/{data}", "5"), "https://example.com/5")
  })

  it("fills placeholders in the path and the query, and does not repeat what they used", () => {
    assert.strictEqual(
      sent(
        "https://example.com/users/{data.user.id}/{type}/v-{data.v}?u={data.user.id}&at={timestamp}&r={resource.type}:{resource.id}&m={id}&none={data.none}",
        '{"user":{"id":"a/b","name":"Bob"},"v":1,"n":2}'
      ),
      `https://example.com/users/a%2Fb/invoice.paid/v-1?u=a%2Fb&at=${encodeURIComponent(timestamp)}&r=user:u%2F1&m=${id}&none=&user.name=Bob&n=2`
    )
    assert.strictEqual(
      sent("https://example.com/?all={data}", '{"a":[1]}'),
      "https://example.com/?all=%7B%22a%22%3A%5B1%5D%7D"
    )
    assert.strictEqual(
      sent("https://example.com/?u={data.user}", '{"user":{"id":1,"name":"x"},"n":2}'),
      "https://example.com/?u=%7B%22id%22%3A1%2C%22name%22%3A%22x%22%7D&n=2"
    )
  })

  it("finds names that hold dots, blanks and other scripts", () => {
    assert.strictEqual(
      sent("https://example.com/{data.a.b}/{data.c d}/{data.é.0}", '{"a.b":1,"c d":2,"é":[3]}'),
      "https://example.com/1/2/3?%C3%A9=3"
    )
  })

  it("leaves braces alone that hold no placeholder", () => {
    assert.strictEqual(
      sent("https://example.com/%7Bx%7D/{foo}?q={bar}&%E0{data.n}", '{"n":1}'),
      "https://example.com/%7Bx%7D/%7Bfoo%7D?q={bar}&%E01"
    )
  })

  it("keeps every value in its place, whatever it holds", () => {
    for (const attack of [...attacks, ...nastyTexts.filter((text) => text.length < 500)]) {
      const data = JSON.stringify({ v: attack, [attack]: "name", other: { [attack]: attack } })
      const href = sent("https://example.com:8443/a/x{data.v}y/b?q={data.v}&last=1", data)
      const url = new URL(href)
      assert.strictEqual(url.origin, "https://example.com:8443", attack)
      assert.strictEqual(url.username + url.password + url.hash, "", attack)
      const segments = url.pathname.split("/")
      assert.lengthOf(segments, 4)
      assert.deepStrictEqual([segments[1], segments[3]], ["a", "b"])
      const text = attack.toWellFormed()
      assert.strictEqual(decodeURIComponent(segments[2] ?? ""), `x${text}y`)
      const parameters = [...url.searchParams]
      assert.deepStrictEqual(parameters.slice(0, 2), [
        ["q", text],
        ["last", "1"]
      ])
      assert.deepStrictEqual(parameters.slice(2), [
        [text, "name"],
        [`other.${text}`, text]
      ])
      assert.match(href, /^[\x21-\x7e]+$/)
    }
  })

  it("refuses values that would make a path segment empty or a step", () => {
    for (const [url, data] of [
      ["https://example.com/{data.v}", '{"v":".."}'],
      ["https://example.com/{data.v}/x", '{"v":"."}'],
      ["https://example.com/a/.{data.v}", '{"v":"."}'],
      ["https://example.com/a/%2e{data.v}/b", '{"v":"."}'],
      ["https://example.com/a/%2E{data.v}/b", '{"v":"."}'],
      ["https://example.com/{data.v}{data.w}/b", '{"v":".","w":"."}'],
      ["https://example.com/{data.v}", '{"v":""}'],
      ["https://example.com/{data.v}/evil.example", '{"v":null}'],
      ["https://example.com/users/{data.missing}", "{}"],
      ["https://example.com/a/{data.v}{data.w}/b", "{}"]
    ] as const) {
      assert.include(refused(url, published(data)), "missing, empty or a step")
    }
  })

  it("refuses placeholders before the path", () => {
    const message = published('{"host":"evil.example","p":443}')
    for (const url of [
      "https://{data.host}/",
      "https://x.{data.host}/",
      "https://{data.host}@example.com/",
      "https://u:{data.host}@example.com/"
    ]) {
      assert.include(refused(url, message), "before its path")
    }
  })

  it("refuses what is longer than 8 KiB, however it comes to be", () => {
    const url = "https://example.com/?v="
    const room = 8_192 - "https://example.com/?v=&n=".length
    assert.lengthOf(sent(url, JSON.stringify({ n: "x".repeat(room) })), 8_192)
    for (const data of [
      { n: "x".repeat(room + 1) },
      { n: "😀".repeat(2_000) },
      { ["k".repeat(9_000)]: 1 },
      Object.fromEntries(Array.from({ length: 3_000 }, (_, i) => [`k${i}`, i])),
      { list: Array.from({ length: 9_000 }, () => null) },
      { list: [[Array.from({ length: 9_000 }, () => 1)]] }
    ]) {
      assert.include(refused(url, published(JSON.stringify(data))), "longer than 8192 bytes")
    }
    assert.include(
      refused("https://example.com/{data.v}", published(JSON.stringify({ v: "x".repeat(9_000) }))),
      "longer than 8192 bytes"
    )
    const deep = `${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}`
    const inList = `{"a":[${"[".repeat(20_000)}${"]".repeat(20_000)}]}`
    assert.include(refused(url, published(inList)), "longer than 8192 bytes")
    assert.include(refused(url, published(deep)), "longer than 8192 bytes")
  })

  it("reads a raw message of JSON as data, and refuses what is no JSON", () => {
    const json = renderTo("https://example.com/", raw("text/json", '{"id":"x","n":1}'))
    assert.strictEqual(Result.getOrThrow(json).url.href, "https://example.com/?id=x&n=1")
    for (const message of [
      raw("text/plain", '{"n":1}'),
      raw("application/json", '{"n":'),
      raw("application/json", new Uint8Array([0x22, 0xff, 0x22])),
      raw("application/jsonp", "{}")
    ]) {
      assert.include(refused("https://example.com/", message), "needs a body of JSON")
    }
  })

  it("goes by any method, without a body", () => {
    for (const method of ["GET", "POST", "PUT", "PATCH"] as const) {
      const rendered = Result.getOrThrow(
        render({
          format: "query",
          method,
          url: new URL("https://example.com/"),
          message: published('{"n":1}')
        })
      )
      assert.deepInclude(rendered, { method, body: null, contentType: null })
    }
  })

  it.prop(
    "answers a URL of the same origin and path, or refuses",
    [Schema.Int],
    ([seed]) => {
      const message = published(jsonOf(seed))
      const rendered = renderTo("https://example.com/a/b-{data.a}/c?q={data.b}", message)
      if (Result.isFailure(rendered)) {
        assert.strictEqual(rendered.failure.rule, "format")
        return
      }
      const { url } = rendered.success
      assert.strictEqual(url.origin, "https://example.com")
      assert.match(url.pathname, /^\/a\/b-[\w.~%-]*\/c$/)
      assert.isAtMost(url.href.length, 8_192)
      assert.strictEqual(new URL(url.href).href, url.href)
    },
    { arbitrary: { runs: 200 }, timeout: 20_000 }
  )
})
