/**
 * How many messages a second tenants may publish, in memory: the hot path asks for every message.
 *
 * A change is noted after its commit and before it is answered. One whose answer was lost is looked for
 * in the background until the store tells what came of it.
 */
import { Effect, FiberSet, Option, type Scope, Semaphore } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Tenant } from "../domain/Tenant.ts"
import type { TenantId } from "../domain/TypeId.ts"
import { DefaultLimits } from "./DefaultLimits.ts"
import type { TenantTable } from "./TenantTable.ts"
import { untilAnswered } from "./UntilAnswered.ts"

/** Tells the limits, and notes what changes them. */
export interface PublishRates {
  /** Messages a second; null for any number. */
  readonly of: (id: TenantId) => number | null
  /** Changes a tenant and notes its limit, if there is one to note. */
  readonly noting: <A, E>(
    id: TenantId,
    change: Effect.Effect<A, E>,
    changed: (written: A) => Tenant | undefined
  ) => Effect.Effect<A, E>
  readonly forget: (id: TenantId) => void
}

/** Reads the limits of a table, and keeps them for as long as the current scope is open. */
export const make = Effect.fnUntraced(function* (
  table: TenantTable
): Effect.fn.Return<PublishRates, SqlError, Scope.Scope> {
  const byDefault = (yield* DefaultLimits).messagesPerSecond
  const background = yield* FiberSet.makeRuntime()
  // Two changes of a tenant are noted in the order of their commits.
  const inTurn = yield* Semaphore.make(1)
  const own = new Map<TenantId, number>()

  const note = ({ id, limits }: Tenant) => {
    if (limits.messagesPerSecond === null) own.delete(id)
    else own.set(id, limits.messagesPerSecond)
  }
  const lookFor = (id: TenantId) =>
    table
      .findById(id)
      .pipe(Effect.map(Option.map(note)), inTurn.withPermit, Effect.retry(untilAnswered))

  for (const tenant of yield* table.rated) note(tenant)

  return {
    of: (id) => own.get(id) ?? byDefault,
    noting: (id, change, changed) =>
      change.pipe(
        Effect.tap((written) =>
          Effect.sync(() => {
            const tenant = changed(written)
            if (tenant !== undefined) note(tenant)
          })
        ),
        Effect.onError(() => Effect.sync(() => background(lookFor(id)))),
        inTurn.withPermit
      ),
    forget: (id) => void own.delete(id)
  }
})
