import { assert, describe, it } from "@effect/vitest"
import { advice } from "../../src/domain/Advice.ts"
import { AttemptClass } from "../../src/domain/Attempt.ts"
import { defaultVerdicts, OnFailure } from "../../src/domain/OnFailure.ts"

describe("advice", () => {
  it("is one sentence of its own for each class that failed, and none for success", () => {
    const texts = AttemptClass.literals.map((of) => advice(of, null))
    assert.strictEqual(advice("status_2xx", null), null)
    const given = texts.filter((text) => text !== null)
    assert.lengthOf(given, AttemptClass.literals.length - 1)
    assert.strictEqual(new Set(given).size, given.length)
    for (const text of given) assert.match(text, /^[A-Z][^.!?]*\.$/)
  })

  it("says of a handshake that failed what was wrong, where that is known", () => {
    const general = advice("tls", null)
    const texts = [
      "CERT_HAS_EXPIRED",
      "CERT_NOT_YET_VALID",
      "DEPTH_ZERO_SELF_SIGNED_CERT",
      "SELF_SIGNED_CERT_IN_CHAIN",
      "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
      "ERR_TLS_CERT_ALTNAME_INVALID",
      "EE certificate key too weak",
      "CA signature digest algorithm too weak",
      "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION",
      "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED"
    ].map((reason) => advice("tls", `No TLS connection with a.example (${reason}).`))
    assert.strictEqual(new Set([...texts, general]).size, texts.length + 1)
    for (const text of texts) assert.match(text ?? "", /^[A-Z](?:[^.!?]|\.(?=\S))*\.$/)
    assert.strictEqual(advice("tls", "No TLS connection with a.example (EPROTO)."), general)
    assert.strictEqual(advice("reset", "(CERT_HAS_EXPIRED)"), advice("reset", null))
  })
})

describe("OnFailure", () => {
  it("has a verdict for every class that is a failure", () => {
    const classes = AttemptClass.literals.filter((of) => of !== "status_2xx" && of !== "not_sent")
    assert.sameMembers(Object.keys(OnFailure.fields), classes)
    assert.sameMembers(Object.keys(defaultVerdicts), classes)
  })
})
