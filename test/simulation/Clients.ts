/**
 * What clients ask of the engine that runs, and what they remember of its answers.
 *
 * A client knows three things of a call: it was answered, it was refused, or nobody knows. What nobody
 * knows is held against nothing.
 */
import { Effect, Exit, Option, Redacted, Schema } from "effect"
import { encode } from "../../src/domain/Secret.ts"
import type { TenantId } from "../../src/domain/TypeId.ts"
import { fieldsOf, WebhookSettings } from "../../src/domain/Webhook.ts"
import { wants } from "../../src/domain/EventType.ts"
import type { Draft } from "../../src/publish/Draft.ts"
import { Publisher } from "../../src/publish/Publisher.ts"
import { Lanes } from "../../src/send/Lanes.ts"
import { Redeliveries } from "../../src/send/Redeliveries.ts"
import { HoldRepo } from "../../src/store/HoldRepo.ts"
import { Ids } from "../../src/store/Ids.ts"
import { StoreError } from "../../src/store/StoreError.ts"
import { WebhookRepo } from "../../src/store/WebhookRepo.ts"
import { isStale, type Services, within } from "./Node.ts"
import type { Prng } from "./Prng.ts"
import type { Receiver, Request, World } from "./World.ts"

/** What a client knows of a call when it is over. */
type Known<A, E> =
  | { readonly _tag: "Answered"; readonly value: A }
  | { readonly _tag: "Refused"; readonly error: Exclude<E, StoreError> }
  | { readonly _tag: "Unknown" }

/** Makes a call of the engine that runs; null when none does. */
const call = <A, E>(
  world: World,
  name: string,
  effect: Effect.Effect<A, E, Services>
): Effect.Effect<Known<A, E> | null> =>
  Effect.suspend(() => {
    const node = world.current
    if (node === null || node.services === null) return Effect.succeed(null)
    return within(node, Effect.provideContext(effect, node.services)).pipe(
      Effect.map((exit): Known<A, E> => {
        // A process that another one has taken over from tells nobody what it changed.
        if (exit === null || isStale(world, node)) return { _tag: "Unknown" }
        if (Exit.isSuccess(exit)) return { _tag: "Answered", value: exit.value }
        const error = Exit.findErrorOption(exit)
        if (Option.isNone(error) || error.value instanceof StoreError) return { _tag: "Unknown" }
        return { _tag: "Refused", error: error.value as Exclude<E, StoreError> }
      }),
      Effect.tap((known) => Effect.sync(() => world.tell(`client ${name}: ${known._tag}`)))
    )
  })

/** Notes that a call about something begins; the answer tells whether it was alone with it. */
const beginning = (world: World, about: string) => {
  const before = world.calling.get(about) ?? { number: 0, open: 0 }
  const now = { number: before.number + 1, open: before.open + 1 }
  world.calling.set(about, now)
  return () => {
    const after = world.calling.get(about) ?? now
    world.calling.set(about, { ...after, open: after.open - 1 })
    return before.open === 0 && after.number === now.number
  }
}

/** Registers a webhook. */
export const register = Effect.fnUntraced(function* (
  world: World,
  receiver: Receiver,
  tenants: readonly [TenantId, TenantId]
) {
  const { plan } = receiver
  const tenantId = tenants[plan.tenant]
  receiver.createdFrom = Math.min(receiver.createdFrom, world.now())
  const known = yield* call(
    world,
    `register ${receiver.index}`,
    Effect.gen(function* () {
      const ids = yield* Ids
      const id = yield* ids.next("webhook")
      const key = yield* ids.bytes(32)
      receiver.id = id
      receiver.tenantId = tenantId
      receiver.secrets = [{ text: encode(key), from: 0, until: Infinity }]
      return yield* (yield* WebhookRepo).create({
        id,
        tenantId,
        secret: { id: yield* ids.next("secret"), key: Redacted.make(key) },
        idempotency: null,
        fields: {
          ...fieldsOf(plan.url),
          uid: `receiver-${receiver.index}`,
          eventTypes: plan.eventTypes,
          settings: yield* Effect.orDie(Schema.decodeUnknownEffect(WebhookSettings)(plan.settings))
        }
      })
    })
  )
  if (known?._tag === "Answered") receiver.createdBy = world.now()
})

