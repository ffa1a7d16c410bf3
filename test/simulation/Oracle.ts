/**
 * Holds every request and every write against what is promised, at the moment it happens.
 *
 * It knows the rules by itself, from what webhooks are set to and what receivers answered, and asks
 * the engine for none of them.
 */
import { Exit } from "effect"
import { resolve } from "../../src/domain/RetryPolicy.ts"
import type { DeliveryId } from "../../src/domain/TypeId.ts"
import type { Webhook, WebhookSettings } from "../../src/domain/Webhook.ts"
import type { HttpRequest } from "../../src/send/HttpSender.ts"
import type { Settlement } from "../../src/store/DeliveryLog.ts"
import type { InsertResult, NewMessage } from "../../src/store/MessageRepo.ts"
import type { Answer } from "../../src/testing/TestSender.ts"
import { verify } from "../../src/verify.ts"
import { isStale, type Node } from "./Node.ts"
import { answerOf } from "./Receivers.ts"
import {
  isOpen,
  type Known,
  pairOf,
  type Receiver,
  type Request,
  stateOf,
  webhookOf,
  type World
} from "./World.ts"

/** Notes what a commit of messages made. */
export const inserted = (
  world: World,
  node: Node,
  rows: ReadonlyArray<NewMessage>,
  results: ReadonlyArray<InsertResult>
): void => {
  if (isStale(world, node)) {
    world.violated("INV-06", `n${node.number} accepted after another took over`)
  }
  rows.forEach(({ deliveries, message }, i) => {
    if (results[i]?._tag !== "Inserted") return
    for (const { id, orderingKey, webhookId } of deliveries) {
      const known: Known = {
        id,
        messageId: message.id,
        tenantId: message.tenantId,
        webhookId,
        orderingKey: orderingKey ?? null,
        round: 0,
        tries: 0,
        recorded: new Set(),
        cancelled: false,
        finalAt: Infinity
      }
      world.deliveries.set(id, known)
      world.byPair.set(pairOf(message.id, webhookId), known)
    }
  })
}

/** Notes that a delivery was cancelled. */
export const cancelled = (world: World, id: DeliveryId): void => {
  const known = world.deliveries.get(id)
  if (known === undefined) return
  known.cancelled = true
  known.finalAt = world.now()
}

/** Notes what ended with a call that may end many. */
export const swept = (world: World): void => {
  for (const known of world.deliveries.values()) {
    if (known.finalAt === Infinity && !isOpen(world, known.id)) known.finalAt = world.now()
  }
}

/** Notes that a delivery was redelivered. */
export const reopened = (world: World, id: DeliveryId): void => {
  const known = world.deliveries.get(id)
  if (known === undefined) return
  known.round++
  known.tries = 0
  known.cancelled = false
  known.finalAt = Infinity
}

/** Lists the deliveries that are final. */
export const finals = (world: World): ReadonlyArray<DeliveryId> =>
  [...world.deliveries.keys()].filter((id) => !isOpen(world, id))

/** Notes which of those that were final are open now. */
export const reopenedOf = (world: World, ids: ReadonlyArray<DeliveryId>): void => {
  for (const id of ids) if (isOpen(world, id)) reopened(world, id)
}

/** Holds a request that begins against what is promised, and has it answered. */
export const begun = (
  world: World,
  node: Node,
  receiver: Receiver,
  known: Known,
  request: HttpRequest,
  wasFrozen: boolean
): Request => {
  const now = world.now()
  const webhook = webhookOf(world, receiver)
  const name = `${known.id} to receiver ${receiver.index} by n${node.number}`
  const bad = (invariant: string, what: string) => world.violated(invariant, `${name}: ${what}`)
  // What a process was about to do when it was frozen, it does when it is thawed.
  if (!isStale(world, node) && !wasFrozen) {
    if (!isOpen(world, known.id) && webhook !== undefined) {
      bad("INV-04", `sent while ${stateOf(world, known.id).join() || "nowhere"}`)
    }
    stopped(world, receiver, webhook, bad)
    timely(world, known, now, bad)
    numbered(world, known, request, bad)
    paced(world, node, receiver, webhook, known, now, bad)
    ordered(world, node, known, webhook, bad)
  }
  if (!wasFrozen) authentic(world, node, receiver, known, request, now, bad)

  const answer = answerOf(world, receiver, request)
  world.answers.set(request.headers, answer)
  world.tell(`n${node.number} sends ${name} ${JSON.stringify(answer)}`)
  node.inFlight.set(known.id, (node.inFlight.get(known.id) ?? 0) + 1)
  node.inFlight.set(receiver.url, (node.inFlight.get(receiver.url) ?? 0) + 1)
  node.inFlightAll++
  const made: Request = {
    node,
    deliveryId: known.id,
    receiver,
    startedAt: now,
    number: Number(request.headers["posthaste-attempt"]),
    round: known.round,
    answer,
    wasFrozen,
    answeredAt: null,
    recorded: false,
    excuse: isNotSent(answer) ? "not sent" : null
  }
  world.requests.push(made)
  return made
}

