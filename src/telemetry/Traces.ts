/**
 * Links an attempt's span to the trace in which its message was published.
 *
 * The link is kept in memory, for the latest messages of sampled traces: an attempt may come days and
 * restarts later, and that is not worth a column. One whose message is not known any more is sampled
 * like any trace, without a link.
 */
import { Context, Effect, Layer, Option, Random, type Tracer } from "effect"
import type { DeliveryId, MessageId, WebhookId } from "../domain/TypeId.ts"

/** An attempt as its span names it. */
export interface AttemptAbout {
  readonly message: MessageId
  readonly delivery: DeliveryId
  readonly webhook: WebhookId
  /** 1 for the first. */
  readonly attempt: number
}

/** Follows messages through traces. */
export interface Tracing {
  /** Remembers the trace that the current span belongs to, if it is sampled. */
  readonly published: (id: MessageId) => Effect.Effect<void>
  /** Makes an attempt in a trace of its own, if that is sampled; `classOf` names its end. */
  readonly attempt: <A, E, R>(
    about: AttemptAbout,
    effect: Effect.Effect<A, E, R>,
    classOf: (result: A) => string
  ) => Effect.Effect<A, E, R>
}

/** What follows messages; undefined while nobody wants traces, so that it costs nothing. */
export const Traces = Context.Reference<Tracing | undefined>("posthaste/telemetry/Traces", {
  defaultValue: () => undefined
})

/** The name of an attempt's span. */
export const attemptName = "Lane.attempt"

/** Follows messages, for a share of the traces. */
export const layer = (ratio: number): Layer.Layer<never> => Layer.sync(Traces, () => make(ratio))

const make = (ratio: number): Tracing => {
  const published = new Map<MessageId, Tracer.AnySpan>()
  return {
    published: (id) =>
      Effect.map(Effect.option(Effect.currentParentSpan), (span) => {
        if (Option.isNone(span) || !span.value.sampled) return
        published.set(id, span.value)
        if (published.size > publishedMax) published.delete(published.keys().next().value ?? id)
      }),
    attempt: (about, effect, classOf) =>
      Effect.flatMap(Random.next, (random) => {
        const publishing = published.get(about.message)
        if (publishing === undefined && random >= ratio) return effect
        return Effect.tap(effect, (result) =>
          Effect.annotateCurrentSpan("posthaste.class", classOf(result))
        ).pipe(
          Effect.withSpan(attemptName, {
            root: true,
            kind: "client",
            links: publishing === undefined ? [] : [{ span: publishing, attributes: {} }],
            attributes: {
              "posthaste.message": about.message,
              "posthaste.delivery": about.delivery,
              "posthaste.webhook": about.webhook,
              "posthaste.attempt": about.attempt
            }
          })
        )
      })
  }
}

const publishedMax = 10_000
