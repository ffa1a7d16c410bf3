/**
 * The keys of a tenant, or those of none: listed by how they begin, made, shown once, revoked.
 */
import { actions } from "./Actions.ts"
import type { App } from "./App.ts"
import type { Key } from "./Client.ts"
import { ask } from "./Dialog.ts"
import { type Child, el, put } from "./Dom.ts"
import { announce } from "./Feedback.ts"
import { field, form } from "./Form.ts"
import { to } from "./Route.ts"
import * as Show from "./Show.ts"
import { type Column, table } from "./Table.ts"

/** Makes the part of the page; `at` is the tenant's uid, or null. */
export const keysPart = async (
  app: App,
  at: string | null,
  title: string,
  text: string
): Promise<HTMLElement> => {
  const { client, route } = app
  const list = el("div", {})
  const read = async (cursor?: string) => {
    const page = await client.keys(at, { cursor })
    put(
      list,
      table(title, columns(app, at), page.data, Show.nothing("No key yet", "Make one below.")),
      page.nextCursor !== null &&
        Show.link(to(route.parts, { ...route.query, keys: page.nextCursor }), "Older keys")
    )
  }
  await read(route.query["keys"])
  const fresh = el("div", { "aria-live": "polite" })
  const made: HTMLFormElement = form({
    does: "Make a key",
    children: [
      field({ name: "name", label: "For whom or what", required: true, placeholder: "billing" }),
      at !== null && scopes(),
      field({
        name: "expiresAt",
        label: "Ends (UTC)",
        kind: "instant",
        hint: "Empty: it opens until it is revoked."
      })
    ],
    run: async ({ expiresAt, name }) => {
      const chosen = new FormData(made).getAll("scopes")
      const { key } = await client.createKey(at, {
        name,
        ...(at === null ? {} : { scopes: chosen }),
        ...(expiresAt ? { expiresAt: new Date(`${expiresAt}Z`).toISOString() } : {})
      })
      made.reset()
      put(fresh, once(key))
      await read()
    }
  })
  return Show.section(
    title,
    el("p", {}, text),
    list,
    fresh,
    el("details", { id: `make-key-${at ?? ""}` }, el("summary", {}, "Make a key"), made)
  )
}

/** Shows a key, which nobody can read again. */
const once = (key: string | null): Child =>
  el(
    "div",
    { class: "banner" },
    key === null
      ? "The key was made by an earlier request, which alone showed it. Revoke it and make another."
      : el(
          "div",
          {},
          el("strong", {}, "Copy it now: it is not shown again."),
          el("p", {}, Show.copyable(key, "key"))
        )
  )

const scopes = (): HTMLElement =>
  el(
    "fieldset",
    { class: "checks field" },
    el("legend", {}, "It may"),
    (
      [
        ["publish", "publish messages"],
        ["read", "read everything but secrets"],
        ["manage", "change webhooks, see secrets"],
        ["admin", "do all of it and make keys"]
      ] as const
    ).map(([value, label]) =>
      el(
        "label",
        {},
        el("input", { type: "checkbox", name: "scopes", value, checked: value === "publish" }),
        label
      )
    ),
    el("p", { class: "wrong", "aria-live": "polite" })
  )

const columns = ({ client, reload }: App, at: string | null): ReadonlyArray<Column<Key>> => [
  { label: "Key", kind: "wide", of: ({ name }) => name },
  { label: "Begins", kind: "fit", of: ({ prefix }) => el("code", {}, `${prefix}…`) },
  {
    label: "May",
    of: ({ scopes }) => scopes.map((scope) => [el("code", { class: "tag" }, scope), " "])
  },
  { label: "Last used", kind: "fit", of: ({ lastUsedAt }) => Show.time(lastUsedAt) },
  {
    label: "Ends",
    kind: "fit",
    of: ({ expiresAt }) => (expiresAt === null ? "never" : Show.time(expiresAt))
  },
  {
    label: "",
    kind: "fit",
    of: ({ id, name }) =>
      actions({
        label: "Revoke",
        kind: "danger",
        run: async () => {
          const isMeant = await ask({
            title: `Revoke the key ${name}?`,
            text: "It opens nothing from this moment on.",
            does: "Revoke it"
          })
          if (!isMeant) return
          await client.revokeKey(at, id)
          announce("Revoked.")
          reload()
        }
      })
  }
]
