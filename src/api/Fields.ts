/**
 * Fields that several resources share: a caller's own id, a reference to something, an
 * idempotency key.
 */
import * as Schema from "effect/Schema"
import { prefixes } from "../domain/TypeId.ts"
import { Uid } from "../domain/Webhook.ts"
import { Text } from "./Text.ts"

const typeIdLike = new RegExp(
  `^(?:${Object.values(prefixes).join("|")})_[0-7][0-9a-hjkmnp-tv-z]{25}$`
)

/** A caller's own id. One that looks like an id of ours would hide the thing with that id. */
export const CallerUid = Uid.check(
  Schema.makeFilter((uid: string) =>
    typeIdLike.test(uid) ? "Expected a uid that does not look like an id of Posthaste" : undefined
  )
)

/** The name of a channel, by which messages and webhooks find each other beside their types. */
export const Channel = Text(128)

/** Names a thing in a path by its id or its uid. */
export const Ref = Schema.String.annotate({ description: "An id, or the caller's own uid" })

/** Tells whether text can be an id or a uid at all; if not, nothing has it. */
export const isRef: (text: string) => boolean = Schema.is(Uid)

/** The caller's key for a request that creates; repeating the request answers the first one. */
export const IdempotencyKey = Schema.String.check(
  Schema.isPattern(/^[\x20-\x7e]{1,255}$/u, {
    message: "Expected 1 to 255 printable ASCII characters"
  })
).annotate({ description: "Makes repeating this request safe; kept for 24 hours" })

/** Asks for payloads or response bodies, which lists leave out. */
export const Include = Schema.optionalKey(
  Schema.Literal("body").annotate({ description: "`body` adds bodies to the answer" })
)

/** How a body is shown: as the text that it is, or in base64 when it is not UTF-8. */
export const BodyEncoding = Schema.Literals(["utf8", "base64"])
