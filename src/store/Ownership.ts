/**
 * Lets one engine at a time own the deliveries of a database.
 *
 * Promises: the layer is built once this process is the only engine, and a newer owner has a higher
 * epoch. On Postgres that is an advisory lock in a session of its own, which the server ends with
 * the process, so nothing waits for a lease to run out. A session that is lost is made again under
 * the same epoch; when another engine came in between, `fenced` fails.
 *
 * ```
 * wait ──► own ──► lost ──► own         no other engine came in between
 *                     └───► fenced      another one did
 * ```
 *
 * Leaves to others: ending the process when it is fenced, and comparing the epoch in each write: a
 * process that was frozen learns of its fencing only when it wakes.
 *
 * **Gotchas** The session needs the server itself, or a pooler in session mode.
 */
import { PgClient, PgConnection } from "@effect/sql-pg"
import { Clock, Context, Deferred, Effect, Layer, Queue, Schedule, Schema } from "effect"
import type { Scope } from "effect/Scope"
import { ConnectionError, SqlError } from "effect/sql/SqlError"
import * as os from "node:os"
import { Database } from "./Database.ts"
import { MemoryTables } from "./MemoryTables.ts"
import { StoreError } from "./StoreError.ts"
import { reach } from "../telemetry/Failpoint.ts"
import { type Event, type Fields, log } from "../telemetry/Log.ts"

/** Says that this process owns the deliveries, since when it counts, and until when. */
export class Ownership extends Context.Service<
  Ownership,
  {
    /** Counts the owners this database has had, this one included. */
    readonly epoch: number
    /** Tells whether the lock is held at this moment: not while a lost session is made again. */
    readonly isHeld: Effect.Effect<boolean>
    /** Fails when another engine has taken over, and else never ends. */
    readonly fenced: Effect.Effect<never, Fenced>
  }
>()("posthaste/store/Ownership") {
  /**
   * Waits until no other engine runs on this database, or fails at once, as `Patience` says. An
   * embedded one has its directory's lock.
   */
  static readonly layer: Layer.Layer<
    Ownership,
    StoreError | DeliveriesOwned,
    Database | PgClient.PgClient
  > = Layer.effect(
    Ownership,
    Effect.gen(function* () {
      const { kind } = yield* Database
      const client = yield* PgClient.PgClient
      if (kind === "pglite") {
        const epoch = yield* take((text, values) => client.unsafe<Row>(text, values)).pipe(
          Effect.mapError(StoreError.from("Ownership.take"))
        )
        return Ownership.of({ epoch, isHeld: Effect.succeed(true), fenced: Effect.never })
      }
      const owned = yield* Deferred.make<number, StoreError | DeliveriesOwned | Fenced>()
      const fenced = yield* Deferred.make<never, Fenced>()
      let held = false
      const onHeld = (now: boolean) => {
        held = now
      }
      yield* hold(client.config, yield* Patience, owned, onHeld).pipe(
        Effect.onError((cause) => Deferred.failCause(owned, cause)),
        Effect.catchTags({
          StoreError: () => Effect.never,
          DeliveriesOwned: () => Effect.never
        }),
        Effect.onError((cause) => Deferred.failCause(fenced, cause)),
        Effect.ignore,
        Effect.forkScoped
      )
      const epoch = yield* Deferred.await(owned).pipe(Effect.catchTag("Fenced", Effect.die))
      return Ownership.of({
        epoch,
        isHeld: Effect.sync(() => held),
        fenced: Deferred.await(fenced)
      })
    })
  )

  /**
   * Owns the Maps of MemoryTables at once. Nobody is told when the next engine takes over, as while a
   * process is frozen: what it writes then is fenced all the same.
   */
  static readonly layerMemory = Layer.effect(
    Ownership,
    Effect.map(MemoryTables, ({ engine }) =>
      Ownership.of({
        epoch: ++engine.epoch,
        isHeld: Effect.succeed(true),
        fenced: Effect.never
      })
    )
  )
}

/** What an engine does while another one owns the deliveries. */
export const Patience = Context.Reference<"wait" | "fail">("posthaste/store/Ownership/Patience", {
  defaultValue: () => "wait"
})

/** Reports that another engine owns the deliveries, where nobody waits for it. */
export class DeliveriesOwned extends Schema.TaggedError<DeliveriesOwned>()("DeliveriesOwned", {
  epoch: Schema.Int,
  holder: Schema.String
}) {
  /** Names the engine, as `host:pid`. */
  override get message(): string {
    return `the database is in use by ${this.holder}`
  }
}

