/**
 * Percentiles of samples that are all kept: nothing is binned, so nothing is rounded.
 */

/** Sorted samples. */
export type Sorted = Float64Array

/** Sorts a copy of the samples. */
export const sorted = (samples: Iterable<number>): Sorted => Float64Array.from(samples).sort()

/** Reads the percentile `p` (0 to 100) by nearest rank; NaN of nothing. */
export const percentile = (samples: Sorted, p: number): number =>
  samples.length === 0
    ? Number.NaN
    : samples[Math.max(0, Math.ceil((p / 100) * samples.length) - 1)]!

/** Reads the median, between the two in the middle of an even number; NaN of nothing. */
export const median = (samples: Iterable<number>): number => {
  const all = sorted(samples)
  const middle = all.length / 2
  return all.length % 2 === 1
    ? all[Math.floor(middle)]!
    : ((all[middle - 1] ?? Number.NaN) + (all[middle] ?? Number.NaN)) / 2
}

/** Fits a straight line through points and returns its rise per unit of x. */
export const slope = (points: ReadonlyArray<readonly [x: number, y: number]>): number => {
  const n = points.length
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / n
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / n
  const above = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0)
  const below = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0)
  return below === 0 ? 0 : above / below
}
