/**
 * What happens while it happens: attempts, changes of deliveries and of webhooks, newest first.
 *
 * The stream ends after an hour and at a restart, so it is opened again until the screen is left. While it
 * is paused it is read on and kept, up to a bound.
 */
import type { StreamEvent } from "../../api/DeliveryEvents.ts"
import { actions } from "./Actions.ts"
import type { App, Screen } from "./App.ts"
import { now, pause } from "./Clock.ts"
import { type Child, el, put } from "./Dom.ts"
import { reader } from "./EventStream.ts"
import { problemBox } from "./Feedback.ts"
import { filters } from "./Filters.ts"
import { Refused } from "./Refused.ts"
import { to } from "./Route.ts"
import * as Show from "./Show.ts"
import * as Words from "./Words.ts"

type Event = typeof StreamEvent.Encoded

/** Follows what happens. */
export const live: Screen = async (app) => {
  const list = el("ol", { class: "live", "aria-label": "What happened, newest first" })
  const standing = el("p", { class: "faint", role: "status" }, "Connecting…")
  const empty = Show.nothing("Waiting for something to happen", "Publish a message to see it here.")
  const kept: Array<HTMLElement> = []
  let isPaused = false
  let missed = 0
  let state = "Connecting…"
  const say = () =>
    put(
      standing,
      state,
      isPaused && ` Paused: ${Words.many(kept.length, "event")} kept back.`,
      missed > 0 && ` ${Words.many(missed, "event")} missed, because they came faster than read.`
    )
  const add = (events: ReadonlyArray<HTMLElement>) => {
    list.prepend(...[...events].reverse())
    while (list.childElementCount > rowsMax) list.lastElementChild?.remove()
    empty.remove()
  }
  const take = (events: ReadonlyArray<Event>) => {
    const rows: Array<HTMLElement> = []
    for (const event of events) {
      if (event.kind === "missed") missed += event.missed
      else rows.push(row(event))
    }
    if (isPaused) {
      kept.push(...rows)
      missed += kept.splice(0, Math.max(0, kept.length - rowsMax)).length
    } else if (rows.length > 0) add(rows)
    say()
  }
  void follow(app, take, (text) => {
    state = text
    say()
  })
  const bar = el("div", {})
  const draw = () =>
    put(
      bar,
      actions(
        {
          label: isPaused ? "Go on" : "Pause",
          kind: isPaused ? "main" : undefined,
          run: () => {
            isPaused = !isPaused
            if (!isPaused) add(kept.splice(0))
            say()
            draw()
          }
        },
        {
          label: "Clear",
          run: () => {
            put(list)
            missed = 0
            say()
          }
        }
      )
    )
  draw()
  return {
    title: "Live",
    body: [
      filters(app, [
        { name: "webhook", label: "Webhook", placeholder: "id or uid" },
        { name: "type", label: "Event type" },
        {
          name: "status",
          label: "State",
          choices: ["", "waiting", "held", "delivered", "exhausted", "cancelled"].map((one) => [
            one,
            one || "any"
          ])
        }
      ]),
      el("div", { class: "row spread" }, standing, bar),
      empty,
      list
    ]
  }
}

/** What is shown at most, and kept back at most. */
const rowsMax = 200

/** Reads the stream until the screen is left. What is refused for good is said and not tried again. */
const follow = async (
  { client, route, signal }: App,
  take: (events: ReadonlyArray<Event>) => void,
  say: (state: string) => void
) => {
  const { status, type, webhook } = route.query
  while (!signal.aborted) {
    try {
      const response = await client.stream({ status, type, webhook })
      say("Connected.")
      const decoder = new TextDecoder()
      const read = reader()
      const body = response.body?.getReader()
      for (;;) {
        const piece = await body?.read()
        if (piece === undefined || piece.done) break
        const events = read(decoder.decode(piece.value, { stream: true }))
        if (events.length > 0) take(events.map((text): Event => JSON.parse(text)))
      }
      say("The stream ended; connecting again…")
    } catch (error) {
      if (signal.aborted) return
      if (error instanceof Refused && ![0, 429, 503].includes(error.problem.status)) {
        say("Not connected.")
        document.querySelector(".live")?.before(problemBox(error))
        return
      }
      say("The service does not answer; trying again…")
    }
    await pause(2_000, signal)
  }
}

const row = (event: Exclude<Event, { readonly kind: "missed" }>): HTMLElement => {
  switch (event.kind) {
    case "attempt": {
      const { attempt, status, type } = event
      return line(attempt.startedAt, Show.state(status), [
        Show.link(to(["deliveries", attempt.deliveryId]), `Attempt ${attempt.number}`),
        el("code", { class: "tag" }, type),
        Show.answer(attempt.statusCode, attempt.class),
        el("span", { class: "faint" }, Words.length(attempt.durationMs)),
        attempt.advice !== null && el("span", { class: "faint" }, attempt.advice)
      ])
    }
    case "delivery": {
      const { delivery } = event
      return line(new Date(now()).toISOString(), Show.state(delivery.status), [
        Show.link(
          to(["deliveries", delivery.id]),
          delivery.status === "cancelled" ? "Cancelled" : "Redelivered"
        ),
        el("code", { class: "tag" }, delivery.type)
      ])
    }
    case "webhook":
      return line(event.at, Show.state(event.status), [
        event.status === "deleted"
          ? el("code", {}, event.webhookId)
          : Show.idLink(to(["webhooks", event.webhookId]), event.webhookId),
        "is now ",
        event.status
      ])
  }
}

const line = (at: string, state: HTMLElement, what: ReadonlyArray<Child>): HTMLElement =>
  el("li", {}, state, el("div", { class: "what" }, what), Show.time(at))
