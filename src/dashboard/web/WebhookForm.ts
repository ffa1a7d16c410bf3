/**
 * Registers a webhook or changes one: the fields that most people need, and every other one as JSON.
 */
import type { App, Screen } from "./App.ts"
import type { Client, Webhook } from "./Client.ts"
import { type Child, el } from "./Dom.ts"
import { announce } from "./Feedback.ts"
import { type Field, field, form, mark, type Values } from "./Form.ts"
import { fault } from "./JsonText.ts"
import { to } from "./Route.ts"
import * as Show from "./Show.ts"
import { webhookName } from "./WebhookParts.ts"

/** Registers a webhook. */
export const newWebhook: Screen = async (app) => {
  const types = await typesOf(app)
  const form = webhookForm(null, types, async (input) => {
    const made = await app.client.createWebhook(input)
    announce("Registered.")
    app.go(to(["webhooks", made.id]))
  })
  return { title: "Register a webhook", body: [el("section", { class: "card" }, form)] }
}

/** Changes a webhook. */
export const changeWebhook: Screen = async (app) => {
  const { client, route } = app
  const id = route.parts[1] ?? ""
  const [webhook, types] = await Promise.all([client.webhook(id), typesOf(app)])
  const form = webhookForm(webhook, types, async (input) => {
    await client.changeWebhook(webhook.id, input)
    announce("Changed.")
    app.go(to(["webhooks", webhook.id]))
  })
  return {
    title: `Change ${webhookName(webhook)}`,
    body: [
      el("section", { class: "card" }, form),
      Show.link(to(["webhooks", webhook.id]), "Leave it as it is")
    ]
  }
}

const webhookForm = (
  webhook: Webhook | null,
  types: ReadonlyArray<string>,
  run: (input: Readonly<Record<string, unknown>>) => Promise<void>
): HTMLFormElement => {
  const made: HTMLFormElement = form({
    does: webhook === null ? "Register" : "Change",
    children: [fields(webhook, types).map((one) => field(one)), rest(webhook)],
    run: async (values) => {
      const more = values["more"] === othersOf(webhook) ? "" : (values["more"] ?? "")
      const wrong = more === "" ? null : objectFault(more)
      mark(made, "more", wrong)
      if (wrong === null) await run({ ...inputOf(values, webhook), ...JSON.parse(more || "{}") })
    }
  })
  return made
}

const fields = (webhook: Webhook | null, types: ReadonlyArray<string>): ReadonlyArray<Field> => [
  {
    name: "url",
    label: "URL",
    kind: "url",
    required: true,
    placeholder: "https://example.com/hook",
    value: webhook?.url ?? "",
    hint: "Where messages go. https, unless the service allows http."
  },
  { name: "name", label: "Name", value: webhook?.name ?? "", placeholder: "Billing" },
  {
    name: "eventTypes",
    label: "Event types",
    value: webhook?.eventTypes.join(" ") ?? "",
    placeholder: "invoice.paid customer.*",
    likely: types,
    hint: "Exact names or a family such as invoice.*, apart by spaces. Empty: all of them."
  },
  {
    name: "format",
    label: "Format",
    value: webhook?.format ?? "json",
    choices: [
      ["json", "json"],
      ["discord", "discord"],
      ["slack", "slack"],
      ["telegram", "telegram"],
      ["query", "query: parameters in the URL"]
    ]
  },
  ...(webhook === null
    ? [
        {
          name: "retry",
          label: "Retry",
          choices: [
            ["", "standard: 10 attempts over 3 days"],
            ["quick", "quick: 3 attempts within seconds"],
            ["jittered", "jittered: 6 retries within minutes"],
            ["patient", "patient: 10 retries up to a day apart"],
            ["steps", "steps: 1 min, 5 min, 15 min, 1 h, 4 h"]
          ]
        } satisfies Field
      ]
    : []),
  { name: "description", label: "Description", value: webhook?.description ?? "" }
]

const rest = (webhook: Webhook | null): Child =>
  el(
    "details",
    { id: "more" },
    el("summary", {}, "All other fields, as JSON"),
    field({
      name: "more",
      label: "Fields",
      kind: "json",
      value: othersOf(webhook),
      placeholder: '{"headers": {"x-team": "billing"}, "timeoutMs": 5000}',
      hint: [
        "Such as headers, auth, filter, channels, resources, signature, rate or circuit; what is said ",
        "here wins, and null goes back to the default. What is masked stays as it is. ",
        el("a", { href: "/docs" }, "All fields are described"),
        "."
      ]
    })
  )

/** Writes the fields that have no place of their own in the form; nothing of a new webhook. */
const othersOf = (webhook: Webhook | null): string =>
  webhook === null
    ? ""
    : JSON.stringify(
        Object.fromEntries(Object.entries(webhook).filter(([name]) => !elsewhere.has(name))),
        null,
        2
      )

/** What the form asks for by itself, and what nobody sets. */
const elsewhere: ReadonlySet<string> = new Set(
  (
    "url name eventTypes format description id status adHoc certificates unreadable disabledReason " +
    "consecutiveFailures lastSuccessAt lastFailureAt createdAt updatedAt"
  ).split(" ")
)

/** What the common fields say, as the API wants it. A change clears what was emptied. */
const inputOf = (values: Values, webhook: Webhook | null) => {
  const { description = "", eventTypes = "", format, name = "", retry = "", url } = values
  const isNew = webhook === null
  return {
    ...(url === webhook?.url ? {} : { url }),
    ...(isNew && name === "" ? {} : { name: name || null }),
    ...(isNew && description === "" ? {} : { description: description || null }),
    eventTypes: eventTypes.split(/[\s,]+/).filter((type) => type !== ""),
    ...(format === (webhook?.format ?? "json") ? {} : { format }),
    ...(retry === "" ? {} : { retry })
  }
}

const objectFault = (text: string): string | null => {
  const wrong = fault(text)
  if (wrong !== null) return wrong
  return text.trimStart().startsWith("{") ? null : "Expected an object: {…}"
}

/** The names of the catalogue, to choose from; none where the key may not read. */
const typesOf = ({ client }: App): Promise<ReadonlyArray<string>> => listed(client).catch(() => [])

const listed = async (client: Client) =>
  (await client.eventTypes({ limit: 250 })).data.map(({ name }) => name)
