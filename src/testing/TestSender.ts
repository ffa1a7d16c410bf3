/**
 * A network that a test scripts and reads: takes the place of `HttpSender`.
 *
 * What a URL answers is set beforehand, one answer for each request, the last one for ever; a URL
 * nobody set answers 200. An answer may be decided by the request. Delays and deadlines pass on the
 * `TestClock`. Every request is remembered.
 *
 * **Example**
 *
 * ```ts
 * yield* network.answer(
 *   "https://a.example/hook",
 *   { timeout: "connect" },
 *   { fault: "reset" },
 *   { status: 429, headers: { "retry-after": "60" } },
 *   { status: 200, bodyError: "reset" }
 * )
 * ```
 */
import { Clock, Context, Effect, Layer } from "effect"
import type { NotSent, Outcome, TimedOut, Unreachable } from "../domain/Attempt.ts"
import { type HttpRequest, HttpSender } from "../send/HttpSender.ts"

export class TestSender extends Context.Service<
  TestSender,
  {
    /** Sets what a URL answers from now on: each request takes the next, the last one stays. */
    readonly answer: (url: string, ...answers: ReadonlyArray<Script>) => Effect.Effect<void>
    /** The requests sent so far, first one first; to one URL where it is named. */
    readonly sent: (url?: string) => Effect.Effect<ReadonlyArray<SentRequest>>
    /** The most requests that were in flight at once, to one URL where it is named. */
    readonly inFlightMax: (url?: string) => Effect.Effect<number>
  }
>()("posthaste/testing/TestSender") {
  /** Provides the scripted network as `HttpSender`, and the script as `TestSender`. */
  static readonly layer = Layer.effectContext(
    Effect.sync(() => {
      const scripts = new Map<string, Array<Script>>()
      const requests: Array<SentRequest> = []
      const inFlight = new Map<string, { now: number; max: number }>()
      let all = { now: 0, max: 0 }

      const next = (request: SentRequest): Answer => {
        const script = scripts.get(request.url) ?? []
        const found = (script.length > 1 ? script.shift() : script[0]) ?? { status: 200 }
        return typeof found === "function" ? found(request) : found
      }
      const count = (url: string, by: 1 | -1) => {
        const one = inFlight.get(url) ?? { now: 0, max: 0 }
        inFlight.set(url, counted(one, by))
        all = counted(all, by)
      }

      const send = Effect.fnUntraced(
        function* (request: HttpRequest) {
          const url = request.url.href
          const startedAt = yield* Clock.currentTimeMillis
          const { body, headers, method } = request
          const sent = { url, sentAt: startedAt, method, headers, body }
          requests.push(sent)
          const answer = next(sent)
          const takes = takesMs(answer, request.timeoutMs)
          yield* Effect.sync(() => count(url, 1))
          if (takes > 0) yield* Effect.sleep(Math.min(takes, request.timeoutMs))
          return {
            outcome: takes > request.timeoutMs ? timedOut("headers") : outcomeOf(answer),
            durationMs: (yield* Clock.currentTimeMillis) - startedAt
          }
        },
        (effect, request) =>
          Effect.ensuring(
            effect,
            Effect.sync(() => count(request.url.href, -1))
          )
      )

      /** Takes no answer from a script and is no request. */
      const probe = (request: HttpRequest) =>
        Effect.sync(() => {
          const [first] = scripts.get(request.url.href) ?? []
          const { body, headers, method, url } = request
          const asked = { url: url.href, sentAt: 0, method, headers, body }
          const answer = typeof first === "function" ? first(asked) : first
          const outcome = outcomeOf(answer ?? { status: 200 })
          const isAnswered = outcome._tag === "Responded"
          return {
            addresses: [],
            resolvedMs: 0,
            refusal: null,
            probed: {
              connectedMs: 0,
              securedMs: null,
              answeredMs: isAnswered ? 0 : null,
              tls: null,
              answer: isAnswered
                ? { httpVersion: "1.1", statusCode: outcome.statusCode, location: null }
                : null,
              failure: isAnswered ? null : outcome
            }
          }
        })

      return Context.make(
        HttpSender,
        HttpSender.of({ send, probe, egress: Effect.succeed("direct") })
      ).pipe(
        Context.add(
          TestSender,
          TestSender.of({
            answer: (url, ...answers) =>
              Effect.sync(() => {
                scripts.set(new URL(url).href, [...answers])
              }),
            sent: (url) =>
              Effect.sync(() =>
                url === undefined
                  ? [...requests]
                  : requests.filter((request) => request.url === new URL(url).href)
              ),
            inFlightMax: (url) =>
              Effect.sync(() =>
                url === undefined ? all.max : (inFlight.get(new URL(url).href)?.max ?? 0)
              )
          })
        )
      )
    })
  )
}

/** What a receiver does with one request. */
export type Answer =
  | {
      readonly status: number
      readonly headers?: { readonly [name: string]: string }
      readonly body?: string
      /** Why the body broke off, or was waited for no longer: the status counts all the same. */
      readonly bodyError?: string
      /** Whether more of the body was announced, or came, than was kept. */
      readonly truncated?: boolean
      /** How long it takes, in milliseconds; past the request's timeout it is a timeout. */
      readonly delayMs?: number
    }
  | {
      /** Answers nothing: time runs out in this phase. */
      readonly timeout: TimedOut["phase"]
      /** When it runs out, in milliseconds; at the request's own timeout where nothing is said. */
      readonly delayMs?: number
    }
  | {
      /** `proxy` and `crowd`: nothing was sent, for a reason the receiver has no part in. */
      readonly fault: Unreachable["cause"] | NotSent["cause"]
      readonly delayMs?: number
    }

/** An answer, or what decides it by the request. */
export type Script = Answer | ((request: SentRequest) => Answer)

/** A request that was sent. */
export interface SentRequest {
  readonly url: string
  readonly method: string
  readonly headers: { readonly [name: string]: string }
  readonly body: Uint8Array | null
  /** Epoch milliseconds. */
  readonly sentAt: number
}

const counted = (count: { now: number; max: number }, by: 1 | -1) => ({
  now: count.now + by,
  max: Math.max(count.max, count.now + by)
})

const timedOut = (phase: TimedOut["phase"]): Outcome => ({ _tag: "TimedOut", phase })

const takesMs = (answer: Answer, timeoutMs: number): number =>
  answer.delayMs ?? ("timeout" in answer ? timeoutMs : 0)

const outcomeOf = (answer: Answer): Outcome => {
  if ("timeout" in answer) return timedOut(answer.timeout)
  if ("fault" in answer) {
    const { fault } = answer
    const detail = `scripted: ${fault}`
    return fault === "proxy" || fault === "crowd"
      ? { _tag: "NotSent", cause: fault, detail }
      : { _tag: "Unreachable", cause: fault, detail }
  }
  return {
    _tag: "Responded",
    statusCode: answer.status,
    headers: answer.headers ?? {},
    body: new TextEncoder().encode(answer.body ?? ""),
    truncated: answer.truncated ?? false,
    bodyError: answer.bodyError ?? null
  }
}