/** Publishes one message, or a few in one call. */
export const publish = Effect.fnUntraced(function* (
  world: World,
  prng: Prng,
  name: string,
  tenants: readonly [TenantId, TenantId]
) {
  const { chance, int, pick } = prng
  const tenantId = tenants[chance(80) ? 0 : 1]
  const now = world.now()
  const draft = (n: string): Draft & { readonly data: string } => {
    const key = chance(20) ? `k${int(0, 3)}` : null
    return {
      tenantId,
      type: pick(["a.b", "a.c", "b.c"]),
      uid: null,
      resource: null,
      // What has a key repeats itself.
      data: JSON.stringify(key === null ? { n } : { n: int(0, 1) }),
      idempotencyKey: key,
      orderingKey: chance(40) ? pick(["x", "y"]) : null,
      deliverAt: key === null && chance(8) ? now + int(1, 7_200_000) : null,
      expiresAt: key === null && chance(8) ? now + int(1_000, 7_200_000) : null
    }
  }
  const drafts = Array.from({ length: chance(10) ? int(2, 5) : 1 }, (_, i) => draft(`${name}.${i}`))
  const [first, ...others] = drafts
  const at = world.now()
  for (const one of drafts) {
    if (one.idempotencyKey === null) continue
    const pair = `${tenantId}/${one.idempotencyKey}`
    if (!world.keys.has(pair)) world.keys.set(pair, { asked: "", id: null })
  }
  const single = call(
    world,
    `publish ${name}`,
    Publisher.use((publisher) => publisher.publish(first!))
  )
  const several = call(
    world,
    `publish ${name}`,
    Publisher.use((publisher) => publisher.publishAll(drafts))
  )
  if (others.length === 0) {
    const known = yield* single
    if (known?._tag === "Answered") accepted(world, first!, known.value, at)
    if (known?._tag === "Refused") refused(world, first!, known.error._tag)
    return
  }
  const known = yield* several
  if (known?._tag !== "Answered") return
  known.value.forEach((result, i) => {
    if (result._tag === "Success") accepted(world, drafts[i]!, result.success, at)
    else refused(world, drafts[i]!, result.failure._tag)
  })
})

const askedOf = ({ data, orderingKey, type }: Draft) => JSON.stringify([type, data, orderingKey])

/** Holds an answer to a publish against what is promised. */
const accepted = (
  world: World,
  draft: Draft & { readonly data: string },
  {
    createdAt,
    deliveries,
    id
  }: {
    readonly id: Parameters<typeof world.published.has>[0]
    readonly deliveries: number
    readonly createdAt: number
  },
  begunAt: number
): void => {
  const { idempotencyKey, tenantId, type } = draft
  if (idempotencyKey !== null) {
    const pair = `${tenantId}/${idempotencyKey}`
    const asked = askedOf(draft)
    const known = world.keys.get(pair)
    if (known !== undefined && known.id !== null) {
      if (known.asked !== asked) world.violated("INV-08", `${pair} took another request`)
      else if (known.id !== id) world.violated("INV-08", `${pair} is ${known.id} and ${id}`)
    }
    world.keys.set(pair, { asked, id })
  }
  const isNew = createdAt >= begunAt
  if (world.published.has(id)) return
  world.published.set(id, {
    id,
    tenantId,
    data: JSON.parse(draft.data),
    raw: false,
    ackedAt: world.now()
  })
  if (!isNew) return
  if (!world.tables.messages.has(id)) {
    return world.violated("INV-01", `${id} was answered and is nowhere`)
  }
  if (idempotencyKey !== null) return
  const owed = [...world.deliveries.values()].filter(({ messageId }) => messageId === id)
  if (owed.length !== deliveries) world.violated("INV-15", `${id} is owed to ${owed.length}`)
  for (const receiver of world.receivers) {
    const isOwed = owed.some(({ webhookId }) => webhookId === receiver.id)
    const wanted = receiver.tenantId === tenantId && wants(receiver.plan.eventTypes, type)
    const certain = receiver.createdBy < begunAt && receiver.deletedFrom > world.now()
    const possible = receiver.createdFrom <= world.now() && receiver.deletedBy >= begunAt
    if (wanted && certain && !isOwed) {
      world.violated("INV-01", `${id} is not owed to receiver ${receiver.index}`)
    }
    if (isOwed && !(wanted && possible)) {
      world.violated("INV-10", `${id} is owed to receiver ${receiver.index}, who does not want it`)
    }
  }
}

