/**
 * Answers while there is no API yet: the database is opened or migrated, or another engine owns it
 * and this one stands by, for months perhaps.
 *
 * Whoever watches the process finds it alive and not ready; every other request is asked to come
 * back. It listens beneath the API's own server, and is silent from the moment that one answers.
 */
import { Context, Effect, Layer } from "effect"
import type { RequestListener, Server } from "node:http"
import type { NotReady } from "../api/SystemApi.ts"

export class Standby extends Context.Service<
  Standby,
  {
    /** Notes that the database is open. */
    readonly opened: Effect.Effect<void>
    /** Makes a server answer as long as nothing else does. */
    readonly attach: (server: Server) => Server
  }
>()("posthaste/http/Standby") {
  static readonly layer = Layer.sync(Standby, () => {
    let database: "waiting" | "ok" = "waiting"
    return Standby.of({
      opened: Effect.sync(() => {
        database = "ok"
      }),
      attach: (server) => {
        const listener: RequestListener = (request, response) => {
          if (server.listenerCount("request") > 1) return
          const path = request.url?.split("?", 1)[0] ?? ""
          const answer = (status: number, body: unknown, type = "application/json") =>
            response
              .writeHead(status, {
                "content-type": type,
                "cache-control": "no-store",
                // Whoever asks again and again on one connection would hold up the end for ever.
                ...(server.listening ? {} : { connection: "close" }),
                ...(status === 503 ? { "retry-after": String(retryAfterSeconds) } : {})
              })
              .end(JSON.stringify(body))
          if (path === "/health/live") return answer(200, { status: "ok" })
          if (path === "/health/ready") return answer(503, notReady(database))
          return answer(503, unavailable, "application/problem+json")
        }
        return server.on("request", listener)
      }
    })
  })
}

const retryAfterSeconds = 2

const notReady = (database: "waiting" | "ok"): typeof NotReady.Encoded => ({
  status: "unavailable",
  checks: {
    database,
    migrations: "waiting",
    ownership: "waiting",
    lanes: "waiting",
    draining: "ok"
  }
})

/** The problem that the API answers while the store is away. */
const unavailable = {
  type: "urn:posthaste:problem:store_unavailable",
  title: "The store is unavailable; try again",
  status: 503,
  code: "store_unavailable",
  retryAfterSeconds
}
