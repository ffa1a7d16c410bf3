import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import {
  partsOf,
  Template,
  telegramProblem,
  unknownIn,
  unknownInUrl,
  urlPartsOf
} from "../../src/domain/Template.ts"

const isTemplate = Schema.is(Template)
const decoded = (value: unknown) =>
  Schema.decodeUnknownResult(Template)(value, { onExcessProperty: "error" })._tag

describe("Template", () => {
  it("is a text, or parts, each with known placeholders", () => {
    for (const template of [
      "Hello",
      "{id} {type} {timestamp} {data} {data.a.0.b c} {resource.type} {resource.id}",
      "no placeholder: { } {} {1} { data } }{",
      {},
      { title: "{type}" },
      { title: "a", text: "b", chatId: "@news" }
    ]) {
      assert.isTrue(isTemplate(template), JSON.stringify(template))
    }
    for (const template of [
      "",
      "{foo}",
      "{Data.x}",
      "{data.}",
      "{data.a..b}",
      "{type.x}",
      "{resource}",
      "{resource.name}",
      "x".repeat(2_001),
      "{id}".repeat(41),
      { title: "x".repeat(129) },
      { text: "" },
      { chatId: "{foo}" },
      5,
      null
    ]) {
      assert.isFalse(isTemplate(template), JSON.stringify(template))
    }
    assert.isTrue(isTemplate("{id}".repeat(40)))
    assert.strictEqual(decoded({ title: "x", body: "y" }), "Failure")
  })

  it.prop("is written and read back the same", [Template], ([template]) => {
    const written = JSON.parse(JSON.stringify(Schema.encodeSync(Template)(template)))
    assert.deepStrictEqual<unknown>(Schema.decodeUnknownSync(Template)(written), template)
  })
})

describe("partsOf", () => {
  it("splits at placeholders and nowhere else", () => {
    assert.deepStrictEqual(partsOf("{id}: {data.a b.0}{foo} {x"), [
      { path: "id" },
      ": ",
      { path: "data.a b.0" },
      "{foo} {x"
    ])
    assert.deepStrictEqual(partsOf("{{type}}"), ["{", { path: "type" }, "}"])
    assert.deepStrictEqual(unknownIn("{foo} {data.x} {Bar.x} { no } {1}"), ["foo", "Bar.x"])
  })

  it("reads placeholders of a URL in whichever form parsing left them", () => {
    const url = new URL("https://example.com/a/{data.é}/%7bdata.x y%7D?q={data.z}&r=%7Bid%7D&{foo}")
    assert.deepStrictEqual(urlPartsOf(url.pathname), [
      "/a/",
      { path: "data.é" },
      "/",
      { path: "data.x y" }
    ])
    assert.deepStrictEqual(urlPartsOf(url.search), [
      "?q=",
      { path: "data.z" },
      "&r=",
      { path: "id" },
      "&{foo}"
    ])
    assert.deepStrictEqual(unknownInUrl(url.search), ["foo"])
    assert.deepStrictEqual(unknownInUrl("/%7B%E0%7D"), ["%7B%E0%7D"])
  })
})

describe("telegramProblem", () => {
  it("finds none in what Telegram parses", () => {
    for (const html of [
      "plain {data.x}",
      "<b>x <i>y</i></b> <U>z</U>",
      '<a href="https://x.example/?a=1&b={data.x}">{data.y}</a>',
      '<span class="tg-spoiler">x</span><tg-spoiler>y</tg-spoiler>',
      '<pre><code class="language-js">1 &lt; 2 &amp;&amp; 3 &#62; 2</code></pre>',
      "<blockquote expandable>x</blockquote>"
    ]) {
      assert.isUndefined(telegramProblem(html), html)
    }
  })

  it("finds what it does not parse", () => {
    for (const html of [
      "<b>x",
      "x</b>",
      "<b><i>x</b></i>",
      "<p>x</p>",
      "a < b",
      "a > b",
      "a & b",
      "a &nbsp; b",
      "<b",
      "<>",
      "<{data.x}>",
      "<a href={data.x}>x</a>",
      "<a href='x'>x</a>",
      "<span>x</span>",
      '<a href="<b>">x</a>'
    ]) {
      assert.isString(telegramProblem(html), html)
    }
  })
})