/** Reports that another engine owns the deliveries now: this process must end. */
export class Fenced extends Schema.TaggedError<Fenced>()("Fenced", {
  epoch: Schema.Int,
  holder: Schema.String
}) {
  /** Names the engine that took over. */
  override get message(): string {
    return `${this.holder} has taken over the deliveries as epoch ${this.epoch}`
  }
}

type Row = { readonly [column: string]: unknown }
type Query = (
  text: string,
  values?: ReadonlyArray<unknown>
) => Effect.Effect<ReadonlyArray<Row>, SqlError>

/** Makes this process the owner in the table that every write is compared with. */
const take = Effect.fnUntraced(function* (query: Query) {
  const now = yield* Clock.currentTimeMillis
  reach("ownership.locked")
  const [row] = yield* query(
    `update engine
      set epoch = epoch + 1, holder = $1, taken_at = to_timestamp($2::float8 / 1000)
      returning epoch`,
    [`${os.hostname()}:${process.pid}`, now]
  )
  reach("ownership.taken")
  return Number(row?.["epoch"])
})

/** Owns, says so once, and owns again whenever the session was lost. */
const hold = (
  config: PgConnection.Config,
  patience: "wait" | "fail",
  owned: Deferred.Deferred<number, StoreError | DeliveriesOwned | Fenced>,
  onHeld: (held: boolean) => void
): Effect.Effect<never, StoreError | DeliveriesOwned | Fenced> => {
  let epoch: number | undefined
  let told = false
  const tellOnce = (event: Event, about: Fields) =>
    Effect.suspend(() => {
      if (told) return Effect.void
      told = true
      return log(event, about)
    })

  const session = Effect.gen(function* () {
    const { lost, query } = yield* open(config)
    while (true) {
      const [lock] = yield* query(tryLock)
      const [engine] = yield* query("select epoch, holder from engine")
      const current = { epoch: Number(engine?.["epoch"]), holder: String(engine?.["holder"]) }
      if (epoch !== undefined && epoch !== current.epoch) return yield* new Fenced(current)
      if (lock?.["locked"] === true) break
      if (patience === "fail" && epoch === undefined) return yield* new DeliveriesOwned(current)
      yield* tellOnce("engine_waiting", current)
      yield* Effect.sleep("1 second")
    }
    if (epoch === undefined) {
      epoch = yield* take(query)
      yield* log("engine_owning", { epoch })
      yield* Deferred.succeed(owned, epoch)
    } else {
      yield* log("engine_regained", { epoch })
    }
    told = false
    onHeld(true)
    const alive = query("select 1").pipe(
      Effect.timeoutOrElse({ duration: "10 seconds", orElse: () => noAnswer }),
      Effect.repeat(Schedule.spaced("1 second"))
    )
    yield* Effect.raceFirst(alive, lost)
  }).pipe(
    Effect.scoped,
    Effect.ensuring(Effect.sync(() => onHeld(false))),
    Effect.mapError(StoreError.from("Ownership.hold"))
  )

  return session.pipe(
    Effect.catchTag("StoreError", (error) => {
      if (!error.isRetryable && epoch === undefined) return Effect.fail(error)
      // The first time at once, to be before an engine that waits and asks every second.
      const pause = told ? Effect.sleep("1 second") : Effect.void
      return tellOnce("engine_lost", {
        reason: error.message
      }).pipe(Effect.andThen(pause))
    }),
    Effect.forever
  )
}

const noAnswer = Effect.fail(
  new SqlError({
    reason: new ConnectionError({ cause: new Error("Postgres did not answer for 10 seconds") })
  })
)

/** Engines of several schemas in one database do not share the table, and so not the lock. */
const tryLock = `select pg_try_advisory_lock(7460003, 'engine'::regclass::oid::int) as locked`

interface Session {
  readonly query: Query
  /** Fails as soon as the session ends. */
  readonly lost: Effect.Effect<never, SqlError>
}

/** Opens a session of its own, which the server ends soon after this process or its machine. */
const open = Effect.fnUntraced(function* (
  config: PgConnection.Config
): Effect.fn.Return<Session, SqlError, Scope> {
  const connection = yield* PgConnection.make({
    ...config,
    multiplex: false,
    applicationName: "posthaste owner",
    startupParameters: {
      ...config.startupParameters,
      idle_session_timeout: "30000",
      tcp_keepalives_idle: "5",
      tcp_keepalives_interval: "2",
      tcp_keepalives_count: "3"
    }
  })
  const session = yield* connection.pin
  // Nobody notifies this channel: listening is how the driver tells of the session's end.
  const notifications = yield* session.listen("posthaste_owner")
  return {
    query: (text, values) => Effect.map(session.query(text, values), ({ rows }) => rows),
    lost: Effect.forever(Queue.take(notifications))
  }
})
