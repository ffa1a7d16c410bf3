/**
 * Keeps connections that wait for their next request: the one used last is taken first, and beyond
 * the bounds the one that waited longest is closed.
 */

/** What can be kept. */
export interface Idle {
  /**
   * Scheme, host and port, and the TLS identity where there is one; connections are used again for
   * the same origin only.
   */
  readonly origin: string
  close(): void
}

/** The bounds: connections of all origins, and of each. */
export interface IdleBounds {
  readonly idleConnectionsMax: number
  readonly idleConnectionsPerOriginMax: number
}

/** The connections of one sender that wait. */
export class IdleConnections<C extends Idle> {
  readonly #bounds: IdleBounds
  /** In the order in which they began to wait. */
  readonly #waiting = new Set<C>()
  readonly #byOrigin = new Map<string, Array<C>>()

  constructor(bounds: IdleBounds) {
    this.#bounds = bounds
  }

  /** Takes out the connection to an origin that was used last. */
  take(origin: string): C | undefined {
    const same = this.#byOrigin.get(origin)
    const connection = same?.pop()
    if (connection === undefined) return undefined
    if (same?.length === 0) this.#byOrigin.delete(origin)
    this.#waiting.delete(connection)
    return connection
  }

  /** Keeps a connection, or closes one where there are too many. */
  put(connection: C): void {
    const same = this.#byOrigin.get(connection.origin)
    if (same !== undefined && same.length >= this.#bounds.idleConnectionsPerOriginMax) {
      return connection.close()
    }
    if (same === undefined) this.#byOrigin.set(connection.origin, [connection])
    else same.push(connection)
    this.#waiting.add(connection)
    if (this.#waiting.size <= this.#bounds.idleConnectionsMax) return
    for (const oldest of this.#waiting) {
      this.drop(oldest)
      break
    }
  }

  /** Closes a connection if it waits here. */
  drop(connection: C): void {
    if (!this.#waiting.delete(connection)) return
    const same = this.#byOrigin.get(connection.origin) ?? []
    const index = same.indexOf(connection)
    if (index !== -1) same.splice(index, 1)
    if (same.length === 0) this.#byOrigin.delete(connection.origin)
    connection.close()
  }
}
