/**
 * How sending asks a store again that is away.
 */
import { Schedule } from "effect"
import type { StoreError } from "../store/StoreError.ts"

/** A store that is away is asked again: after 100 ms, then ever later, up to every 5 seconds. */
export const storeRetries = {
  schedule: Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")]).pipe(
    Schedule.jittered
  ),
  while: (error: StoreError) => error.isRetryable
}
