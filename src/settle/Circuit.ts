/**
 * Stops sending to a webhook that keeps failing, and lets one probe find out when it is back.
 *
 * ```
 *             `failures` in a row                    openMs are over
 *   closed ───────────────────────────► open ─────────────────────────► half open
 *     ▲                                  ▲                                │    │
 *     │                                  └────────────────────────────────┘    │
 *     │                        probe fails: open again, twice as long          │
 *     └────────────────────────────────────────────────────────────────────────┘
 *                                   probe succeeds
 * ```
 *
 * Promises: while open nothing is sent; while half open one attempt at a time is, for as long as
 * attempts say nothing about the receiver; an interrupted probe frees its place. The open time doubles
 * up to `openMsMax` and starts again at `openMs` once the circuit has stayed closed as long as it was
 * last open. An attempt that began before the circuit was adopted, or before it opened, changes nothing.
 *
 * The machine is the memory store of `effect/persistence/CircuitBreaker`, one for each webhook that
 * has failed, so that it can be dropped and does not expire before the webhook's next retry. A webhook
 * that never failed costs nothing. What must outlive the process is in `snapshot`; `adopt` restores it.
 */
import { Clock, Context, Duration, Effect, Exit, Layer, Metric, Option } from "effect"
import { CircuitBreaker } from "effect/persistence"
import type { WebhookId } from "../domain/TypeId.ts"
import type { CircuitSettings, Webhook } from "../domain/Webhook.ts"
import * as Metrics from "../telemetry/Metrics.ts"

export class Circuit extends Context.Service<
  Circuit,
  {
    /** Takes over the circuit that a webhook's health describes, in place of what was known. */
    readonly adopt: (webhook: Webhook) => Effect.Effect<void>
    /** Forgets a webhook. */
    readonly forget: (webhookId: WebhookId) => Effect.Effect<void>
    /** Reads where a webhook's circuit stands. */
    readonly state: (webhook: Webhook) => Effect.Effect<CircuitStatus>
    /**
     * Makes an attempt and counts what `verdictOf` makes of its result. None when the circuit let
     * nothing through: then no attempt was made. Adopts a webhook that nobody has adopted.
     */
    readonly run: <A, R>(
      webhook: Webhook,
      attempt: Effect.Effect<A, never, R>,
      verdictOf: (result: A) => CircuitVerdict
    ) => Effect.Effect<Option.Option<A>, never, R>
    /** Reads what has to be written down after an attempt. Synchronous, for the hot path. */
    readonly snapshot: (webhook: Webhook) => CircuitSnapshot
  }
>()("posthaste/settle/Circuit") {
  static readonly layer = Layer.sync(Circuit, () => {
    const circuits = new Map<WebhookId, Known>()

    const adopt = Effect.fnUntraced(function* ({ health, id }: Webhook) {
      const known: Known = { openUntil: health.circuitOpenUntil, openings: 0, store: undefined }
      if (health.circuitOpenUntil !== null) {
        const leftMs = Math.max(0, health.circuitOpenUntil - (yield* Clock.currentTimeMillis))
        known.openings = Math.min(Math.max(1, health.circuitOpenings), restoredOpeningsMax)
        known.store = yield* openedStore(known.openings, leftMs)
      }
      circuits.set(id, known)
      return known
    })

    return Circuit.of({
      adopt: (webhook) => Effect.asVoid(adopt(webhook)),
      forget: (webhookId) =>
        Effect.sync(() => {
          circuits.delete(webhookId)
        }),
      state: Effect.fnUntraced(function* ({ health, id }) {
        const known = circuits.get(id)
        const openUntil = known === undefined ? health.circuitOpenUntil : known.openUntil
        if (openUntil === null) return { _tag: "Closed" }
        if (openUntil > (yield* Clock.currentTimeMillis)) return { _tag: "Open", until: openUntil }
        const state = known?.store && (yield* Effect.orDie(known.store.state(key)))
        return { _tag: "HalfOpen", probing: state?._tag === "HalfOpen" && state.probing }
      }),
      run: Effect.fnUntraced(function* (webhook, attempt, verdictOf) {
        const known = circuits.get(webhook.id) ?? (yield* adopt(webhook))
        if (known.store !== undefined) {
          return yield* guarded(known, known.store, webhook.settings.circuit, attempt, verdictOf)
        }
        const result = yield* attempt
        const verdict = verdictOf(result)
        if (verdict === "failure" || known.store !== undefined) {
          yield* countLate(known, webhook.settings.circuit, verdict)
        }
        return Option.some(result)
      }),
      snapshot: ({ health, id }) => {
        const known = circuits.get(id)
        return known === undefined
          ? { openUntil: health.circuitOpenUntil, openings: health.circuitOpenings }
          : { openUntil: known.openUntil, openings: known.openings }
      }
    })
  })
}

