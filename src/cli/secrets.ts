/**
 * `posthaste secrets`: what concerns the secrets of webhooks as they are kept.
 */
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"

/** Reports that some secrets stay sealed by keys that are not there. */
export class SecretsLeft extends Schema.TaggedError<SecretsLeft>()("SecretsLeft", {
  count: Schema.Int
}) {
  /** Says how many, and what would help. */
  override get message(): string {
    return `${this.count} secrets cannot be read: put the key that sealed them into the key ring`
  }
}

/** Seals what another key than the first one of the ring has sealed, and counts. */
const rotateKeys = Command.make("rotate-keys", {}, () =>
  Effect.gen(function* () {
    const { load } = yield* Effect.promise(() => import("../Settings.ts"))
    const settings = yield* load
    const Server = yield* Effect.promise(() => import("../Server.ts"))
    const KeyRotation = yield* Effect.promise(() => import("../store/KeyRotation.ts"))
    yield* Effect.gen(function* () {
      const { unreadable } = yield* KeyRotation.run(({ sealed }) =>
        Console.log(`sealed  ${sealed}`)
      )
      for (const { keyId, secrets } of yield* KeyRotation.count) {
        yield* Console.log(`${(keyId ?? "(not sealed)").padEnd(32)} ${secrets}`)
      }
      if (unreadable > 0) return yield* new SecretsLeft({ count: unreadable })
    }).pipe(
      Effect.provide(
        Layer.provideMerge(Server.layerKeyRing(settings), Server.layerDatabase(settings))
      )
    )
  })
).pipe(
  Command.withDescription(
    "Seal all secrets by the first key of POSTHASTE_SECRET_KEYS, while services run on Postgres"
  )
)

/** Holds the words about secrets. */
export const secrets = Command.make("secrets").pipe(
  Command.withDescription("Secrets of webhooks, as they are kept"),
  Command.withSubcommands([rotateKeys])
)
