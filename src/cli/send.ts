/**
 * `posthaste send`: publishes one message.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { withClient } from "./Client.ts"
import { decode, json } from "./Fields.ts"
import { present } from "./Page.ts"
import { answer, both, instant, record } from "./Print.ts"

/** Publishes a message of a type; its data is JSON. */
export const send = Command.make(
  "send",
  {
    type: Argument.String("type").pipe(Argument.withDescription("Such as invoice.paid")),
    data: Argument.String("data").pipe(
      Argument.withDescription("JSON, such as '{\"amount\":100}'"),
      Argument.withDefault("null")
    ),
    uid: Flag.String("uid").pipe(Flag.withDescription("Your own id for it"), Flag.optional),
    idempotencyKey: Flag.String("idempotency-key").pipe(
      Flag.withDescription("The same key stores and delivers once"),
      Flag.optional
    ),
    to: Flag.String("to").pipe(
      Flag.withDescription("A URL: sent there alone, and to no registered webhook"),
      Flag.optional
    ),
    secret: Flag.String("secret").pipe(
      Flag.withDescription("Signs what goes to --to; generated when absent"),
      Flag.optional
    )
  },
  ({ data, idempotencyKey, secret, to, type, uid }) =>
    withClient(({ messages }) =>
      Effect.gen(function* () {
        const { PublishInput } = yield* Effect.promise(() => import("../api/MessagesApi.ts"))
        const payload = yield* decode(PublishInput)({
          type,
          data: yield* json(data),
          ...(Option.isSome(uid) ? { uid: uid.value } : {}),
          // A secret for nowhere is refused where the URL is missing.
          ...(Option.isSome(to) || Option.isSome(secret)
            ? { webhook: present({ url: to, secret }) }
            : {})
        })
        const accepted = yield* messages.publish({
          payload,
          headers: Option.isSome(idempotencyKey) ? { "idempotency-key": idempotencyKey.value } : {},
          ...both
        })
        yield* answer(accepted, (message) =>
          record({
            id: message.id,
            type: message.type,
            created: instant(message.createdAt),
            deliveries: message.deliveries
          })
        )
      })
    )
).pipe(Command.withDescription("Publish a message"), Command.withAlias("publish"))
