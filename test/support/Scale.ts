/**
 * Sizes of tests whose trust grows with their size. `npm test` runs them small enough for every
 * change; `npm run test:full` at the size whose result is published in test/TESTING.md.
 */

const isFull = process.env["POSTHASTE_TEST_FULL"] === "true"

/** Chooses how many: `usual` for every change, `full` where POSTHASTE_TEST_FULL is "true". */
export const scaled = (usual: number, full: number): number => (isFull ? full : usual)
