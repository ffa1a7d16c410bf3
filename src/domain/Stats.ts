/**
 * What is owed and what was done, in numbers.
 */

/** Attempts, and deliveries that ended with one of them, counted as they were written down. */
export interface Tally {
  readonly attempts: number
  readonly delivered: number
  readonly exhausted: number
}

/** What is not settled, counted up to `backlogMax` in each state. */
export interface Backlog {
  readonly pending: number
  readonly waiting: number
  /** Those of `pending` and `waiting` that a stopped webhook or an open circuit holds. */
  readonly held: number
  /** Counted up to `backlogMax` too. */
  readonly cancelled: number
  /** Epoch milliseconds: the earliest time at which something that waits was or will be due. */
  readonly nextDueAt: number | null
}

/** The most deliveries that are counted in one state. */
export const backlogMax = 100_000

/** A tenant in numbers. */
export interface TenantStats {
  readonly total: Tally
  readonly backlog: Backlog
  /** The last hour, oldest minute first; minutes without an attempt are left out. */
  readonly minutes: ReadonlyArray<Tally & { readonly minute: number }>
}

/** A webhook in numbers. */
export interface WebhookStats {
  readonly total: Tally
  readonly backlog: Backlog
  /** The attempts that ended the webhook's newest deliveries, `recentMax` at most. */
  readonly recent: {
    readonly ended: number
    readonly delivered: number
    readonly p50Ms: number | null
    readonly p95Ms: number | null
  }
}

/** The most deliveries that speak for how a webhook does lately. */
export const recentMax = 500
