/**
 * The ordering keys that a lane has in memory: of each, one delivery on its way and those behind it.
 *
 * What has a key never comes here but from the store, in the order of its key; see `DuePull`.
 */
import type { DeliveryId } from "../domain/TypeId.ts"
import type { DueDelivery } from "../store/DeliveryQueue.ts"

export interface Order {
  /** Lists the keys in memory, which need not be read again. */
  readonly keys: () => ReadonlyArray<string>
  /** Takes a delivery that was read; true when it may go at once, false when it stands behind others. */
  readonly admit: (delivery: DueDelivery) => boolean
  /** Ends the turn of a delivery and answers the next of its key, if there is one in memory. */
  readonly next: (delivery: DueDelivery) => DueDelivery | undefined
  /** Forgets the key of a delivery and answers those that stood behind it. */
  readonly end: (delivery: DueDelivery) => ReadonlyArray<DueDelivery>
  /** Takes a delivery out that stands behind others. */
  readonly remove: (id: DeliveryId) => DueDelivery | undefined
}

/** Makes an order with no keys. */
export const make = (): Order => {
  const lines = new Map<string, Array<DueDelivery>>()

  return {
    keys: () => [...lines.keys()],
    admit: (delivery) => {
      if (delivery.orderingKey === null) return true
      const line = lines.get(delivery.orderingKey)
      if (line === undefined) {
        lines.set(delivery.orderingKey, [])
        return true
      }
      line.push(delivery)
      return false
    },
    next: ({ orderingKey }) => {
      if (orderingKey === null) return undefined
      const next = lines.get(orderingKey)?.shift()
      if (next === undefined) lines.delete(orderingKey)
      return next
    },
    end: ({ orderingKey }) => {
      if (orderingKey === null) return []
      const line = lines.get(orderingKey) ?? []
      lines.delete(orderingKey)
      return line
    },
    remove: (id) => {
      for (const line of lines.values()) {
        const at = line.findIndex((delivery) => delivery.id === id)
        if (at >= 0) return line.splice(at, 1)[0]
      }
      return undefined
    }
  }
}
