/**
 * Keeps the ground in shape while an engine runs: partitions are ready before their day comes, and
 * idempotency keys end after 24 hours.
 *
 * Runs at the start and then every hour. A store that is away is waited for, never given up on.
 */
import { Clock, Effect, Layer, Schedule } from "effect"
import { MessageRepo } from "./MessageRepo.ts"
import * as Partitions from "./Partitions.ts"
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

/** Does it once before anything else starts, then every hour. */
export const layer = Layer.effectDiscard(
  Effect.gen(function* () {
    yield* once
    yield* once.pipe(
      Effect.catch((error) => log("upkeep_waiting", { reason: error.message })),
      Effect.schedule(Schedule.spaced("1 hour")),
      Effect.forkScoped
    )
  })
)
