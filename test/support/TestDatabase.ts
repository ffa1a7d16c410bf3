/**
 * Gives each test file databases of its own on the run's PostgreSQL server (see globalSetup.ts).
 * A database is empty, has a random name, and is dropped when its file's tests are over.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted, type Scope } from "effect"
import { Reactivity } from "effect/reactivity"
import { randomBytes } from "node:crypto"
import { afterAll, inject } from "vitest"
import type {} from "./globalSetup.ts"

/** Creates an empty database and returns its URL. Rejects where there is no server, saying how to get one. */
export const createDatabase = (): Promise<string> => Effect.runPromise(create)

/** Creates an empty database for as long as the scope is open, and returns its URL. */
export const database: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.suspend(() => create),
  (url) => Effect.suspend(() => drop(url))
)

const created = new Set<string>()

const create = Effect.suspend(() => {
  const name = `posthaste_test_${randomBytes(8).toString("hex")}`
  const url = new URL(serverUrl())
  url.pathname = `/${name}`
  created.add(url.href)
  return Effect.as(onServer(`create database ${name}`), url.href)
})

const drop = (url: string) => {
  created.delete(url)
  // A test may have cut its connections without closing them.
  return onServer(`drop database if exists ${new URL(url).pathname.slice(1)} with (force)`)
}

const serverUrl = (): string => {
  const postgres = inject("postgres")
  if (postgres === undefined) {
    throw new Error(
      "Only tests named *.postgres.test.ts or in test/process/ have a PostgreSQL server. " +
        "Run them with `npm test -- <file>`."
    )
  }
  if ("missing" in postgres) throw new Error(postgres.missing)
  return postgres.url
}

const onServer = (statement: string) =>
  Effect.gen(function* () {
    const sql = yield* PgClient.make({ url: Redacted.make(serverUrl()), maxConnections: 1 })
    yield* sql.unsafe(statement).unprepared
  }).pipe(Effect.scoped, Effect.provide(Reactivity.layer), Effect.orDie)

afterAll(() =>
  Effect.runPromise(Effect.forEach([...created], drop, { discard: true, concurrency: 4 }))
)
