/**
 * Answers the endpoints below `/health`.
 *
 * Being alive needs nothing but this process. Being ready is asked of the parts at most once a
 * second, however often it is asked of us, and a part that does not answer in time has failed.
 */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { SqlClient } from "effect/sql/SqlClient"
import { Api } from "../api/Api.ts"
import { HttpSender } from "../send/HttpSender.ts"
import { Lanes } from "../send/Lanes.ts"
import { Database } from "../store/Database.ts"
import * as Migrations from "../store/Migrations.ts"
import { Ownership } from "../store/Ownership.ts"
import { Draining } from "./Draining.ts"

export const SystemHandlers = HttpApiBuilder.group(
  Api,
  "system",
  Effect.fn(function* (handlers) {
    const database = yield* Database
    const sql = yield* SqlClient
    const lanes = yield* Lanes
    const sender = yield* HttpSender
    const ownership = yield* Ownership
    const draining = yield* Draining

    const migrated = Migrations.status.pipe(
      Effect.provideService(SqlClient, sql),
      Effect.filterOrFail((all) => all.every(({ appliedAt }) => appliedAt !== null))
    )
    const checks = yield* Effect.all(
      {
        database: check(database.check),
        migrations: check(migrated),
        ownership: check(Effect.filterOrFail(ownership.isHeld, (held) => held)),
        lanes: check(lanes.stats)
      },
      { concurrency: "unbounded" }
    ).pipe(Effect.cachedWithTTL(keptFor))

    return handlers.handleAll({
      live: () => Effect.succeed({ status: "ok" as const }),
      ready: Effect.fnUntraced(function* () {
        const begun = draining.begun() ? ("failed" as const) : ("ok" as const)
        const parts = { ...(yield* checks), draining: begun }
        const { durability } = database
        const about = {
          checks: parts,
          sending: (yield* lanes.isHeld) ? ("held" as const) : ("on" as const),
          durability,
          egress: yield* sender.egress
        }
        return Object.values(parts).every((part) => part === "ok")
          ? { status: "ready" as const, ...about }
          : { status: "unavailable" as const, ...about }
      })
    })
  })
)

const keptFor = "1 second"
const answersWithin = "1 second"

/** A part that fails, breaks or does not answer in time has failed. */
const check = <A, E, R>(part: Effect.Effect<A, E, R>): Effect.Effect<"ok" | "failed", never, R> =>
  part.pipe(
    Effect.timeout(answersWithin),
    Effect.matchCause({ onFailure: () => "failed", onSuccess: () => "ok" })
  )
