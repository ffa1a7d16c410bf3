import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import type { Template } from "../../../src/domain/Template.ts"
import { render } from "../../../src/send/Format.ts"
import type { OutgoingMessage } from "../../../src/store/DeliveryQueue.ts"
import { discord } from "../../support/StrictChats.ts"
import { id, jsonOf, nastyTexts, payloadOf, published, raw, timestamp } from "./Samples.ts"

const url = new URL("https://discord.com/api/webhooks/1/token?wait=true")

const Payload = Schema.Struct({
  content: Schema.optionalKey(Schema.String),
  embeds: Schema.optionalKey(
    Schema.Tuple([
      Schema.Struct({
        title: Schema.String,
        description: Schema.optionalKey(Schema.String),
        fields: Schema.optionalKey(
          Schema.Array(
            Schema.Struct({ name: Schema.String, value: Schema.String, inline: Schema.Boolean })
          )
        ),
        footer: Schema.Struct({ text: Schema.String }),
        timestamp: Schema.String
      })
    ])
  ),
  allowed_mentions: Schema.Struct({ parse: Schema.Tuple([]) })
})

/** Renders, lets the strict Discord judge, and answers what it got. */
const sent = (message: OutgoingMessage, template?: Template): typeof Payload.Type => {
  const rendered = Result.getOrThrow(render({ format: "discord", url, template, message }))
  assert.strictEqual(rendered.url.href, url.href)
  assert.strictEqual(rendered.method, "POST")
  assert.strictEqual(rendered.contentType, "application/json")
  const payload = payloadOf(rendered.body)
  assert.deepStrictEqual(discord(payload), [])
  return Schema.decodeUnknownSync(Payload)(payload)
}

const embedOf = (message: OutgoingMessage, template?: Template) => {
  const embed = sent(message, template).embeds?.[0]
  assert.isDefined(embed)
  return embed
}

