/**
 * Judges the certificates and keys of a webhook's `auth`, and reads what people should know of them.
 *
 * What passes makes a TLS context, so that sending does not fail for want of one.
 */
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto"
import { createSecureContext } from "node:tls"
import type { Auth } from "../domain/Auth.ts"
import type { WebhookProblem } from "../domain/Webhook.ts"

/** What people should know of a certificate. */
export interface CertificateFacts {
  /** `client` proves who calls; `ca` is what the receiver's certificate may come from. */
  readonly use: "client" | "ca"
  readonly subject: string
  readonly issuer: string
  /** Epoch milliseconds. */
  readonly validFrom: number
  /** Epoch milliseconds. */
  readonly expiresAt: number
}

/** Reads the facts of an auth's certificates; of those that cannot be read none. */
export const facts = (auth: Auth): ReadonlyArray<CertificateFacts> => {
  const client = auth.kind === "mtls" ? [...Result.getOrElse(read(auth.certificate), none)] : []
  const ca = auth.ca === undefined ? [] : [...Result.getOrElse(read(auth.ca), none)]
  return [
    ...client.map((certificate) => factsOf("client", certificate)),
    ...ca.map((certificate) => factsOf("ca", certificate))
  ]
}

/** Lists why an auth's certificates and key cannot be used at `now` (epoch milliseconds). */
export const problems = (auth: Auth, now: number): ReadonlyArray<WebhookProblem> => {
  const found: Array<WebhookProblem> = []
  const tell = (name: string, message: string) => found.push({ path: ["auth", name], message })
  const judged = (name: string, pem: string): X509Certificate | undefined => {
    const certificates = read(pem)
    if (Result.isFailure(certificates)) {
      tell(name, certificates.failure)
      return undefined
    }
    const ended = certificates.success.find(({ validToDate }) => validToDate.getTime() <= now)
    if (ended !== undefined) tell(name, `A certificate expired at ${isoOf(ended.validToDate)}`)
    return certificates.success[0]
  }

  if (auth.ca !== undefined) judged("ca", auth.ca)
  if (auth.kind === "mtls") {
    const certificate = judged("certificate", auth.certificate)
    const key = readKey(Redacted.value(auth.key))
    if (key === undefined) {
      tell("key", "Expected a private key in PEM, without a passphrase")
    } else if (certificate !== undefined && !certificate.checkPrivateKey(key)) {
      tell("key", "This is not the key of the certificate")
    }
  }
  if (found.length === 0 && !makesContext(auth)) {
    tell(auth.kind === "mtls" ? "certificate" : "ca", "TLS cannot use this: is its key too short?")
  }
  return found
}

const none = (): ReadonlyArray<X509Certificate> => []

/** Reads the certificates of a PEM, the first one first. */
const read = (pem: string): Result.Result<ReadonlyArray<X509Certificate>, string> => {
  if (/PRIVATE KEY-----/.test(pem)) return Result.fail("A private key has its place in key")
  const blocks = pem.match(block) ?? []
  if (blocks.length === 0) return Result.fail("Expected certificates in PEM")
  try {
    return Result.succeed(blocks.map((text) => new X509Certificate(text)))
  } catch {
    return Result.fail("A certificate cannot be read")
  }
}

const block = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

const readKey = (pem: string): KeyObject | undefined => {
  try {
    return createPrivateKey(pem)
  } catch {
    return undefined
  }
}

const makesContext = (auth: Auth): boolean => {
  try {
    createSecureContext({
      ...(auth.kind === "mtls" ? { cert: auth.certificate, key: Redacted.value(auth.key) } : {}),
      ...(auth.ca === undefined ? {} : { ca: auth.ca })
    })
    return true
  } catch {
    return false
  }
}

const factsOf = (use: CertificateFacts["use"], certificate: X509Certificate): CertificateFacts => ({
  use,
  subject: nameOf(certificate.subject),
  issuer: nameOf(certificate.issuer),
  validFrom: certificate.validFromDate.getTime(),
  expiresAt: certificate.validToDate.getTime()
})

/** Node writes each part of a name in a line of its own. */
const nameOf = (name: string): string => name.replaceAll("\n", ", ")

const isoOf = (date: Date): string => date.toISOString()
