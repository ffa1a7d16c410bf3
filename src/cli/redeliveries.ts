/**
 * `posthaste redeliveries`: sending many settled deliveries again, as a job of the service.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { RedeliveryView } from "../api/RedeliveriesApi.ts"
import { withClient, withService } from "./Client.ts"
import { decode } from "./Fields.ts"
import { limit, page, present } from "./Page.ts"
import { answer, both, type Column, instant, record } from "./Print.ts"
import { bar } from "./Progress.ts"

const job = Argument.String("redelivery").pipe(Argument.withDescription("Its id"))

const columns: ReadonlyArray<Column<RedeliveryView>> = [
  ["id", ({ id }) => id],
  ["state", ({ state }) => state],
  ["done", ({ done, matched }) => `${done} of ${matched}`],
  ["created", ({ createdAt }) => instant(createdAt)],
  ["webhook", ({ webhookId }) => webhookId],
  ["type", ({ type }) => type]
]

const show = (found: RedeliveryView) =>
  record({
    id: found.id,
    state: found.state,
    matched: found.matched,
    done: found.done,
    "dry run": found.dryRun,
    created: instant(found.createdAt),
    finished: found.finishedAt === null ? null : instant(found.finishedAt)
  })

const create = Command.make(
  "create",
  {
    webhook: Flag.String("webhook").pipe(Flag.withDescription("By id or uid"), Flag.optional),
    type: Flag.String("type").pipe(Flag.optional),
    status: Flag.Literals("status", ["exhausted", "delivered", "cancelled"]).pipe(
      Flag.withDescription("exhausted when absent"),
      Flag.optional
    ),
    after: Flag.String("after").pipe(Flag.withDescription("RFC 3339"), Flag.optional),
    before: Flag.String("before").pipe(Flag.withDescription("RFC 3339"), Flag.optional),
    dryRun: Flag.Boolean("dry-run").pipe(
      Flag.withDescription("Only count"),
      Flag.withDefault(false)
    ),
    wait: Flag.Boolean("wait").pipe(
      Flag.withDescription("Wait for its end, with a bar on a terminal"),
      Flag.withDefault(false)
    )
  },
  ({ wait, ...input }) =>
    // Without a service nothing would come of it, however long one waits.
    (wait ? withService : withClient)(({ redeliveries }) =>
      Effect.gen(function* () {
        const { RedeliveryInput } = yield* Effect.promise(() => import("../api/RedeliveriesApi.ts"))
        const payload = yield* decode(RedeliveryInput)(present(input))
        const started = yield* redeliveries.create({ payload, headers: {}, ...both })
        if (!wait) return yield* answer(started, show)
        const move = yield* bar("redelivering")
        const ended = yield* redeliveries.get({ params: { id: started[0].id }, ...both }).pipe(
          Effect.tap(([now]) => Effect.sync(() => move(now.done, now.matched))),
          Effect.repeat({
            schedule: Schedule.spaced("250 millis"),
            until: ([now]) => now.finishedAt !== null
          })
        )
        move(0, 0)
        yield* answer(ended, show)
      })
    )
).pipe(Command.withDescription("Send settled deliveries again, each once"))

const list = Command.make("list", { limit: limit(20) }, (query) =>
  withClient(({ redeliveries }) => page(redeliveries.list({ query, ...both }), columns))
).pipe(Command.withDescription("List bulk redeliveries"), Command.withAlias("ls"))

const showOne = Command.make("show", { job }, ({ job }) =>
  withClient(({ redeliveries }) =>
    Effect.flatMap(redeliveries.get({ params: { id: job }, ...both }), (found) =>
      answer(found, show)
    )
  )
).pipe(Command.withDescription("Show a bulk redelivery"))

const cancel = Command.make("cancel", { job }, ({ job }) =>
  withClient(({ redeliveries }) =>
    Effect.flatMap(redeliveries.cancel({ params: { id: job }, ...both }), (found) =>
      answer(found, show)
    )
  )
).pipe(Command.withDescription("Cancel a bulk redelivery"))

/** Holds the words about bulk redeliveries. */
export const redeliveries = Command.make("redeliveries").pipe(
  Command.withDescription("Redeliveries: sending many deliveries again"),
  Command.withSubcommands([create, list, showOne, cancel])
)
