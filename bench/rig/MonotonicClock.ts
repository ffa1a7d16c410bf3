/**
 * The machine's monotonic clock, which all processes share, so that an instant taken in one can be
 * subtracted from an instant taken in another.
 */

/** Measures how far `performance.now` is behind the machine's clock, in milliseconds. */
const measureOffset = (): number => {
  let best = { width: Infinity, offset: 0 }
  // The first calls are slow; the one that took the shortest is right to a microsecond.
  for (let i = 0; i < 100; i++) {
    const before = performance.now()
    const machine = Number(process.hrtime.bigint()) / 1e6
    const width = performance.now() - before
    if (width < best.width) best = { width, offset: machine - before - width / 2 }
  }
  return best.offset
}

const offset = measureOffset()

/** Reads the clock, in milliseconds with a fraction. */
export const monotonicMs = (): number => performance.now() + offset
