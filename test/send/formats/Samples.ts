/**
 * Messages for the tests of formats: published ones, raw ones, and data made to break things.
 */
import { fromUuid } from "../../../src/domain/TypeId.ts"
import { jsonBody } from "../../../src/publish/Body.ts"
import type { OutgoingMessage } from "../../../src/store/DeliveryQueue.ts"

export const id = fromUuid("message", "01890a5d-ac96-774b-bcce-b302099a8057")

const createdAt = 1_700_000_000_123
export const timestamp = "2023-11-14T22:13:20.123Z"

/** A message published with `data` as JSON text. */
export const published = (
  data: string,
  given: { readonly type?: string; readonly resource?: { type: string; id: string } } = {}
): OutgoingMessage => {
  const type = given.type ?? "invoice.paid"
  return {
    id,
    type,
    contentType: "application/json",
    body: jsonBody({ id, type, createdAt, data, resource: given.resource ?? null }),
    orderingKey: null,
    expiresAt: null,
    createdAt
  }
}

/** A message published as bytes. */
export const raw = (contentType: string, body: string | Uint8Array): OutgoingMessage => ({
  id,
  type: "file.stored",
  contentType,
  body: typeof body === "string" ? new TextEncoder().encode(body) : body,
  orderingKey: null,
  expiresAt: null,
  createdAt
})

/** Texts that are hard to show, to escape or to count. */
export const nastyTexts: ReadonlyArray<string> = [
  "",
  " ",
  "\n\n",
  "\u200b\u2060\ufeff",
  "\u2800\u3164",
  "\0\x01\x1f\x7f\x85",
  "\ud800",
  "\udc00x\ud83d",
  "😀👩‍👩‍👧‍👦🏳️‍🌈",
  "\u202egnp.exe\u2069",
  "e\u0301".repeat(50),
  "@everyone @here <@123> <@&456> <#789> <!channel> <!here|x> <@U123>",
  "*bold* _it_ __u__ ~~s~~ ||sp|| `c` ```js\nx``` > q\n# h\n- l\n-# s\n[a](http://b.c)",
  "<b>x</b> <a href='x'>y</a> &amp; &lt; &#60; </b> <script> \"'",
  "https://example.com/a_b_c?x=*1*&y=<2> and more_text",
  "\\\\*\\_",
  "\r\n\r\n\t\u2028\u2029",
  "a.b.c",
  "../../etc/passwd",
  "__proto__",
  '&&&&<<<<>>>>""""'.repeat(400),
  "\\*_~|`".repeat(700),
  "😀".repeat(5_000),
  "x".repeat(100_000),
  "\u0301".repeat(3_000),
  " ".repeat(3_000)
]

/** Makes random JSON text: deep, wide, long, and full of what texts must not mean. */
export const jsonOf = (seed: number): string => {
  let state = seed | 0
  // Mulberry32: small, and the same on every machine.
  const random = () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
  const below = (max: number) => Math.floor(random() * max)
  const text = (): string =>
    below(3) === 0
      ? String.fromCodePoint(
          ...Array.from({ length: below(40) }, () => (below(2) ? below(0x250) : below(0x11_0000)))
        )
      : Array.from({ length: 1 + below(3) }, () => nastyTexts[below(nastyTexts.length)]).join("")
  const value = (depth: number): unknown => {
    switch (below(depth > 5 ? 5 : 8)) {
      case 0:
        return null
      case 1:
        return below(2) === 0
      case 2:
        return (random() - 0.5) * 10 ** below(30)
      case 3:
      case 4:
        return text()
      case 5:
        return Array.from({ length: below(6) }, () => value(depth + 1))
      case 6:
        return Array.from({ length: below(300) }).reduce((inner: unknown) => [inner], text())
      default:
        return object(depth)
    }
  }
  const object = (depth: number) =>
    Object.fromEntries(
      Array.from({ length: below(depth === 0 ? 60 : 6) }, () => [
        text().slice(0, below(500)),
        value(depth + 1)
      ])
    )
  return JSON.stringify(below(5) === 0 ? value(0) : object(0))
}

/** What a rendered body says. */
export const payloadOf = (body: Uint8Array | null): unknown =>
  JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body ?? new Uint8Array()))
