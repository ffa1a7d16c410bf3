/**
 * How a webhook's requests are signed: as Standard Webhooks says, or by an HMAC-SHA256 in hex in
 * headers that the receiver already knows.
 *
 * ```
 * "standard"           webhook-signature: v1,<base64> v1a,<base64>
 * "svix"               the same, and svix-id, svix-timestamp, svix-signature
 * "x-signature", "hex" X-Signature: <hex>, X-Signature-256: sha256=<hex>, X-Timestamp, X-Event-Type
 * "github"             X-Hub-Signature-256: sha256=<hex>
 * "stripe"             Stripe-Signature: t=<seconds>,v1=<hex>
 * {"header": "X-GS-Signature", "timestampHeader": "X-GS-Timestamp"}
 * ```
 *
 * Every request carries `webhook-id` and `webhook-timestamp` as well. Only the setting and what it
 * means are here; `send/Signer` makes the headers.
 */
import * as Schema from "effect/Schema"
import { HeaderName } from "./RequestHeaders.ts"
import type { SecretKind } from "./Secret.ts"

/** The signatures that have a name; `hex` is another one for `x-signature`. */
export const SignatureName = Schema.Literals([
  "standard",
  "svix",
  "hex",
  "x-signature",
  "github",
  "stripe"
])
export type SignatureName = typeof SignatureName.Type

/** A hex signature in headers of the receiver's naming. */
export const HexSignature = Schema.Struct({
  scheme: Schema.optionalKey(Schema.Literal("hex")),
  header: HeaderName.annotate({ description: "Carries the signature" }),
  style: Schema.optionalKey(
    Schema.Literals(["plain", "t,v1"]).annotate({
      description:
        "plain: the prefix and the hex, by the current secret alone; " +
        "t,v1: t=<seconds>,v1=<hex>, with a v1 for each secret that signs; plain when absent"
    })
  ),
  prefix: Schema.optionalKey(
    Schema.String.check(
      Schema.isPattern(/^(?:[\x21-\x7e][\x20-\x7e]{0,63})?$/, {
        message: "Expected up to 64 printable ASCII characters, the first no space"
      })
    ).annotate({ description: "Stands before the hex, such as sha256=; empty when absent" })
  ),
  signs: Schema.optionalKey(
    Schema.Literals(["body", "timestamp.body", "timestamp,body"]).annotate({
      description:
        "What is signed: the body, or the Unix seconds, a dot or comma, and the body; " +
        "when absent body, and timestamp.body in the style t,v1"
    })
  ),
  timestampHeader: Schema.optionalKey(
    HeaderName.annotate({
      description: "Carries the Unix seconds of the attempt, as webhook-timestamp always does"
    })
  ),
  typeHeader: Schema.optionalKey(
    HeaderName.annotate({ description: "Carries the type of the message" })
  )
}).check(
  Schema.makeFilter(({ header, style, prefix, signs, timestampHeader, typeHeader }) => {
    const names = [header, timestampHeader, typeHeader].filter((name) => name !== undefined)
    if (new Set(names.map((name) => name.toLowerCase())).size < names.length) {
      return "Expected a name of its own for each header"
    }
    if (style !== "t,v1") return undefined
    if (signs === "body") return { path: ["signs"], issue: "The style t,v1 signs the timestamp" }
    return prefix ? { path: ["prefix"], issue: "The style t,v1 has no prefix" } : undefined
  })
)
export type HexSignature = typeof HexSignature.Type

/** What a webhook's `signature` may say: a name, or the headers written out. */
export const Signature = Schema.Union([SignatureName, HexSignature]).annotate({
  identifier: "Signature",
  description: "How requests are signed: by a name, or in hex in headers written out"
})
export type Signature = typeof Signature.Type

/** A setting with nothing left open. */
export type Scheme =
  | { readonly kind: "standard"; readonly svixHeaders: boolean }
  | {
      readonly kind: "hex"
      /** Where the signature stands, and what stands before it there. */
      readonly headers: ReadonlyArray<{ readonly name: string; readonly prefix: string }>
      readonly style: "plain" | "t,v1"
      /** What joins the timestamp to the body, or null where the body alone is signed. */
      readonly joint: "." | "," | null
      readonly timestampHeader: string | null
      readonly typeHeader: string | null
    }

/** Resolves a setting to what it means. */
export const resolve = (signature: Signature): Scheme => {
  if (typeof signature === "string") return named[signature]
  const { header, style = "plain", prefix = "", timestampHeader, typeHeader } = signature
  const signs = signature.signs ?? (style === "plain" ? "body" : "timestamp.body")
  return {
    kind: "hex",
    headers: [{ name: header, prefix }],
    style,
    joint: signs === "body" ? null : signs === "timestamp.body" ? "." : ",",
    timestampHeader: timestampHeader ?? null,
    typeHeader: typeHeader ?? null
  }
}

/**
 * Lists which of a webhook's extra headers the signature sets itself, so that both cannot be sent.
 *
 * **Details**
 *
 * The headers of standard signatures are reserved, so no extra header has their names.
 */
export const clashes = (
  signature: Signature,
  headers: Readonly<Record<string, string>>
): ReadonlyArray<string> => {
  const scheme = resolve(signature)
  if (scheme.kind === "standard") return []
  const names = [
    ...scheme.headers.map(({ name }) => name),
    scheme.timestampHeader,
    scheme.typeHeader
  ]
  const own = new Set(names.map((name) => name?.toLowerCase()))
  return Object.keys(headers).filter((name) => own.has(name.toLowerCase()))
}

/** Tells whether secrets of a kind make such signatures. */
export const signsWith = (signature: Signature, kind: SecretKind): boolean =>
  kind === "hmac" || (resolve(signature).kind === "standard" ? kind === "ed25519" : kind === "text")

const plain = {
  kind: "hex",
  style: "plain",
  joint: null,
  timestampHeader: null,
  typeHeader: null
} as const

const xSignature: Scheme = {
  ...plain,
  headers: [
    { name: "X-Signature", prefix: "" },
    { name: "X-Signature-256", prefix: "sha256=" }
  ],
  timestampHeader: "X-Timestamp",
  typeHeader: "X-Event-Type"
}

const named: { readonly [name in SignatureName]: Scheme } = {
  standard: { kind: "standard", svixHeaders: false },
  svix: { kind: "standard", svixHeaders: true },
  hex: xSignature,
  "x-signature": xSignature,
  github: { ...plain, headers: [{ name: "X-Hub-Signature-256", prefix: "sha256=" }] },
  stripe: {
    ...plain,
    headers: [{ name: "Stripe-Signature", prefix: "" }],
    style: "t,v1",
    joint: "."
  }
}
