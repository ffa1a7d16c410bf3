/**
 * The switch that stops all sending, kept where it survives every process.
 *
 * Whoever sets it may be another process than the one that sends, even one that writes the row by
 * hand: a watcher reads it every two seconds, and at once after a change of its own process.
 */
import { Clock, Context, Effect, Layer, Option, Schedule, type Scope } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as Audited from "../domain/Audited.ts"
import type { Hold } from "../domain/Hold.ts"
import { log } from "../telemetry/Log.ts"
import { answered } from "./Answered.ts"
import { AuditLog } from "./AuditLog.ts"
import { MemoryTables } from "./MemoryTables.ts"
import { instant, storableOrNull } from "./Parameters.ts"
import { StoreError } from "./StoreError.ts"

export class HoldRepo extends Context.Service<
  HoldRepo,
  {
    /** Finds the hold, if sending is held. */
    readonly find: Effect.Effect<Option.Option<Hold>, StoreError>
    /** Stops all sending. One that is held already keeps its time, and its reason unless given one. */
    readonly hold: (reason: string | null) => Effect.Effect<Hold, StoreError>
    /** Lets sending go on; answers the hold that ended, if there was one. */
    readonly release: Effect.Effect<Option.Option<Hold>, StoreError>
    /**
     * Calls the listener with whether sending is held: once before it answers, then with every change
     * until the scope closes.
     */
    readonly watch: (
      listener: (isHeld: boolean) => Effect.Effect<void>
    ) => Effect.Effect<void, StoreError, Scope.Scope>
  }
>()("posthaste/store/HoldRepo") {
  /** The switch in Postgres, or in PGlite. */
  static readonly layer = Layer.effect(
    HoldRepo,
    Effect.suspend(() => Effect.flatMap(sqlTable, (table) => make(table, "2 seconds")))
  )

  /** The switch in the memory of this process, which alone can set it. */
  static readonly layerMemory = Layer.effect(
    HoldRepo,
    Effect.suspend(() => Effect.flatMap(memoryTable, (table) => make(table, null)))
  )
}

/** Where the row is kept. */
interface Table {
  readonly find: Effect.Effect<Option.Option<Hold>, StoreError>
  /** Saves a hold; answers it with the one that was there before. */
  readonly save: (reason: string | null, since: number) => Effect.Effect<Saved, SqlError>
  readonly remove: Effect.Effect<Option.Option<Hold>, SqlError>
}

interface Saved {
  readonly hold: Hold
  readonly previous: Hold | null
}

const make = Effect.fnUntraced(function* (table: Table, everyOrNever: "2 seconds" | null) {
  const audit = yield* AuditLog
  const listeners = new Set<(isHeld: boolean) => Effect.Effect<void>>()
  let last = false
  const tell = (isHeld: boolean) =>
    Effect.suspend(() => {
      if (isHeld === last) return Effect.void
      last = isHeld
      return Effect.forEach(listeners, (listener) => listener(isHeld), { discard: true })
    })
  const look = Effect.flatMap(table.find, (found) => tell(Option.isSome(found)))

  if (everyOrNever !== null) {
    yield* Effect.suspend(() => (listeners.size === 0 ? Effect.void : look)).pipe(
      Effect.catch((error) => log("hold_waiting", { reason: error.message })),
      Effect.schedule(Schedule.spaced(everyOrNever)),
      Effect.forkScoped
    )
  }

  return HoldRepo.of({
    find: table.find,
    hold: Effect.fn("HoldRepo.hold")(
      function* (reason) {
        const save = table.save(reason, yield* Clock.currentTimeMillis)
        const { hold } = yield* audit.changing(save, ({ hold, previous }) =>
          Audited.hold(previous, hold)
        )
        yield* tell(true)
        return hold
      },
      Effect.mapError(StoreError.from("HoldRepo.hold"))
    ),
    release: audit
      .changing(
        table.remove,
        Option.match({ onNone: () => null, onSome: (hold) => Audited.hold(hold, null) })
      )
      .pipe(
        Effect.tap(() => tell(false)),
        Effect.mapError(StoreError.from("HoldRepo.release")),
        Effect.withSpan("HoldRepo.release")
      ),
    watch: Effect.fnUntraced(function* (listener) {
      yield* Effect.acquireRelease(
        Effect.sync(() => listeners.add(listener)),
        () => Effect.sync(() => listeners.delete(listener))
      )
      last = Option.isSome(yield* table.find)
      yield* listener(last)
    })
  })
})

interface Row {
  readonly reason: string | null
  readonly since: Date
}

const sqlTable = Effect.map(SqlClient, (sql): Table => ({
  find: Effect.suspend(() => sql<Row>`select reason, since from hold`).pipe(
    Effect.map(holdOf),
    Effect.mapError(StoreError.from("HoldRepo.find")),
    answered("HoldRepo.find")
  ),
  save: (reason, since) =>
    Effect.map(
      sql<Row & { readonly previous_since: Date | null; readonly previous_reason: string | null }>`
        insert into hold (reason, since) values (${storableOrNull(reason)}, ${instant(since)})
        on conflict (only_row) do update set reason = coalesce(excluded.reason, hold.reason)
        returning reason, since, (select h.since from hold h) as previous_since,
          (select h.reason from hold h) as previous_reason`,
      ([row]) => ({
        hold: { reason: row!.reason, since: row!.since.getTime() },
        previous:
          row!.previous_since === null
            ? null
            : { reason: row!.previous_reason, since: row!.previous_since.getTime() }
      })
    ),
  remove: Effect.suspend(() =>
    Effect.map(sql<Row>`delete from hold returning reason, since`, holdOf)
  )
}))

const holdOf = ([row]: ReadonlyArray<Row>): Option.Option<Hold> =>
  row === undefined
    ? Option.none()
    : Option.some({ reason: row.reason, since: row.since.getTime() })

const memoryTable = Effect.map(MemoryTables, ({ hold }): Table => ({
  find: Effect.sync(() => Option.fromUndefinedOr(hold.get("all"))),
  save: (reason, since) =>
    Effect.sync(() => {
      const found = hold.get("all")
      const saved = {
        reason: storableOrNull(reason) ?? found?.reason ?? null,
        since: found?.since ?? since
      }
      hold.set("all", saved)
      return { hold: saved, previous: found ?? null }
    }),
  remove: Effect.sync(() => {
    const found = Option.fromUndefinedOr(hold.get("all"))
    hold.clear()
    return found
  })
}))
