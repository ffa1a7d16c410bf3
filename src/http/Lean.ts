/**
 * Keeps small what is copied for every request.
 *
 * Effect's HTTP API joins the context of the server with that of a group of handlers each time one of
 * them is called, entry by entry, although our handlers took what they need when they were built.
 */
import { Context, Effect, Layer } from "effect"

/** Builds a layer with nothing in its context but the services named, which are all that it needs. */
export const only =
  <Keys extends ReadonlyArray<Context.Key<unknown, unknown>>>(...services: Keys) =>
  <A, E, R extends Context.Service.Identifier<Keys[number]>>(
    layer: Layer.Layer<A, E, R>
  ): Layer.Layer<A, E, R> =>
    within<A, E, R>(layer, Context.pick(...services))

/** Builds a layer that needs none of our services, with none of them in its context. */
export const without = <A, E, R>(layer: Layer.Layer<A, E, R>): Layer.Layer<A, E, R> =>
  within(layer, (context) =>
    Context.makeUnsafe(new Map([...context.mapUnsafe].filter(([key]) => !key.startsWith(ours))))
  )

const ours = "posthaste/"

const within = <A, E, R>(
  layer: Layer.Layer<A, E, R>,
  narrow: (context: Context.Context<R>) => Context.Context<R>
): Layer.Layer<A, E, R> =>
  Layer.fromBuild((memoMap, scope) =>
    Effect.updateContext(Layer.buildWithMemoMap(layer, memoMap, scope), narrow)
  )
