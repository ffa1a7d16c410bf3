/**
 * Keeps the ground in shape while an engine runs: partitions are ready before their day comes,
 * idempotency keys end after 24 hours, and entries of the audit trail when they are old.
 *
 * Runs at the start and then every hour. A store that is away is waited for, never given up on.
 */
import { Clock, Duration, Effect, Layer, Schedule } from "effect"
import { AuditLog } from "./AuditLog.ts"
import { MessageRepo } from "./MessageRepo.ts"
import * as Partitions from "./Partitions.ts"
import type { StoreError } from "./StoreError.ts"
import { reach } from "../telemetry/Failpoint.ts"
import { log } from "../telemetry/Log.ts"

/** How long an idempotency key is kept, in milliseconds. */
export const idempotencyMs = 86_400_000

const once = Effect.gen(function* () {
  const messages = yield* MessageRepo
  const now = yield* Clock.currentTimeMillis
  yield* Partitions.ensure(now)
  reach("upkeep.prepared")
  yield* messages.expireKeys(now - idempotencyMs)
  reach("upkeep.expired")
})

/** How long things are kept. */
export interface UpkeepOptions {
  /** How long an entry of the audit trail is kept. 400 days by default. */
  readonly auditKept?: Duration.Input | undefined
}

/** Does it once before anything else starts, then every hour; old entries go beside all else. */
export const layer = (options: UpkeepOptions = {}) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const audit = yield* AuditLog
      const keptMs = Duration.toMillis(options.auditKept ?? "400 days")
      yield* once
      yield* once.pipe(waiting, Effect.schedule(Schedule.spaced("1 hour")), Effect.forkScoped)
      yield* Clock.currentTimeMillis.pipe(
        Effect.flatMap((now) => audit.expire(now - keptMs)),
        waiting,
        Effect.repeat(Schedule.spaced("1 hour")),
        Effect.forkScoped
      )
    })
  )

const waiting = Effect.catch((error: StoreError) =>
  log("upkeep_waiting", { reason: error.message })
)
