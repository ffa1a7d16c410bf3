import { assert, describe, it } from "@effect/vitest"
import { Option, Schema } from "effect"
import {
  type Cursor,
  decodeCursor,
  encodeCursor,
  firstPage,
  type PageRequest,
  pageOf
} from "../../src/domain/Page.ts"

const ids = (count: number) =>
  Array.from({ length: count }, (_, i) => `wh_${i.toString().padStart(26, "0")}`)

/** What a store does: reads up to `limit + 1` ids in the direction of the cursor. */
const read = (all: ReadonlyArray<string>, { cursor, limit }: PageRequest) => {
  const newer = cursor?.direction === "newer"
  const rows = all
    .filter((id) => cursor === null || (newer ? id > cursor.id : id < cursor.id))
    .toSorted()
  return (newer ? rows : rows.toReversed()).slice(0, limit + 1)
}

const page = (all: ReadonlyArray<string>, limit: number, cursor: string | null) => {
  const request = {
    ...firstPage,
    limit,
    cursor: cursor === null ? null : Option.getOrThrow(decodeCursor(cursor))
  }
  return pageOf(read(all, request), request, (id) => id)
}

const size = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 12 }))
const limits = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 5 }))

describe("pageOf", () => {
  it.prop("pages walk every row once, newest first, and back", { size, limits }, (given) => {
    const all = ids(given.size)
    const newestFirst = all.toReversed()
    const there = [page(all, given.limits, null)]
    for (let next = there[0]!.nextCursor; next !== null; next = there.at(-1)!.nextCursor) {
      there.push(page(all, given.limits, next))
    }
    assert.deepStrictEqual(
      there.flatMap(({ data }) => data),
      newestFirst
    )
    assert.isTrue(there.every(({ data }, i) => i === 0 || data.length > 0))
    assert.isNull(there[0]!.prevCursor)

    const back = [there.at(-1)!]
    for (let prev = back[0]!.prevCursor; prev !== null; prev = back[0]!.prevCursor) {
      back.unshift(page(all, given.limits, prev))
    }
    assert.deepStrictEqual(
      back.flatMap(({ data }) => data),
      newestFirst
    )
    assert.isNull(back[0]!.prevCursor)
  })

  it("shows rows that came meanwhile only to who walks back to them", () => {
    const first = page(ids(4), 2, null)
    const second = page(ids(6), 2, first.nextCursor)
    assert.deepStrictEqual(second.data, ids(2).toReversed())
    const back = page(ids(6), 4, second.prevCursor)
    assert.deepStrictEqual(back.data, ids(6).slice(2).toReversed())
    assert.isNull(back.prevCursor)
  })
})

describe("decodeCursor", () => {
  it.prop(
    "reads what encodeCursor made",
    { direction: Schema.Literals(["older", "newer"]), at: size },
    ({ direction, at }) => {
      const cursor: Cursor = { direction, id: ids(13)[at]! }
      const text = encodeCursor(cursor)
      assert.deepStrictEqual(decodeCursor(text), Option.some(cursor))
      assert.match(text, /^[A-Za-z0-9_-]+$/)
    }
  )

  it.prop("answers none for any other text", { text: Schema.String }, ({ text }) => {
    assert.isTrue(Option.isNone(decodeCursor(text)))
  })

  it("answers none for what almost is a cursor", () => {
    const text = encodeCursor({ direction: "older", id: ids(1)[0]! })
    const plain = (cursor: string) => Buffer.from(cursor).toString("base64url")
    const almost = [
      "",
      `${text}!`,
      ` ${text}`,
      `${text}=`,
      text.slice(0, -1),
      `${text}A`,
      plain(ids(1)[0]!),
      plain(`x${ids(1)[0]!}`),
      plain(`o${ids(1)[0]!.toUpperCase()}`),
      plain("owh_80000000000000000000000000"),
      plain("owh_0000000000000000000000000i"),
      plain("owh_0000000000000000000000000"),
      plain("o' or true --")
    ]
    for (const other of almost) assert.isTrue(Option.isNone(decodeCursor(other)), other)
  })
})
