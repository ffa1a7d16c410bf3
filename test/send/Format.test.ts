import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import type { Template } from "../../src/domain/Template.ts"
import { render } from "../../src/send/Format.ts"
import type { OutgoingMessage } from "../../src/store/DeliveryQueue.ts"
import { published, raw } from "./formats/Samples.ts"

const url = new URL("https://api.telegram.org/bot1:a/sendMessage?chat_id=1")
const chats = ["discord", "slack", "telegram"] as const

const refusal = (
  format: (typeof chats)[number],
  message: OutgoingMessage,
  template?: Template,
  method: "GET" | "POST" = "POST"
) => {
  const rendered = render({ format, method, url, template, message })
  assert.isTrue(Result.isFailure(rendered), format)
  return Result.isFailure(rendered) ? rendered.failure : undefined
}

describe("render", () => {
  it("refuses bodies that a chat cannot be told of, with the rule and a sentence", () => {
    for (const format of chats) {
      for (const message of [
        raw("text/plain", "hello"),
        raw("application/octet-stream", new Uint8Array([0, 255])),
        raw("application/json", "{"),
        raw("application/json", "")
      ]) {
        assert.deepStrictEqual(refusal(format, message), {
          _tag: "Refused",
          rule: "format",
          detail: `The format ${format} needs a body of JSON, and this message has none.`
        })
      }
    }
  })

  it("refuses a GET request to a chat", () => {
    for (const format of chats) {
      assert.include(refusal(format, published("{}"), undefined, "GET")?.detail ?? "", "GET")
    }
  })

  it("refuses a template that is too long itself, and one that leaves nothing to see", () => {
    for (const format of chats) {
      for (const template of [
        "x".repeat(4_097),
        { text: "x".repeat(4_097) },
        { title: "&".repeat(300) }
      ]) {
        assert.include(refusal(format, published("{}"), template)?.detail ?? "", "alone is longer")
      }
      assert.include(
        refusal(format, published("{}"), " {data.none}\n")?.detail ?? "",
        "nothing to see"
      )
    }
  })

  it("reads data that is nested very deep, and names that come from prototypes", () => {
    const deep = `{"a":1.0,"deep":${"[".repeat(60_000)}${"]".repeat(60_000)}}`
    const names = '{"__proto__":{"x":1},"constructor":2,"toString":3,"hasOwnProperty":4}'
    for (const format of chats) {
      for (const data of [deep, names]) {
        const template = "x {data.a} {data.deep} {data.constructor.name} {data.x} {data.valueOf}"
        assert.isTrue(Result.isSuccess(render({ format, url, message: published(data) })))
        const filled = render({ format, url, template, message: published(data) })
        const text = new TextDecoder().decode(Result.getOrThrow(filled).body ?? undefined)
        assert.notInclude(text, "native code")
        assert.notInclude(text, "Object")
      }
    }
  })

  it("bounds its work by what fits, however large the message and the template", () => {
    const members = Object.fromEntries(
      Array.from({ length: 40 }, (_, i) => [`k${i}`, `${"*&".repeat(3_000)}`])
    )
    const template = Object.keys(members)
      .map((name) => `{data.${name}}`)
      .join("")
    for (const format of chats) {
      const message = published(JSON.stringify(members))
      const { body } = Result.getOrThrow(render({ format, url, template, message }))
      assert.isAtMost(body?.length ?? 0, 16_384)
    }
  })
})
