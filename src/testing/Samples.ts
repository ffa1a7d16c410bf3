/**
 * Makes webhooks, messages and answers of receivers for tests of properties, on Effect's `Arbitrary`.
 *
 * What is made is what the service takes: settings pass `WebhookSettings`, and no webhook has parts that
 * do not fit together. Samples shrink, and a seed repeats them.
 *
 * **Example**
 *
 * ```ts
 * const answers = yield* Arbitrary.sampleEffect(Samples.answer, { count: 50, seed: 7 })
 * yield* network.answer("https://a.example/hook", ...answers, { status: 200 })
 * ```
 */
import { Arbitrary, Schema } from "effect"
import { EventTypeName, EventTypePattern } from "../domain/EventType.ts"
import type { WebhookFields, WebhookSettings } from "../domain/Webhook.ts"
import type { Draft } from "../publish/Draft.ts"
import type { Answer } from "./TestSender.ts"

/** A webhook as `TestEngine.webhook` takes it. */
export interface WebhookSample {
  readonly url: string
  readonly fields: Partial<Omit<WebhookFields, "settings">> & {
    readonly settings: Partial<typeof WebhookSettings.Encoded>
  }
}

/** A message as `TestEngine.publish` takes it. */
export interface MessageSample {
  readonly type: EventTypeName
  readonly data: Schema.Json
  readonly options: Partial<Omit<Draft, "tenantId" | "type" | "data">>
}

const int = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

const oneOf = <const A>(values: readonly [A, ...ReadonlyArray<A>]) =>
  Arbitrary.map(int(0, values.length - 1), (at) => values[at] ?? values[0])

const types = ["invoice.paid", "invoice.due", "order.placed", "user.created"] as const

/** Names of event types, some of which share their beginning. */
export const eventType: Arbitrary.Arbitrary<EventTypeName> = oneOf(types)

/** Patterns of event types, of which some match `eventType`. */
export const eventTypePattern: Arbitrary.Arbitrary<EventTypePattern> = oneOf([
  "invoice.*",
  "*",
  "nobody.sends.this",
  ...types
])

/** Ways to retry: by name and written out. */
export const retry = Arbitrary.map(
  Arbitrary.all({
    named: oneOf(["standard", "quick", "jittered", "patient", "steps", null]),
    delaysMs: Arbitrary.array(int(1, 3_600_000), { maxLength: 6 }),
    jitter: oneOf([0, 0.1, 0.5])
  }),
  ({ delaysMs, jitter, named }) => named ?? ({ kind: "table", delaysMs, jitter } as const)
)

/** Webhooks: where, what they want, how they are treated. */
export const webhook: Arbitrary.Arbitrary<WebhookSample> = Arbitrary.map(
  Arbitrary.all({
    number: int(1, 1_000_000),
    eventTypes: Arbitrary.array(eventTypePattern, { maxLength: 3 }),
    retry,
    concurrency: int(1, 20),
    failures: int(1, 20),
    openMs: int(1, 120_000),
    rateLimit: oneOf([null, null, 1, 5, 50]),
    timeoutMs: int(50, 60_000)
  }),
  ({ concurrency, eventTypes, failures, number, openMs, rateLimit, retry, timeoutMs }) => ({
    url: `https://receiver-${number}.example/hook`,
    fields: {
      eventTypes,
      settings: {
        retry,
        concurrency,
        timeoutMs,
        circuit: { failures, openMs },
        rate: rateLimit === null ? null : { limit: rateLimit, perMs: 1_000 }
      }
    }
  })
)

/** Messages: any JSON under one of the event types, some with an ordering key. */
export const message: Arbitrary.Arbitrary<MessageSample> = Arbitrary.map(
  Arbitrary.all({
    type: eventType,
    data: Arbitrary.schema(Schema.Json),
    orderingKey: oneOf([null, null, "a", "b"])
  }),
  ({ data, orderingKey, type }) => ({ type, data, options: { orderingKey } })
)

/** What a receiver does: mostly answers, and otherwise everything that a receiver can do wrong. */
export const answer: Arbitrary.Arbitrary<Answer> = Arbitrary.flatMap(
  Arbitrary.all({ kind: int(0, 9), delayMs: int(0, 5_000) }),
  ({ delayMs, kind }): Arbitrary.Arbitrary<Answer> => {
    switch (kind) {
      case 0:
        return Arbitrary.map(oneOf(["dns", "connect", "headers"]), (timeout) => ({ timeout }))
      case 1:
        return Arbitrary.map(
          oneOf(["dns", "refused", "reset", "tls", "protocol", "proxy", "crowd"]),
          (fault) => ({ fault, delayMs })
        )
      case 2:
        return Arbitrary.map(int(1, 120), (seconds) => ({
          status: 429,
          headers: { "retry-after": String(seconds) },
          delayMs
        }))
      case 3:
        return Arbitrary.map(oneOf([301, 400, 404, 408, 500, 502, 503, 599, 600]), (status) => ({
          status,
          delayMs
        }))
      case 4:
        return Arbitrary.Constant({ status: 200, bodyError: "reset", truncated: true, delayMs })
      default:
        return Arbitrary.map(oneOf([200, 201, 202, 204]), (status) => ({ status, delayMs }))
    }
  }
)