/** Notes that a receiver is done with a request. */
export const ended = (_: World, { deliveryId, node, receiver }: Request): void => {
  for (const key of [deliveryId, receiver.url]) {
    node.inFlight.set(key, (node.inFlight.get(key) ?? 1) - 1)
  }
  node.inFlightAll--
}

type Bad = (invariant: string, what: string) => void

/** Nothing goes to a webhook that is stopped, deleted or held. */
const stopped = (world: World, receiver: Receiver, webhook: Webhook | undefined, bad: Bad) => {
  const now = world.now()
  const { deletedBy, stoppedSince } = receiver
  if (deletedBy < now) bad("INV-11", `sent after it was deleted`)
  if (stoppedSince < now && !receiver.unsure.has("status")) bad("INV-11", `sent while paused`)
  if (world.heldSince < now && !world.holdUnsure) bad("INV-11", "sent while all is held")
  if (webhook === undefined) return
  const since = world.engineStopped.get(webhook.id)
  if (since !== undefined && since < now && webhook.status !== "enabled") {
    bad("INV-11", `sent while ${webhook.status} by the engine`)
  }
  const { circuitOpenUntil, throttledUntil } = webhook.health
  if (receiver.unsure.has("status")) return
  if (circuitOpenUntil !== null && circuitOpenUntil > now) bad("CIRCUIT", "sent while it is open")
  if (throttledUntil !== null && throttledUntil > now) bad("RETRY-AFTER", "sent while throttled")
}

/** Nothing goes out before its time, or after it. */
const timely = ({ tables }: World, { id, messageId, round }: Known, now: number, bad: Bad) => {
  const message = tables.messages.get(messageId)
  if (message === undefined) return bad("INV-01", "its message is gone")
  if (message.expiresAt !== null && message.expiresAt <= now) bad("EXPIRY", "sent after it expired")
  // Whoever has it delivered again has it delivered now.
  const { deliverAt } = message
  if (deliverAt !== null && deliverAt > now && round === 0) bad("DELIVER-AT", "sent too early")
  const row = tables.waiting.get(id)
  if (row !== undefined && row.attempts > 0 && row.dueAt > now)
    bad("INV-05", "sent before it is due")
}

/** Attempts are counted without gaps. */
const numbered = (world: World, known: Known, { headers }: HttpRequest, bad: Bad) => {
  const { attempts, waiting } = world.tables
  const last = attempts.get(known.id)?.at(-1)?.number ?? 0
  const made = Math.max(last, waiting.get(known.id)?.attempts ?? 0)
  if (headers["posthaste-attempt"] !== String(made + 1)) {
    bad("INV-05", `attempt ${headers["posthaste-attempt"]} after ${made}`)
  }
}

/** No bound on what is under way is passed, and no pace. */
const paced = (
  world: World,
  node: Node,
  receiver: Receiver,
  webhook: Webhook | undefined,
  known: Known,
  now: number,
  bad: Bad
) => {
  if ((node.inFlight.get(known.id) ?? 0) > 0) bad("INV-06", "is under way already")
  if (node.inFlightAll >= (world.plan.options.lanes?.inFlightMax ?? 512)) {
    bad("INV-12", "more attempts at once than are allowed")
  }
  if (webhook === undefined) return
  const { concurrency, rate } = webhook.settings
  const lowered = world.plan.enabled.has("edit")
  if (!lowered && (node.inFlight.get(receiver.url) ?? 0) >= concurrency) {
    bad("INV-12", "more attempts of the webhook at once than are allowed")
  }
  if (rate === null) return
  const recent = world.requests.filter(
    (made) =>
      made.node === node &&
      made.receiver === receiver &&
      made.startedAt > now - rate.perMs &&
      !made.wasFrozen &&
      !isNotSent(made.answer)
  )
  if (recent.length >= rate.limit) bad("RATE", `${recent.length + 1} within ${rate.perMs} ms`)
}

