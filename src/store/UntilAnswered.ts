/**
 * When the fate of a commit whose answer was lost is asked for again, while the store does not answer.
 */
import { Schedule } from "effect"

/** Waits a second, then twice as long each time, and a minute at most. */
export const untilAnswered = Schedule.min([
  Schedule.exponential("1 second"),
  Schedule.spaced("1 minute")
])
