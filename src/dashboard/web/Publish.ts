/**
 * Publishes a message by hand. What stands in the data is sent on digit for digit.
 */
import type { Screen } from "./App.ts"
import { el } from "./Dom.ts"
import { announce } from "./Feedback.ts"
import { field, form, mark } from "./Form.ts"
import { fault } from "./JsonText.ts"
import { to } from "./Route.ts"
import { many } from "./Words.ts"

/** Publishes a message. */
export const publish: Screen = async ({ client, go, route }) => {
  const types = await client.eventTypes({ limit: 250 }).catch(() => ({ data: [] }))
  const example = types.data.find(({ name }) => name === route.query["type"])?.example
  const data = field({
    name: "data",
    label: "Data",
    kind: "json",
    required: true,
    value: example === undefined || example === null ? "{}" : JSON.stringify(example, null, 2),
    hint: "Any JSON; receivers get it as you write it."
  })
  data.addEventListener("input", ({ target }) => {
    if (target instanceof HTMLTextAreaElement) mark(made, "data", fault(target.value))
  })
  const made: HTMLFormElement = form({
    does: "Publish",
    children: [
      field({
        name: "type",
        label: "Event type",
        required: true,
        placeholder: "invoice.paid",
        value: route.query["type"] ?? "",
        likely: types.data.filter(({ archived }) => !archived).map(({ name }) => name)
      }),
      data,
      el(
        "details",
        { id: "envelope" },
        el("summary", {}, "Around it"),
        field({
          name: "webhook",
          label: "To this URL alone",
          kind: "url",
          placeholder: "https://example.com/hook",
          hint: "And to no registered webhook. Empty: to every webhook that wants it."
        }),
        field({
          name: "uid",
          label: "uid",
          hint: "Your own id: publishing it again answers the first message."
        }),
        field({ name: "resourceType", label: "Resource type" }),
        field({ name: "resourceId", label: "Resource id" }),
        field({ name: "orderingKey", label: "Ordering key" }),
        field({ name: "channels", label: "Channels", hint: "Apart by spaces." }),
        field({ name: "deliverAt", label: "Nothing sent before (UTC)", kind: "instant" }),
        field({ name: "expiresAt", label: "Nothing sent from (UTC)", kind: "instant" })
      )
    ],
    run: async (values) => {
      const text = values["data"] ?? ""
      const wrong = fault(text)
      mark(made, "data", wrong)
      if (wrong !== null) return
      const accepted = await client.publish(written(values, text))
      announce(`Accepted: ${many(accepted.deliveries, "delivery", "deliveries")}.`)
      go(to(["messages", accepted.id]))
    }
  })
  return { title: "Publish a message", body: [el("section", { class: "card" }, made)] }
}

/** Writes the request around the data, which is not parsed, so that no digit of it changes. */
const written = (values: Readonly<Record<string, string>>, data: string): string => {
  const {
    channels = "",
    deliverAt,
    expiresAt,
    orderingKey,
    resourceId,
    resourceType,
    webhook
  } = values
  const envelope = JSON.stringify({
    type: values["type"],
    ...(values["uid"] ? { uid: values["uid"] } : {}),
    ...(resourceType || resourceId ? { resource: { type: resourceType, id: resourceId } } : {}),
    ...(webhook ? { webhook: { url: webhook } } : {}),
    ...(orderingKey ? { orderingKey } : {}),
    ...(channels ? { channels: channels.split(/[\s,]+/) } : {}),
    ...(deliverAt ? { deliverAt: utc(deliverAt) } : {}),
    ...(expiresAt ? { expiresAt: utc(expiresAt) } : {})
  })
  return `${envelope.slice(0, -1)},"data":${data}}`
}

const utc = (text: string): string => new Date(`${text}Z`).toISOString()