/** Of one ordering key one goes at a time, and none before an earlier one. */
const ordered = (
  world: World,
  node: Node,
  known: Known,
  webhook: Webhook | undefined,
  bad: Bad
) => {
  if (known.orderingKey === null || webhook === undefined) return
  const { blocked } = world.tables
  for (const other of world.deliveries.values()) {
    if (other.webhookId !== known.webhookId || other.orderingKey !== known.orderingKey) continue
    if (other.id === known.id) continue
    if ((node.inFlight.get(other.id) ?? 0) > 0) bad("INV-07", `${other.id} of its key is under way`)
    // One that was redelivered may be overtaken by what was on its way already.
    if (other.id > known.id || other.round > 0) continue
    if (isOpen(world, other.id)) bad("INV-07", `${other.id} of its key comes before it`)
    if (blocked.has(other.id) && known.round === 0) bad("INV-07", `${other.id} blocks its key`)
  }
}

/** What arrives is what was accepted, signed now and by every secret that signs. */
const authentic = (
  world: World,
  node: Node,
  receiver: Receiver,
  known: Known,
  request: HttpRequest,
  now: number,
  bad: Bad
) => {
  const message = world.tables.messages.get(known.messageId)
  if (message === undefined) return
  if (message.tenantId !== receiver.tenantId) bad("INV-10", "belongs to another tenant")
  const body = request.body ?? new Uint8Array()
  if (Buffer.compare(body, message.body) !== 0) bad("INV-09", "other bytes than were accepted")
  const published = world.published.get(known.messageId)
  if (published !== undefined) {
    const { data } = JSON.parse(Buffer.from(body).toString())
    if (JSON.stringify(data) !== JSON.stringify(published.data)) bad("INV-09", "other data")
  }
  const check = (secret: string | ReadonlyArray<string>) =>
    verify({
      secret,
      headers: request.headers,
      body,
      nowSeconds: Math.floor(now / 1_000),
      toleranceSeconds: 5
    })
  const { secrets } = receiver
  const any = check(secrets.map(({ text }) => text))
  if (!any.ok) return bad("INV-09", `the signature is not right: ${any.reason}`)
  // What was changed since another process took over, one that wakes learns too late.
  if (isStale(world, node)) return
  if (!receiver.unsure.has("url") && request.url.href !== receiver.url) {
    bad("INV-11", `sent to ${request.url.href}, not ${receiver.url}`)
  }
  if (receiver.unsure.has("secret")) return
  for (const { from, text, until } of secrets) {
    if (from < now && until > now && !check(text).ok) bad("INV-09", "a secret did not sign")
  }
}

/** Holds settlements against what receivers answered, before they are written. */
export const settling = (world: World, node: Node, batch: ReadonlyArray<Settlement>): void => {
  if (isStale(world, node)) return
  for (const settlement of batch) {
    const { attempt } = settlement
    const made = requestOf(world, node, settlement)
    const bad: Bad = (invariant, what) =>
      world.violated(invariant, `${attempt.deliveryId}#${attempt.number}: ${what}`)
    if (attempt.class === "blocked") continue
    if (made === undefined) {
      bad("INV-04", "is written down but was never sent")
      continue
    }
    const known = world.deliveries.get(attempt.deliveryId)
    const webhook = world.tables.webhooks.get(attempt.webhookId)
    if (known === undefined || webhook === undefined || made.round !== known.round) continue
    if (known.recorded.has(attempt.number) || known.cancelled) continue
    if (settlement.tries !== known.tries + 1) {
      bad("INV-05", `is try ${settlement.tries} after ${known.tries}`)
    }
    const expiry = world.tables.messages.get(known.messageId)?.expiresAt ?? Infinity
    decided(settlement, made, webhook.settings, expiry, world.now(), bad)
  }
}

/** What follows from an answer is what the webhook is set to. */
const decided = (
  { attempt, tries }: Settlement,
  made: Request,
  settings: WebhookSettings,
  expiry: number,
  now: number,
  bad: Bad
) => {
  const { answer } = made
  const status = statusOf(answer, made)
  const isDelivered = status !== null && status >= 200 && status < 300
  if (isDelivered !== (attempt.settled === "delivered")) {
    return bad("INV-03", `${JSON.stringify(answer)} is written as ${attempt.settled}`)
  }
  if (isDelivered) return
  const isFinal =
    status === 410 ||
    (status === 404 && settings.clientErrors === "permanent") ||
    (status !== null &&
      status >= 500 &&
      ["exhaust", "disable"].includes(settings.onFailure.status_5xx ?? ""))
  const policy = resolve(settings.retry)
  const delayMs =
    policy.kind === "table"
      ? policy.delaysMs[tries - 1]
      : tries < policy.attemptsMax
        ? Math.min(policy.capMs, policy.baseMs * policy.factor ** (tries - 1))
        : undefined
  if (isFinal || delayMs === undefined) {
    if (attempt.settled !== "exhausted") bad("INV-05", "goes on, though it is over")
    return
  }
  if (attempt.settled !== null || attempt.nextAt === null) return bad("INV-05", "ends too early")
  // Decided after it was answered, when the clock may have been put forward since.
  const from = made.answeredAt ?? attempt.startedAt
  const asked = askedMs(made)
  // What has expired by then is looked at when it expires.
  const least = Math.min(from + Math.max(delayMs * (1 - policy.jitter), asked), expiry)
  const most = Math.min(now + Math.max(delayMs * (1 + policy.jitter), asked), expiry)
  if (attempt.nextAt < Math.floor(least) - 1 || attempt.nextAt > Math.ceil(most) + 1) {
    const waits = [attempt.nextAt, least, most].map((at) => at - from)
    bad("INV-05", `waits ${waits[0]} ms, expected ${waits[1]} to ${waits[2]}`)
  }
}

