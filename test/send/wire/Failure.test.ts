/**
 * Errors that no receiver on loopback can be made to cause, and what they mean.
 */
import { assert, describe, it } from "@effect/vitest"
import type { Stage } from "../../../src/send/wire/Dial.ts"
import { failureOf } from "../../../src/send/wire/Failure.ts"

const url = new URL("https://example.com/hook?token=hidden")

const coded = (code: string) => Object.assign(new Error(`${code} 10.0.0.1:443`), { code })

const meanings: ReadonlyArray<readonly [Error, Stage, string]> = [
  [coded("ECONNREFUSED"), "connect", "refused"],
  [coded("EHOSTUNREACH"), "connect", "refused"],
  [coded("ENETUNREACH"), "connect", "refused"],
  [coded("ETIMEDOUT"), "connect", "connect"],
  [new AggregateError([coded("ETIMEDOUT"), coded("ENETUNREACH")]), "connect", "connect"],
  [new AggregateError([coded("ECONNREFUSED"), coded("ECONNREFUSED")]), "connect", "refused"],
  [coded("ECONNRESET"), "tls", "tls"],
  [coded("CERT_HAS_EXPIRED"), "tls", "tls"],
  [coded("ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED"), "open", "tls"],
  [coded("EPIPE"), "open", "reset"],
  [coded("ETIMEDOUT"), "open", "reset"],
  [coded("ERR_ASSERTION"), "open", "protocol"],
  [new Error("something new"), "open", "reset"]
]

describe("failureOf", () => {
  for (const [error, stage, meaning] of meanings) {
    const name = "code" in error ? String(error.code) : error.name
    it(`takes ${name} in stage ${stage} for ${meaning}, and tells no address`, () => {
      const outcome = failureOf(error, stage, url)
      if (outcome._tag === "TimedOut") assert.strictEqual(outcome.phase, meaning)
      else if (outcome._tag === "Unreachable") {
        assert.strictEqual(outcome.cause, meaning)
        assert.include(outcome.detail, "example.com")
        assert.notMatch(outcome.detail, /10\.0\.0\.1|hidden/)
      } else assert.fail(outcome._tag)
    })
  }
})
