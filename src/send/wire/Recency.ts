/**
 * Keeps the values of a map that were used last.
 */

/** Puts a value under a key; the one that was put longest ago makes room when there are too many. */
export const keep = <K, A>(map: Map<K, A>, sizeMax: number, key: K, value: A): void => {
  map.delete(key)
  if (map.size >= sizeMax) {
    for (const oldest of map.keys()) {
      map.delete(oldest)
      break
    }
  }
  map.set(key, value)
}
