/**
 * Measures requests to this service by method, route and class of the status.
 *
 * A route is its template, such as `/v1/webhooks/:webhook`; what leads nowhere is one series.
 */
import { Context, Effect } from "effect"
import { HttpRouter } from "effect/http"
import { httpDuration } from "../telemetry/Metrics.ts"

/** Measures one request that was answered; runs where its route is still in the context. */
export type Record = (method: string, status: number, begunAt: bigint) => Effect.Effect<void>

/** Makes the measure of a server; series are made as routes are first asked for. */
export const make: Effect.Effect<Record> = Effect.clockWith((clock) =>
  Effect.sync(() => {
    const series = new Map<string, ReturnType<typeof httpDuration>>()
    const seriesOf = (method: string, route: string, status: string) => {
      const key = `${method} ${route} ${status}`
      const known = series.get(key)
      if (known !== undefined) return known
      const made = httpDuration({ method, route, status })
      series.set(key, made)
      return made
    }
    return (method, status, begunAt) =>
      Effect.withFiber((fiber) => {
        const route = Context.getOrUndefined(fiber.context, HttpRouter.RouteContext)?.route.path
        const took = Number(clock.currentTimeNanosUnsafe() - begunAt) / 1e9
        const by = `${Math.trunc(status / 100)}xx`
        const metric =
          route === undefined ? seriesOf("any", "none", by) : seriesOf(method, route, by)
        metric.updateUnsafe(took, fiber.context)
        return Effect.void
      })
  })
)
