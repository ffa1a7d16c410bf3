/**
 * Reads the whole store and holds it against what is promised: at quiet points, and when all is healed
 * and nothing is left to do.
 */
import { resolve } from "../../src/domain/RetryPolicy.ts"
import type { DeliveryId } from "../../src/domain/TypeId.ts"
import { askedMs } from "./Oracle.ts"
import { isOpen, stateOf, webhookOf, type World } from "./World.ts"

/** What holds at any time. */
export const always = (world: World): void => {
  conserved(world)
  kept(world)
  numbered(world)
  delivered(world)
  due(world)
}

/** When an open delivery has to be sent, from and until, epoch milliseconds. */
export interface Deadline {
  readonly from: number
  readonly until: number
}

/** What holds once all was healed and had time to end; `due` says by when what was open had to be sent. */
export const atTheEnd = (world: World, due: ReadonlyMap<DeliveryId, Deadline>): void => {
  const { notices, owed, redeliveries, waiting } = world.tables
  for (const id of [...owed.keys(), ...waiting.keys()]) {
    const receiver = world.receivers.find((one) => one.id === world.deliveries.get(id)?.webhookId)
    world.violated(
      "INV-14",
      `${id} is ${stateOf(world, id).join()} for receiver ${receiver?.index}`
    )
  }
  for (const { job } of redeliveries.values()) {
    if (job.finishedAt === null) world.violated("INV-14", `${job.id} is ${job.state}`)
  }
  if (notices.size > 0) world.violated("INV-14", `${notices.size} notices are not published`)
  for (const [id, { from, until }] of due) {
    const first = world.requests.find(
      (made) => made.deliveryId === id && made.startedAt >= from && made.excuse === null
    )
    if (first !== undefined && first.startedAt > until) {
      const late = ((first.startedAt - until) / 1_000).toFixed(0)
      world.violated("INV-14", `${id} was sent ${late} s later than it had to be`)
    }
  }
  for (const { answeredAt, deliveryId, excuse, node, number, recorded } of world.requests) {
    if (answeredAt === null || recorded || excuse !== null || node.state === "dead") continue
    world.violated("INV-04", `${deliveryId}#${number} was answered and is not written down`)
  }
}

/** Every delivery of a message is in exactly one state. */
const conserved = (world: World): void => {
  const { messages } = world.tables
  const counts = new Map<string, number>()
  for (const { id, messageId } of world.deliveries.values()) {
    if (!messages.has(messageId)) continue
    counts.set(messageId, (counts.get(messageId) ?? 0) + 1)
    const states = stateOf(world, id)
    if (states.length !== 1)
      world.violated("INV-02", `${id} is ${states.join(" and ") || "nowhere"}`)
  }
  for (const { fanOut, id } of messages.values()) {
    const owed = counts.get(id) ?? 0
    if (owed !== fanOut) world.violated("INV-15", `${id} is owed to ${owed} of ${fanOut}`)
  }
}

/** What was answered is kept, until all of it was settled for as long as messages are kept. */
const kept = (world: World): void => {
  const { attempts, cancelled, messages } = world.tables
  for (const { id } of world.published.values()) {
    if (messages.has(id)) continue
    for (const known of world.deliveries.values()) {
      if (known.messageId !== id) continue
      if (known.finalAt > world.now() - keptMs) {
        world.violated("INV-01", `${id} is gone, ${known.id} was not settled for long`)
      }
      if (attempts.has(known.id) || cancelled.has(known.id) || isOpen(world, known.id)) {
        world.violated("INV-15", `${known.id} outlives its message`)
      }
    }
  }
}

const keptMs = 4 * 86_400_000

/** Attempts are numbered from 1, without gaps. */
const numbered = (world: World): void => {
  for (const [id, attempts] of world.tables.attempts) {
    attempts.forEach(({ number }, i) => {
      if (number !== i + 1) world.violated("INV-05", `${id} has attempt ${number} as its ${i + 1}.`)
    })
  }
}

/** What is delivered was answered with 2xx. */
const delivered = (world: World): void => {
  for (const [id, attempts] of world.tables.attempts) {
    for (const { number, settled } of attempts) {
      if (settled !== "delivered") continue
      const isAnswered = world.requests.some(
        ({ answer, deliveryId, number: sent }) =>
          deliveryId === id &&
          sent === number &&
          "status" in answer &&
          answer.status >= 200 &&
          answer.status < 300
      )
      if (!isAnswered) world.violated("INV-03", `${id}#${number} was never answered with 2xx`)
    }
  }
}

/** What waits has a time that its retries can lead to. */
const due = (world: World): void => {
  for (const [id, { attempts, dueAt, webhookId }] of world.tables.waiting) {
    const webhook = world.tables.webhooks.get(webhookId)
    if (webhook === undefined || attempts === 0) continue
    const policy = resolve(webhook.settings.retry)
    const most = policy.kind === "table" ? Math.max(...policy.delaysMs, 0) : policy.capMs
    const latest = world.now() + Math.max(most * (1 + policy.jitter), 86_400_000, 60_000)
    if (dueAt > latest) world.violated("INV-02", `${id} waits for ${dueAt - world.now()} ms`)
  }
}

/**
 * Says by when each open delivery has to be sent, if all is well from now on: when it is due and its
 * webhook lets it, and as long after that as the sweep, a probe and the pace of the webhook take.
 */
export const deadlines = (world: World): ReadonlyMap<DeliveryId, Deadline> => {
  const now = world.now()
  const found = new Map<DeliveryId, Deadline>()
  for (const receiver of world.receivers) {
    const webhook = webhookOf(world, receiver)
    if (webhook === undefined) continue
    const open = [...world.deliveries.values()].filter(
      ({ id, webhookId }) => webhookId === webhook.id && isOpen(world, id)
    )
    const { circuitOpenUntil, throttledUntil } = webhook.health
    const { rate } = webhook.settings
    const paceMs = rate === null ? 0 : (open.length / rate.limit + 2) * rate.perMs
    // The store may have refused to write down what a receiver asked for.
    const asked = world.requests.filter(
      (made) => made.receiver === receiver && made.excuse !== null
    )
    const askedUntil = asked.map((made) => (made.answeredAt ?? 0) + askedMs(made))
    const opensAt = Math.max(now, circuitOpenUntil ?? 0, throttledUntil ?? 0, ...askedUntil)
    const dueAt = (id: DeliveryId) => world.tables.waiting.get(id)?.dueAt ?? now
    const blocked = [...world.tables.blocked.values()].filter(
      ({ webhookId }) => webhookId === webhook.id
    )
    for (const { id, orderingKey } of open) {
      if (blocked.some((row) => row.orderingKey === orderingKey)) continue
      const before = open.filter(
        (other) => orderingKey !== null && other.orderingKey === orderingKey
      )
      const latest = Math.max(dueAt(id), ...before.map((other) => dueAt(other.id)))
      const until = Math.max(latest, opensAt) + slackMs(world) + paceMs
      found.set(id, { from: now, until })
    }
  }
  return found
}

/** As long as the sweep may take to come by where it is needed, and two minutes for waits of a lane. */
const slackMs = ({ plan }: World): number =>
  (plan.enabled.has("unknownCommits") ? (plan.options.lanes?.sweepMs ?? 600_000) : 600_000) +
  120_000
