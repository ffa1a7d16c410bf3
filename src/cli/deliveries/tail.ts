/**
 * `posthaste deliveries tail`: what happens, line by line, until it is interrupted.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { StreamEvent } from "../../api/DeliveryEvents.ts"
import { withService } from "../Client.ts"
import { present } from "../Page.ts"
import { instant, line } from "../Print.ts"
import { Target } from "../Target.ts"

/** Follows the deliveries of the tenant; a stream that ends is opened again. */
export const tail = Command.make(
  "tail",
  {
    webhook: Flag.String("webhook").pipe(
      Flag.withDescription("Of one webhook, by id or uid"),
      Flag.optional
    ),
    type: Flag.String("type").pipe(Flag.withDescription("Of one event type"), Flag.optional)
  },
  (input) =>
    withService(({ deliveries }) =>
      Effect.gen(function* () {
        const { output } = yield* Target
        const print = (event: StreamEvent) =>
          Console.log(output === "json" ? JSON.stringify(event) : line(wordsOf(event)))
        yield* deliveries
          .stream({ query: present(input) })
          .pipe(
            Effect.flatMap(Stream.runForEach(print)),
            Effect.repeat(Schedule.spaced("1 second"))
          )
      })
    )
).pipe(Command.withDescription("Follow what happens, live"))

const wordsOf = (event: StreamEvent): ReadonlyArray<string | number> => {
  switch (event.kind) {
    case "attempt": {
      const { attempt, status, type } = event
      return [
        instant(attempt.startedAt),
        attempt.deliveryId,
        type,
        `attempt ${attempt.number}: ${attempt.statusCode ?? attempt.class} in ${Math.round(attempt.durationMs)} ms`,
        status,
        ...(attempt.error === null ? [] : [attempt.error])
      ]
    }
    case "delivery":
      return [event.delivery.id, event.delivery.type, event.delivery.status]
    case "webhook":
      return [instant(event.at), event.webhookId, event.disabledReason ?? "", event.status]
    case "missed":
      return [`${event.missed} events were missed`]
  }
}
