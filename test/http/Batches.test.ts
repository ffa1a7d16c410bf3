import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Calls } from "./Calls.ts"
import * as Real from "./Real.ts"

const batch = (key: string, ...messages: ReadonlyArray<unknown>) =>
  Calls.use(({ call }) =>
    call("POST", "/v1/messages/batch", { json: { messages }, headers: { "idempotency-key": key } })
  )

const a = { type: "a", data: 1 }

describe("A batch with an Idempotency-Key", () => {
  layer(Real.layer(), { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect("answers the first messages when it comes again", () =>
      Effect.gen(function* () {
        const first = yield* batch("again", a, { type: "no type" }, a)
        assert.deepInclude(first.json, { accepted: 2, refused: 1 })
        assert.deepStrictEqual((yield* batch("again", a, { type: "no type" }, a)).json, first.json)
      })
    )

    it.effect("is refused as a whole when the key came with another request", () =>
      Effect.gen(function* () {
        const { call } = yield* Calls
        const count = Effect.map(call("GET", "/v1/messages"), ({ json }) => json.data.length)
        assert.strictEqual((yield* batch("other", { type: "no type" }, a)).status, 202)
        const before = yield* count
        for (const messages of [[a, a], [a], [{ type: "no type" }, a, a]]) {
          const answer = yield* batch("other", ...messages)
          assert.deepInclude(answer.json, { status: 409, code: "idempotency_conflict" })
        }
        const alone = yield* call("POST", "/v1/messages", {
          json: a,
          headers: { "idempotency-key": "other" }
        })
        assert.strictEqual(alone.status, 409)
        assert.strictEqual(yield* count, before)
      })
    )
  })
})
