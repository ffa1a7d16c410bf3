/**
 * The receiver of `posthaste listen`: a server on loopback that verifies, prints and answers.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { createServer } from "node:http"
import { verify } from "../verify.ts"

/** What a receiver does. */
export interface ListenerOptions {
  /** Where it listens on 127.0.0.1; 0 takes any free port. */
  readonly port: number
  readonly secret: Option.Option<Redacted.Redacted>
  /** What it answers, in turn, such as `200,500`. */
  readonly status: string
  /** Milliseconds to wait before answering. */
  readonly delay: number
}

/** Receives until it is interrupted. */
export const run = Effect.fnUntraced(function* ({ delay, port, secret, status }: ListenerOptions) {
  const statuses = status.split(",").map(Number)
  let seen = 0

  const app = Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const body = new Uint8Array(yield* request.arrayBuffer)
    const answer = statuses[seen++ % statuses.length]!
    const now = yield* Clock.currentTimeMillis
    const verdict = Option.match(secret, {
      onNone: () => "signature not checked (no --secret)",
      onSome: (text) => {
        const result = verify({
          secret: Redacted.value(text),
          headers: request.headers,
          body,
          nowSeconds: now / 1000
        })
        return result.ok ? "signature verified" : `signature REFUSED: ${result.reason}`
      }
    })
    if (delay > 0) yield* Effect.sleep(delay)
    const attempt = request.headers["posthaste-attempt"] ?? "?"
    yield* Console.log(
      `${DateTime.formatIso(DateTime.makeUnsafe(now))} ${request.method} ${request.url} ` +
        `${request.headers["webhook-id"] ?? "-"} attempt ${attempt}: ${verdict}, ` +
        `answered ${answer}\n  ${preview(body)}`
    )
    return HttpServerResponse.empty({ status: answer })
  })

  const server = HttpServer.serve(app).pipe(
    Layer.provideMerge(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port })),
    Layer.tap((context) =>
      HttpServer.addressFormattedWith((address) =>
        Console.log(`listening on ${address}, answering ${status}`)
      ).pipe(Effect.provideContext(context))
    )
  )
  return yield* Layer.launch(server)
})

/** The body as one line of text, cut at 200 characters, control characters made visible. */
const preview = (body: Uint8Array): string => {
  const text = new TextDecoder()
    .decode(body.subarray(0, 800))
    .replaceAll(/\p{Cc}/gu, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`)
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}