/** What an attempt says about its receiver; `ignored` says nothing. */
export type CircuitVerdict = "success" | "failure" | "ignored"

/** Where a circuit stands. */
export type CircuitStatus =
  | { readonly _tag: "Closed" }
  /** `until` is in epoch milliseconds. */
  | { readonly _tag: "Open"; readonly until: number }
  /** `probing` while the one probe is under way. */
  | { readonly _tag: "HalfOpen"; readonly probing: boolean }

/** What of a circuit is written down: the fields of the same names in `WebhookHealth`. */
export interface CircuitSnapshot {
  /** Epoch milliseconds until which it is, or was, open; null while it is closed. */
  readonly openUntil: number | null
  /** Openings in a row, 0 while it is closed. */
  readonly openings: number
}

type Store = CircuitBreaker.CircuitBreakerStore["Service"]

/** A circuit in memory: the state to be written down, and the machine once something failed. */
interface Known {
  openUntil: number | null
  openings: number
  store: Store | undefined
}

/** Each store holds one circuit, so they all use one key. */
const key = "circuit"

/** More openings than it takes to double a millisecond to a day. */
const restoredOpeningsMax = 32

const newStore: Effect.Effect<Store> = Effect.scoped(
  Layer.build(Layer.fresh(CircuitBreaker.layerStoreMemory({ idleTimeToLive: Duration.infinity })))
).pipe(Effect.map(Context.get(CircuitBreaker.CircuitBreakerStore)))

/** Makes a store whose circuit has opened so often and stays open for `leftMs`. */
const openedStore = Effect.fnUntraced(function* (openings: number, leftMs: number) {
  const store = yield* newStore
  for (let left = openings; left > 0; left--) {
    const { generation } = yield* Effect.orDie(Effect.scoped(store.admit(key)))
    yield* Effect.orDie(
      store.record({
        key,
        generation,
        outcome: "Failure",
        tripPolicy: CircuitBreaker.consecutive(1),
        openFor: Duration.millis(left === 1 ? leftMs : 0)
      })
    )
  }
  return store
})

/** Asks for admission; none while the circuit is open or its probe is under way. */
const admit = (store: Store): Effect.Effect<Option.Option<CircuitBreaker.Admission>> =>
  Effect.scoped(Effect.option(store.admit(key)))

/** Counts an attempt that was admitted. */
const count = Effect.fnUntraced(function* (
  known: Known,
  store: Store,
  admission: CircuitBreaker.Admission,
  settings: CircuitSettings,
  verdict: CircuitVerdict
) {
  const { failures, openMs, openMsMax } = settings
  const moved = yield* Effect.orDie(
    store.record({
      key,
      generation: admission.generation,
      outcome: outcomes[verdict],
      tripPolicy: CircuitBreaker.consecutive(failures),
      openFor: Duration.millis(Math.min(openMs * 2 ** admission.consecutiveOpenings, openMsMax))
    })
  )
  if (moved === undefined || moved.to === "HalfOpen") return
  const opened = moved.to === "Open"
  if (opened) yield* Metric.update(Metrics.circuitsOpened, 1)
  known.openings = opened ? moved.consecutiveOpenings : 0
  known.openUntil = opened
    ? (yield* Clock.currentTimeMillis) + Duration.toMillis(moved.retryAfter)
    : null
})

const outcomes = { success: "Success", failure: "Failure", ignored: "Ignored" } as const

/** Counts an attempt that was made while no failure was known, so that it needed no store. */
const countLate = Effect.fnUntraced(function* (
  known: Known,
  settings: CircuitSettings,
  verdict: CircuitVerdict
) {
  // Opened meanwhile: the attempt is older than that and must not pass for a probe.
  if (known.openUntil !== null) return
  const store = (known.store ??= yield* newStore)
  const admission = yield* admit(store)
  if (Option.isNone(admission)) return
  yield* count(known, store, admission.value, settings, verdict)
})

/** Makes an attempt if the circuit admits it. */
const guarded = <A, R>(
  known: Known,
  store: Store,
  settings: CircuitSettings,
  attempt: Effect.Effect<A, never, R>,
  verdictOf: (result: A) => CircuitVerdict
): Effect.Effect<Option.Option<A>, never, R> =>
  Effect.uninterruptibleMask(
    Effect.fnUntraced(function* (restore) {
      const admission = yield* admit(store)
      if (Option.isNone(admission)) return Option.none()
      const exit = yield* Effect.exit(restore(attempt))
      // A defect of ours says as little about the receiver as an interruption does.
      const verdict = Exit.isSuccess(exit) ? verdictOf(exit.value) : "ignored"
      yield* count(known, store, admission.value, settings, verdict)
      return Option.some(yield* exit)
    })
  )
