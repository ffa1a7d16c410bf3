/**
 * The one fault that travels typed: the store could not do what was asked.
 *
 * Promises: a message names the operation, the kind of failure and its SQLSTATE, and nothing that
 * came from a row or a parameter; what Postgres adds about values is removed. `isRetryable` follows
 * the SQLSTATE, because the driver reports a server that shuts down (57P01) or is full (53xxx) as an
 * unknown error that should not be tried again.
 *
 * Leaves to others: refusals such as a unique violation. A repo catches those by their reason before
 * it maps what remains with `StoreError.from`.
 */
import { Schema } from "effect"
import { ConnectionError, isSqlError, SqlError } from "effect/sql/SqlError"

/** Reports that a named operation on the store failed; HTTP answers 503, a lane tries again. */
export class StoreError extends Schema.TaggedError<StoreError>()("StoreError", {
  operation: Schema.String,
  cause: SqlError
}) {
  /**
   * Maps every `SqlError` to a `StoreError` of this operation and leaves other errors as they are.
   *
   * **Gotchas** Call it once per effect, not once per row: `Effect.mapError(StoreError.from("X.y"))`.
   */
  static from(operation: string): <E>(error: E) => StoreError | Exclude<E, SqlError> {
    return <E>(error: E) =>
      isSqlError(error)
        ? new StoreError({ operation, cause: withoutValues(error) })
        : // A type guard does not narrow a type parameter in its negative branch.
          (error as Exclude<E, SqlError>)
  }

  /** Reports that the store did not answer in time: whether it did what it was asked is not known. */
  static unanswered(operation: string): StoreError {
    const cause = new Error("the store did not answer in time")
    return new StoreError({
      operation,
      cause: new SqlError({ reason: new ConnectionError({ cause }) })
    })
  }

  /** Says what failed and how, without a word that came from data. */
  override get message(): string {
    const state = this.sqlState
    const kind = this.cause.reason._tag
    return `${this.operation} failed: ${kind}${state === undefined ? "" : ` (SQLSTATE ${state})`}`
  }

  /** The five characters that Postgres classified the error with, when it was Postgres. */
  get sqlState(): string | undefined {
    const cause = this.cause.reason.cause
    return isFields(cause) && typeof cause.code === "string" && "severity" in cause
      ? cause.code
      : undefined
  }

  /** Whether the same operation may succeed later without anybody changing anything. */
  get isRetryable(): boolean {
    const state = this.sqlState
    return this.cause.isRetryable || (state !== undefined && retryable.test(state))
  }
}

/**
 * SQLSTATEs that pass: 08 connection, 25006 read-only after a failover, 25P03 idle transaction cut,
 * 26000 statement forgotten by a pooler, 40 rollback by the server, 53 out of disk, memory or
 * connections, 55006 and 55P03 in use or locked, 57 cancelled or shutting down, 58 trouble outside
 * Postgres. 57P04 (database dropped) does not pass.
 * Source: https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const retryable = /^(?:08|40|53|58)...$|^(?:25006|25P03|26000|55006|55P03|57014|57P0[1235])$/

type Fields = { [name: string]: unknown }

const isFields = (u: unknown): u is Fields => typeof u === "object" && u !== null

/** Fields of a Postgres error that may quote a row, a key, a parameter or a statement. */
const quoting = ["detail", "where", "internalQuery"]

const withoutValues = (error: SqlError): SqlError => {
  const cause = error.reason.cause
  if (!isFields(cause)) return error
  for (const name of quoting) if (name in cause) delete cause[name]
  // Class 22 quotes the value in its primary message: invalid input syntax for type uuid: "…".
  if (typeof cause.code === "string" && /^22...$/.test(cause.code)) {
    cause.message = "Postgres refused a value"
    cause.stack = "Error: Postgres refused a value"
  }
  return error
}
