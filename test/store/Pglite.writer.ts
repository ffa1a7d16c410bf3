/**
 * Opens the embedded database of a directory in a process of its own, then writes rows and names
 * each one that was acknowledged, until it is killed.
 */
import { Effect } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import * as Pglite from "../../src/store/Pglite.ts"

const write = Effect.gen(function* () {
  const sql = yield* SqlClient
  yield* sql`create table if not exists kept (id bigint generated always as identity)`
  process.stdout.write("open\n")
  const one = Effect.gen(function* () {
    const [row] = yield* sql<{ readonly id: bigint }>`insert into kept default values returning id`
    process.stdout.write(`${row?.id}\n`)
  })
  const twenty = Array.from({ length: 20 }, () => Effect.forever(one))
  yield* Effect.all(twenty, { concurrency: "unbounded" })
})

void Effect.runPromise(Effect.provide(write, Pglite.layer({ directory: String(process.argv[2]) })))
