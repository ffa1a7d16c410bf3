/**
 * `posthaste migrate`: brings the database to the schema of this version, or lists what it would do.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"

/** Runs the migrations of this version, or lists them with `--list`. */
export const migrate = Command.make(
  "migrate",
  {
    list: Flag.Boolean("list").pipe(
      Flag.withDescription("Only list the migrations and when they ran"),
      Flag.withDefault(false)
    )
  },
  ({ list }) =>
    Effect.gen(function* () {
      const { load } = yield* Effect.promise(() => import("../Settings.ts"))
      const settings = yield* load
      const Server = yield* Effect.promise(() => import("../Server.ts"))
      const Migrations = yield* Effect.promise(() => import("../store/Migrations.ts"))
      yield* Effect.gen(function* () {
        if (!list) {
          for (const { id, name } of yield* Migrations.run) {
            yield* Console.log(`applied  ${number(id)} ${name}`)
          }
        }
        for (const { appliedAt, id, name } of yield* Migrations.status) {
          const at =
            appliedAt === null ? "pending" : DateTime.formatIso(DateTime.makeUnsafe(appliedAt))
          yield* Console.log(`${number(id)} ${name.padEnd(32)} ${at}`)
        }
      }).pipe(Effect.provide(Server.layerDatabase(settings)))
    })
).pipe(Command.withDescription("Run the database migrations, or list them"))

const number = (id: number): string => String(id).padStart(4, "0")
