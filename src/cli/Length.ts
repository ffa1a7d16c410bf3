/**
 * Lengths of time as people type them: `500ms`, `10s`, `2m`, `1h`.
 */
import * as Flag from "effect/cli/Flag"
import * as Duration from "effect/Duration"

/** Takes a length of time above zero. */
export const length = (name: string): Flag.Flag<Duration.Duration> =>
  Flag.String(name).pipe(
    Flag.mapTryCatch(
      (text) => {
        const [, digits, unit] = /^(\d{1,9})(ms|s|m|h)$/.exec(text) ?? []
        const ms = Number(digits) * (units[unit ?? ""] ?? Number.NaN)
        if (!(ms > 0)) throw new Error()
        return Duration.millis(ms)
      },
      () => "expected a length of time such as 500ms, 10s, 2m or 1h"
    )
  )

const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }
