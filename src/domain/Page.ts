/**
 * Pages of a list: newest first, walked by cursor, never by offset.
 *
 * A cursor names the row it stands at and the way to walk, and is opaque to callers.
 */
import * as Option from "effect/Option"

/** The size of a page when the caller names none, and the largest one. */
export const pageLimit = { default: 50, max: 250 } as const

/** Where a page begins: `older` than the row with this id, or `newer`. */
export interface Cursor {
  readonly direction: "older" | "newer"
  readonly id: string
}

/** What a list is asked for. */
export interface PageRequest {
  readonly limit: number
  readonly cursor: Cursor | null
  /** Only rows made before this instant, epoch milliseconds. */
  readonly before: number | null
  /** Only rows made at or after this instant, epoch milliseconds. */
  readonly after: number | null
}

/** The first page of a list, of the default size. */
export const firstPage: PageRequest = {
  limit: pageLimit.default,
  cursor: null,
  before: null,
  after: null
}

/** One page, newest first, with the cursors of its neighbours where there are any. */
export interface Page<A> {
  readonly data: ReadonlyArray<A>
  readonly nextCursor: string | null
  readonly prevCursor: string | null
}

/** Formats a cursor for a caller to keep. */
export const encodeCursor = (cursor: Cursor): string =>
  Buffer.from(`${cursor.direction === "older" ? "o" : "n"}${cursor.id}`).toString("base64url")

/** Reads a cursor that `encodeCursor` made; none for anything else. */
export const decodeCursor = (text: string): Option.Option<Cursor> => {
  const plain = Buffer.from(text, "base64url").toString("utf8")
  const direction = plain[0] === "o" ? "older" : plain[0] === "n" ? "newer" : undefined
  const id = plain.slice(1)
  if (direction === undefined || !/^[a-z]{2,4}_[0-7][0-9a-hjkmnp-tv-z]{25}$/.test(id)) {
    return Option.none()
  }
  const cursor: Cursor = { direction, id }
  // Buffer skips what is no base64url instead of refusing it.
  return encodeCursor(cursor) === text ? Option.some(cursor) : Option.none()
}

/**
 * Makes a page from up to `limit + 1` rows read in the cursor's direction.
 *
 * **Details**
 *
 * The row beyond the limit only tells that there is more. Rows read towards `newer` come oldest
 * first and are turned round. Reading that ended before all rows were seen names the id where it
 * ended: the page is short then, and its neighbour goes on from there.
 */
export const pageOf = <A>(
  rows: ReadonlyArray<A>,
  request: PageRequest,
  idOf: (row: A) => string,
  end: string | null = null
): Page<A> => {
  const more = rows.length > request.limit
  const kept = rows.slice(0, request.limit)
  const newer = request.cursor?.direction === "newer"
  const data = newer ? kept.toReversed() : kept
  const cut = more ? null : end
  const first = data[0] === undefined ? cut : idOf(data[0])
  const last = data.at(-1) === undefined ? cut : idOf(data.at(-1)!)
  const older = newer ? last : more ? last : cut
  const newest = newer ? (more ? first : cut) : request.cursor === null ? null : first
  return {
    data,
    nextCursor: older === null ? null : encodeCursor({ direction: "older", id: older }),
    prevCursor: newest === null ? null : encodeCursor({ direction: "newer", id: newest })
  }
}
