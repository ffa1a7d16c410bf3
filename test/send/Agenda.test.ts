import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { TestClock } from "effect/testing"
import type { WebhookId } from "../../src/domain/TypeId.ts"
import * as Agenda from "../../src/send/Agenda.ts"
import { Ids } from "../../src/store/Ids.ts"

/** An agenda of one webhook, by a clock on the wall that can be put forward. */
const made = Effect.fnUntraced(function* (defects = 0) {
  const base = yield* TestClock.testClockWith(Effect.succeed)
  let offset = 0
  const wall: Clock.Clock = {
    currentTimeMillisUnsafe: () => base.currentTimeMillisUnsafe() + offset,
    currentTimeMillis: Effect.sync(() => base.currentTimeMillisUnsafe() + offset),
    currentTimeNanosUnsafe: () => base.currentTimeNanosUnsafe() + BigInt(offset) * 1_000_000n,
    currentTimeNanos: Effect.sync(
      () => base.currentTimeNanosUnsafe() + BigInt(offset) * 1_000_000n
    ),
    monotonicTimeNanosUnsafe: () => base.monotonicTimeNanosUnsafe(),
    monotonicTimeNanos: base.monotonicTimeNanos,
    sleep: (duration) => base.sleep(duration)
  }
  const due: Array<WebhookId> = []
  let defectsLeft = defects
  const agenda = yield* Agenda.make((ids) =>
    Effect.sync(() => {
      if (defectsLeft-- > 0) throw new Error("the dog ate it")
      due.push(...ids)
    })
  ).pipe(Effect.provideService(Clock.Clock, wall))
  return {
    agenda,
    due,
    id: yield* (yield* Ids).next("webhook"),
    putForward: (ms: number) => {
      offset += ms
    }
  }
})

const hour = 3_600_000

describe("Agenda", () => {
  it.effect("tells of a webhook once, when it has something due and not before", () =>
    Effect.gen(function* () {
      const { agenda, due, id } = yield* made()
      agenda.note(id, hour)
      yield* TestClock.adjust(hour - 1)
      assert.deepStrictEqual(due, [])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(due, [id])
      yield* TestClock.adjust(hour)
      assert.deepStrictEqual(due, [id])
    }).pipe(Effect.provide(Ids.layer))
  )

  it.effect("tells of a webhook five minutes late at most when the clock is put forward", () =>
    Effect.gen(function* () {
      const { agenda, due, id, putForward } = yield* made()
      agenda.note(id, 10 * hour)
      yield* TestClock.adjust(hour)
      putForward(9 * hour - 1)
      yield* TestClock.adjust(300_000)
      assert.deepStrictEqual(due, [id])
    }).pipe(Effect.provide(Ids.layer))
  )

  it.effect("puts a webhook off when telling of it meets a defect, and goes on", () =>
    Effect.gen(function* () {
      const { agenda, due, id } = yield* made(2)
      agenda.note(id, hour)
      yield* TestClock.adjust(hour)
      assert.deepStrictEqual(due, [])
      yield* TestClock.adjust(10_000)
      assert.deepStrictEqual(due, [])
      yield* TestClock.adjust(10_000)
      assert.deepStrictEqual(due, [id])
    }).pipe(Effect.provide(Ids.layer))
  )
})
