/**
 * A hold: a person stops all sending, while messages are accepted as ever.
 */

/** Since when and why nothing is sent. */
export interface Hold {
  readonly reason: string | null
  /** Epoch milliseconds. */
  readonly since: number
}