const refused = (
  world: World,
  { idempotencyKey, tenantId, ...draft }: Draft,
  tag: string
): void => {
  if (tag === "Overloaded") return
  const known = world.keys.get(`${tenantId}/${idempotencyKey}`)
  const isConflict = tag === "IdempotencyConflict" && idempotencyKey !== null
  const same = askedOf({ ...draft, idempotencyKey, tenantId })
  if (!isConflict || (known !== undefined && known.id !== null && known.asked === same)) {
    world.violated("INV-08", `a publish with ${idempotencyKey} was refused as ${tag}`)
  }
}

/** Pauses a webhook or resumes it. */
export const setStatus = Effect.fnUntraced(function* (
  world: World,
  receiver: Receiver,
  status: "enabled" | "paused"
) {
  const { id, tenantId } = receiver
  if (id === null || tenantId === null) return
  if (status === "enabled") {
    receiver.stoppedSince = Infinity
    world.engineStopped.delete(id)
  }
  receiver.unsure.add("status")
  const wasAlone = beginning(world, `status ${id}`)
  const known = yield* call(
    world,
    `set ${receiver.index} ${status}`,
    WebhookRepo.use((webhooks) => webhooks.setStatus(tenantId, id, status))
  )
  if (!wasAlone() || known?._tag !== "Answered") return
  receiver.unsure.delete("status")
  receiver.stoppedSince = status === "paused" ? world.now() : Infinity
})

/** Gives a webhook a new secret; the former ones sign on for a while. */
export const rotate = Effect.fnUntraced(function* (world: World, prng: Prng, receiver: Receiver) {
  const { id, tenantId } = receiver
  if (id === null || tenantId === null) return
  const graceMs = prng.pick([0, 60_000, 3_600_000, 86_400_000])
  const wasSure = !receiver.unsure.has("secret")
  receiver.unsure.add("secret")
  const wasAlone = beginning(world, `secret ${id}`)
  const from = world.now()
  const known = yield* call(
    world,
    `rotate ${receiver.index}`,
    Effect.gen(function* () {
      const ids = yield* Ids
      const key = yield* ids.bytes(32)
      receiver.secrets.push({ text: encode(key), from: Infinity, until: Infinity })
      yield* (yield* WebhookRepo).rotateSecret(tenantId, id, {
        id: yield* ids.next("secret"),
        key: Redacted.make(key),
        graceMs
      })
      return encode(key)
    })
  )
  if (!wasAlone() || known?._tag !== "Answered" || !wasSure) return
  receiver.unsure.delete("secret")
  for (const secret of receiver.secrets) {
    secret.until = Math.min(secret.until, from + graceMs)
  }
  // Only so many sign at once.
  receiver.secrets = [
    ...receiver.secrets.filter(({ text }) => text !== known.value).slice(-3),
    { text: known.value, from: world.now(), until: Infinity }
  ]
})

