/**
 * `posthaste tenants`: who owns webhooks and messages.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
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

const show = ({ createdAt, id, limits, name, uid }: TenantView) =>
  record({
    id,
    uid,
    name,
    webhooks: limits.webhooks ?? byDefault,
    "messages per second": limits.messagesPerSecond ?? byDefault,
    created: instant(createdAt)
  })

/** What stands for a limit that the installation sets. */
const byDefault = "default"

const bound = (name: string, description: string) =>
  Flag.String(name).pipe(
    Flag.map((text) => (text === byDefault ? null : /^\d+$/.test(text) ? Number(text) : text)),
    Flag.withDescription(`${description}, or ${byDefault}: as the installation says`),
    Flag.optional
  )

const fields = {
  name: Flag.String("name").pipe(Flag.withDescription("What people call it"), Flag.optional),
  webhooks: bound("max-webhooks", "Webhooks that it may register"),
  messagesPerSecond: bound("messages-per-second", "Messages that it may publish in a second")
}

/** What flags say of a tenant, as the API takes it. */
const bodyOf = ({
  messagesPerSecond,
  webhooks,
  ...named
}: {
  readonly uid: Option.Option<string>
  readonly name: Option.Option<string>
  readonly webhooks: Option.Option<number | string | null>
  readonly messagesPerSecond: Option.Option<number | string | null>
}) => {
  const limits = present({ webhooks, messagesPerSecond })
  return { ...present(named), ...(Object.keys(limits).length === 0 ? {} : { limits }) }
}

const list = Command.make("list", { limit: limit(20) }, (query) =>
  withClient(({ tenants }) => page(tenants.list({ query, ...both }), columns))
).pipe(Command.withDescription("List tenants, newest first"), Command.withAlias("ls"))

const create = Command.make(
  "create",
  {
    uid: Argument.String("uid").pipe(Argument.withDescription("Your own id for it")),
    ...fields
  },
  ({ uid, ...input }) =>
    withClient(({ tenants }) =>
      Effect.gen(function* () {
        const { TenantInput } = yield* Effect.promise(() => import("../api/TenantsApi.ts"))
        const payload = yield* decode(TenantInput)(bodyOf({ uid: Option.some(uid), ...input }))
        yield* answer(yield* tenants.create({ payload, headers: {}, ...both }), show)
      })
    )
).pipe(Command.withDescription("Make a tenant"))

const showOne = Command.make("show", { tenant }, ({ tenant }) =>
  withClient(({ tenants }) =>
    Effect.flatMap(tenants.get({ params: { id: tenant }, ...both }), (found) => answer(found, show))
  )
).pipe(Command.withDescription("Show a tenant"))

const update = Command.make(
  "update",
  {
    tenant,
    uid: Flag.String("uid").pipe(Flag.withDescription("Your own id for it"), Flag.optional),
    ...fields
  },
  ({ tenant, ...input }) =>
    withClient(({ tenants }) =>
      Effect.gen(function* () {
        const { TenantPatch } = yield* Effect.promise(() => import("../api/TenantsApi.ts"))
        const payload = yield* decode(TenantPatch)(bodyOf(input))
        yield* answer(yield* tenants.patch({ params: { id: tenant }, payload, ...both }), show)
      })
    )
).pipe(Command.withDescription("Change the uid, the name or the limits of a tenant"))

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
  Command.withSubcommands([list, create, showOne, update, remove])
)
