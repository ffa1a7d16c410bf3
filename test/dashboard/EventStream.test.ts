import { assert, describe, it } from "@effect/vitest"
import { reader } from "../../src/dashboard/web/EventStream.ts"

const text =
  'retry: 5\n\n: still here\n\nevent: attempt\ndata: {"a":1}\n\ndata:two\ndata: lines\n\n'
const events = ['{"a":1}', "two\nlines"]

describe("EventStream", () => {
  it("reads the same events however the text is cut", () => {
    for (let size = 1; size <= text.length; size++) {
      const read = reader()
      const found: Array<string> = []
      for (let at = 0; at < text.length; at += size) found.push(...read(text.slice(at, at + size)))
      assert.deepStrictEqual(found, events, `in pieces of ${size}`)
    }
  })

  it("reads lines that end as in HTTP, cut between the two signs too", () => {
    for (let size = 1; size <= 7; size++) {
      const read = reader()
      const found: Array<string> = []
      const crlf = text.replaceAll("\n", "\r\n")
      for (let at = 0; at < crlf.length; at += size) found.push(...read(crlf.slice(at, at + size)))
      assert.deepStrictEqual(found, events, `in pieces of ${size}`)
    }
  })

  it("keeps an event back until it is complete", () => {
    const read = reader()
    assert.deepStrictEqual(read("data: a\n"), [])
    assert.deepStrictEqual(read("\n"), ["a"])
  })
})
