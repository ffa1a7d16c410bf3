/**
 * Tenants, for keys that administer them: made here, looked at, and each with its keys.
 */
import type { App, Screen } from "./App.ts"
import type { Tenant } from "./Client.ts"
import { el } from "./Dom.ts"
import { announce } from "./Feedback.ts"
import { field, form } from "./Form.ts"
import { keysPart } from "./KeysPart.ts"
import { to } from "./Route.ts"
import * as Show from "./Show.ts"
import { type Column, pager, table } from "./Table.ts"

/** Lists tenants. */
export const tenants: Screen = async (app) => {
  const { client, isOperator, route } = app
  const page = await client.tenants({ cursor: route.query["cursor"] })
  return {
    title: "Tenants",
    body: [
      table(
        "Tenants",
        columns,
        page.data,
        Show.nothing("No tenant", "Each has webhooks, messages and keys of its own.")
      ),
      pager(app, page),
      isOperator && Show.section("Make a tenant", tenantForm(app)),
      isOperator &&
        (await keysPart(
          app,
          null,
          "Keys of no tenant",
          "They administer all tenants. The last one without an end cannot be revoked."
        ))
    ]
  }
}

const tenantForm = ({ client, go }: App) =>
  form({
    does: "Make",
    children: [
      field({ name: "uid", label: "uid", placeholder: "acme", hint: "Your own id for it." }),
      field({ name: "name", label: "Name", placeholder: "Acme Inc." })
    ],
    run: async ({ name, uid }) => {
      const made = await client.createTenant({ ...(uid ? { uid } : {}), ...(name ? { name } : {}) })
      announce("Made. It needs a key now.")
      go(to(["tenants", made.uid]))
    }
  })

const columns: ReadonlyArray<Column<Tenant>> = [
  { label: "Tenant", kind: "wide", of: ({ name, uid }) => Show.link(to(["tenants", uid]), name) },
  { label: "uid", of: ({ uid }) => el("code", {}, uid) },
  { label: "Made", kind: "fit", of: ({ createdAt }) => Show.time(createdAt) }
]
