/**
 * The deliveries that a lane has in memory: those that may go, those behind others of their ordering
 * key, those under way, and those that are reserved for a commit.
 *
 * Each is counted in the memory that all lanes share until it is released. What is put back, or comes
 * while the last of the line in the store are read, keeps its place.
 */
import type { Latch } from "effect"
import type { DeliveryId } from "../domain/TypeId.ts"
import type { DueDelivery } from "../store/DeliveryQueue.ts"
import type { Memory } from "./Memory.ts"
import * as Order from "./Order.ts"

export interface Mailbox {
  /** Counts the deliveries that may go. */
  readonly length: () => number
  /** Counts all deliveries. */
  readonly size: () => number
  /** Tells whether a delivery is in memory. */
  readonly holds: (id: DeliveryId) => boolean
  /** Lists all that is in memory, for a reading that passes over it. */
  readonly ids: () => ReadonlySet<DeliveryId>
  /** Lists the ordering keys in memory. */
  readonly keys: () => ReadonlyArray<string>
  /** Keeps room for a delivery that is about to be committed as owed. */
  readonly reserve: (delivery: DueDelivery) => void
  /** Takes a reserved delivery that is committed. */
  readonly accept: (delivery: DueDelivery) => void
  /** Lets what comes wait until `refill`. */
  readonly holdBack: () => void
  /** Takes what was read from the store and is not here yet, before what came meanwhile. */
  readonly refill: (read: ReadonlyArray<DueDelivery>) => ReadonlyArray<DueDelivery>
  /** Takes the next delivery out, to be put back, or released when nothing is owed for it any more. */
  readonly take: () => DueDelivery | undefined
  /** Puts a delivery back that was not sent, unless it was cancelled meanwhile. */
  readonly putBack: (delivery: DueDelivery) => void
  /** Takes out what is like this of those that may go. */
  readonly takeWhere: (is: (delivery: DueDelivery) => boolean) => ReadonlyArray<DueDelivery>
  /** Lets go of a delivery: its reservation, its place, its bytes. */
  readonly release: (delivery: DueDelivery) => void
  /** Lets the next of a key go, or lets go of all of them: then the store says how it goes on. */
  readonly advance: (delivery: DueDelivery, goesOn: boolean) => void
  /** Lets go of a delivery that nothing is owed for any more; the next of its key may go. */
  readonly leave: (delivery: DueDelivery) => void
  /** Drops a cancelled delivery, or remembers that nothing may come of it when it is under way. */
  readonly drop: (id: DeliveryId) => void
  /** Takes out all that may go, and tells which of it the store has as owed. */
  readonly empty: () => Emptied
}

/** What was in a mailbox; all of it is to be given up once the store knows of it. */
export interface Emptied {
  readonly owed: ReadonlyArray<DueDelivery>
  /** Lets go of all of it, and of what stood behind it. */
  readonly giveUp: () => void
}

/**
 * Makes an empty mailbox that opens `changed` when there is more to do, and calls `onMissed` when the
 * store may have something due that was passed over because it was here.
 */
export const make = (memory: Memory, changed: Latch.Latch, onMissed: () => void): Mailbox => {
  const line: Array<DueDelivery> = []
  // What came to memory while the last of the line in the store were read.
  let followers: Array<DueDelivery> | null = null
  // True while the store has the row in `owed`.
  const held = new Map<DeliveryId, boolean>()
  // Cancelled while an attempt was under way, of which nothing may come.
  const dropped = new Set<DeliveryId>()
  const order = Order.make()

  const hold = (delivery: DueDelivery, owed: boolean) => {
    held.set(delivery.id, owed)
    memory.held++
    memory.heldBytes += delivery.message.body.length
  }

  const release = (delivery: DueDelivery) => {
    if (!held.delete(delivery.id)) return
    // Someone may have had it sent again meanwhile, and it was passed over as held.
    if (dropped.delete(delivery.id)) onMissed()
    memory.held--
    memory.heldBytes -= delivery.message.body.length
    if (held.size === 0) changed.openUnsafe()
  }

  const advance = (delivery: DueDelivery, goesOn: boolean) => {
    if (delivery.orderingKey === null) return
    const next = goesOn ? order.next(delivery) : undefined
    if (next !== undefined) {
      line.push(next)
      return changed.openUnsafe()
    }
    order.end(delivery).forEach(release)
    onMissed()
  }

  const leave = (delivery: DueDelivery) => {
    release(delivery)
    advance(delivery, true)
  }

  return {
    length: () => line.length,
    size: () => held.size,
    holds: (id) => held.has(id),
    ids: () => new Set(held.keys()),
    keys: order.keys,
    reserve: (delivery) => hold(delivery, true),
    accept: (delivery) => {
      if (followers === null) line.push(delivery)
      else followers.push(delivery)
    },
    holdBack: () => {
      followers ??= []
    },
    refill: (read) => {
      const taken: Array<DueDelivery> = []
      for (const delivery of read) {
        if (held.has(delivery.id)) continue
        hold(delivery, false)
        taken.push(delivery)
        if (order.admit(delivery)) line.push(delivery)
      }
      line.push(...(followers ?? []))
      followers = null
      return taken
    },
    take: () => line.shift(),
    putBack: (delivery) => {
      if (dropped.has(delivery.id)) leave(delivery)
      else line.unshift(delivery)
    },
    takeWhere: (is) => {
      const taken = line.filter(is)
      for (const delivery of taken) line.splice(line.indexOf(delivery), 1)
      return taken
    },
    release,
    advance,
    leave,
    drop: (id) => {
      for (const place of [line, followers ?? []]) {
        const at = place.findIndex((delivery) => delivery.id === id)
        if (at < 0) continue
        return place.splice(at, 1).forEach(leave)
      }
      const behind = order.remove(id)
      if (behind !== undefined) release(behind)
      else if (held.has(id)) dropped.add(id)
    },
    empty: () => {
      const emptied = line.splice(0)
      return {
        owed: emptied.filter(({ id }) => held.get(id) === true),
        giveUp: () => {
          for (const delivery of emptied) {
            release(delivery)
            order.end(delivery).forEach(release)
          }
        }
      }
    }
  }
}
