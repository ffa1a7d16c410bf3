/**
 * Takes bulk redeliveries forward: step by step, job by job in turn, slowly.
 *
 * Promises: all jobs together redeliver at most `perSecond` deliveries, and work at most half of the
 * time, so that live traffic has the rest; no job waits for the end of another one; what a kill
 * leaves unfinished goes on at the next start. A redelivered delivery stands in no line: messages
 * that come meanwhile do not queue behind it in the store.
 */
import { Clock, Context, Effect, Latch, Layer, Option } from "effect"
import type { IdempotencyConflict } from "../domain/Message.ts"
import { isFinished, type RedeliveriesBusy, type Redelivery } from "../domain/Redelivery.ts"
import type { RedeliveryId } from "../domain/TypeId.ts"
import { type NewRedelivery, RedeliveryRepo } from "../store/RedeliveryRepo.ts"
import type { StoreError } from "../store/StoreError.ts"
import { reach } from "../telemetry/Failpoint.ts"
import { log } from "../telemetry/Log.ts"
import { storeRetries } from "./StoreRetries.ts"
import { Lanes } from "./Lanes.ts"

export class Redeliveries extends Context.Service<
  Redeliveries,
  {
    /** Starts a job; see `RedeliveryRepo.create`. */
    readonly start: (
      input: NewRedelivery
    ) => Effect.Effect<Redelivery, IdempotencyConflict | RedeliveriesBusy | StoreError>
  }
>()("posthaste/send/Redeliveries") {
  static readonly layer = (options: RedeliveriesOptions = {}) =>
    Layer.effect(
      Redeliveries,
      Effect.gen(function* () {
        const repo = yield* RedeliveryRepo
        const lanes = yield* Lanes
        const perSecond = options.perSecond ?? 500
        const rows = {
          counting: options.countMax ?? 1_000,
          redelivering: Math.min(options.stepMax ?? 100, perSecond)
        }
        const jobs: Array<RedeliveryId> = [...(yield* repo.unfinished)]
        const started = Latch.makeUnsafe()

        /** Takes the next step of a job, and rests as long as that took or the rate asks for. */
        const advance = Effect.fnUntraced(function* (id: RedeliveryId) {
          const begunAt = yield* Clock.currentTimeMillis
          const found = yield* Effect.retry(repo.step(id, rows), storeRetries)
          if (Option.isNone(found)) return
          const { job, redelivered, webhookIds } = found.value
          reach("redelivery.stepped")
          if (isFinished(job.state)) {
            reach("redelivery.ended")
            yield* logDone(job)
          } else jobs.push(id)
          const endedAt = yield* Clock.currentTimeMillis
          for (const webhookId of webhookIds) lanes.remind(webhookId, endedAt)
          const restMs = Math.max(endedAt - begunAt, (redelivered / perSecond) * 1_000)
          yield* restMs > 0 ? Effect.sleep(restMs) : Effect.yieldNow
        })

        /** Waits for a job, and looks now and then for one that was kept although its answer was lost. */
        const rest = Effect.gen(function* () {
          const woken = yield* Effect.timeoutOption(started.await, lookMs)
          if (Option.isSome(woken)) return
          const found = yield* Effect.orElseSucceed(repo.unfinished, () => [])
          jobs.push(...found.filter((id) => !jobs.includes(id)))
        })

        yield* Effect.forever(
          Effect.gen(function* () {
            started.closeUnsafe()
            const id = jobs.shift()
            if (id === undefined) return yield* rest
            yield* Effect.catchCause(advance(id), (cause) => {
              jobs.push(id)
              return Effect.andThen(
                log("redelivery_put_off", { redelivery: id }, cause),
                Effect.sleep("1 minute")
              )
            })
          })
        ).pipe(Effect.forkScoped)

        return Redeliveries.of({
          start: (input) =>
            Effect.tap(repo.create(input), (job) =>
              Effect.sync(() => {
                reach("redelivery.created")
                // A repeated request finds the job that runs already.
                if (isFinished(job.state) || jobs.includes(job.id)) return
                jobs.push(job.id)
                started.openUnsafe()
              })
            )
        })
      })
    )
}

/** How often jobs are looked for without a cause, in milliseconds. */
const lookMs = 600_000

/** The pace of bulk redeliveries. */
export interface RedeliveriesOptions {
  /** Deliveries that all jobs together make due in a second, at most. 500 by default. */
  readonly perSecond?: number
  /** Deliveries that one step looks at to redeliver them. 100 by default. */
  readonly stepMax?: number
  /** Deliveries that one step looks at to count them. 1,000 by default. */
  readonly countMax?: number
}

const logDone = ({ done, id, state, tenantId }: Redelivery): Effect.Effect<void> =>
  log("redelivery_ended", { redelivery: id, tenant: tenantId, reason: state, count: done })
