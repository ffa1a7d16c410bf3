/**
 * The API over a real engine on an embedded database, sending to real receivers on loopback, and a
 * hand to read all that is stored.
 */
import { Context, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Engine from "../../src/Engine.ts"
import * as Http from "../../src/http/Http.ts"
import type { HttpSenderOptions } from "../../src/send/HttpSender.ts"
import { Database } from "../../src/store/Database.ts"
import { KeyRing } from "../../src/store/KeyRing.ts"
import * as EmptyPglite from "../support/EmptyPglite.ts"
import { Calls } from "./Calls.ts"
import { Tenants } from "./Fakes.ts"

export class Stored extends Context.Service<
  Stored,
  {
    /** Hashes every row of every table, but for when keys were last used and what was attempted. */
    readonly hash: Effect.Effect<string>
  }
>()("test/http/Stored") {
  static readonly layer = Layer.effect(
    Stored,
    Effect.gen(function* () {
      const sql = yield* SqlClient
      return Stored.of({
        hash: Effect.gen(function* () {
          const tables = yield* sql<{ readonly name: string }>`
            select c.oid::regclass::text as name from pg_class c
            join pg_namespace n on n.oid = c.relnamespace
            where n.nspname = 'public' and c.relkind = 'r' and c.relname !~ '_(tally|minute)$'
            order by 1`
          const hash = createHash("sha256")
          for (const { name } of tables) {
            const rows = yield* sql<{ readonly row: string }>`
              select (to_jsonb(t) - 'last_used_at')::text as row from ${sql(name)} t order by 1`
            hash.update(`${name}\n${rows.map(({ row }) => row).join("\n")}\n`)
          }
          return hash.digest("hex")
        }).pipe(Effect.orDie)
      })
    })
  )
}

const database = Layer.unwrap(
  Effect.map(EmptyPglite.directory, (directory) => {
    const dataDir = path.dirname(directory)
    fs.renameSync(directory, path.join(dataDir, "pglite"))
    return Database.layerEmbedded({ dataDir })
  })
)

/** The API on a free port, with what is behind it. */
export const layer = (options: Http.HttpServerOptions = {}, sender: HttpSenderOptions = {}) =>
  Layer.merge(Calls.layer, Stored.layer).pipe(
    Layer.provideMerge(Http.layer({ failedAuthMax: Infinity, ...options })),
    Layer.provideMerge(Http.layerNode({ gracefulShutdownTimeout: 0, ...options, port: 0 })),
    Layer.provideMerge(Tenants.layer),
    Layer.provideMerge(
      Engine.layer({
        sender,
        addresses: { allowHttp: true, allowNetworks: ["127.0.0.0/8"] },
        lanes: { drainMs: 0 }
      })
    ),
    Layer.provideMerge(Engine.layerStores()),
    Layer.provide(KeyRing.layerPlain),
    Layer.provideMerge(database)
  )
