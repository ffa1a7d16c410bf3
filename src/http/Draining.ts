/**
 * Whether the service is ending: answers then close their connections, as one that a client keeps
 * open would hold up the end for seconds, and answers without an end are ended.
 */
import { Context, Effect, Latch, Layer } from "effect"
import { reach } from "../telemetry/Failpoint.ts"

export class Draining extends Context.Service<
  Draining,
  {
    /** Tells whether the end has begun. */
    readonly begun: () => boolean
    /** Waits until the end begins. */
    readonly awaited: Effect.Effect<void>
    /** Begins the end; there is no way back. */
    readonly begin: Effect.Effect<void>
  }
>()("posthaste/http/Draining") {
  static readonly layer = Layer.sync(Draining, () => {
    const latch = Latch.makeUnsafe()
    return Draining.of({
      begun: () => latch.isOpen(),
      awaited: latch.await,
      begin: Effect.sync(() => {
        reach("shutdown.begun")
        latch.openUnsafe()
      })
    })
  })

  /** Begins the end when the scope closes. Build it last: what is built last is closed first. */
  static readonly layerAtEnd = Layer.effectDiscard(
    Effect.flatMap(Draining, ({ begin }) => Effect.addFinalizer(() => begin))
  )
}
