/**
 * The ground: one Postgres, on a server or inside this process, behind one client.
 *
 * Promises: a layer that was built has reached a database that can keep what it is given, or has
 * failed with one line that says why, without a password in it.
 *
 * Leaves to others: the schema (Migrations), and that one engine owns the deliveries (Ownership).
 */
import { PgClient } from "@effect/sql-pg"
import { Context, Duration, Effect, Layer, Redacted, Schema } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as path from "node:path"
import * as DirectoryLock from "./DirectoryLock.ts"
import * as Pglite from "./Pglite.ts"
import * as PgliteUpkeep from "./PgliteUpkeep.ts"
import { StoreError } from "./StoreError.ts"
import { log } from "../telemetry/Log.ts"

/** How a Postgres server is reached. */
export interface PostgresOptions {
  /** A libpq URI, for instance postgres://user:password@host:5432/database?sslmode=require. */
  readonly url: Redacted.Redacted
  /** Connections for everything but the lock of ownership, which has its own. 8 by default. */
  readonly maxConnections?: number
  /** Ends a statement that runs longer. 30 seconds by default. */
  readonly statementTimeout?: Duration.Input
  /** Ends a session that leaves a transaction open longer. 30 seconds by default. */
  readonly idleInTransactionTimeout?: Duration.Input
}

/** Where an embedded database lives. */
export interface EmbeddedOptions {
  /** Made when it is missing; on a local disk; used by one process at a time. */
  readonly dataDir: string
}

/** Says what the database is, and whether it answers. */
export class Database extends Context.Service<
  Database,
  {
    /** A server of its own, or inside this process. */
    readonly kind: "postgres" | "pglite"
    /** What a commit survives: the loss of power, or only the end of the process. */
    readonly durability: "power-loss" | "process"
    /** Succeeds when the database answers now. */
    readonly check: Effect.Effect<void, StoreError>
  }
>()("posthaste/store/Database") {
  /** A Postgres server, version 14 or later. Connections are made as they are needed. */
  static readonly layerPostgres = (
    options: PostgresOptions
  ): Layer.Layer<Database | PgClient.PgClient | SqlClient, DatabaseUnavailable> =>
    Layer.effect(
      Database,
      Effect.gen(function* () {
        const durability = yield* inspect.pipe(
          Effect.catchTag("SqlError", (error) => unreachable(options.url, error))
        )
        return Database.of({ kind: "postgres", durability, check: yield* answers })
      })
    ).pipe(Layer.provideMerge(PgClient.layerFrom(connect(options))))

  /** A database in this process, kept in a directory that it locks. */
  static readonly layerEmbedded = (
    options: EmbeddedOptions
  ): Layer.Layer<
    Database | PgClient.PgClient | SqlClient,
    DirectoryLock.DirectoryLocked | DirectoryLock.DirectoryUnusable | Pglite.PgliteUnavailable
  > =>
    Layer.effect(
      Database,
      Effect.gen(function* () {
        return Database.of({ kind: "pglite", durability: "process", check: yield* answers })
      })
    ).pipe(
      Layer.merge(PgliteUpkeep.layer),
      Layer.provideMerge(Pglite.layer({ directory: path.join(options.dataDir, "pglite") })),
      Layer.provide(Layer.effectDiscard(DirectoryLock.acquire(options.dataDir)))
    )
}

/** Reports that the Postgres server cannot be used, in one line without secrets. */
export class DatabaseUnavailable extends Schema.TaggedError<DatabaseUnavailable>()(
  "DatabaseUnavailable",
  {
    reason: Schema.Literals(["Unreachable", "VersionTooOld", "EncodingNotUtf8", "ReadOnly"]),
    detail: Schema.String
  }
) {
  /** Says what is wrong with the server. */
  override get message(): string {
    return this.detail
  }
}

const answers = Effect.map(SqlClient, (sql) =>
  sql`select 1`.pipe(Effect.asVoid, Effect.mapError(StoreError.from("Database.check")))
)

/** The oldest server with all that the schema asks for, as Postgres counts versions. */
const versionMin = 140_000

