import { assert, describe, it } from "@effect/vitest"
import { type Format, isChatId, type Method, methodOf, problems } from "../../src/domain/Format.ts"
import type { Template } from "../../src/domain/Template.ts"

const telegram = "https://api.telegram.org/bot1:a/sendMessage"

const pathsOf = (
  format: Format,
  settings: { method?: Method; template?: Template } = {},
  url = format === "telegram" ? `${telegram}?chat_id=-1` : "https://example.com/"
) => problems({ format, ...settings }, url).map(({ path }) => path.join("."))

describe("methodOf", () => {
  it("is GET for query and POST for the rest, unless it is set", () => {
    assert.strictEqual(methodOf("query", undefined), "GET")
    assert.strictEqual(methodOf("json", undefined), "POST")
    assert.strictEqual(methodOf("telegram", undefined), "POST")
    assert.strictEqual(methodOf("query", "PUT"), "PUT")
  })
})

describe("isChatId", () => {
  it("is a number, or a public name after an @", () => {
    for (const text of ["1", "-1001234567890", "@news_room", "@abcd"]) assert.isTrue(isChatId(text))
    for (const text of ["", "news", "@", "@abc", "@1abcde", "1 ", "-", "1.5", "@a-bcde", "--1"]) {
      assert.isFalse(isChatId(text), text)
    }
  })
})

describe("problems", () => {
  it("finds none where the settings fit", () => {
    for (const format of ["json", "discord", "slack", "telegram", "query"] as const) {
      assert.deepStrictEqual(pathsOf(format), [])
    }
    for (const method of ["PUT", "PATCH"] as const) {
      assert.deepStrictEqual(pathsOf("json", { method }), [])
      assert.deepStrictEqual(pathsOf("query", { method }), [])
    }
    assert.deepStrictEqual(pathsOf("discord", { template: "**{data.n}** < & >" }), [])
    assert.deepStrictEqual(pathsOf("slack", { template: { title: "x", text: "<!here>" } }), [])
    assert.deepStrictEqual(pathsOf("telegram", { template: "<b>{data.n}</b>" }), [])
    assert.deepStrictEqual(pathsOf("telegram", { template: { chatId: "5" } }, telegram), [])
    assert.deepStrictEqual(pathsOf("telegram", { template: { chatId: "{data.c}" } }, telegram), [])
    assert.deepStrictEqual(
      pathsOf("query", {}, "https://example.com/{data.a b}/{data.é}?x={type}&y=%7Bid%7D"),
      []
    )
    assert.deepStrictEqual(pathsOf("json", {}, "https://example.com/{whatever}"), [])
  })

  it("finds methods that cannot carry the format", () => {
    assert.deepStrictEqual(pathsOf("json", { method: "GET" }), ["method"])
    for (const method of ["GET", "PUT", "PATCH"] as const) {
      assert.deepStrictEqual(pathsOf("slack", { method }), ["method"])
    }
  })

  it("finds templates that the format has no use for", () => {
    assert.deepStrictEqual(pathsOf("json", { template: "x" }), ["template"])
    assert.deepStrictEqual(pathsOf("query", { template: { title: "x" } }), ["template"])
    assert.deepStrictEqual(pathsOf("slack", { template: { chatId: "5" } }), ["template.chatId"])
  })

  it("finds that Telegram has no chat", () => {
    assert.deepStrictEqual(pathsOf("telegram", {}, telegram), ["url"])
    assert.deepStrictEqual(pathsOf("telegram", {}, `${telegram}?chat_id=me`), ["url"])
    assert.deepStrictEqual(pathsOf("telegram", { template: { chatId: "me" } }, telegram), [
      "template.chatId"
    ])
  })

  it("finds HTML that Telegram would not parse", () => {
    assert.deepStrictEqual(pathsOf("telegram", { template: "<b>x" }), ["template"])
    assert.deepStrictEqual(pathsOf("telegram", { template: { text: "<p>x</p>" } }), [
      "template.text"
    ])
  })

  it("finds placeholders in a URL that name nothing, or stand before the path", () => {
    for (const url of [
      "https://example.com/{user_id}",
      "https://example.com/?x={data..a}",
      "https://example.com/?x={}",
      "https://{data.host}/",
      "https://{data.user}@example.com/",
      "https://%7Bdata.host%7D.example.com/"
    ]) {
      assert.deepStrictEqual(pathsOf("query", {}, url), ["url"], url)
    }
  })
})
