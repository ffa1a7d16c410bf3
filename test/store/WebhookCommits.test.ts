import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import type { WebhookId } from "../../src/domain/TypeId.ts"
import { fromUuid } from "../../src/domain/TypeId.ts"
import * as WebhookCommits from "../../src/store/WebhookCommits.ts"
import type { Change } from "../../src/store/WebhookCommits.ts"
import type { WebhookTable } from "../../src/store/WebhookTable.ts"

const id: WebhookId = fromUuid("webhook", "00000000-0000-0000-0000-000000000001")

/** Enough of a change to be told from another one. */
const named = (name: string) => ({ _tag: "Deleted", webhook: { id, name } }) as unknown as Change

/** A table whose first commit is answered late: its write is done, its caller does not know. */
const slow = Effect.gen(function* () {
  const answered = yield* Deferred.make<void>()
  const written: Array<unknown> = []
  const table = {
    transaction: (work, committed) =>
      Effect.gen(function* () {
        const result = yield* work
        written.push(result)
        if (written.length === 1) yield* Deferred.await(answered)
        yield* committed(result)
        return result
      }),
    findMany: () => Effect.succeed([])
  } as Pick<WebhookTable, "transaction" | "findMany"> as WebhookTable
  return { table, answered, written }
})

it.effect("WebhookCommits does not let a later change of a webhook be told first", () =>
  Effect.gen(function* () {
    const { table, answered, written } = yield* slow
    const { commit, reread, watch } = yield* WebhookCommits.make(table)
    const told: Array<string | null> = []
    yield* watch((change) => Effect.sync(() => void told.push(change.webhook.name)))
    const fork = <A, E>(effect: Effect.Effect<A, E>) =>
      Effect.forkChild(effect, { startImmediately: true })
    const fibers = [
      yield* fork(commit(id, Effect.succeed("first"), named)),
      yield* fork(commit(id, Effect.succeed("second"), named)),
      yield* fork(reread(id, named("third").webhook))
    ]
    yield* Effect.yieldNow
    assert.deepStrictEqual([written, told], [["first"], []])
    yield* Deferred.succeed(answered, void 0)
    for (const fiber of fibers) yield* Fiber.await<unknown, unknown>(fiber)
    assert.deepStrictEqual(told, ["first", "second", "third"])
  })
)

it.effect("WebhookCommits announces nothing of a write that changed nothing", () =>
  Effect.gen(function* () {
    const { table, answered } = yield* slow
    yield* Deferred.succeed(answered, void 0)
    const { commit, watch } = yield* WebhookCommits.make(table)
    let told = 0
    yield* watch(() => Effect.sync(() => void told++))
    assert.strictEqual(yield* commit(id, Effect.succeed(1), () => undefined), 1)
    assert.strictEqual(told, 0)
  })
)
