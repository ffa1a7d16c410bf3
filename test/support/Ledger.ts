/**
 * What producers were told, what receivers got and what the store says, and whether the three agree.
 *
 * Every message is published under an idempotency key and repeated under it until it is answered; it
 * carries its key, so a receiver's copy names the publish that it belongs to. Nothing is taken from
 * what the service says of itself.
 */
import { assert } from "vitest"
import { fromUuid } from "../../src/domain/TypeId.ts"
import { verify } from "../../src/verify.ts"
import { type Inbox, openInbox, type Received } from "./Inbox.ts"
import { adminKey, type Service } from "./Service.ts"
import type { Query } from "./Store.ts"

/** A publish of one message or of a batch. */
interface Entry {
  readonly key: string
  readonly path: string
  readonly body: string
  readonly type: string
  readonly size: number
  /** Whether its deliveries have to arrive: not where they may be cancelled, expire or be exhausted. */
  readonly must: boolean
  /** The ids that it was answered with. */
  ids: ReadonlyArray<string> | null
}

/** What came for one webhook of one message. */
interface Copies {
  readonly text: string
  received: number
  accepted: number
}

/** Keeps the books over all lives of a service. */
export interface Ledger {
  readonly inbox: Inbox
  /** The secrets that requests to a path must be signed with. */
  readonly secrets: Map<string, string>
  /** Publishes once; rejects when the service is gone, and the message is repeated later. */
  readonly publish: (service: Service, draft: Draft) => Promise<Entry>
  /** Publishes from four callers, some of it twice and some of it in batches, while `goesOn`. */
  readonly load: (service: Service, goesOn: () => boolean) => Promise<void>
  /**
   * Publishes as fast as it is answered, from sixteen callers, four of them in batches, for one
   * webhook, while `goesOn`.
   */
  readonly flood: (service: Service, goesOn: () => boolean) => Promise<void>
  /** Publishes again, under their keys, what was never answered, and some that was. */
  readonly repeat: (service: Service) => Promise<void>
  /** Takes a message for acknowledged that came to the store in another way. */
  readonly adopt: (key: string, type: string, id: string) => void
  /** Messages that were answered with success. */
  readonly acknowledged: () => number
  /** Publishes that were answered 503. */
  readonly refused: () => number
  /** Tells whether all was acknowledged and has arrived, without looking twice at what has. */
  readonly hasArrived: () => boolean
  /** The messages that have not yet arrived at every path that wants them. */
  readonly missing: () => ReadonlyArray<string>
  /** Compares all three, once everything is settled. */
  readonly judge: (query: Query, kills: number) => Promise<Figures>
}

/** What a publish says. */
export interface Draft {
  readonly type: string
  readonly must?: boolean
  readonly batch?: number
  readonly rest?: Readonly<Record<string, unknown>>
}

/** What a run came to. */
export interface Figures {
  readonly acknowledged: number
  readonly received: number
  /** Requests that no attempt in the store tells of. */
  readonly unrecorded: number
}

/** The paths that want a type, by its first word. */
const wantedBy: Readonly<Record<string, ReadonlyArray<string>>> = {
  order: ["/plain", "/flaky"],
  once: ["/plain"],
  aged: ["/plain"],
  slow: ["/slow"]
}

/** How receivers answer, by path; `n` counts the requests for this message. */
const answers: Readonly<Record<string, (id: string, n: number) => number>> = {
  "/flaky": (id, n) => (n === 1 && /[0-7]$/.test(id) ? 503 : 204),
  "/gone": () => 410,
  "/failing": () => 500
}

/** A webhook's attempts at once, and those answered and not yet written down; for each of the three. */
const inFlightMax = 3 * (10 + 256)

