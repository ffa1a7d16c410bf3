/**
 * Numbers that look random and are the same for the same seed, on every machine: sfc32.
 */

/** Draws from one stream of numbers. */
export interface Prng {
  /** From 0 to under 1. */
  readonly next: () => number
  /** A whole number from `low` to `high`, both included. */
  readonly int: (low: number, high: number) => number
  /** True so often out of a hundred. */
  readonly chance: (percent: number) => boolean
  readonly pick: <const A extends readonly [unknown, ...ReadonlyArray<unknown>]>(
    from: A
  ) => A[number]
  /** Picks one, if there is any. */
  readonly maybe: <A>(from: ReadonlyArray<A>) => A | undefined
}

/** Makes the stream of a seed; streams with other names are unrelated. */
export const make = (seed: number, name: string): Prng => {
  let [a, b, c, d] = [0x9e3779b9, seed >>> 0, Math.floor(seed / 2 ** 32) ^ 0x6d2b79f5, 1]
  for (const character of name) c = Math.imul(c ^ character.charCodeAt(0), 0x01000193)
  const draw = () => {
    const t = (((a + b) | 0) + d) | 0
    d = (d + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (c << 21) | (c >>> 11)
    c = (c + t) | 0
    return (t >>> 0) / 2 ** 32
  }
  for (let i = 0; i < 15; i++) draw()
  const int = (low: number, high: number) => low + Math.floor(draw() * (high - low + 1))
  return {
    next: draw,
    int,
    chance: (percent) => draw() * 100 < percent,
    pick: (from) => from[int(0, from.length - 1)],
    maybe: (from) => (from.length === 0 ? undefined : from[int(0, from.length - 1)])
  }
}
