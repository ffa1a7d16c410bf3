/**
 * Calls the API over a real socket, and holds every answer to what the API declares: a JSON answer
 * that its schema does not know, or knows with fewer keys, fails the test that got it.
 */
import { assert } from "@effect/vitest"
import { Context, Effect, Layer, Schema } from "effect"
import { HttpServer } from "effect/http"
import { HttpApi } from "effect/http-api"
import * as net from "node:net"
import { Api } from "../../src/api/Api.ts"
import * as Http from "../../src/http/Http.ts"
import * as Fakes from "./Fakes.ts"

/** An answer, its body parsed if it is JSON. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  // Tests look into answers; their form is held to the schemas here.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly json: any
}

interface Call {
  /** A bearer token; the key with all scopes by default, none when null. */
  readonly key?: string | null
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly json?: unknown
  /** Sent as it is. */
  readonly body?: string | Uint8Array
}

export class Calls extends Context.Service<
  Calls,
  {
    readonly port: number
    readonly call: (method: string, path: string, options?: Call) => Effect.Effect<Answer>
    /** Writes bytes on a new connection and answers all that comes until it closes. */
    readonly raw: (text: string) => Effect.Effect<string>
  }
>()("test/http/Calls") {
  static readonly layer = Layer.effect(
    Calls,
    Effect.gen(function* () {
      const { address } = yield* HttpServer.HttpServer
      const { keys } = yield* Fakes.Tenants
      if (address._tag === "UnixPathAddress") return yield* Effect.die("not a port")
      const { port } = address
      return Calls.of({
        port,
        call: (method, path, { key = keys.all, headers = {}, json, body } = {}) =>
          Effect.promise(async () => {
            const sent = json === undefined ? body : JSON.stringify(json)
            const response = await fetch(`http://127.0.0.1:${port}${path}`, {
              method,
              headers: {
                ...(key === null ? {} : { authorization: `Bearer ${key}` }),
                ...(json === undefined ? {} : { "content-type": "application/json" }),
                ...headers
              },
              ...(sent === undefined ? {} : { body: sent })
            })
            const isStream = response.headers.get("content-type") === "text/event-stream"
            if (isStream) await response.body?.cancel()
            const text = isStream ? "" : await response.text()
            const isJson = /json/.test(response.headers.get("content-type") ?? "")
            const answer = {
              status: response.status,
              headers: response.headers,
              text,
              json: isJson && text !== "" ? JSON.parse(text) : undefined
            }
            assertDeclared(method, path, answer)
            return answer
          }),
        raw: (text) =>
          Effect.callback((resume) => {
            let received = ""
            const socket = net.connect(port, "127.0.0.1", () => socket.write(text))
            socket.setEncoding("latin1")
            socket.on("data", (chunk) => (received += chunk))
            socket.on("error", () => undefined)
            socket.on("close", () => resume(Effect.succeed(received)))
            return Effect.sync(() => socket.destroy())
          })
      })
    })
  )
}

/** The API with scripted services behind it, on a free port. */
export const layer = (options: Http.HttpServerOptions = {}) =>
  Calls.layer.pipe(
    // Tests of refusals ask often, and all from one address.
    Layer.provideMerge(Http.layer({ failedAuthMax: Infinity, ...options })),
    Layer.provideMerge(Http.layerNode({ gracefulShutdownTimeout: 0, ...options, port: 0 })),
    Layer.provideMerge(Fakes.layer)
  )

interface Declared {
  readonly method: string
  readonly form: RegExp
  readonly answers: ReadonlyMap<number, ReadonlyArray<Schema.Top>>
}

const declared: Array<Declared> = []
HttpApi.reflect(Api, {
  onGroup: () => undefined,
  onEndpoint: ({ endpoint, successes, errors }) => {
    declared.push({
      method: endpoint.method,
      form: new RegExp(`^${endpoint.path.replaceAll(/:\w+/g, "[^/]+")}$`),
      answers: new Map(
        [...new Set([...successes.keys(), ...errors.keys()])].map((status) => [
          status,
          [...(successes.get(status) ?? []), ...(errors.get(status) ?? [])]
        ])
      )
    })
  }
})

const unendpointed = new Set(["route_not_found", "headers_too_large"])

const assertDeclared = (method: string, path: string, answer: Answer) => {
  if (answer.status >= 400) assertProblem(path, answer)
  const endpoint = declared.find(
    (one) => one.method === method && one.form.test(path.split("?", 1)[0]!)
  )
  // What stands before any endpoint declares itself: a path that is none, a request that is none.
  if (unendpointed.has(answer.json?.code)) return
  if (endpoint === undefined || answer.json === undefined) return
  const schemas = endpoint.answers.get(answer.status)
  assert.isDefined(schemas, `${method} ${path} does not declare ${answer.status}: ${answer.text}`)
  const decode = Schema.decodeUnknownSync(
    Schema.Union(schemas as ReadonlyArray<Schema.Codec<unknown>>),
    {
      onExcessProperty: "error"
    }
  )
  decode(answer.json)
}

const assertProblem = (path: string, answer: Answer) => {
  if (path.startsWith("/health")) return
  assert.strictEqual(answer.headers.get("content-type"), "application/problem+json")
  assert.strictEqual(answer.json.status, answer.status)
  assert.strictEqual(answer.json.type, `urn:posthaste:problem:${answer.json.code}`)
  assert.match(answer.json.code, /^[a-z_]+$/)
  assert.isString(answer.json.title)
  assert.strictEqual(answer.json.requestId, answer.headers.get("x-request-id"))
  assert.notMatch(answer.text, /\bat .*\.ts:|node_modules/)
}