/** Notes what was written. */
export const settled = (
  world: World,
  node: Node,
  batch: ReadonlyArray<Settlement>,
  exit: Exit.Exit<void, unknown>
): void => {
  if (isStale(world, node)) {
    if (Exit.isSuccess(exit))
      world.violated("INV-06", `n${node.number} wrote after another took over`)
    for (const settlement of batch) {
      const made = requestOf(world, node, settlement)
      if (made !== undefined) made.excuse = "fenced"
    }
    return
  }
  if (Exit.isFailure(exit)) return
  for (const settlement of batch) {
    const { attempt } = settlement
    const { attempts, webhooks } = world.tables
    const written = attempts
      .get(attempt.deliveryId)
      ?.some(({ number }) => number === attempt.number)
    if (written !== true)
      world.violated("INV-04", `${attempt.deliveryId}#${attempt.number} is lost`)
    const made = requestOf(world, node, settlement)
    if (made !== undefined) made.recorded = true
    const known = world.deliveries.get(attempt.deliveryId)
    if (known === undefined) continue
    if (!known.recorded.has(attempt.number) && isOfRound(made, known, settlement)) known.tries++
    known.recorded.add(attempt.number)
    if (!isOpen(world, known.id)) known.finalAt = Math.min(known.finalAt, world.now())
    const webhook = webhooks.get(attempt.webhookId)
    if (webhook?.status === "enabled") world.engineStopped.delete(attempt.webhookId)
  }
}

/**
 * Tells whether an attempt counts for the present round. A first try that was under way when its
 * delivery was cancelled and redelivered is the first of the new round: no row tells them apart.
 */
const isOfRound = (made: Request | undefined, { round, tries }: Known, settled: Settlement) =>
  made !== undefined && (made.round === round || (settled.tries === 1 && tries === 0))

/** Notes that the engine knows of its settlements. */
export const answered = (world: World, node: Node, batch: ReadonlyArray<Settlement>): void => {
  if (isStale(world, node)) return
  for (const { attempt, stop } of batch) {
    const webhook = world.tables.webhooks.get(attempt.webhookId)
    if (stop === null || webhook === undefined || webhook.status === "enabled") continue
    if (!world.engineStopped.has(webhook.id)) world.engineStopped.set(webhook.id, world.now())
  }
}

/** Notes that the store refused settlements for good: they need not be written. */
export const refused = (world: World, node: Node, batch: ReadonlyArray<Settlement>): void => {
  for (const settlement of batch) {
    const made = requestOf(world, node, settlement)
    if (made !== undefined) made.excuse = "refused by the store"
  }
}

const requestOf = (world: World, node: Node, { attempt }: Settlement): Request | undefined =>
  world.requests.findLast(
    (made) =>
      made.node === node &&
      made.deliveryId === attempt.deliveryId &&
      made.number === attempt.number &&
      !isNotSent(made.answer)
  )

const isNotSent = (answer: Answer): boolean =>
  "fault" in answer && (answer.fault === "proxy" || answer.fault === "crowd")

/** The status that arrived in time. */
const statusOf = (answer: Answer, { receiver }: Pick<Request, "receiver">): number | null =>
  "status" in answer && (answer.delayMs ?? 0) <= (receiver.plan.settings.timeoutMs ?? 15_000)
    ? answer.status
    : null

/** How long the receiver of a request asks to be left alone, in milliseconds. */
export const askedMs = ({ answer, ...made }: Request): number =>
  "status" in answer && statusOf(answer, made) !== null
    ? Math.min(Number(answer.headers?.["retry-after"] ?? 0) * 1_000, 86_400_000)
    : 0
