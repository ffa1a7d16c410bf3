/**
 * A connection of the bench's own to the database that is measured: to seed it, to count statements
 * and bytes, to hold a snapshot, and to measure what plain inserts cost.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, ManagedRuntime, Redacted } from "effect"

/** One connection; statements run one after another. */
export interface Connection {
  /** Runs a statement and answers its rows. */
  readonly query: <Row extends object>(
    statement: string,
    parameters?: ReadonlyArray<unknown>
  ) => Promise<ReadonlyArray<Row>>
  readonly close: () => Promise<void>
}

/** Opens a connection. */
export const connect = (url: string): Connection => {
  const runtime = ManagedRuntime.make(
    PgClient.layer({
      url: Redacted.make(url),
      maxConnections: 1,
      minConnections: 1,
      idleTimeout: "1 hour",
      applicationName: "posthaste-bench"
    })
  )
  return {
    query: <Row extends object>(statement: string, parameters: ReadonlyArray<unknown> = []) =>
      runtime.runPromise(
        Effect.gen(function* () {
          const sql = yield* PgClient.PgClient
          return yield* sql.unsafe<Row>(statement, parameters)
        })
      ),
    close: () => runtime.dispose()
  }
}
