/**
 * `posthaste process`: sends what is due, once, and ends. For a cron job instead of a service.
 *
 * Only one process at a time works on a database. A second one says which other one does, and ends
 * with exit code 75; what a dead one left is taken over.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Settings } from "../Settings.ts"
import { length } from "./Length.ts"
import { type Column, printed, record, table } from "./Print.ts"
import { bar } from "./Progress.ts"

/** Delivers what is due now. */
export const process = Command.make(
  "process",
  {
    limit: Flag.Int("limit").pipe(
      Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_000_000 }))),
      Flag.withDescription("Attempts at most"),
      Flag.withDefault(50)
    ),
    timeout: length("timeout").pipe(
      Flag.withDescription("How long to go on at most, such as 10s"),
      Flag.optional
    ),
    dryRun: Flag.Boolean("dry-run").pipe(
      Flag.withDescription("Only list what would be sent"),
      Flag.withDefault(false)
    )
  },
  ({ dryRun, limit, timeout }) =>
    Effect.gen(function* () {
      const { load } = yield* Effect.promise(() => import("../Settings.ts"))
      const settings = yield* load
      yield* dryRun ? preview(settings, limit) : deliver(settings, limit, timeout)
    }).pipe(Effect.scoped)
).pipe(Command.withDescription("Send what is due, once, and end"))

/** Sends, and prints what came of it. */
const deliver = Effect.fnUntraced(function* (
  settings: Settings,
  limit: number,
  timeout: Option.Option<Duration.Duration>
) {
  const [Server, { Lanes }] = yield* Effect.promise(() =>
    Promise.all([import("../Server.ts"), import("../send/Lanes.ts")])
  )
  const move = yield* bar("delivering")
  const counts = { delivered: 0, waiting: 0, exhausted: 0, cancelled: 0 }
  let attempts = 0
  const running = yield* Layer.build(
    Server.layerBatch(settings, { attemptsMax: limit, idleMs: 0 }, ({ status }) => {
      counts[status]++
      move(++attempts, limit)
    })
  )
  const { done } = Context.get(running, Lanes)
  const ended = yield* Option.match(timeout, {
    onNone: () => Effect.asSome(done),
    onSome: (timeout) => Effect.timeoutOption(done, timeout)
  })
  move(0, 0)
  yield* printed({ attempts, ...counts, timedOut: Option.isNone(ended) }, (result) =>
    record({
      attempts: result.attempts,
      delivered: result.delivered,
      "to be tried again": result.waiting,
      "given up": result.exhausted,
      ...(result.timedOut ? { ended: "by its timeout" } : {})
    })
  )
})

/** Lists what would be sent. */
const preview = Effect.fnUntraced(function* (settings: Settings, limit: number) {
  const [Server, { DeliveryQueue }] = yield* Effect.promise(() =>
    Promise.all([import("../Server.ts"), import("../store/DeliveryQueue.ts")])
  )
  const running = yield* Layer.build(Server.layerBatch(settings, { attemptsMax: 0 }))
  const queue = Context.get(running, DeliveryQueue)
  const now = yield* Clock.currentTimeMillis
  const due: Array<Due> = []
  for (const { dueAt, webhookId } of yield* queue.agenda) {
    if (dueAt > now || due.length === limit) continue
    const { deliveries } = yield* queue.pull({
      webhookId,
      now,
      limit: Math.min(limit - due.length, 250),
      bytesMax: 16 * 1_048_576,
      held: new Set(),
      keys: [],
      after: ""
    })
    for (const { attempts, id, message } of deliveries) {
      due.push({ id, webhookId, messageId: message.id, type: message.type, attempts })
    }
  }
  yield* printed(due, (due) => table(columns, due, "nothing is due"))
})

/** A delivery that is due. */
interface Due {
  readonly id: string
  readonly webhookId: string
  readonly messageId: string
  readonly type: string
  readonly attempts: number
}

const columns: ReadonlyArray<Column<Due>> = [
  ["id", ({ id }) => id],
  ["webhook", ({ webhookId }) => webhookId],
  ["message", ({ messageId }) => messageId],
  ["type", ({ type }) => type],
  ["attempts", ({ attempts }) => attempts]
]
