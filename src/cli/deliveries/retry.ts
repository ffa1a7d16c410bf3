/**
 * `posthaste deliveries retry`: starts a fresh round for deliveries that were given up.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type { ApiClient } from "../../api/ApiClient.ts"
import type { DeliveryView } from "../../api/DeliveryViews.ts"
import { withClient } from "../Client.ts"
import { length } from "../Length.ts"
import { limit } from "../Page.ts"
import { printed, table } from "../Print.ts"
import { bar } from "../Progress.ts"
import { columns } from "./Table.ts"

/** Reports that nothing was named to be retried. */
export class NothingNamed extends Schema.TaggedError<NothingNamed>()("NothingNamed", {}) {
  /** Says how to name something. */
  override get message(): string {
    return "give --id, or --all for the newest that were given up"
  }
}

/** Sends again what was given up; waits for what comes of it where a timeout is given. */
export const retry = Command.make(
  "retry",
  {
    id: Flag.String("id").pipe(Flag.withDescription("One delivery"), Flag.optional),
    all: Flag.Boolean("all").pipe(
      Flag.withDescription("The newest that were given up, as many as --limit says"),
      Flag.withDefault(false)
    ),
    webhook: Flag.String("webhook").pipe(
      Flag.withDescription("With --all: of one webhook, by id or uid"),
      Flag.optional
    ),
    limit: limit(10),
    timeout: length("timeout").pipe(
      Flag.withDescription("How long to wait for what comes of it, such as 10s"),
      Flag.optional
    )
  },
  ({ all, id, limit, timeout, webhook }) =>
    withClient((client) =>
      Effect.gen(function* () {
        if (Option.isNone(id) && !all) return yield* new NothingNamed()
        const ids = Option.isSome(id)
          ? [id.value]
          : (yield* client.deliveries.list({
              query: {
                status: "exhausted",
                limit,
                ...Option.match(webhook, { onNone: () => ({}), onSome: (webhook) => ({ webhook }) })
              }
            })).data.map((delivery) => delivery.id)
        const move = yield* bar("retrying")
        const started: Array<DeliveryView> = []
        for (const id of ids) {
          started.push(yield* client.deliveries.redeliver({ params: { id } }))
          move(started.length, ids.length)
        }
        const settled = Option.isNone(timeout)
          ? started
          : yield* settle(client, started, (done) => move(done, ids.length)).pipe(
              Effect.timeoutOrElse({
                duration: timeout.value,
                orElse: () => read(client, started)
              })
            )
        move(0, 0)
        yield* printed(settled, (deliveries) => table(columns, deliveries, "nothing was given up"))
      })
    )
).pipe(Command.withDescription("Start a fresh round for deliveries that were given up"))

/** Reads deliveries until each has had an attempt of its new round. */
const settle = (
  client: ApiClient,
  started: ReadonlyArray<DeliveryView>,
  onProgress: (done: number) => void
) =>
  read(client, started).pipe(
    Effect.tap((now) => Effect.sync(() => onProgress(now.filter(isAttempted(started)).length))),
    Effect.repeat({
      schedule: Schedule.spaced("250 millis"),
      until: (now) => now.every(isAttempted(started))
    })
  )

const read = (client: ApiClient, deliveries: ReadonlyArray<DeliveryView>) =>
  Effect.forEach(deliveries, ({ id }) => client.deliveries.get({ params: { id } }))

const isAttempted = (started: ReadonlyArray<DeliveryView>) => (now: DeliveryView, place: number) =>
  now.attempts > started[place]!.attempts
