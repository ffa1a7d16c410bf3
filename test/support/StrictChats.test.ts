/**
 * A fake that takes everything proves nothing: each limit is met here, and broken by one.
 */
import { assert, describe, it } from "@effect/vitest"
import { discord, parseTelegramHtml, slack, telegram } from "./StrictChats.ts"

const x = (length: number) => "x".repeat(length)
const many = <A>(length: number, one: A) => Array.from({ length }, () => one)
const takes = (complaints: ReadonlyArray<string>) => assert.deepStrictEqual(complaints, [])
const refuses = (complaints: ReadonlyArray<string>, part: string) =>
  assert.isTrue(
    complaints.some((complaint) => complaint.includes(part)),
    `expected "${part}" in ${JSON.stringify(complaints)}`
  )

describe("The strict Discord", () => {
  const mentions = { allowed_mentions: { parse: [] } }
  const embed = (one: object) => ({ embeds: [one], ...mentions })
  const field = (name: string, value: string) => ({ name, value, inline: true })

  it("takes what is within its limits", () => {
    takes(discord({ content: x(2_000), ...mentions }))
    takes(discord(embed({ title: x(256), description: x(4_096), footer: { text: x(1_648) } })))
    takes(
      discord(embed({ fields: many(25, field(x(40), x(200))), timestamp: "2023-11-14T22:13Z" }))
    )
    takes(discord(embed({ fields: [field(x(256), x(1_024))], footer: { text: x(2_048) } })))
    takes(discord({ embeds: many(10, { title: "x" }), ...mentions }))
  })

  it("refuses what is beyond one of them", () => {
    refuses(discord({ content: x(2_001), ...mentions }), "2001 characters")
    refuses(discord(embed({ title: x(257) })), "257 characters")
    refuses(discord(embed({ description: x(4_097) })), "4097 characters")
    refuses(discord(embed({ footer: { text: x(2_049) } })), "2049 characters")
    refuses(discord(embed({ fields: many(26, field("a", "b")) })), "26 elements")
    refuses(discord(embed({ fields: [field(x(257), "b")] })), "257 characters")
    refuses(discord(embed({ fields: [field("a", x(1_025))] })), "1025 characters")
    refuses(
      discord(embed({ title: x(256), description: x(4_096), footer: { text: x(1_649) } })),
      "6001 characters in all"
    )
    refuses(discord({ embeds: many(11, { title: "x" }), ...mentions }), "11 elements")
  })

  it("refuses what is empty, unknown or no Unicode", () => {
    refuses(discord(mentions), "empty message")
    refuses(discord({ content: "x" }), "allowed_mentions is missing")
    refuses(discord({ content: " \n\u200b", ...mentions }), "is empty")
    refuses(discord(embed({ fields: [field("a", "")] })), "is empty")
    refuses(discord({ content: "x", text: "x", ...mentions }), "text is unknown")
    refuses(discord({ content: "\ud800", ...mentions }), "no Unicode")
    refuses(discord(embed({ title: "x", timestamp: "now" })), "timestamp")
    refuses(discord({ content: "x", allowed_mentions: { parse: ["all"] } }), '"all"')
    refuses(discord("x"), "no object")
  })
})

