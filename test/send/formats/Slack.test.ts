import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import type { Template } from "../../../src/domain/Template.ts"
import { render } from "../../../src/send/Format.ts"
import type { OutgoingMessage } from "../../../src/store/DeliveryQueue.ts"
import { slack } from "../../support/StrictChats.ts"
import { id, jsonOf, nastyTexts, payloadOf, published, timestamp } from "./Samples.ts"

const url = new URL("https://hooks.slack.com/services/T0/B0/secret")

const Text = Schema.Struct({ type: Schema.String, text: Schema.String })
const Payload = Schema.Struct({
  text: Schema.String,
  blocks: Schema.optionalKey(
    Schema.Array(
      Schema.Struct({
        type: Schema.String,
        text: Schema.optionalKey(Text),
        fields: Schema.optionalKey(Schema.Array(Text)),
        elements: Schema.optionalKey(Schema.Array(Text))
      })
    )
  )
})

/** Renders, lets the strict Slack judge, and answers what it got. */
const sent = (message: OutgoingMessage, template?: Template): typeof Payload.Type => {
  const rendered = Result.getOrThrow(render({ format: "slack", url, template, message }))
  assert.strictEqual(rendered.url.href, url.href)
  assert.strictEqual(rendered.contentType, "application/json")
  const payload = payloadOf(rendered.body)
  assert.deepStrictEqual(slack(payload), [])
  return Schema.decodeUnknownSync(Payload)(payload)
}

const fieldsOf = ({ blocks = [] }: typeof Payload.Type) =>
  blocks.flatMap(({ fields = [] }) => fields.map(({ text }) => text))

const seen = (text: string) =>
  text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&")

describe("Slack", () => {
  it("gets a header from the type, a field for each member of the data and the small print", () => {
    assert.deepStrictEqual(
      sent(
        published('{"amount":100,"who":"<!channel> & co"}', { resource: { type: "a", id: "b" } })
      ),
      {
        text: "Invoice paid\namount: 100\nwho: &lt;!channel&gt; &amp; co",
        blocks: [
          { type: "header", text: { type: "plain_text", text: "Invoice paid" } },
          {
            type: "section",
            fields: [
              { type: "mrkdwn", text: "*amount*\n100" },
              { type: "mrkdwn", text: "*who*\n&lt;!channel&gt; &amp; co" }
            ]
          },
          {
            type: "context",
            elements: [{ type: "mrkdwn", text: `invoice.paid · ${id} · a b · ${timestamp}` }]
          }
        ]
      }
    )
  })

  it("gets a header and the small print alone where there is no data", () => {
    const { blocks, text } = sent(published("{}", { type: "user_sign-up.done" }))
    assert.strictEqual(text, "User sign up done")
    assert.deepStrictEqual(
      blocks?.map(({ type }) => type),
      ["header", "context"]
    )
  })

  it("gets ten fields in a section, twenty-five in all, and the number of those left out", () => {
    const members = Object.fromEntries(Array.from({ length: 27 }, (_, i) => [`k${i}`, i]))
    const payload = sent(published(JSON.stringify(members)))
    assert.deepStrictEqual(
      payload.blocks?.map(({ fields }) => fields?.length),
      [undefined, 10, 10, 5, undefined]
    )
    assert.include(payload.blocks?.at(-1)?.elements?.[0]?.text ?? "", " · 2 more · ")
  })

  it("shows each text as it is, and nothing of it is a link or a mention", () => {
    for (const text of nastyTexts.filter((text) => text.length < 500)) {
      const [field = ""] = fieldsOf(sent(published(JSON.stringify({ k: text }))))
      assert.notMatch(field, /[<>]/)
      if (/^[\x20-\x7e\n]+$/.test(text) && text.trim() !== "") {
        assert.strictEqual(seen(field), `*k*\n${text}`)
      }
    }
  })

  it("cuts long values between escapes", () => {
    const [field = ""] = fieldsOf(sent(published(JSON.stringify({ k: "&".repeat(5_000) }))))
    assert.match(field, /^\*k\*\n(?:&amp;){300,}…$/)
  })

  it("gets a template's text as it is, with the values escaped", () => {
    assert.deepStrictEqual(
      sent(published('{"who":"<@U1>"}'), "<!here> *{data.who}* <https://x.example|open>"),
      { text: "<!here> *&lt;@U1&gt;* <https://x.example|open>" }
    )
  })

  it("replaces the parts that a template names", () => {
    const message = published('{"n":1,"who":"<b>"}')
    const titled = sent(message, { title: "New <{data.who}>\n" })
    assert.strictEqual(titled.blocks?.[0]?.text?.text, "New &lt;&lt;b&gt;&gt; ")
    assert.lengthOf(fieldsOf(titled), 2)
    const worded = sent(message, { text: "_{data.who}_" })
    assert.deepStrictEqual(worded.blocks?.[1], {
      type: "section",
      text: { type: "mrkdwn", text: "_&lt;b&gt;_" }
    })
    assert.strictEqual(worded.text, "Invoice paid\n_&lt;b&gt;_")
    assert.lengthOf(fieldsOf(worded), 0)
  })

  it.prop(
    "takes every message",
    [Schema.Int],
    ([seed]) => {
      const message = published(jsonOf(seed))
      for (const field of fieldsOf(sent(message))) assert.notMatch(field, /[<>]/)
      sent(message, { title: "{data}", text: "{data} {type}" })
      sent(message, "x{data.a}{data}")
    },
    { arbitrary: { runs: 100 }, timeout: 20_000 }
  )
})
