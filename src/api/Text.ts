/**
 * Text that people write into a field: bounded, and storable anywhere.
 *
 * JSON can say things that a database or UTF-8 cannot: NUL and halves of surrogate pairs. They are
 * refused here, as are control characters other than tab and line breaks.
 */
import * as Schema from "effect/Schema"

/** Builds the schema of text of 1 to `lengthMax` UTF-16 units. */
export const Text = (lengthMax: number) =>
  Schema.String.check(
    Schema.isMinLength(1),
    Schema.isMaxLength(lengthMax),
    Schema.makeFilter((text: string) =>
      // Named for what it refuses: control characters are the point of the pattern.
      // oxlint-disable-next-line eslint/no-control-regex
      text.isWellFormed() && !/[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/.test(text)
        ? undefined
        : "Expected text without control characters"
    )
  )
