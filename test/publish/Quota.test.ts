import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import type { Draft } from "../../src/publish/Draft.ts"
import { make } from "../../src/publish/Quota.ts"
import { Ids } from "../../src/store/Ids.ts"

const between = (minimum: number, maximum: number) =>
  Schema.Int.check(Schema.isBetween({ minimum, maximum }))

const draftOf = (tenantId: Draft["tenantId"], type = "a.b"): Draft => ({
  tenantId,
  type,
  uid: null,
  resource: null,
  data: "{}",
  idempotencyKey: null
})

const { one, other } = Effect.runSync(
  Effect.gen(function* () {
    const ids = yield* Ids
    return { one: draftOf(yield* ids.next("tenant")), other: draftOf(yield* ids.next("tenant")) }
  }).pipe(Effect.provide(Ids.layerSeeded))
)

const many = (draft: Draft, messages: number) => Array.from({ length: messages }, () => draft)

describe("a quota", () => {
  it("lets five seconds' worth come at once, and then says when there is more", () => {
    const quota = make(() => 2)
    for (let n = 0; n < 10; n++) assert.isNull(quota.one(one, 1_000))
    const refused = quota.one(one, 1_500)
    assert.deepInclude(refused, { status: 429, code: "rate_limited", retryAfterSeconds: 5 })
    assert.strictEqual(
      refused?.detail,
      "The tenant may publish 2 messages a second, 10 of them at once."
    )
    assert.strictEqual(quota.one(one, 5_999)?.retryAfterSeconds, 1)
    assert.isNull(quota.one(one, 6_000))
  })

  it("counts tenants apart, and nothing of one without a limit", () => {
    const quota = make((id) => (id === one.tenantId ? 1 : null))
    for (let n = 0; n < 1_000; n++) assert.isNull(quota.one(other, 0))
    assert.isNull(quota.all(many(other, 1_000), 0))
    for (let n = 0; n < 5; n++) assert.isNull(quota.one(one, 0))
    assert.isNotNull(quota.one(one, 0))
    assert.isNull(quota.one(other, 0))
  })

  it("counts each message of a batch, and nothing of one that it refuses", () => {
    const quota = make(() => 2)
    assert.isNull(quota.all(many(one, 6), 0))
    const refused = quota.all(many(one, 5), 1_000)
    assert.deepInclude(refused, { code: "rate_limited", retryAfterSeconds: 4 })
    assert.isNull(quota.all(many(one, 4), 1_000))
    assert.isNotNull(quota.one(one, 1_000))
    assert.isNull(quota.all([], 1_000))
  })

  it("refuses a batch that could never come, without a time to come back", () => {
    const quota = make(() => 2)
    const refused = quota.all(many(one, 11), 0)
    assert.deepInclude(refused, { status: 422, code: "batch_over_limit" })
    assert.notProperty(refused, "retryAfterSeconds")
    assert.isNull(quota.all(many(one, 10), 0))
  })

  it("counts nothing that the engine itself publishes", () => {
    const quota = make(() => 1)
    const own = draftOf(one.tenantId, "posthaste.webhook.failing")
    for (let n = 0; n < 10; n++) assert.isNull(quota.one(own, 0))
    assert.isNull(quota.all([...many(own, 10), ...many(one, 5)], 0))
    assert.isNotNull(quota.one(one, 0))
  })

  it("holds to a changed limit at once, and to one that was taken away no more", () => {
    let limit: number | null = 1
    const quota = make(() => limit)
    for (let n = 0; n < 5; n++) assert.isNull(quota.one(one, 0))
    assert.isNotNull(quota.one(one, 0))
    limit = 2
    for (let n = 0; n < 5; n++) assert.isNull(quota.one(one, 0))
    assert.isNotNull(quota.one(one, 0))
    limit = 1
    assert.isNotNull(quota.one(one, 4_999))
    limit = null
    assert.isNull(quota.one(one, 4_999))
  })

  it.prop(
    "lets in by the time that it names, and never more than the limit in any five seconds",
    [Schema.Array(Schema.Tuple([between(1, 12), between(0, 3_000)])), between(1, 20)],
    ([batches, perSecond]) => {
      const quota = make(() => perSecond)
      const passed: Array<{ readonly at: number; readonly messages: number }> = []
      let now = 0
      for (const [messages, gapMs] of batches) {
        now += gapMs
        const drafts = many(one, messages)
        let refusal = quota.all(drafts, now)
        if (refusal?._tag === "BatchOverLimit") {
          assert.isAbove(messages, perSecond * 5)
          continue
        }
        if (refusal !== null) {
          now += refusal.retryAfterSeconds * 1_000
          refusal = quota.all(drafts, now)
          assert.isNull(refusal)
        }
        passed.push({ at: now, messages })
        const within = passed.filter(({ at }) => at > now - 5_000)
        assert.isAtMost(
          within.reduce((sum, one) => sum + one.messages, 0),
          perSecond * 5
        )
      }
    }
  )
})
