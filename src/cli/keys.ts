/**
 * `posthaste keys`: what opens the API, for one tenant or, with `--admin`, for all of them.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { KeyView } from "../api/TenantsApi.ts"
import { withClient } from "./Client.ts"
import { confirmed, yes } from "./Confirm.ts"
import { decode } from "./Fields.ts"
import { length } from "./Length.ts"
import { limit, page } from "./Page.ts"
import { answer, both, type Column, instant, list as joined, record } from "./Print.ts"
import { Target } from "./Target.ts"

const admin = Flag.Boolean("admin").pipe(
  Flag.withDescription("Keys that administer all tenants, instead of those of one"),
  Flag.withDefault(false)
)

/** The tenant whose keys these are: the one of `--tenant`, else the default one. */
const params = Effect.gen(function* () {
  const { tenant } = yield* Target
  const { defaultTenantUid } = yield* Effect.promise(() => import("../domain/Tenant.ts"))
  return { id: Option.getOrElse(tenant, () => defaultTenantUid) }
})

const columns: ReadonlyArray<Column<KeyView>> = [
  ["id", ({ id }) => id],
  ["prefix", ({ prefix }) => prefix],
  ["scopes", ({ scopes }) => joined(scopes, "none")],
  ["last used", ({ lastUsedAt }) => instant(lastUsedAt)],
  ["expires", ({ expiresAt }) => (expiresAt === null ? "never" : instant(expiresAt))],
  ["name", ({ name }) => name]
]

const list = Command.make("list", { admin, limit: limit(20) }, ({ admin, ...query }) =>
  withClient(({ tenants }) =>
    Effect.gen(function* () {
      const call = admin
        ? tenants.listAdminKeys({ query, ...both })
        : tenants.listKeys({ params: yield* params, query, ...both })
      yield* page(call, columns)
    })
  )
).pipe(Command.withDescription("List keys, newest first"), Command.withAlias("ls"))

const create = Command.make(
  "create",
  {
    name: Argument.String("name").pipe(Argument.withDescription("Who or what it is for")),
    admin,
    scopes: Flag.String("scopes").pipe(
      Flag.map((text) => text.split(",")),
      Flag.withDescription("Some of publish, read, manage, admin"),
      Flag.withDefault(["publish", "read", "manage"])
    ),
    expires: length("expires").pipe(
      Flag.withDescription("How long it opens anything, such as 720h; for ever when absent"),
      Flag.optional
    )
  },
  ({ admin, expires, name, scopes }) =>
    withClient(({ tenants }) =>
      Effect.gen(function* () {
        const { AdminKeyInput, KeyInput } = yield* Effect.promise(
          () => import("../api/TenantsApi.ts")
        )
        const now = yield* Clock.currentTimeMillis
        const input = {
          name,
          ...(Option.isSome(expires)
            ? { expiresAt: instant(now + Duration.toMillis(expires.value)) }
            : {})
        }
        const made = admin
          ? yield* tenants.createAdminKey({
              payload: yield* decode(AdminKeyInput)(input),
              headers: {},
              ...both
            })
          : yield* tenants.createKey({
              params: yield* params,
              payload: yield* decode(KeyInput)({ ...input, scopes }),
              headers: {},
              ...both
            })
        yield* answer(made, ({ expiresAt, id, key, name, scopes }) =>
          record({
            id,
            name,
            scopes: joined(scopes, "none"),
            expires: expiresAt === null ? "never" : instant(expiresAt),
            key
          })
        )
      })
    )
).pipe(Command.withDescription("Make a key, which is shown once"))

const revoke = Command.make(
  "revoke",
  { key: Argument.String("key").pipe(Argument.withDescription("Its id")), admin, yes },
  ({ admin, key, yes }) =>
    withClient(({ tenants }) =>
      Effect.gen(function* () {
        yield* confirmed(yes, `Revoke ${key}? It opens nothing from then on.`)
        yield* admin
          ? tenants.revokeAdminKey({ params: { keyId: key } })
          : tenants.revokeKey({ params: { ...(yield* params), keyId: key } })
        yield* Console.log(`revoked ${key}`)
      })
    )
).pipe(Command.withDescription("Revoke a key at once"))

/** Holds the words about keys. */
export const keys = Command.make("keys").pipe(
  Command.withDescription("Keys: what opens the API"),
  Command.withSubcommands([list, create, revoke])
)
