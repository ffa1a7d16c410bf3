/**
 * Whether the service is ending: answers then close their connections, as one that a client keeps
 * open would hold up the end for seconds.
 */
import { Context, Effect, Layer } from "effect"

export class Draining extends Context.Service<
  Draining,
  {
    /** Tells whether the end has begun. */
    readonly begun: () => boolean
    /** Begins the end; there is no way back. */
    readonly begin: Effect.Effect<void>
  }
>()("posthaste/http/Draining") {
  static readonly layer = Layer.sync(Draining, () => {
    let begun = false
    return Draining.of({
      begun: () => begun,
      begin: Effect.sync(() => {
        begun = true
      })
    })
  })

  /** Begins the end when the scope closes. Build it last: what is built last is closed first. */
  static readonly layerAtEnd = Layer.effectDiscard(
    Effect.flatMap(Draining, ({ begin }) => Effect.addFinalizer(() => begin))
  )
}
