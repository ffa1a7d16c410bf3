/** What holds for every answer, whatever was asked. */
import { assert, describe, it as test, layer } from "@effect/vitest"
import {
  Cause,
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  References,
  Scope
} from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import * as Http from "../../src/http/Http.ts"
import { Calls, layer as calls } from "./Calls.ts"
import * as Fakes from "./Fakes.ts"

describe("Http", () => {
  layer(calls({ headersTimeout: "1 second", requestTimeout: "1 second" }))((it) => {
    it.effect("answers 404 to unknown paths and 405 to wrong methods", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        for (const path of ["/", "/v1", "/v1/nothing", "/v1/webhooks/a/b/c", "/%zz", "/health"]) {
          const answer = yield* call("GET", path)
          assert.strictEqual(answer.status, 404, path)
          assert.strictEqual(answer.json.code, "route_not_found")
        }
        for (const [method, path, allow] of [
          ["DELETE", "/v1/webhooks", "POST, GET"],
          ["POST", "/v1/webhooks/a", "GET, PUT, PATCH, DELETE"],
          ["GET", "/v1/webhooks/a/pause", "POST"],
          ["OPTIONS", "/v1/messages", "POST, GET"],
          ["PROPFIND", "/v1/deliveries?x=1", "GET"],
          ["POST", "/openapi.json", "GET"],
          ["POST", "/docs", "GET"],
          ["PUT", "/health/live", "GET"]
        ] as const) {
          const answer = yield* call(method, path)
          assert.strictEqual(answer.status, 405, `${method} ${path}`)
          assert.strictEqual(answer.json.code, "method_not_allowed")
          assert.strictEqual(answer.headers.get("allow"), allow)
        }
        const head = yield* call("HEAD", "/v1/webhooks")
        assert.strictEqual(head.status, 200)
        assert.strictEqual(head.text, "")
      })
    )

    it.effect("gives every answer an id, the caller's own when it is short and plain", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const idOf = (headers: Record<string, string>, path = "/v1/webhooks") =>
          Effect.map(call("GET", path, { headers }), (answer) => answer.headers.get("x-request-id"))
        assert.strictEqual(yield* idOf({ "x-request-id": "abc-1.2:3_4" }), "abc-1.2:3_4")
        assert.strictEqual(yield* idOf({ "x-request-id": "abc" }, "/nothing"), "abc")
        const generated = new Set<string | null>()
        for (const odd of ["", "x".repeat(65), "a b", "<script>"]) {
          generated.add(yield* idOf({ "x-request-id": odd }))
        }
        for (const id of generated) assert.match(id ?? "", /^req_[\w-]{16}$/)
        assert.strictEqual(generated.size, 4)
      })
    )

    it.effect("lets nobody keep or guess at what an answer is", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        for (const path of ["/v1/webhooks", "/nothing", "/health/live", "/openapi.json", "/docs"]) {
          const { headers } = yield* call("GET", path)
          assert.strictEqual(headers.get("x-content-type-options"), "nosniff")
          assert.strictEqual(headers.get("cache-control"), "no-store")
          assert.isNull(headers.get("access-control-allow-origin"))
        }
      })
    )

    it.effect("serves the document and its pages without a key", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const document = yield* call("GET", "/openapi.json", { key: null })
        assert.strictEqual(document.json.openapi, "3.1.0")
        const page = yield* call("GET", "/docs", {
          key: null,
          headers: { "accept-encoding": "identity" }
        })
        assert.match(page.headers.get("content-type") ?? "", /^text\/html/)
        assert.include(page.text, "Posthaste API")
        assert.notMatch(page.text, /<script[^>]* src=|<link[^>]* href=/)
        assert.match(page.headers.get("content-security-policy") ?? "", /^default-src 'none'/)
        const small = yield* call("GET", "/docs", {
          key: null,
          headers: { "accept-encoding": "gzip" }
        })
        assert.strictEqual(small.headers.get("content-encoding"), "gzip")
        assert.strictEqual(small.text, page.text)
      })
    )

    it.effect("answers 4xx to requests that are framed two ways, or not at all, and goes on", () =>
      Effect.gen(function* () {
        const { call, raw } = yield* Calls
        const { keys } = yield* Fakes.Tenants
        const head = `POST /v1/messages HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${keys.all}\r\n`
        const body = `{"type":"a","data":1}`
        for (const request of [
          `${head}content-length: 21\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
          `${head}content-length: 21\r\ncontent-length: 22\r\n\r\n${body}`,
          `${head}content-length: -1\r\n\r\n${body}`,
          `${head}transfer-encoding: gzip\r\n\r\n${body}`,
          `${head}transfer-encoding: chunked\r\n\r\nzz\r\n${body}\r\n0\r\n\r\n`,
          `${head}x: a\rb\r\ncontent-length: 0\r\n\r\n`,
          `${head}x: a\0b\r\ncontent-length: 0\r\n\r\n`,
          `${head}x : b\r\ncontent-length: 0\r\n\r\n`,
          `${head}x: ${"y".repeat(20_000)}\r\n\r\n`,
          `GET / HTTP/1.1\r\n\r\n`,
          `nonsense\r\n\r\n`
        ]) {
          assert.match(yield* raw(request), /^HTTP\/1\.1 4\d\d /, request.slice(100, 200))
        }
        assert.strictEqual((yield* call("GET", "/v1/webhooks")).status, 200)
      })
    )

    it.effect(
      "cuts off clients that send their headers or their body too slowly",
      () =>
        Effect.gen(function* () {
          const { raw } = yield* Calls
          const { keys } = yield* Fakes.Tenants
          const [headers, body] = yield* Effect.all(
            [
              raw("GET /health/live HTTP/1.1\r\nhost: a\r\n"),
              raw(
                `POST /v1/messages HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${keys.all}\r\n` +
                  `content-type: application/json\r\ncontent-length: 21\r\n\r\n{"type"`
              )
            ],
            { concurrency: "unbounded" }
          )
          assert.match(headers, /^HTTP\/1\.1 408 /)
          assert.match(body, /^HTTP\/1\.1 408 /)
        }),
      10_000
    )
  })

  test.effect("answers a defect with 500 and logs it under the request's id", () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ cause, fiber, message }) => {
      const { requestId } = fiber.getRef(References.CurrentLogAnnotations)
      lines.push([message, requestId, Cause.pretty(cause)].join(" "))
    })
    return Effect.gen(function* () {
      const { call } = yield* Calls
      const fakes = yield* Fakes.Fakes
      fakes.publish = () => Effect.die(new Error("the dog ate it"))
      const answer = yield* call("POST", "/v1/messages", {
        json: { type: "a", data: "secret-data" }
      })
      assert.strictEqual(answer.status, 500)
      assert.deepStrictEqual(answer.json, {
        type: "urn:posthaste:problem:internal_error",
        title: answer.json.title,
        status: 500,
        code: "internal_error",
        requestId: answer.json.requestId
      })
      const logged = lines.filter((line) => line.includes("the dog ate it"))
      assert.lengthOf(logged, 1)
      assert.include(logged[0], answer.json.requestId)
      assert.notInclude(lines.join(), "secret-data")
    }).pipe(Effect.provide(calls()), Effect.provide(Logger.layer([logger])))
  })

  test.effect("finishes at shutdown what is in flight and takes nothing new", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(
        calls({ gracefulShutdownTimeout: "1 minute" }),
        scope
      )
      const { call } = Context.get(context, Calls)
      const fakes = Context.get(context, Fakes.Fakes)
      const accept = fakes.publish
      const begun = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      fakes.publish = (draft) =>
        Deferred.succeed(begun, undefined).pipe(
          Effect.andThen(Deferred.await(go)),
          Effect.andThen(accept(draft))
        )
      const inFlight = yield* Effect.forkChild(
        call("POST", "/v1/messages", { json: { type: "a", data: 1 } })
      )
      yield* Deferred.await(begun)
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), {
        startImmediately: true
      })
      const refused = yield* Effect.exit(call("GET", "/health/live"))
      assert.isTrue(Exit.isFailure(refused))
      yield* Deferred.succeed(go, undefined)
      const answer = yield* Fiber.join(inFlight)
      assert.strictEqual(answer.status, 202)
      assert.strictEqual(answer.headers.get("connection"), "close")
      yield* Fiber.join(closing)
    })
  )

  test.effect("carries the routes of other doors", () =>
    Effect.gen(function* () {
      const { call } = yield* Calls
      assert.strictEqual((yield* call("GET", "/other")).text, "here")
      assert.strictEqual((yield* call("GET", "/health/live")).status, 200)
    }).pipe(
      Effect.provide(
        Calls.layer.pipe(
          Layer.provideMerge(
            Http.serve(
              Layer.merge(
                Http.routes(),
                HttpRouter.add("GET", "/other", HttpServerResponse.text("here"))
              )
            )
          ),
          Layer.provideMerge(Http.layerNode({ port: 0, gracefulShutdownTimeout: 0 })),
          Layer.provideMerge(Fakes.layer)
        )
      )
    )
  )
})