/** Opens the books and the receivers. */
export const openLedger = async (): Promise<Ledger> => {
  const entries: Array<Entry> = []
  const copies = new Map<string, Copies>()
  const wrong: Array<string> = []
  const secrets = new Map<string, string>()
  let refused = 0
  let acknowledged = 0

  const receive = ({ body, headers, path }: Received) => {
    const id = String(headers["webhook-id"])
    const text = body.toString()
    const known = copies.get(`${path} ${id}`) ?? { text, received: 0, accepted: 0 }
    copies.set(`${path} ${id}`, known)
    known.received++
    if (known.text !== text) wrong.push(`${path} got two texts of ${id}`)
    const secret = secrets.get(path)
    if (secret !== undefined && !verify({ secret, headers, body }).ok) {
      wrong.push(`${path} cannot verify ${id}`)
    }
    const status = answers[path]?.(id, known.received) ?? 204
    if (status < 300) known.accepted++
    return status
  }
  const inbox = await openInbox((request, response) => {
    const status = receive(request)
    const delayMs = request.path === "/slow" ? 25 : 0
    if (delayMs === 0) response.writeHead(status).end()
    else setTimeout(() => response.writeHead(status).end(), delayMs)
  })

  const send = async (service: Service, entry: Entry) => {
    const response = await fetch(`${service.baseUrl}${entry.path}`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${adminKey}`,
        "content-type": "application/json",
        "idempotency-key": entry.key
      },
      body: entry.body
    })
    const text = await response.text()
    if (response.status === 503) {
      refused++
      return
    }
    if (response.status !== 202 && response.status !== 200) {
      wrong.push(`${entry.key} was answered ${response.status} ${text}`)
      return
    }
    const answer = JSON.parse(text)
    const ids: Array<string> =
      entry.size === 1
        ? [answer.id]
        : answer.data.map((one: { message: { id: string } }) => one.message.id)
    if (entry.ids !== null && entry.ids.join() !== ids.join()) {
      wrong.push(`${entry.key} was answered with other ids the second time`)
    }
    if (entry.ids === null) acknowledged += entry.size
    entry.ids = ids
  }

  const publish = async (service: Service, { batch, must = true, rest, type }: Draft) => {
    const key = `k${entries.length}`
    const message = (i: number) => ({ type, data: { key, i, note: "x".repeat(200) }, ...rest })
    const content =
      batch === undefined
        ? message(0)
        : { messages: Array.from({ length: batch }, (_, i) => message(i)) }
    const entry: Entry = {
      key,
      type,
      must,
      path: batch === undefined ? "/v1/messages" : "/v1/messages/batch",
      body: JSON.stringify(content),
      size: batch ?? 1,
      ids: null
    }
    entries.push(entry)
    await send(service, entry)
    return entry
  }

  const load: Ledger["load"] = async (service, goesOn) => {
    const call = async (caller: number) => {
      for (let n = 0; goesOn(); n++) {
        const entry = await publish(
          service,
          caller === 0
            ? { type: "order.placed", batch: 5 }
            : { type: caller === 1 ? "slow.one" : "order.placed" }
        )
        if (n % 4 === 3) await send(service, entry)
        await new Promise((resolve) => setTimeout(resolve, caller < 2 ? 20 : 2))
      }
    }
    // Whoever meets the end of the service is done: what was not answered is repeated later.
    await Promise.allSettled([0, 1, 2, 3].map(call))
  }

  const flood: Ledger["flood"] = async (service, goesOn) => {
    const call = async (caller: number) => {
      const rest = caller < 4 ? { batch: 50 } : {}
      while (goesOn()) await publish(service, { type: "once.placed", ...rest })
    }
    await Promise.allSettled(Array.from({ length: 16 }, (_, caller) => call(caller)))
  }

  const open = () => entries.filter(({ ids }) => ids === null)

  const repeat: Ledger["repeat"] = async (service) => {
    const published = entries.filter((entry) => entry.path !== "")
    for (const entry of published.slice(-3)) await send(service, entry)
    while (open().length > 0) {
      for (const entry of open()) await send(service, entry)
    }
  }

  const missingOf = ({ ids, must, type }: Entry): ReadonlyArray<string> =>
    must && ids !== null
      ? ids.flatMap((id) =>
          (wantedBy[type.split(".")[0]!] ?? [])
            .filter((path) => (copies.get(`${path} ${id}`)?.accepted ?? 0) === 0)
            .map((path) => `${path} ${id}`)
        )
      : []

  const missing = () => entries.flatMap(missingOf)

  let arrived = 0
  const hasArrived = () => {
    for (; arrived < entries.length; arrived++) {
      const entry = entries[arrived]!
      if (entry.ids === null || missingOf(entry).length > 0) return false
    }
    return true
  }

  const judge: Ledger["judge"] = async (query, kills) => {
    assert.deepStrictEqual(missing(), [], "acknowledged and not received")
    const keys = new Map<string, string>()
    for (const { ids, key } of entries) ids?.forEach((id, i) => keys.set(id, `${key} ${i}`))
    assert.strictEqual(
      keys.size,
      entries.reduce((sum, { size }) => sum + size, 0)
    )
    for (const [place, { text }] of copies) {
      const [path, id = ""] = place.split(" ")
      if (path === "/ops" || path === "/other") continue
      const { data, id: inside } = JSON.parse(text)
      if (inside !== id || keys.get(id) !== `${data.key} ${data.i}`)
        wrong.push(`${place} is nobody's`)
    }
    assert.deepStrictEqual(wrong, [])

    const stored = await query(`
      select m.id, m.fan_out, (select count(*)::int from (
          select delivery_id from attempt where settled is not null
            and delivery_id > m.id and delivery_id <= (left(m.id::text, 32) || 'ffff')::uuid
          union all select delivery_id from cancelled
            where delivery_id > m.id and delivery_id <= (left(m.id::text, 32) || 'ffff')::uuid
        ) as final) as final
      from message m join tenant t on t.id = m.tenant_id
      where t.uid = 'default' and m.type not like 'posthaste.%'`)
    const ids = new Set(stored.map((row) => String(fromUuid("message", row.id))))
    assert.deepStrictEqual(
      [...ids].filter((id) => !keys.has(id)),
      [],
      "stored and not acknowledged"
    )
    assert.deepStrictEqual(
      [...keys.keys()].filter((id) => !ids.has(id)),
      [],
      "acknowledged and not stored"
    )
    for (const row of stored)
      assert.strictEqual(row.final, row.fan_out, "final deliveries of a message")
    const [rest] = await query(
      "select (select count(*)::int from owed) as owed, (select count(*)::int from waiting) as waiting"
    )
    assert.deepStrictEqual(rest, { owed: 0, waiting: 0 })

    const attempts = await query(`
      select message_of(a.delivery_id) as id, '/' || split_part(w.url, '/', 4) as path,
        count(*)::int as count, max(number)::int as last, count(settled)::int as settled,
        count(status_code)::int as answered
      from attempt a join webhook w on w.id = a.webhook_id
      group by a.delivery_id, w.url`)
    let unrecorded = 0
    for (const { answered, count, id, last, path, settled } of attempts) {
      const place = `${path} ${fromUuid("message", id)}`
      const { received } = copies.get(place) ?? { received: 0 }
      assert.strictEqual(last, count, `attempts of ${place} are numbered from 1 without a gap`)
      assert.isAtMost(settled, 1, `settled attempts of ${place}`)
      assert.isAtLeast(received, answered, `requests for ${place}`)
      assert.isAtMost(received, count + kills, `requests for ${place}`)
      unrecorded += Math.max(0, received - count)
    }
    assert.isAtMost(unrecorded, kills * inFlightMax)
    return { acknowledged: keys.size, received: inbox.received.length, unrecorded }
  }

  return {
    inbox,
    secrets,
    publish,
    load,
    flood,
    repeat,
    adopt: (key, type, id) =>
      entries.push({ key, type, path: "", body: "", size: 1, must: true, ids: [id] }),
    acknowledged: () => acknowledged,
    refused: () => refused,
    hasArrived,
    missing,
    judge
  }
}
