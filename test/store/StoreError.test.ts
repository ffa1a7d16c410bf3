import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect } from "effect"
import { ConnectionError, SqlError, UnknownError } from "effect/sql/SqlError"
import { StoreError } from "../../src/store/StoreError.ts"

/** An error as the driver makes it of what Postgres says, with a reason that is never retried. */
const postgresError = (code: string, fields: Record<string, string> = {}) => {
  const said = { severity: "ERROR", code, ...fields }
  const cause = Object.assign(new Error(fields["message"] ?? "said"), said)
  return new SqlError({
    reason: new UnknownError({ cause, message: "PgConnection: Query failed" })
  })
}

const mapped = (error: SqlError) => StoreError.from("MessageRepo.insert")(error)

describe("StoreError", () => {
  it("may be tried again after what passes, and not after what does not", () => {
    const passing = ["08006", "25006", "25P03", "40001", "40P01", "53100", "53200", "53300"]
    passing.push("55P03", "57014", "57P01", "57P02", "57P03", "57P05", "58030")
    const lasting = [
      "22P02",
      "23505",
      "23514",
      "25P02",
      "28P01",
      "42501",
      "42P01",
      "57P04",
      "XX000"
    ]
    for (const code of passing) assert.isTrue(mapped(postgresError(code)).isRetryable, code)
    for (const code of lasting) assert.isFalse(mapped(postgresError(code)).isRetryable, code)
    const lost = Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" })
    const error = mapped(new SqlError({ reason: new ConnectionError({ cause: lost }) }))
    assert.isTrue(error.isRetryable)
    assert.isUndefined(error.sqlState)
  })

  it("names the operation and the kind of failure", () => {
    assert.strictEqual(
      mapped(postgresError("57P01")).message,
      "MessageRepo.insert failed: UnknownError (SQLSTATE 57P01)"
    )
  })

  it("holds nothing of what Postgres quotes of values", () => {
    const secret = "whsec_c2VjcmV0"
    const quoting = [
      { code: "23505", detail: `Key (body)=(${secret}) already exists.` },
      { code: "23514", detail: `Failing row contains (${secret}).` },
      { code: "22P02", message: `invalid input syntax for type uuid: "${secret}"` },
      { code: "22P05", where: `JSON data, line 1: ${secret}` },
      { code: "42601", internalQuery: `select '${secret}'` }
    ]
    for (const { code, ...fields } of quoting) {
      const error = mapped(postgresError(code, fields))
      const cause = Cause.fail(error)
      const texts = [error.message, Cause.pretty(cause), JSON.stringify(error), String(error.stack)]
      texts.push(JSON.stringify(error.cause.reason.cause), String(error.cause.reason.cause))
      for (const text of texts) assert.notInclude(text, secret, code)
    }
  })

  it.effect("leaves other errors as they are", () =>
    Effect.gen(function* () {
      const refused = Effect.fail("refused" as const)
      assert.strictEqual(
        yield* Effect.flip(Effect.mapError(refused, StoreError.from("X.y"))),
        "refused"
      )
    })
  )
})
