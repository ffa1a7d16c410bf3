import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { retryAfterAt, retryAfterMsMax } from "../../src/settle/RetryAfter.ts"

// Sun, 06 Nov 1994 08:49:37 GMT
const now = 784_111_777_000
const day = retryAfterMsMax

/** Header values, and the milliseconds that they ask to wait, or null when they ask nothing. */
const cases: ReadonlyArray<readonly [value: string, waitMs: number | null]> = [
  // Seconds.
  ["1", 1_000],
  ["120", 120_000],
  ["0120", 120_000],
  ["3600", 3_600_000],
  ["86399", 86_399_000],
  ["86400", day],
  ["86401", day],
  ["604800", day],
  ["2147483648", day],
  ["99999999999", day],
  [" 30", 30_000],
  ["30 \t", 30_000],
  // Fractions of a second, rounded up to a millisecond.
  ["0.5", 500],
  ["1.5", 1_500],
  ["2.0", 2_000],
  ["0.0001", 1],
  ["1.0011", 1_002],
  // No wait at all.
  ["0", null],
  ["00", null],
  ["0.0", null],
  // Numbers that lead to no instant.
  ["100000000000000000000", null],
  ["1" + "0".repeat(400), null],
  // No numbers of that form.
  ["-1", null],
  ["-0", null],
  ["+5", null],
  ["1e3", null],
  ["0x10", null],
  ["1_000", null],
  ["1,5", null],
  [".5", null],
  ["5.", null],
  ["1.2.3", null],
  ["Infinity", null],
  ["NaN", null],
  ["30s", null],
  ["30 seconds", null],
  ["٣٠", null],
  // Repeated.
  ["120, 120", null],
  ["120,240", null],
  ["Sun, 06 Nov 1994 08:50:37 GMT, 120", null],
  // IMF-fixdate.
  ["Sun, 06 Nov 1994 08:49:38 GMT", 1_000],
  ["Sun, 06 Nov 1994 08:50:37 GMT", 60_000],
  ["sun, 06 nov 1994 08:50:37 gmt", 60_000],
  ["Mon, 07 Nov 1994 08:49:37 GMT", day],
  ["Tue, 08 Nov 1994 08:49:37 GMT", day],
  ["Fri, 31 Dec 9999 23:59:59 GMT", day],
  ["Sun, 06 Nov 1994 08:49:37 GMT", null],
  ["Sun, 06 Nov 1994 08:49:36 GMT", null],
  ["Thu, 01 Jan 1970 00:00:00 GMT", null],
  // RFC 850.
  ["Sunday, 06-Nov-94 08:50:37 GMT", 60_000],
  ["Sunday, 06-Nov-94 08:49:00 GMT", null],
  // asctime.
  ["Sun Nov  6 08:50:37 1994", 60_000],
  ["Sun Nov 06 08:50:37 1994", 60_000],
  ["Sun Nov  6 08:49:00 1994", null],
  // No dates.
  ["Sun, 31 Nov 1994 08:50:37 GMT", null],
  ["Sun, 06 Nov 1994 25:00:00 GMT", null],
  ["Sun, 06 Nov 1994 08:50:37 PST", null],
  ["Sun, 06 Nov 1994 08:50:37 +0000", null],
  ["1994-11-06T08:50:37Z", null],
  ["tomorrow", null],
  ["", null],
  [" ", null],
  ["null", null]
]

describe("Retry-After", () => {
  for (const [value, waitMs] of cases) {
    const asks = waitMs === null ? "asks for nothing" : `asks for ${waitMs} ms`
    it(`${JSON.stringify(value.slice(0, 40))} ${asks}`, () => {
      const at = retryAfterAt({ "retry-after": value }, now)
      assert.strictEqual(at === null ? null : at - now, waitMs)
    })
  }

  it("asks for nothing when it is absent", () => {
    assert.strictEqual(retryAfterAt({ date: "Sun, 06 Nov 1994 08:50:37 GMT" }, now), null)
  })

  it.prop(
    "asks for an instant after now and at most a day later, whatever it says",
    [Schema.Union([Schema.String, Schema.Finite, Schema.Int])],
    ([value]) => {
      const at = retryAfterAt({ "retry-after": String(value) }, now)
      assert.isTrue(at === null || (Number.isInteger(at) && at > now && at <= now + day))
    },
    { arbitrary: { runs: 500 } }
  )
})
