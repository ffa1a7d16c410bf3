/**
 * Seeds whose histories once broke a promise, and what was wrong: `npm test` lives through them again.
 *
 * A seed means the same history only as long as the plan is made the same way; each fix has a test of
 * its own besides.
 */
export const regressions: ReadonlyArray<{ readonly seed: number; readonly was: string }> = [
  { seed: 190, was: "A delivery that waited for its turn was sent although it had been cancelled" },
  { seed: 100, was: "One redelivered while its cancelled attempt was under way was forgotten" },
  { seed: 137, was: "Retention removed what blocks an ordering key, which nobody could free then" },
  {
    seed: 84,
    was: "What a commit with a lost answer left waiting in the store lay there until a restart"
  },
  {
    seed: 272,
    was: "A lane left although a delivery was reserved in it, and the next turned in a circle"
  },
  {
    seed: 510,
    was: "A bulk redelivery whose creation had no answer was not begun before a restart"
  },
  { seed: 33, was: "Retries were late by as much as the clock was put forward" },
  { seed: 7039, was: "A process that woke after another had taken over put deliveries off" }
]
