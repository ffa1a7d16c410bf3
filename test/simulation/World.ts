/**
 * The world of a history: its clock, its one store, its engines one after another, what clients were
 * answered, what receivers got, and what of that breaks a promise.
 *
 * It is plain state: ports, clients and checks write it and read it.
 */
import type { HttpRequest } from "../../src/send/HttpSender.ts"
import type { MemoryTables } from "../../src/store/MemoryTables.ts"
import type { DeliveryId, MessageId, TenantId, WebhookId } from "../../src/domain/TypeId.ts"
import type { Webhook } from "../../src/domain/Webhook.ts"
import type { Answer } from "../../src/testing/TestSender.ts"
import type { Node } from "./Node.ts"
import type { Plan, WebhookPlan } from "./Plan.ts"
import * as Prng from "./Prng.ts"

/** A request that a receiver got. */
export interface Request {
  readonly node: Node
  readonly deliveryId: DeliveryId
  readonly receiver: Receiver
  readonly startedAt: number
  /** What the request says that it is. */
  readonly number: number
  /** The delivery's round: how often it had been redelivered. */
  readonly round: number
  readonly answer: Answer
  /** It was to begin when its process was frozen, and began when that was thawed. */
  readonly wasFrozen: boolean
  answeredAt: number | null
  recorded: boolean
  /** Why it need not be written down, such as a store that refused it for good. */
  excuse: string | null
}

/** A secret of a webhook, and until when it must sign. */
export interface KnownSecret {
  readonly text: string
  readonly from: number
  until: number
}

/** A webhook as its owner knows it. */
export interface Receiver {
  readonly index: number
  readonly plan: WebhookPlan
  readonly prng: Prng.Prng
  id: WebhookId | null
  tenantId: TenantId | null
  url: string
  /** When its registration was begun and answered. */
  createdFrom: number
  createdBy: number
  deletedFrom: number
  deletedBy: number
  /** Since when its owner knows it to be stopped: paused, answered and not resumed. */
  stoppedSince: number
  secrets: Array<KnownSecret>
  /** What nobody knows, because an answer was lost: "url", "status", "secret". */
  readonly unsure: Set<"url" | "status" | "secret">
  left: boolean
}

/** A message as its publisher knows it. */
export interface Published {
  readonly id: MessageId
  readonly tenantId: TenantId
  readonly data: unknown
  readonly raw: boolean
  /** Null for one that was never answered. */
  readonly ackedAt: number | null
}

/** What is known of a delivery beside the store. */
export interface Known {
  readonly id: DeliveryId
  readonly messageId: MessageId
  readonly tenantId: TenantId
  readonly webhookId: WebhookId
  readonly orderingKey: string | null
  round: number
  tries: number
  readonly recorded: Set<number>
  /** Someone cancelled it and was not answered, or while an attempt was under way. */
  cancelled: boolean
  /** When the history saw it final, epoch milliseconds. */
  finalAt: number
}

export interface World {
  readonly plan: Plan
  readonly tables: MemoryTables["Service"]
  readonly now: () => number
  /** Milliseconds by which the clock on the wall was put forward. */
  offset: number
  readonly faults: Prng.Prng
  faultsLeft: number
  healed: boolean
  /** Epoch milliseconds. */
  healedAt: number
  storeDownUntil: number
  current: Node | null
  readonly nodes: Array<Node>
  readonly receivers: ReadonlyArray<Receiver>
  readonly requests: Array<Request>
  /** What requests are answered, by their headers. */
  readonly answers: WeakMap<HttpRequest["headers"], Answer>
  readonly deliveries: Map<DeliveryId, Known>
  /** By message and webhook. */
  readonly byPair: Map<string, Known>
  readonly published: Map<MessageId, Published>
  /** By tenant and idempotency key: what was asked for and which message that is. */
  readonly keys: Map<string, { readonly asked: string; readonly id: MessageId | null }>
  /** Calls about one thing: how many there were, and how many are open. */
  readonly calling: Map<string, { readonly number: number; readonly open: number }>
  heldSince: number
  holdUnsure: boolean
  /** Webhooks whose stopping by the engine is in the store, and since when an engine knows it. */
  readonly engineStopped: Map<WebhookId, number>
  readonly violations: Array<string>
  readonly lines: Array<string>
  hash: number
  calls: number
  readonly tell: (line: string) => void
  readonly violated: (invariant: string, what: string) => void
}

