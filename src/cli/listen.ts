/**
 * `posthaste listen`: a receiver for trying things out. It prints each request and its verdict on the
 * signature, and answers what it was told.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
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
import * as Schema from "effect/Schema"
import { createServer } from "node:http"
import { verify } from "../verify.ts"

const Statuses = Schema.String.check(
  Schema.isPattern(/^[2-5]\d\d(,[2-5]\d\d)*$/, { message: "Expected statuses such as 200,500" })
)

/** Lets a secret pass that something can be verified with: `verify` throws at any other. */
const usable = (secret: Redacted.Redacted): Redacted.Redacted => {
  verify({ secret: Redacted.value(secret), headers: {}, body: "" })
  return secret
}

/** Receives requests on a loopback port and says what it saw. */
export const listen = Command.make(
  "listen",
  {
    port: Flag.Int("port").pipe(
      Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65_535 }))),
      Flag.withDescription("Where to listen on 127.0.0.1; 0 takes any free port"),
      Flag.withDefault(9000)
    ),
    secret: Flag.Redacted("secret").pipe(
      Flag.mapTryCatch(usable, (error) =>
        error instanceof TypeError ? `whsec_… or whpk_…; ${error.message}` : "whsec_… or whpk_…"
      ),
      Flag.withDescription(
        "The webhook's secret, whsec_…, or its public key, whpk_…, to verify standard signatures with"
      ),
      Flag.optional
    ),
    status: Flag.String("status").pipe(
      Flag.withSchema(Statuses),
      Flag.withDescription("What to answer, in turn: 200,500 answers 200, 500, 200, …"),
      Flag.withDefault("200")
    ),
    delay: Flag.Int("delay").pipe(
      Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 600_000 }))),
      Flag.withDescription("Milliseconds to wait before answering"),
      Flag.withDefault(0)
    )
  },
  ({ delay, port, secret, status }) =>
    Effect.gen(function* () {
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
).pipe(Command.withDescription("Receive webhooks here, to try things out"))

/** The body as one line of text, cut at 200 characters, control characters made visible. */
const preview = (body: Uint8Array): string => {
  const text = new TextDecoder()
    .decode(body.subarray(0, 800))
    .replaceAll(/\p{Cc}/gu, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`)
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}
