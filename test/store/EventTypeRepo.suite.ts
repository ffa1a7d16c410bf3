/**
 * What every EventTypeRepo does, wherever it keeps its catalogues: a function of the layer under test.
 */
import { assert, type Vitest } from "@effect/vitest"
import { Effect, Option, Result, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { EventTypeFields } from "../../src/domain/EventType.ts"
import { decodeCursor, firstPage } from "../../src/domain/Page.ts"
import { type CatalogueChange, EventTypeRepo } from "../../src/store/EventTypeRepo.ts"
import { Ground } from "./Ground.ts"

const fields: EventTypeFields = {
  displayName: "Invoice paid",
  description: null,
  schema: null,
  example: null,
  archived: false
}

const tagOf = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => error._tag)

/** Adds the tests. */
export const suite = (it: Vitest.MethodsNonLive<EventTypeRepo | Ground>) => {
  it.effect("keeps a type as it was given, whatever its schema and its example hold", () =>
    Effect.gen(function* () {
      const repo = yield* EventTypeRepo
      const tenant = yield* (yield* Ground).tenant
      const full: EventTypeFields = {
        displayName: `P "ü" \\`,
        description: "d",
        schema: { z: 1.5, a: { "\u0000": ["\ud800", null, true] } },
        example: ["\u0000", { b: 1, a: 2 }],
        archived: true
      }
      const made = yield* repo.create(tenant, "a.b", full, null)
      assert.deepInclude(made, { ...full, name: "a.b" })
      assert.deepStrictEqual(yield* repo.get(tenant, "a.b"), made)
      for (const example of [0, "", false, {}, [], "null"]) {
        yield* repo.update(tenant, "a.b", () => Result.succeed({ ...full, example }))
        assert.deepStrictEqual((yield* repo.get(tenant, "a.b")).example, example)
      }
    })
  )

  it.effect("adds a name once, and answers a repeated key with what the first request made", () =>
    Effect.gen(function* () {
      const repo = yield* EventTypeRepo
      const ground = yield* Ground
      const tenant = yield* ground.tenant
      const other = yield* ground.tenant
      const key = { key: "k", digest: Buffer.from("a".padEnd(32)) }
      const made = yield* repo.create(tenant, "a", fields, key)
      assert.deepStrictEqual(yield* repo.create(tenant, "a", fields, key), made)
      assert.strictEqual(
        yield* tagOf(repo.create(tenant, "b", fields, { ...key, digest: Buffer.alloc(32) })),
        "IdempotencyConflict"
      )
      assert.strictEqual(yield* tagOf(repo.create(tenant, "a", fields, null)), "EventTypeExists")
      yield* repo.create(other, "a", fields, key)
      yield* repo.delete(tenant, "a")
      assert.strictEqual(yield* tagOf(repo.create(tenant, "a", fields, key)), "IdempotencyConflict")
      assert.strictEqual((yield* repo.get(other, "a")).name, "a")
    })
  )

  it.effect("changes what is decided, and finds nothing of other tenants or names", () =>
    Effect.gen(function* () {
      const repo = yield* EventTypeRepo
      const ground = yield* Ground
      const tenant = yield* ground.tenant
      const other = yield* ground.tenant
      const made = yield* repo.create(tenant, "a", fields, null)
      yield* TestClock.adjust("1 second")
      const changed = yield* repo.update(tenant, "a", (was) =>
        Result.succeed({ ...was, archived: true })
      )
      assert.deepStrictEqual(changed, {
        ...made,
        archived: true,
        updatedAt: made.updatedAt + 1_000
      })
      assert.strictEqual(
        yield* Effect.flip(repo.update(tenant, "a", () => Result.fail("no" as const))),
        "no"
      )
      assert.deepStrictEqual(yield* repo.get(tenant, "a"), changed)
      for (const [owner, name] of [
        [other, "a"],
        [tenant, "A"]
      ] as const) {
        const update = repo.update(owner, name, (was) => Result.succeed(was))
        assert.strictEqual(yield* tagOf(repo.get(owner, name)), "EventTypeNotFound")
        assert.strictEqual(yield* tagOf(update), "EventTypeNotFound")
        assert.strictEqual(yield* tagOf(repo.delete(owner, name)), "EventTypeNotFound")
      }
    })
  )

  it.effect("lists newest first, in pages, and streams all", () =>
    Effect.gen(function* () {
      const repo = yield* EventTypeRepo
      const tenant = yield* (yield* Ground).tenant
      const names = ["c", "a", "b", "e", "d"]
      for (const name of names) {
        yield* repo.create(tenant, name, fields, null)
        yield* TestClock.adjust("1 second")
      }
      const first = yield* repo.list(tenant, { ...firstPage, limit: 2 })
      const cursor = Option.getOrThrow(decodeCursor(first.nextCursor!))
      const second = yield* repo.list(tenant, { ...firstPage, limit: 3, cursor })
      assert.deepStrictEqual(
        [...first.data, ...second.data].map(({ name }) => name),
        names.toReversed()
      )
      assert.isNull(second.nextCursor)
      const all = yield* Stream.runCollect(repo.all)
      assert.sameMembers(
        all.filter((row) => row.tenantId === tenant).map(({ eventType }) => eventType.name),
        names
      )
    })
  )

  it.effect("tells every change after its commit, and keeps what becomes of unknown types", () =>
    Effect.gen(function* () {
      const repo = yield* EventTypeRepo
      const tenant = yield* (yield* Ground).tenant
      const told: Array<CatalogueChange> = []
      yield* repo.watch((change) => Effect.sync(() => told.push(change)))
      assert.strictEqual(yield* repo.unknown(tenant), "allow")
      const made = yield* repo.create(tenant, "a", fields, null)
      yield* repo.setUnknown(tenant, "refuse")
      assert.strictEqual(yield* repo.unknown(tenant), "refuse")
      assert.include(yield* repo.refusing, tenant)
      yield* repo.delete(tenant, "a")
      yield* repo.setUnknown(tenant, "allow")
      assert.notInclude(yield* repo.refusing, tenant)
      assert.deepStrictEqual(told, [
        { _tag: "Saved", tenantId: tenant, eventType: made },
        { _tag: "Unknown", tenantId: tenant, unknown: "refuse" },
        { _tag: "Deleted", tenantId: tenant, name: "a" },
        { _tag: "Unknown", tenantId: tenant, unknown: "allow" }
      ])
    }).pipe(Effect.scoped)
  )
}