const linkPattern = /https?:\/\/[\w.~:/?#@!$&'(),;=%+-]+/g

/** What people see of escaped markdown, and what of it would still be markup. */
const seen = (markdown: string) =>
  markdown
    .split(new RegExp(`(${linkPattern.source})`, "g"))
    .map((part, i) => (i % 2 === 1 ? part : part.replaceAll(/\\([^A-Za-z0-9\s])/g, "$1")))
    .join("")
const active = (markdown: string) =>
  markdown
    .replaceAll(linkPattern, "x")
    .replaceAll(/\\[^A-Za-z0-9\s]/g, "x")
    .match(/[\\*_~|`<>[\]]|^ *[#+-]/m)

describe("Discord", () => {
  it("gets an embed with a title from the type and a field for each member of the data", () => {
    assert.deepStrictEqual(
      sent(
        published(
          '{"amount":100,"paid":true,"customer":{"id":"c_1","tags":["a","b"]},"note":null,"exact":1.0}',
          { resource: { type: "invoice", id: "in_1" } }
        )
      ),
      {
        embeds: [
          {
            title: "Invoice paid",
            fields: [
              { name: "amount", value: "100", inline: true },
              { name: "paid", value: "true", inline: true },
              {
                name: "customer",
                value: '{"id":"c\\_1","tags":\\["a","b"\\]}',
                inline: true
              },
              { name: "note", value: "null", inline: true },
              { name: "exact", value: "1.0", inline: true }
            ],
            footer: { text: `invoice.paid · ${id} · invoice in_1` },
            timestamp
          }
        ],
        allowed_mentions: { parse: [] }
      }
    )
  })

  it("gets a title alone where there is no data, and one field where it has no members", () => {
    assert.isUndefined(embedOf(published("{}")).fields)
    assert.isUndefined(embedOf(published("null")).fields)
    assert.deepStrictEqual(embedOf(published('["a",1]')).fields, [
      { name: "data", value: '\\["a",1\\]', inline: true }
    ])
  })

  it("reads a raw message of JSON as data, whatever members it has", () => {
    const message = raw("application/vnd.thing+json; charset=utf-8", '{"id":"x","data":1}')
    assert.deepStrictEqual(
      embedOf(message).fields?.map(({ name, value }) => [name, value]),
      [
        ["id", "x"],
        ["data", "1"]
      ]
    )
  })

  it("shows each text as it is, without meaning", () => {
    for (const text of nastyTexts.filter((text) => text.length < 500)) {
      const [field] = embedOf(published(JSON.stringify({ [`k${text}`]: text }))).fields ?? []
      assert.isDefined(field)
      assert.isNull(active(field.value), field.value)
      assert.isNull(active(field.name), field.name)
      if (/^[\x20-\x7e\n]+$/.test(text) && text.trim() !== "") {
        assert.strictEqual(seen(field.value), text)
      }
    }
  })

  it("leaves links whole", () => {
    const text = "see https://example.com/a_b_c?x=~1~#-x, and more_text"
    const [field] = embedOf(published(JSON.stringify({ text }))).fields ?? []
    assert.strictEqual(field?.value, text.replace("more_text", "more\\_text"))
  })

  it("shows what looks empty in quotes", () => {
    for (const text of ["", " ", "\u200b", "\u2800"]) {
      const [field] = embedOf(published(JSON.stringify({ [text]: text }))).fields ?? []
      assert.strictEqual(field?.value, `"${text}"`)
      assert.strictEqual(field?.name, `"${text}"`)
    }
  })

  it("cuts long values with an ellipsis between code points, and tells what it left out", () => {
    const [field] = embedOf(published(JSON.stringify({ text: "😀".repeat(2_000) }))).fields ?? []
    assert.strictEqual(field?.value, `${"😀".repeat(511)}…`)
    const members = Object.fromEntries(
      Array.from({ length: 30 }, (_, i) => [`k${i}`, "*".repeat(900)])
    )
    const embed = embedOf(published(JSON.stringify(members)))
    assert.lengthOf(embed.fields ?? [], 25)
    assert.isTrue(embed.footer.text.endsWith(" · 5 more"))
    for (const { value } of embed.fields ?? []) assert.match(value, /^(?:\\\*){100,}…$/)
  })

  it("gives short values their room before long ones", () => {
    const members = {
      long: "x".repeat(5_000),
      ...Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`k${i}`, "y".repeat(260)]))
    }
    const fields = embedOf(published(JSON.stringify(members))).fields ?? []
    assert.isTrue(fields.slice(1).every(({ value }) => value.length === 260))
    assert.isBelow(fields[0]?.value.length ?? 0, 1_024)
  })

  it("gets a template's text as it is, with the values escaped", () => {
    assert.deepStrictEqual(
      sent(
        published('{"user":{"name":"*Bob*"},"n":1.50,"list":[1,{"a":null}]}'),
        "**{data.user.name}** {type} {id} {timestamp} {data.n} {data.list} {data.list.1} [{data.missing}] {resource.id}."
      ),
      {
        content: `**\\*Bob\\*** invoice.paid ${id.replace("_", "\\_")} ${timestamp} 1.50 \\[1,{"a":null}\\] {"a":null} [] .`,
        allowed_mentions: { parse: [] }
      }
    )
  })

  it("leaves values in a template's code as they are, but for what would end it", () => {
    const message = published('{"v":"a_b`*c*"}')
    const template = "`{data.v}` {data.v}\n```js\n{data.v}```{data.v}"
    assert.strictEqual(
      sent(message, template).content,
      "`a_bˋ*c*` a\\_b\\`\\*c\\*\n```js\na_bˋ*c*```a\\_b\\`\\*c\\*"
    )
  })

  it("replaces the parts that a template names", () => {
    const message = published('{"n":1,"who":"a_b"}')
    const titled = embedOf(message, { title: "New *{data.who}*" })
    assert.strictEqual(titled.title, "New \\*a\\_b\\*")
    assert.lengthOf(titled.fields ?? [], 2)
    const worded = embedOf(message, { text: "*{data.who}*" })
    assert.strictEqual(worded.title, "Invoice paid")
    assert.strictEqual(worded.description, "*a\\_b*")
    assert.isUndefined(worded.fields)
    const empty = embedOf(message, { title: "{data.none}", text: "{data.none}" })
    assert.strictEqual(empty.title, "Invoice paid")
    assert.isUndefined(empty.description)
  })

  it("cuts the values of a template and never what it says itself", () => {
    const long = JSON.stringify({ a: "a".repeat(9_000), b: "b".repeat(9_000), c: "c" })
    const { content } = sent(published(long), "**{data.a}** [{data.b}](https://x.example) {data.c}")
    assert.match(content ?? "", /^\*\*a{900,}…\*\* \[b{900,}…\]\(https:\/\/x\.example\) c$/)
    assert.isAtMost(content?.length ?? 0, 2_000)
  })

  it.prop(
    "takes every message",
    [Schema.Int],
    ([seed]) => {
      const message = published(jsonOf(seed))
      const fields = embedOf(message).fields ?? []
      for (const { name, value } of fields) {
        assert.isNull(active(name.replace(/…$/, "")), name)
        assert.isNull(active(value.replace(/…$/, "")), value)
      }
      embedOf(message, { title: "{data}", text: "{data} {type}" })
      sent(message, "x{data.a}{data}")
    },
    { arbitrary: { runs: 100 }, timeout: 20_000 }
  )
})
