/**
 * Reading a list by walks that may end early, at an edge: see DeliveryWalks.
 */
import { Effect } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Statement } from "effect/sql/Statement"

/** Rows, or messages, that one page looks at where no index tells whether they fit. */
export const looksMax = 1_000

/** What walks say of each row. */
export interface Looked {
  /** False for a row that only tells how far was looked. */
  readonly fits: boolean
  /** True for the last row that was looked at, when there may be more behind it. */
  readonly edge: boolean
}

/** The rows that fit, and where reading ended when that was not for the lack of rows. */
export interface Read<Row> {
  readonly rows: ReadonlyArray<Row>
  readonly end: string | null
}

/**
 * Reads by the first way that comes to the end of the list or finds `limit` rows; else by the one that
 * came furthest. Nothing when there is no way.
 */
export const first = Effect.fnUntraced(function* <Row extends Looked>(
  ways: ReadonlyArray<Statement<Row>>,
  limit: number,
  idOf: (row: Row) => string,
  newer: boolean
): Effect.fn.Return<Read<Row>, SqlError> {
  let furthest: Read<Row> = { rows: [], end: null }
  for (const way of ways) {
    const read = readOf(yield* way.unprepared, limit, idOf)
    if (read.end === null) return read
    const { end } = furthest
    if (end === null || (newer ? read.end > end : read.end < end)) furthest = read
  }
  return furthest
})

/** What lies behind the first edge may be lacking rows of that edge's walk. */
const readOf = <Row extends Looked>(
  all: ReadonlyArray<Row>,
  limit: number,
  idOf: (row: Row) => string
): Read<Row> => {
  const edge = all.findIndex((row) => row.edge)
  const seen = edge < 0 ? all : all.slice(0, edge + 1)
  const rows = seen.filter((row) => row.fits)
  return { rows, end: edge < 0 || rows.length >= limit ? null : idOf(all[edge]!) }
}
