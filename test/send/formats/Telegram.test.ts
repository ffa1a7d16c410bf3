import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import type { Template } from "../../../src/domain/Template.ts"
import { render } from "../../../src/send/Format.ts"
import type { OutgoingMessage } from "../../../src/store/DeliveryQueue.ts"
import { parseTelegramHtml, telegram } from "../../support/StrictChats.ts"
import { id, jsonOf, nastyTexts, payloadOf, published } from "./Samples.ts"

const api = "https://api.telegram.org/bot123:AbC_-9/sendMessage"
const url = new URL(`${api}?chat_id=-100123`)

const Payload = Schema.Struct({ chat_id: Schema.String, text: Schema.String })

const renderTo = (url: URL, message: OutgoingMessage, template?: Template) =>
  render({ format: "telegram", url, template, message })

/** Renders, lets the strict Telegram judge, and answers what it got. */
const sent = (message: OutgoingMessage, template?: Template, to = url) => {
  const rendered = Result.getOrThrow(renderTo(to, message, template))
  assert.strictEqual(rendered.url.origin + rendered.url.pathname, api)
  assert.strictEqual(rendered.contentType, "application/json")
  const payload = payloadOf(rendered.body)
  assert.deepStrictEqual(telegram(rendered.url, payload), [])
  return { ...Schema.decodeUnknownSync(Payload)(payload), search: rendered.url.search, payload }
}

/** What people read. */
const read = (message: OutgoingMessage, template?: Template): string => {
  const parsed = parseTelegramHtml(sent(message, template).text)
  assert.isObject(parsed)
  return typeof parsed === "string" ? "" : parsed.text
}

const refusal = (url: URL, template?: Template) => {
  const rendered = renderTo(url, published('{"chat":"nobody","none":""}'), template)
  assert.isTrue(Result.isFailure(rendered))
  return Result.isFailure(rendered) ? rendered.failure : undefined
}

describe("Telegram", () => {
  it("gets a headline from the type, a line for each member of the data and the small print", () => {
    assert.deepStrictEqual(sent(published('{"amount":100,"who":"<b> & co"}')).payload, {
      chat_id: "-100123",
      text: `<b>Invoice paid</b>\n\n<b>amount</b>: 100\n<b>who</b>: &lt;b&gt; &amp; co\n\n<code>invoice.paid · ${id}</code>`,
      parse_mode: "HTML",
      link_preview_options: { is_disabled: true }
    })
  })

  it("gets the chat in the body and not in the URL, where other parameters stay", () => {
    const message = published("{}")
    assert.strictEqual(sent(message).search, "")
    const topic = sent(
      message,
      undefined,
      new URL(`${api}?chat_id=%40news_room&message_thread_id=5`)
    )
    assert.deepInclude(topic, { chat_id: "@news_room", search: "?message_thread_id=5" })
    const given = sent(published('{"chat":-77}'), { chatId: "{data.chat}" }, new URL(api))
    assert.strictEqual(given.chat_id, "-77")
    assert.strictEqual(sent(message, { chatId: "5" }).chat_id, "5")
    assert.strictEqual(url.search, "?chat_id=-100123")
  })

  it("is not asked where no chat is named", () => {
    for (const [to, template] of [
      [api, undefined],
      [`${api}?chat_id=`, undefined],
      [`${api}?chat_id=nobody`, undefined],
      [api, { chatId: "{data.chat}" }],
      [api, { chatId: "{data.missing}" }],
      [api, { text: "x" }]
    ] as const) {
      const refused = refusal(new URL(to), template)
      assert.strictEqual(refused?._tag, "Refused")
      assert.strictEqual(refused?.rule, "format")
    }
  })

  it("shows each text as it is", () => {
    for (const text of nastyTexts.filter((text) => text.length < 500)) {
      const shown = read(published(JSON.stringify({ k: text })))
      if (/^[\x20-\x7e\n]+$/.test(text) && text.trim() !== "") {
        assert.strictEqual(shown, `Invoice paid\n\nk: ${text}\n\ninvoice.paid · ${id}`)
      }
    }
  })

  it("shows a headline and the small print alone where there is no data", () => {
    assert.strictEqual(read(published("{}")), `Invoice paid\n\ninvoice.paid · ${id}`)
  })

  it("cuts long values between escapes", () => {
    const { text } = sent(published(JSON.stringify({ a: '"'.repeat(5_000), b: "b" })))
    assert.match(text, /<b>a<\/b>: (?:&quot;){600,}…\n<b>b<\/b>: b\n/)
    assert.isAtMost(text.length, 4_096)
  })

  it("gets a template's HTML as it is, with the values escaped, in attributes too", () => {
    const data = JSON.stringify({ who: "<Bob>", link: 'https://x.example/?a=1&b="><i>' })
    assert.strictEqual(
      sent(published(data), '<b>{data.who}</b> <a href="{data.link}">open</a>').text,
      '<b>&lt;Bob&gt;</b> <a href="https://x.example/?a=1&amp;b=&quot;&gt;&lt;i&gt;">open</a>'
    )
  })

  it("replaces the parts that a template names", () => {
    const message = published('{"n":1}')
    assert.strictEqual(
      read(message, { title: "<{data.n}>" }),
      `<1>\n\nn: 1\n\ninvoice.paid · ${id}`
    )
    assert.strictEqual(
      read(message, { text: "<i>n</i> is {data.n}" }),
      `Invoice paid\n\nn is 1\n\ninvoice.paid · ${id}`
    )
    assert.strictEqual(
      read(message, { text: "<i>{data.none}</i>" }),
      `Invoice paid\n\ninvoice.paid · ${id}`
    )
  })

  it("is not asked where the template leaves nothing to see", () => {
    assert.strictEqual(
      refusal(url, "<b>{data.none}</b> \n")?.detail,
      "The template leaves nothing to see for this message."
    )
  })

  it.prop(
    "takes every message",
    [Schema.Int],
    ([seed]) => {
      const message = published(jsonOf(seed))
      sent(message)
      sent(message, { title: "{data}", text: "<i>{data}</i> {type}" })
      sent(message, '<b>x</b><a href="{data.a}">{data}</a>')
    },
    { arbitrary: { runs: 100 }, timeout: 20_000 }
  )
})
