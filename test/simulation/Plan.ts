/**
 * What a seed makes of a history: how long it is, what can go wrong in it, who receives, and how large
 * the bounds of the engine are.
 *
 * Each seed switches kinds of faults on and off, so that some histories have few kinds in abundance: a
 * fault that hides another one is missing in half of them (swarm testing: Groce et al., ISSTA 2012).
 */
import type { EngineOptions } from "../../src/Engine.ts"
import type { WebhookSettings } from "../../src/domain/Webhook.ts"
import * as Prng from "./Prng.ts"

/** The kinds of faults and of things that people do. */
export const kinds = [
  "crash",
  "stop",
  "zombie",
  "freeze",
  "jump",
  "storeDown",
  "storeErrors",
  "storeRefusals",
  "unknownCommits",
  "latency",
  "receiverFaults",
  "pause",
  "rotate",
  "edit",
  "delete",
  "cancel",
  "redeliver",
  "job",
  "hold",
  "retention"
] as const

/**
 * Kinds that have a stream of numbers of their own: a history without them is what it was before they
 * came. A frozen process that is taken over from has publishes open; receivers cancel what is under way
 * to them, and have it sent again, before they answer; the machine sleeps while retries wait.
 */
const laterKinds = ["straggle", "recall", "sleep"] as const
export type Kind = (typeof kinds)[number] | (typeof laterKinds)[number]

/** How a receiver behaves until all is healed. */
export interface ReceiverPlan {
  /** How often it fails while it works, in percent. */
  readonly failing: number
  /** Spans in which it is away, from the beginning of the history in milliseconds. */
  readonly away: ReadonlyArray<readonly [from: number, to: number]>
  readonly delayMsMax: number
  /** Whether it answers 410 once in a while. */
  readonly leaves: boolean
}

/** A webhook of the history. */
export interface WebhookPlan {
  readonly url: string
  readonly tenant: 0 | 1
  readonly eventTypes: ReadonlyArray<string>
  readonly settings: Partial<typeof WebhookSettings.Encoded>
  readonly receiver: ReceiverPlan
  /** When it is registered, from the beginning of the history in milliseconds. */
  readonly at: number
}

/** What happens at a time. */
export interface Step {
  /** From the beginning of the history, in milliseconds. */
  readonly at: number
  /** How often, at the same time. */
  readonly crowd: number
  readonly does:
    | "publish"
    | Exclude<
        Kind,
        | "storeErrors"
        | "storeRefusals"
        | "unknownCommits"
        | "latency"
        | "receiverFaults"
        | (typeof laterKinds)[number]
      >
}

/** A whole history. */
export interface Plan {
  readonly seed: number
  readonly spanMs: number
  readonly enabled: ReadonlySet<Kind>
  readonly webhooks: ReadonlyArray<WebhookPlan>
  readonly steps: ReadonlyArray<Step>
  /** Engines that may run, one after another. */
  readonly enginesMax: number
  /** Faults that may be planted, at most. */
  readonly faultsMax: number
  readonly options: EngineOptions
}

const minute = 60_000
const hour = 60 * minute
/** Longer than any history. */
const never = 1_000 * hour

