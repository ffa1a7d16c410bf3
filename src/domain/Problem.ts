/**
 * The form of every refusal: an RFC 9457 problem with a stable `code`.
 *
 * A noun defines its refusals beside itself with `problem`; HTTP renders them as they are, and a
 * library user catches them by tag. `requestId` is added where the answer leaves the process.
 */
import * as HttpApiError from "effect/http-api/HttpApiError"
import * as Schema from "effect/Schema"

/** One thing that is wrong with an input: where (RFC 6901 pointer) and what. */
export const ProblemItem = Schema.Struct({
  pointer: Schema.String,
  message: Schema.String
})
export type ProblemItem = typeof ProblemItem.Type

/** Members that every problem of ours carries beside those of RFC 9457. */
const members = <const Code extends string>(code: Code) => ({
  code: Schema.tag(code),
  requestId: Schema.optionalKey(Schema.String)
})

/**
 * Builds the class of one refusal.
 *
 * **Details**
 *
 * `type` is `urn:posthaste:problem:<code>`, which tells problems of one status apart for clients.
 */
export const problem =
  <Self>() =>
  <
    const Tag extends string,
    const Code extends string,
    const Status extends number,
    const Fields extends Schema.Struct.Fields & { readonly detail?: never } = {}
  >(
    tag: Tag,
    declaration: { readonly code: Code; readonly status: Status; readonly title: string },
    fields?: Fields
  ) =>
    HttpApiError.Problem<Self>()(
      tag,
      {
        type: `urn:posthaste:problem:${declaration.code}`,
        status: declaration.status,
        title: declaration.title
      },
      { ...members(declaration.code), ...((fields ?? {}) as Fields) }
    )
