import { assert, describe, it } from "vitest"
import type { Outcome, Responded } from "../../src/domain/Attempt.ts"
import { mask } from "../../src/domain/Mask.ts"
import type { Signature } from "../../src/domain/Signature.ts"
import { discreet } from "../../src/send/Answer.ts"

const signature = "g0hM9SsE+OTPJGTt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
const hex = "5ee0e8e3d564cf9cbeea807e97cecc6cccf0b0e20aa28073cc267a2881a839fc"

const standard = {
  "X-Plan": "gold-plated plan",
  "user-agent": "Posthaste/1.2.3",
  "webhook-id": "msg_01h455vb4pex5vsknk084sn02q",
  "webhook-timestamp": "1614265330",
  "webhook-signature": `v1,${signature} v1,${signature.replace("g0h", "h1i")}`,
  "posthaste-attempt": "1",
  authorization: `Basic ${Buffer.from("me:pass wörd/+").toString("base64")}`
}

const answer = (body: string, more: Partial<Responded> = {}): Responded => ({
  _tag: "Responded",
  statusCode: 500,
  headers: {},
  body: Buffer.from(body),
  truncated: false,
  bodyError: null,
  ...more
})

const kept = (
  outcome: Outcome,
  headers: Readonly<Record<string, string>> = standard,
  scheme: Signature = "standard"
) =>
  discreet(
    outcome,
    { url: new URL("https://a.example/"), method: "POST", headers, body: null, timeoutMs: 1 },
    scheme
  )

const textOf = (outcome: Outcome) =>
  outcome._tag === "Responded" ? Buffer.from(outcome.body).toString() : outcome._tag

const bodyOf = (body: string, ...args: [Readonly<Record<string, string>>?, Signature?]) =>
  textOf(kept(answer(body), ...args))

describe("what is kept of an answer", () => {
  it("is the answer itself where it echoes nothing", () => {
    for (const body of ["", "ok", '{"status":"success","message":"Webhook received"}']) {
      const outcome = answer(body, { headers: { date: "Thu, 26 Nov 2026 16:00:00 GMT" } })
      assert.strictEqual(kept(outcome), outcome)
    }
    const late = { _tag: "TimedOut", phase: "headers" } as const
    assert.strictEqual(kept(late), late)
  })

  it("has asterisks for what only the receiver is to know, and the rest as it was", () => {
    const told = bodyOf(JSON.stringify(standard))
    assert.deepStrictEqual(JSON.parse(told), {
      ...standard,
      "X-Plan": mask,
      "webhook-signature": mask,
      authorization: mask
    })
  })

  it("has none of it in the forms that frameworks write it in", () => {
    const forms: ReadonlyArray<readonly [name: string, write: (value: string) => string]> = [
      ["PHP", (value) => value.replaceAll("/", "\\/")],
      [
        ".NET",
        (value) =>
          value.replaceAll(
            /[+/]/g,
            (mark) => `\\u00${mark.charCodeAt(0).toString(16).toUpperCase()}`
          )
      ],
      ["twice in JSON", (value) => JSON.stringify(JSON.stringify(value.replaceAll("/", "\\/")))],
      ["a URL", (value) => encodeURIComponent(value)],
      ["a form", (value) => new URLSearchParams({ value }).toString()],
      ["HTML", (value) => value.replaceAll("/", "&#x2F;").replaceAll("=", "&#61;")],
      ["base64", (value) => Buffer.from(value).toString("base64")],
      ["base64 for URLs", (value) => Buffer.from(value).toString("base64url")],
      ["hex", (value) => Buffer.from(value).toString("hex")],
      ["HEX", (value) => Buffer.from(value).toString("hex").toUpperCase()]
    ]
    for (const [name, write] of forms) {
      for (const value of [signature, "pass wörd/+", standard.authorization, "gold-plated plan"]) {
        const form = write(value)
        const told = bodyOf(`before ${form} after`)
        assert.match(told, /^before .{0,10}\*{8}.{0,10} after$/, `${name} of ${value}: ${told}`)
      }
    }
  })

  it("has no piece of it at the end of a body that was cut", () => {
    const outcome = answer(`{"signature":"${signature.slice(0, 20)}`, { truncated: true })
    assert.strictEqual(textOf(kept(outcome)), `{"signature":"${mask}`)
    const whole = answer("nothing of that kind at all, cut here", { truncated: true })
    assert.strictEqual(kept(whole), whole)
  })

  it("has none of it in headers", () => {
    const outcome = kept(answer("", { headers: { "x-told": `it was ${signature}`, date: "now" } }))
    assert.deepInclude(outcome, { headers: { "x-told": `it was ${mask}`, date: "now" } })
  })

  it("keeps the time and the type beside a signature in hex", () => {
    const headers = {
      "X-Signature-256": `sha256=${hex}`,
      "X-Timestamp": "1614265330",
      "X-Event-Type": "invoice.payment_succeeded"
    }
    assert.strictEqual(
      bodyOf(`${hex} 1614265330 invoice.payment_succeeded`, headers, "x-signature"),
      `${mask} 1614265330 invoice.payment_succeeded`
    )
    assert.strictEqual(
      bodyOf(`got v1=${hex}`, { "Stripe-Signature": `t=1614265330,v1=${hex}` }, "stripe"),
      `got v1=${mask}`
    )
  })

  it("has bytes that are no text as they were", () => {
    const bytes = Buffer.concat([
      Buffer.from([0, 0xff, 0xc3, 0x28]),
      Buffer.from(signature),
      Buffer.from([0x80, 0])
    ])
    const outcome = kept(answer("", { body: bytes }))
    assert.strictEqual(
      outcome._tag === "Responded" ? Buffer.from(outcome.body).toString("hex") : "",
      Buffer.concat([bytes.subarray(0, 4), Buffer.from(mask), bytes.subarray(-2)]).toString("hex")
    )
  })

  it("is soon made of an answer that means to cost much", () => {
    const headers = { ...standard, "x-a": "+".repeat(4_000), "x-b": "aaaaaaaa+aaaaaaaa" }
    for (const unit of ["\\", "+", "a", "\\u002b", "&#000", "aaaaaaaa\\\\"]) {
      const outcome = answer(unit.repeat(10_240).slice(0, 10_240), { truncated: true })
      assert.strictEqual(kept(outcome, headers)._tag, "Responded", unit)
    }
  })

  it("has of a redirect where it leads, without query or user", () => {
    for (const [sent, left] of [
      ["https://a.example/b?token=1#c", "https://a.example/b"],
      ["https://me:pass@a.example:8443/b", "https://a.example:8443/b"],
      ["//me@a.example/?q", "//a.example/"],
      ["/b/@c?d=e", "/b/@c"],
      ["?a=b", ""]
    ] as const) {
      const outcome = kept(answer("", { statusCode: 302, headers: { location: sent } }))
      assert.deepInclude(outcome, { headers: { location: left } })
    }
  })
})
