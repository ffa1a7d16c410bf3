/**
 * `posthaste tenants`: who owns webhooks and messages.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type { TenantView } from "../api/TenantsApi.ts"
import { withClient } from "./Client.ts"
import { confirmed, yes } from "./Confirm.ts"
import { decode } from "./Fields.ts"
import { limit, page, present } from "./Page.ts"
import { answer, both, type Column, instant, record } from "./Print.ts"

const tenant = Argument.String("tenant").pipe(Argument.withDescription("Its id or uid"))

const columns: ReadonlyArray<Column<TenantView>> = [
  ["id", ({ id }) => id],
  ["uid", ({ uid }) => uid],
  ["created", ({ createdAt }) => instant(createdAt)],
  ["name", ({ name }) => name]
]

const show = ({ createdAt, id, name, uid }: TenantView) =>
  record({ id, uid, name, created: instant(createdAt) })

const list = Command.make("list", { limit: limit(20) }, (query) =>
  withClient(({ tenants }) => page(tenants.list({ query, ...both }), columns))
).pipe(Command.withDescription("List tenants, newest first"), Command.withAlias("ls"))

const create = Command.make(
  "create",
  {
    uid: Argument.String("uid").pipe(Argument.withDescription("Your own id for it")),
    name: Flag.String("name").pipe(Flag.withDescription("What people call it"), Flag.optional)
  },
  (input) =>
    withClient(({ tenants }) =>
      Effect.gen(function* () {
        const { TenantInput } = yield* Effect.promise(() => import("../api/TenantsApi.ts"))
        const payload = yield* decode(TenantInput)(present(input))
        yield* answer(yield* tenants.create({ payload, headers: {}, ...both }), show)
      })
    )
).pipe(Command.withDescription("Make a tenant"))

const showOne = Command.make("show", { tenant }, ({ tenant }) =>
  withClient(({ tenants }) =>
    Effect.flatMap(tenants.get({ params: { id: tenant }, ...both }), (found) => answer(found, show))
  )
).pipe(Command.withDescription("Show a tenant"))

const remove = Command.make("delete", { tenant, yes }, ({ tenant, yes }) =>
  withClient(({ tenants }) =>
    Effect.gen(function* () {
      const { id, name } = yield* tenants.get({ params: { id: tenant } })
      yield* confirmed(yes, `Delete ${name} (${id}) with its webhooks and keys?`)
      yield* tenants.delete({ params: { id } })
      yield* Console.log(`deleted ${id}`)
    })
  )
).pipe(Command.withDescription("Remove a tenant with its webhooks and keys"))

/** Holds the words about tenants. */
export const tenants = Command.make("tenants").pipe(
  Command.withDescription("Tenants: who owns webhooks and messages"),
  Command.withSubcommands([list, create, showOne, remove])
)
