/**
 * Writes messages with what they owe, as many in one commit as wait for one.
 *
 * After the commit a delivery whose lane had room is handed to it in memory; of any other one the lane
 * is told when it is due.
 */
import { Effect, Semaphore } from "effect"
import type { NonEmptyReadonlyArray } from "effect/Array"
import { Overloaded } from "../domain/Message.ts"
import { Router } from "../route/Router.ts"
import { Lanes } from "../send/Lanes.ts"
import * as GroupCommit from "../store/GroupCommit.ts"
import { callerMs } from "../store/InTime.ts"
import { type InsertResult, MessageRepo } from "../store/MessageRepo.ts"
import { StoreError } from "../store/StoreError.ts"
import { reach } from "../telemetry/Failpoint.ts"
import * as Metrics from "../telemetry/Metrics.ts"
import { isOrdered, type Pending, type Plan, plan } from "./Plan.ts"

/** The bounds of what waits for a commit. */
export interface CommitOptions {
  /** Messages that may wait for a commit; beyond it publishing is refused. 10,000 by default. */
  readonly pendingMax?: number
  /** Bytes of them. 64 MiB by default. */
  readonly pendingBytesMax?: number
}

/** What became of a message, and the number of webhooks that it was to be owed to. */
export interface Committed {
  readonly result: InsertResult
  readonly fanOut: number
}

/** Makes what commits messages that stand together; result i answers message i. */
export const make = Effect.fnUntraced(function* (options: CommitOptions) {
  const lanes = yield* Lanes
  const messages = yield* MessageRepo
  const router = yield* Router

  // Of two commits under way the later could be read first, and overtake.
  const inTurn = yield* Semaphore.make(1)
  const flush = Effect.fnUntraced(function* (batch: NonEmptyReadonlyArray<Group>) {
    const plans: Array<Plan> = []
    for (const group of batch) {
      for (const pending of group) plans.push(plan(pending, router, lanes))
    }
    const [firstPlan, ...restPlans] = plans
    if (firstPlan === undefined) return []
    reach("publish.reserved")
    const insert = messages.insert([firstPlan.row, ...restPlans.map((one) => one.row)])
    const results = yield* (plans.some(isOrdered) ? inTurn.withPermit(insert) : insert).pipe(
      Effect.onError(() => Effect.sync(() => plans.forEach((one) => lanes.doubt(one.held))))
    )
    reach("publish.committed")
    for (let i = 0; i < plans.length; i++) {
      const one = plans[i]!
      if (results[i]!._tag !== "Inserted") {
        lanes.release(one.held)
        continue
      }
      lanes.hand(one.held)
      for (const delivery of one.row.deliveries) {
        if (delivery.dueAt !== null) lanes.expect(delivery.webhookId, delivery.dueAt)
      }
    }
    reach("publish.handed")
    let next = 0
    return batch.map((group) =>
      group.map(() => {
        const i = next++
        return { result: results[i]!, fanOut: plans[i]!.row.deliveries.length }
      })
    )
  })

  const commit = yield* GroupCommit.make<Group, ReadonlyArray<Committed>, StoreError>({
    name: "publishing",
    flush: (batch) => Metrics.commit("publishing", batch.length, flush(batch)),
    sizeOf: (group) => group.reduce((bytes, { body }) => bytes + body.length + 256, 0),
    pendingMax: options.pendingMax ?? 10_000,
    pendingBytesMax: options.pendingBytesMax ?? 64 * 1_048_576,
    // Then publishers are told to try again; the commit may have happened all the same.
    bound: {
      after: callerMs,
      unanswered: () => StoreError.unanswered("MessageRepo.insert")
    }
  })

  return (group: Group): Effect.Effect<ReadonlyArray<Committed>, Overloaded | StoreError> =>
    Effect.catchTag(commit.submit(group), "Overloaded", () => Effect.fail(overloaded))
})

/** Messages that stand in one commit. */
type Group = ReadonlyArray<Pending>

// One instance: under overload a stack trace for each refusal would cost the most.
const overloaded = new Overloaded({ retryAfterSeconds: 1 })
