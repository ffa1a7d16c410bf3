/**
 * Counts the requests in flight to each address, over all webhooks and tenants, and keeps them within
 * a bound: however many webhooks point at one machine, we are no cannon.
 */

/** The requests in flight of one sender, by address. */
export class Crowd {
  readonly #max: number
  readonly #inFlight = new Map<string, number>()

  /** Lets at most `max` requests through to one address at once. */
  constructor(max: number) {
    this.#max = max
  }

  /** Counts one more; false, and nothing counted, where there are too many. */
  enter(address: string): boolean {
    const now = this.#inFlight.get(address) ?? 0
    if (now >= this.#max) return false
    this.#inFlight.set(address, now + 1)
    return true
  }

  /** Counts one less. */
  leave(address: string): void {
    const now = this.#inFlight.get(address) ?? 0
    if (now > 1) this.#inFlight.set(address, now - 1)
    else this.#inFlight.delete(address)
  }
}