const millis = (input: Duration.Input | undefined, otherwise: Duration.Input): string =>
  String(Duration.toMillis(Duration.fromInputUnsafe(input ?? otherwise)))

const connect = (options: PostgresOptions) =>
  PgClient.make({
    url: options.url,
    maxConnections: options.maxConnections ?? 8,
    // Statements that share a connection wait for each other: with multiplexing the pool sends up to
    // 32 of them to its first connection, and a lookup took as long as the batch before it (2.5
    // instead of 0.1 ms). Without, an interruption also cancels the statement on the server.
    multiplex: false,
    idleTimeout: "5 minutes",
    keepAlive: "10 seconds",
    applicationName: "posthaste",
    startupParameters: {
      statement_timeout: millis(options.statementTimeout, "30 seconds"),
      idle_in_transaction_session_timeout: millis(options.idleInTransactionTimeout, "30 seconds"),
      ...planning
    }
  }).pipe(Effect.catch((error) => unreachable(options.url, error)))

/**
 * Keeps plans to the indexes that each statement was written for.
 *
 * **Details**
 *
 * A plan made while `owed` is still empty is a sequential scan, and a prepared statement keeps it:
 * dead rows then cost four times the CPU of a delivery within a minute.
 */
const planning = { enable_seqscan: "off", jit: "off" } as const

interface Server {
  readonly version: number
  readonly versionText: string
  readonly encoding: string
  readonly readOnly: boolean
  readonly fsync: string
  readonly fullPageWrites: string
  readonly synchronousCommit: string
}

/** Refuses a server that cannot work, warns about one that may lose commits, and says which it is. */
const inspect = Effect.gen(function* () {
  const sql = yield* SqlClient
  const [server] = yield* sql<Server>`
    select
      current_setting('server_version_num')::int as version,
      current_setting('server_version') as "versionText",
      current_setting('server_encoding') as encoding,
      current_setting('transaction_read_only') = 'on' as "readOnly",
      current_setting('fsync') as fsync,
      current_setting('full_page_writes') as "fullPageWrites",
      current_setting('synchronous_commit') as "synchronousCommit"
  `
  const refuse = (reason: DatabaseUnavailable["reason"], detail: string) =>
    new DatabaseUnavailable({ reason, detail })
  if (server === undefined) return yield* refuse("Unreachable", "Postgres said nothing of itself")
  if (server.version < versionMin) {
    return yield* refuse(
      "VersionTooOld",
      `Postgres ${server.versionText} is too old: version 14 or later is needed`
    )
  }
  if (server.encoding !== "UTF8") {
    return yield* refuse(
      "EncodingNotUtf8",
      `the database is encoded in ${server.encoding}: UTF8 is needed`
    )
  }
  if (server.readOnly) {
    return yield* refuse("ReadOnly", "the database is read-only, as a standby is: name the primary")
  }
  const off = (["fsync", "fullPageWrites", "synchronousCommit"] as const).filter(
    (name) => server[name] === "off"
  )
  if (off.length === 0) return "power-loss"
  yield* log("database_lossy", {
    what: `off: ${off.map((name) => settingOf[name]).join(", ")}`
  })
  return "process"
})

const settingOf = {
  fsync: "fsync",
  fullPageWrites: "full_page_writes",
  synchronousCommit: "synchronous_commit"
} as const

/** Tells what failed without the error itself: that of a wrong URL holds the URL. */
const unreachable = (url: Redacted.Redacted, error: SqlError) =>
  new DatabaseUnavailable({
    reason: "Unreachable",
    detail: `cannot use Postgres at ${placeOf(Redacted.value(url))}: ${reasonOf(error)}`
  })

const placeOf = (text: string): string => {
  const url = URL.parse(text)
  if (url === null) return "the given URL"
  return (url.host || url.searchParams.get("host") || "localhost") + url.pathname
}

const reasonOf = ({ reason }: SqlError): string => {
  const cause = reason.cause instanceof AggregateError ? reason.cause.errors[0] : reason.cause
  return cause instanceof Error && cause.message !== ""
    ? cause.message
    : reason.message || reason._tag
}