/** Moves a webhook to another URL and changes how much goes there at once. */
export const edit = Effect.fnUntraced(function* (
  world: World,
  version: number,
  receiver: Receiver
) {
  const { id, tenantId } = receiver
  if (id === null || tenantId === null) return
  const url = `${receiver.plan.url}?v=${version}`
  const concurrency = version * 3
  receiver.unsure.add("url")
  const wasAlone = beginning(world, `url ${id}`)
  const known = yield* call(
    world,
    `edit ${receiver.index}`,
    WebhookRepo.use((webhooks) => webhooks.update(tenantId, id, { url, settings: { concurrency } }))
  )
  if (!wasAlone() || known?._tag !== "Answered") return
  receiver.unsure.delete("url")
  receiver.url = url
})

/** Deletes a webhook. */
export const remove = Effect.fnUntraced(function* (world: World, receiver: Receiver) {
  const { id, tenantId } = receiver
  if (id === null || tenantId === null) return
  receiver.deletedFrom = Math.min(receiver.deletedFrom, world.now())
  const known = yield* call(
    world,
    `delete ${receiver.index}`,
    WebhookRepo.use((webhooks) => webhooks.delete(tenantId, id))
  )
  if (known?._tag === "Answered") receiver.deletedBy = world.now()
})

/** Cancels a delivery, or has it delivered again. */
export const move = Effect.fnUntraced(function* (
  world: World,
  prng: Prng,
  how: "cancel" | "redeliver"
) {
  const known = prng.maybe([...world.deliveries.values()])
  if (known === undefined) return
  yield* moveOne(world, known, how)
})

/** Does so with one that is given. */
export const moveOne = (
  world: World,
  {
    id,
    tenantId
  }: { readonly id: Parameters<typeof world.deliveries.get>[0]; readonly tenantId: TenantId },
  how: "cancel" | "redeliver"
) =>
  call(
    world,
    `${how} ${id}`,
    Lanes.use((lanes) => lanes[how](tenantId, id))
  )

/** Cancels what is under way, once in a while, and mostly has it delivered again, before it is answered. */
export const recall = Effect.fnUntraced(function* (
  world: World,
  prng: Prng,
  { deliveryId, number }: Request
) {
  const known = world.deliveries.get(deliveryId)
  if (known === undefined || !prng.chance(number === 1 ? 5 : 25)) return
  yield* moveOne(world, known, "cancel")
  if (!prng.chance(80)) return
  yield* Effect.sleep(prng.pick([0, 1, 5, 1_000]))
  yield* moveOne(world, known, "redeliver")
  if (prng.chance(20)) yield* moveOne(world, known, "cancel")
})

/** Has many deliveries delivered again. */
export const redeliverMany = Effect.fnUntraced(function* (
  world: World,
  prng: Prng,
  tenants: readonly [TenantId, TenantId]
) {
  yield* call(
    world,
    "redeliver many",
    Effect.gen(function* () {
      const id = yield* (yield* Ids).next("redelivery")
      return yield* (yield* Redeliveries).start({
        id,
        tenantId: tenants[0],
        idempotency: null,
        filter: {
          webhookId: prng.maybe(world.receivers)?.id ?? null,
          status: prng.pick(["exhausted", "cancelled"]),
          type: null,
          after: null,
          before: null,
          dryRun: prng.chance(20)
        }
      })
    })
  )
})

/** Stops all sending, or lets it go on. */
export const hold = Effect.fnUntraced(function* (world: World, on: boolean) {
  world.heldSince = Infinity
  world.holdUnsure = true
  const wasAlone = beginning(world, "hold")
  const known = yield* call(
    world,
    on ? "hold" : "release",
    Effect.flatMap(HoldRepo, (repo): Effect.Effect<unknown, StoreError> =>
      on ? repo.hold("simulated") : repo.release
    )
  )
  if (!wasAlone() || known?._tag !== "Answered") return
  world.holdUnsure = false
  if (on) world.heldSince = world.now()
})
