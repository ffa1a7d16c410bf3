/**
 * Instants as JSON shows them: RFC 3339 in UTC with milliseconds; in code, epoch milliseconds.
 *
 * Any RFC 3339 offset and any number of decimals is read; what is finer than a millisecond is cut.
 */
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"

/** Formats epoch milliseconds, such as `2026-01-31T12:00:00.000Z`. */
export const format = (epochMs: number): string => new Date(epochMs).toISOString()

/** Epoch milliseconds in code, RFC 3339 text outside. */
export const Instant = Schema.String.annotate({
  description: "RFC 3339, in answers always UTC with milliseconds",
  format: "date-time",
  examples: ["2026-01-31T12:00:00.000Z"]
})
  .check(
    Schema.makeFilter((text: string) =>
      isInstant(text) ? undefined : "Expected an RFC 3339 instant such as 2026-01-31T12:00:00Z"
    )
  )
  .pipe(
    Schema.decodeTo(
      Schema.Finite,
      SchemaTransformation.transform({ decode: (text) => Date.parse(text), encode: format })
    )
  )

const form =
  /^(\d{4})-(\d\d)-(\d\d)[Tt](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/

const isInstant = (text: string): boolean => {
  const match = form.exec(text)
  if (match === null) return false
  // Date.parse would roll 30 February over into March.
  const day = new Date(`${match[1]}-${match[2]}-${match[3]}T00:00:00Z`)
  return !Number.isNaN(day.getTime()) && day.getUTCDate() === Number(match[3])
}
