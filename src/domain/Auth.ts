/**
 * How a receiver learns who calls, besides the signature: a password, a token, a key in a header, a
 * token of its own token endpoint (OAuth 2.0 client credentials), or a client certificate.
 *
 * `ca` goes with each of them: certificates that the receiver's own may come from, besides the usual
 * roots. Only the setting is here; `send/Authenticator` acts on it, `send/Certificates` judges
 * certificates.
 *
 * Source: RFC 7617 (basic), RFC 6750 (bearer), RFC 6749 sections 2.3.1 and 4.4 (client credentials).
 */
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { mask, maskUrl } from "./Mask.ts"
import { HeaderName } from "./RequestHeaders.ts"

/** The longest PEM that each place takes, in characters. */
export const pemLengthMax = 16_384

const text = (pattern: RegExp, lengthMax: number, message: string) =>
  Schema.String.check(
    Schema.makeFilter((text: string) =>
      text.length <= lengthMax && text.isWellFormed() && pattern.test(text)
        ? undefined
        : `${message}, at most ${lengthMax} of them`
    )
  )

/** A credential: hidden wherever it is printed, and asked for as text. */
const credential = (pattern: RegExp, lengthMax: number, message: string) =>
  Schema.RedactedFromValue(text(pattern, lengthMax, message))

const withoutControls = (lengthMax: number) =>
  credential(/^\P{Cc}*$/u, lengthMax, "Expected characters that are no control characters")
const printable = /^[\x21-\x7e]+$/
const token = (lengthMax: number) =>
  credential(printable, lengthMax, "Expected printable ASCII characters without spaces")
const Pem = text(
  /^[\t\n\r\x20-\x7e]*$/,
  pemLengthMax,
  "Expected PEM: printable ASCII characters and line breaks"
)

const ca = Schema.optionalKey(
  Pem.annotate({
    description:
      "Certificates in PEM that the receiver's own may come from, besides the usual roots"
  })
)

/** Says nothing about who calls; the signature does. */
export const NoAuth = Schema.Struct({ kind: Schema.Literal("none"), ca })

/** `authorization: Basic …`. */
export const BasicAuth = Schema.Struct({
  kind: Schema.Literal("basic"),
  username: text(
    /^[^:\p{Cc}]*$/u,
    512,
    "Expected characters other than a colon and control characters"
  ),
  password: withoutControls(1_024),
  ca
})

/** `authorization: Bearer …`. */
export const BearerAuth = Schema.Struct({
  kind: Schema.Literal("bearer"),
  token: token(4_096),
  ca
})

/** A key in a header of any name that is not reserved. */
export const HeaderAuth = Schema.Struct({
  kind: Schema.Literal("header"),
  name: HeaderName,
  value: credential(
    /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/,
    3_968,
    "Expected printable ASCII characters without spaces at the ends"
  ),
  ca
})

/** A token of a token endpoint, as `authorization: Bearer …`. */
export const OAuth2Auth = Schema.Struct({
  kind: Schema.Literal("oauth2"),
  tokenUrl: Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(2_048)).annotate({
    description: "Where tokens are asked for; the same rules hold as for the url"
  }),
  clientId: text(/^[\x20-\x7e]+$/, 512, "Expected printable ASCII characters"),
  clientSecret: withoutControls(1_024),
  scope: Schema.optionalKey(
    text(
      /^[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*$/,
      1_024,
      "Expected scopes with one space between them"
    )
  ),
  audience: Schema.optionalKey(
    text(/^[\x20-\x7e]+$/, 1_024, "Expected printable ASCII characters")
  ),
  clientAuthentication: Schema.optionalKey(
    Schema.Literals(["basic", "body"]).annotate({
      description:
        "How the client's id and secret go to the token endpoint: in the header, or in the body; " +
        "basic when absent"
    })
  ),
  ca
})
export type OAuth2Auth = typeof OAuth2Auth.Type

/** A client certificate in the TLS handshake. */
export const MtlsAuth = Schema.Struct({
  kind: Schema.Literal("mtls"),
  certificate: Pem.annotate({
    description: "The client's certificate in PEM, and those between it and its root"
  }),
  key: Schema.RedactedFromValue(Pem).annotate({
    description: "The certificate's private key in PEM, without a passphrase"
  }),
  ca
})

/** What a webhook's `auth` may say. */
export const Auth = Schema.Union([NoAuth, BasicAuth, BearerAuth, HeaderAuth, OAuth2Auth, MtlsAuth])
export type Auth = typeof Auth.Type

/** An auth as JSON has it, its credential in full or masked. */
export const AuthEncoded = Schema.toEncoded(Auth)
export type AuthEncoded = typeof AuthEncoded.Type

/** Says nothing and trusts the usual roots. */
export const none: Auth = { kind: "none" }

/** Names the member that is the credential of a kind; null where there is none. */
export const credentialOf = {
  none: null,
  basic: "password",
  bearer: "token",
  header: "value",
  oauth2: "clientSecret",
  mtls: "key"
} as const satisfies { readonly [kind in Auth["kind"]]: string | null }

const encode = Schema.encodeSync(Auth)

/** Shows an auth with a mask in the place of its credential. */
export const masked = (auth: Auth): AuthEncoded => {
  const name = credentialOf[auth.kind]
  return name === null ? encode(auth) : { ...encode(auth), [name]: mask }
}

/** Tells whether the credential is no credential but the mask of one. */
export const isMasked = (auth: Auth): boolean => {
  const given = credentialIn(auth)
  return given !== null && Redacted.value(given) === mask
}

/** Puts what a known auth of the same kind has in the place of masks. */
export const unmasked = (auth: Auth, known: Auth): Auth => {
  const name = credentialOf[auth.kind]
  const credential = credentialIn(known)
  if (name === null || credential === null || known.kind !== auth.kind) return auth
  const whole = isMasked(auth) ? { ...auth, [name]: credential } : auth
  return whole.kind === "oauth2" &&
    known.kind === "oauth2" &&
    whole.tokenUrl === maskUrl(known.tokenUrl)
    ? { ...whole, tokenUrl: known.tokenUrl }
    : whole
}

/** Names the header in which a kind stands, in lower case; null where it stands in none. */
export const headerOf = (auth: Auth): string | null => {
  switch (auth.kind) {
    case "none":
    case "mtls":
      return null
    case "header":
      return auth.name.toLowerCase()
    case "basic":
    case "bearer":
    case "oauth2":
      return "authorization"
  }
}

const credentialIn = (auth: Auth): Redacted.Redacted | null => {
  switch (auth.kind) {
    case "none":
      return null
    case "basic":
      return auth.password
    case "bearer":
      return auth.token
    case "header":
      return auth.value
    case "oauth2":
      return auth.clientSecret
    case "mtls":
      return auth.key
  }
}