describe("The strict Slack", () => {
  const mrkdwn = (text: string) => ({ type: "mrkdwn", text })
  const blocks = (...blocks: ReadonlyArray<object>) => ({ text: "x", blocks })
  const header = (text: string) => ({ type: "header", text: { type: "plain_text", text } })

  it("takes what is within its limits", () => {
    takes(slack({ text: x(40_000) }))
    takes(
      slack(
        blocks(
          header(x(150)),
          { type: "section", text: mrkdwn(x(3_000)) },
          { type: "section", fields: many(4, mrkdwn(x(2_000))) },
          { type: "context", elements: many(10, mrkdwn("x")) }
        )
      )
    )
    takes(slack(blocks(...many(50, { type: "section", fields: many(2, mrkdwn("x")) }))))
    takes(slack({ text: "&lt;b&gt; &amp; <https://example.com|x> <@U1> <!here>" }))
  })

  it("refuses what is beyond one of them", () => {
    refuses(slack({ text: x(40_001) }), "40001 characters")
    refuses(slack(blocks(header(x(151)))), "151 characters")
    refuses(slack(blocks({ type: "section", text: mrkdwn(x(3_001)) })), "3001 characters")
    refuses(slack(blocks({ type: "section", fields: [mrkdwn(x(2_001))] })), "2001 characters")
    refuses(slack(blocks({ type: "section", fields: many(11, mrkdwn("x")) })), "11 elements")
    refuses(slack(blocks({ type: "context", elements: many(11, mrkdwn("x")) })), "11 elements")
    refuses(slack(blocks(...many(51, header("x")))), "51 elements")
    refuses(slack(blocks(...many(5, { type: "section", text: mrkdwn(x(2_900)) }))), "in all")
  })

  it("refuses what is empty, unknown or not escaped", () => {
    refuses(slack({ blocks: [header("x")] }), "text is missing")
    refuses(slack({ text: "" }), "is empty")
    refuses(slack(blocks()), "0 elements")
    refuses(slack(blocks({ type: "section" })), "is empty")
    refuses(slack(blocks({ type: "header", text: mrkdwn("x") })), '"mrkdwn"')
    refuses(slack(blocks({ type: "title" })), "no known type")
    refuses(slack({ text: "x", channel: "y" }), "channel is unknown")
    for (const text of ["a < b", "a > b", "a & b", "&quot;", "<b>"]) {
      refuses(slack({ text }), "not escaped")
    }
  })
})

describe("The strict Telegram", () => {
  const url = new URL("https://api.telegram.org/bot123:ab_C-9/sendMessage")
  const call = (one: object) => ({ chat_id: "-100123", text: "x", parse_mode: "HTML", ...one })

  it("takes what is within its limits", () => {
    takes(telegram(url, call({ text: x(4_096) })))
    takes(telegram(url, call({ text: `<b>${"&amp;".repeat(4_096)}</b>` })))
    takes(telegram(url, call({ chat_id: 5, link_preview_options: { is_disabled: true } })))
    takes(telegram(url, call({ chat_id: "@channel", text: "<i>x</i>".repeat(100) })))
  })

  it("refuses what is beyond one of them", () => {
    refuses(telegram(url, call({ text: x(4_097) })), "4097 characters")
    refuses(telegram(url, call({ text: "<i>x</i>".repeat(101) })), "101 entities")
    refuses(telegram(url, call({ text: "<b></b>".repeat(6_000) + "x" })), "too many bytes")
  })

  it("refuses what is empty, unknown or malformed", () => {
    refuses(telegram(new URL("https://api.telegram.org/bot1:a/getMe"), call({})), "path")
    refuses(telegram(new URL(`${url.href}?chat_id=1`), call({})), "twice")
    refuses(telegram(url, call({ chat_id: "chat" })), "no chat")
    refuses(telegram(url, call({ text: "<b> </b>" })), "is empty")
    refuses(telegram(url, call({ parse_mode: "Markdown" })), '"Markdown"')
    refuses(telegram(url, call({ chat: 1 })), "chat is unknown")
    for (const text of [
      "<b>x",
      "x</b>",
      "<b><i>x</b></i>",
      "<p>x</p>",
      "a & b",
      "a < b",
      "a > b"
    ]) {
      refuses(telegram(url, call({ text })), "can't parse entities")
    }
  })

  it("reads HTML as people would", () => {
    assert.deepStrictEqual(
      parseTelegramHtml('<b>a &lt;&gt;&amp;&quot;</b> <a href="https://x?a=1&amp;b">&#128512;</a>'),
      { text: 'a <>&" 😀', entities: 2 }
    )
  })
})