/** Makes the plan of a seed. */
export const make = (seed: number): Plan => {
  const prng = Prng.make(seed, "plan")
  const { chance, int, pick } = prng
  const enabled = new Set<Kind>(kinds.filter(() => chance(35)))
  const later = Prng.make(seed, "later kinds")
  for (const kind of laterKinds) if (later.chance(35)) enabled.add(kind)
  const spanMs = pick([10 * minute, hour, 6 * hour, 24 * hour, 80 * hour]) + int(0, 10 * minute)
  // Looking around often makes days long, and finds no more in them.
  const isLong = spanMs > 2 * hour
  const at = () => Math.floor(prng.next() * spanMs)
  const webhooks = Array.from({ length: chance(30) ? 1 : int(1, 20) }, (_, i) =>
    webhookOf(prng, i, spanMs, enabled)
  )
  const steps: Array<Step> = []
  const messages = chance(20) ? int(50, 200) : int(1, 50)
  for (let made = 0; made < messages;) {
    // Some come alone and some in a crowd, faster than they can be sent.
    const crowd = Math.min(chance(30) ? int(2, 40) : 1, messages - made)
    steps.push({ at: at(), does: "publish", crowd })
    made += crowd
  }
  const often: Partial<Record<Kind, number>> = { cancel: 8, redeliver: 8, pause: 4, storeDown: 2 }
  for (const does of timed) {
    if (!enabled.has(does)) continue
    for (let i = int(1, often[does] ?? 3); i > 0; i--) steps.push({ at: at(), does, crowd: 1 })
  }
  return {
    seed,
    spanMs,
    enabled,
    webhooks,
    steps: steps.sort((a, b) => a.at - b.at),
    enginesMax: int(1, 4),
    faultsMax: int(0, 30),
    options: {
      operations: { lookMs: isLong ? hour : 5 * minute },
      publisher: { pendingMax: pick([5, 100, 10_000]) },
      redeliveries: { perSecond: pick([1, 10, 500]), stepMax: pick([1, 3, 100]) },
      settler: {
        rowsMax: pick([1, 2, 200]),
        inFlightMax: pick([1, 2]),
        pendingMax: pick([50, 4_096]),
        successEveryMs: pick([0, 1_000, hour])
      },
      lanes: {
        mailboxMax: pick([1, 3, 20, 1_000]),
        refillMax: pick([1, 2, 10, 200]),
        unsettledMax: pick([1, 3, 256]),
        inFlightMax: pick([1, 4, 512]),
        heldMax: pick([3, 30, 20_000]),
        idleMs: pick([100, 5_000, minute]),
        drainMs: pick([0, 5_000, 20_000]),
        // Only what a lost answer left behind may have to wait for the sweep.
        sweepMs: !enabled.has("unknownCommits") ? never : isLong ? hour : 10 * minute
      }
    }
  }
}

const timed = [
  "crash",
  "stop",
  "zombie",
  "freeze",
  "jump",
  "storeDown",
  "pause",
  "rotate",
  "edit",
  "delete",
  "cancel",
  "redeliver",
  "job",
  "hold",
  "retention"
] as const satisfies ReadonlyArray<Kind>

const webhookOf = (
  prng: Prng.Prng,
  i: number,
  spanMs: number,
  enabled: ReadonlySet<Kind>
): WebhookPlan => {
  const { chance, int, pick } = prng
  const faulty = enabled.has("receiverFaults")
  const away: Array<readonly [number, number]> = []
  for (let n = faulty && chance(50) ? int(1, 3) : 0; n > 0; n--) {
    const from = Math.floor(prng.next() * spanMs)
    away.push([from, from + int(1, chance(50) ? 10 * minute : spanMs)])
  }
  return {
    url: `https://receiver-${i}.example/hook`,
    tenant: chance(80) ? 0 : 1,
    eventTypes: chance(60) ? [] : [pick(["a.*", "a.b", "b.c", "*"])],
    at: chance(70) ? 0 : Math.floor(prng.next() * spanMs * 0.8),
    receiver: {
      failing: faulty && chance(50) ? int(1, 90) : 0,
      away,
      delayMsMax: pick([0, 50, 2_000, 20_000]),
      leaves: faulty && chance(10)
    },
    settings: {
      timeoutMs: pick([1_000, 15_000]),
      retry: pick([
        "standard",
        "quick",
        "jittered",
        "steps",
        { kind: "table", delaysMs: [1_000, 5_000, minute], jitter: pick([0, 0.5]) },
        { kind: "exponential", baseMs: 500, factor: 3, capMs: hour, jitter: 0.2, attemptsMax: 8 }
      ]),
      clientErrors: pick(["retry", "permanent"]),
      onFailure: chance(15) ? { status_5xx: pick(["exhaust", "pause", "disable"]) } : {},
      concurrency: pick([1, 2, 10]),
      rate: chance(80) ? null : { limit: int(1, 5), perMs: pick([1_000, 30_000]) },
      circuit: {
        failures: pick([1, 3, 5, 100]),
        openMs: pick([1_000, 30_000]),
        openMsMax: 300_000
      },
      disableAfter: pick([
        {},
        { failures: int(3, 30) },
        { durationMs: int(1, 48) * hour }
      ] as const),
      ordering: pick([
        "none",
        "none",
        "none",
        "key",
        { by: "key", onExhausted: "park" },
        { by: "key", onExhausted: "block" }
      ])
    }
  }
}
