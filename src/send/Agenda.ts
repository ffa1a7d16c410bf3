/**
 * Remembers when each webhook that has no lane will have something to read, and says so then.
 *
 * One timer serves all of them, and an entry is a number: a million waiting retries of a thousand
 * webhooks are a thousand numbers here. A lane that is awake keeps its own time.
 */
import { Cause, Clock, Effect, Latch, type Scope } from "effect"
import type { WebhookId } from "../domain/TypeId.ts"
import { log } from "../telemetry/Log.ts"

export interface Agenda {
  /** Notes that a webhook has something due at `at` (epoch milliseconds), unless earlier is known. */
  readonly note: (webhookId: WebhookId, at: number) => void
  /** Forgets a webhook. */
  readonly forget: (webhookId: WebhookId) => void
  /** When the first of all webhooks has something due, epoch milliseconds; `Infinity` when none has. */
  readonly earliest: () => number
  /** When a webhook has something due, epoch milliseconds, or undefined. */
  readonly at: (webhookId: WebhookId) => number | undefined
}

/** How late a clock that is put forward, or a machine that sleeps, makes an entry, in milliseconds. */
const lookMs = 300_000

/** How long those are put off whose telling met a defect, in milliseconds. */
const defectDelayMs = 10_000

/**
 * Makes an agenda that calls `onDue` with every webhook whose time has come, and forgets it. A defect
 * there puts those webhooks off and ends nothing.
 */
export const make = Effect.fnUntraced(function* (
  onDue: (webhookIds: ReadonlyArray<WebhookId>) => Effect.Effect<void>
): Effect.fn.Return<Agenda, never, Scope.Scope> {
  const entries = new Map<WebhookId, number>()
  const changed = Latch.makeUnsafe()
  let next = Infinity

  const note = (webhookId: WebhookId, at: number) => {
    const known = entries.get(webhookId)
    if (known !== undefined && known <= at) return
    entries.set(webhookId, at)
    if (at < next) changed.openUnsafe()
  }

  const putOff = Effect.fnUntraced(function* (due: ReadonlyArray<WebhookId>, defect: unknown) {
    yield* log("due_put_off", {}, Cause.die(defect))
    const now = yield* Clock.currentTimeMillis
    due.forEach((webhookId) => note(webhookId, now + defectDelayMs))
  })

  const keepTime = Effect.gen(function* () {
    while (true) {
      changed.closeUnsafe()
      const now = yield* Clock.currentTimeMillis
      const due: Array<WebhookId> = []
      next = Infinity
      for (const [webhookId, at] of entries) {
        if (at <= now) due.push(webhookId)
        else if (at < next) next = at
      }
      if (due.length > 0) {
        due.forEach((webhookId) => entries.delete(webhookId))
        yield* Effect.catchDefect(onDue(due), (defect) => putOff(due, defect))
      } else if (next === Infinity) {
        yield* changed.await
      } else {
        yield* Effect.timeoutOption(changed.await, Math.min(next - now, lookMs))
      }
    }
  })
  yield* Effect.forkScoped(keepTime)

  return {
    note,
    forget: (webhookId) => {
      entries.delete(webhookId)
    },
    earliest: () => {
      let first = Infinity
      for (const at of entries.values()) first = Math.min(first, at)
      return first
    },
    at: (webhookId) => entries.get(webhookId)
  }
})
