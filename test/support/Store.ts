/**
 * Reads and writes the database of a service by SQL, past the service itself. An embedded one can be
 * opened only while no service runs on it.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, ManagedRuntime, Redacted } from "effect"
import * as path from "node:path"
import * as Pglite from "../../src/store/Pglite.ts"

/** Where the database is. */
export interface Place {
  readonly dataDir: string
  /** Absent: embedded, in `dataDir`. */
  readonly databaseUrl?: string
}

/** Runs one statement and answers its rows. */
export type Query = (
  text: string
  // The columns are the caller's business.
  // oxlint-disable-next-line typescript/no-explicit-any
) => Promise<ReadonlyArray<any>>

/** Opens the database for as long as the function runs. */
export const withStore = async <A>(
  { dataDir, databaseUrl }: Place,
  use: (query: Query) => Promise<A>
): Promise<A> => {
  const layer: Layer.Layer<PgClient.PgClient, unknown> =
    databaseUrl === undefined
      ? Pglite.layer({ directory: path.join(dataDir, "pglite") })
      : PgClient.layer({ url: Redacted.make(databaseUrl), maxConnections: 1 })
  const runtime = ManagedRuntime.make(layer)
  try {
    return await use((text) =>
      runtime.runPromise(Effect.flatMap(PgClient.PgClient, (sql) => sql.unsafe(text).unprepared))
    )
  } finally {
    await runtime.dispose()
  }
}