/** When every history begins, epoch milliseconds. */
export const beganAt = Date.UTC(2026, 0, 1)

/** Makes the world of a plan. */
export const make = (
  plan: Plan,
  tables: MemoryTables["Service"],
  clock: () => number,
  keepsLines: boolean
): World => {
  const world: World = {
    plan,
    tables,
    now: () => clock() + world.offset,
    offset: 0,
    faults: Prng.make(plan.seed, "faults"),
    faultsLeft: plan.faultsMax,
    healed: false,
    healedAt: Infinity,
    storeDownUntil: 0,
    current: null,
    nodes: [],
    receivers: plan.webhooks.map((webhook, index) => ({
      index,
      plan: webhook,
      prng: Prng.make(plan.seed, `receiver ${index}`),
      id: null,
      tenantId: null,
      url: webhook.url,
      createdFrom: Infinity,
      createdBy: Infinity,
      deletedFrom: Infinity,
      deletedBy: Infinity,
      stoppedSince: Infinity,
      secrets: [],
      unsure: new Set(),
      left: false
    })),
    requests: [],
    answers: new WeakMap(),
    deliveries: new Map(),
    byPair: new Map(),
    published: new Map(),
    keys: new Map(),
    calling: new Map(),
    heldSince: Infinity,
    holdUnsure: false,
    engineStopped: new Map(),
    violations: [],
    lines: [],
    hash: 0x811c9dc5,
    calls: 0,
    tell: (text) => {
      const line = `${((world.now() - beganAt) / 1_000).toFixed(3)} ${text}`
      for (let i = 0; i < line.length; i++) {
        world.hash = Math.imul(world.hash ^ line.charCodeAt(i), 0x01000193)
      }
      if (keepsLines) world.lines.push(line)
    },
    violated: (invariant, what) => {
      world.tell(`VIOLATED ${invariant} ${what}`)
      if (world.violations.length < 20) world.violations.push(`${invariant}: ${what}`)
    }
  }
  return world
}

/** Finds the webhook that a request goes to. */
export const receiverOf = (world: World, request: HttpRequest): Receiver | undefined =>
  world.receivers[Number(/^receiver-(\d+)\./.exec(request.url.hostname)?.[1] ?? -1)]

/** Names the pair of a message and a webhook. */
export const pairOf = (messageId: string, webhookId: string): string => `${messageId}/${webhookId}`

/** The state in which the store has a delivery. */
export const stateOf = (
  { tables }: Pick<World, "tables">,
  id: DeliveryId
): ReadonlyArray<"owed" | "waiting" | "cancelled" | "delivered" | "exhausted"> => [
  ...(tables.owed.has(id) ? ["owed" as const] : []),
  ...(tables.waiting.has(id) ? ["waiting" as const] : []),
  ...(tables.cancelled.has(id) ? ["cancelled" as const] : []),
  ...(tables.attempts.get(id) ?? []).flatMap(({ settled }) => (settled === null ? [] : [settled]))
]

/** Tells whether the store has a delivery open. */
export const isOpen = ({ tables }: Pick<World, "tables">, id: DeliveryId): boolean =>
  tables.owed.has(id) || tables.waiting.has(id)

/** The webhook of a receiver as the store has it. */
export const webhookOf = ({ tables }: World, { id }: Receiver): Webhook | undefined =>
  id === null ? undefined : tables.webhooks.get(id)
