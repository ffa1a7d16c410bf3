/**
 * One delivery: how it stands, in words, and every attempt with what was asked and answered.
 */
import { actions } from "./Actions.ts"
import type { App, Screen } from "./App.ts"
import type { Attempt, DeliveryFull } from "./Client.ts"
import { ask } from "./Dialog.ts"
import { type Child, el } from "./Dom.ts"
import { announce } from "./Feedback.ts"
import { refreshed } from "./Poll.ts"
import { to } from "./Route.ts"
import * as Show from "./Show.ts"
import * as Words from "./Words.ts"

/** Shows one delivery. */
export const delivery: Screen = async (app) => {
  const { client, route } = app
  const id = route.parts[1] ?? ""
  return {
    title: "Delivery",
    body: [
      await refreshed(app, {
        everyMs: 1_500,
        read: async () => {
          const [one, attempts] = await Promise.all([client.delivery(id), client.attempts(id)])
          return { one, attempts: attempts.data }
        },
        show: ({ attempts, one }) => [standing(app, one), attemptList(attempts)],
        isFinal: ({ one }) => one.settledAt !== null
      })
    ]
  }
}

const standing = (app: App, one: DeliveryFull): Child =>
  el(
    "section",
    { class: "card" },
    Show.standing(one.status, one.explanation),
    one.lastAttempt !== null &&
      one.lastAttempt.advice !== null &&
      one.status !== "delivered" &&
      el("p", { class: "advice" }, one.lastAttempt.advice),
    Show.facts([
      ["Id", Show.copyable(one.id)],
      ["Type", el("code", { class: "tag" }, one.type)],
      ["Message", Show.idLink(to(["messages", one.messageId]), one.messageId)],
      ["Webhook", Show.idLink(to(["webhooks", one.webhookId]), one.webhookId)],
      ["Made", Show.time(one.createdAt)],
      ["Next attempt", one.settledAt === null && Show.due(one.nextAttemptAt)],
      ["Settled", one.settledAt !== null && Show.time(one.settledAt)]
    ]),
    one.settledAt === null
      ? actions({
          label: "Cancel",
          kind: "danger",
          run: async () => {
            const isMeant = await ask({
              title: "Cancel this delivery?",
              text: "Nothing more is sent for it. It can be redelivered later.",
              does: "Cancel it"
            })
            if (!isMeant) return
            await app.client.cancel(one.id)
            announce("Cancelled.")
            app.reload()
          }
        })
      : actions({
          label: "Redeliver",
          kind: one.status === "exhausted" ? "main" : undefined,
          run: async () => {
            await app.client.redeliver(one.id)
            announce("A fresh round begins.")
            app.reload()
          }
        })
  )

const attemptList = (attempts: ReadonlyArray<Attempt>): Child =>
  Show.section(
    "Attempts",
    attempts.length === 0
      ? Show.nothing("No attempt yet", "The first one is made as soon as its turn comes.")
      : [...attempts]
          .reverse()
          .map((one, index) =>
            el(
              "details",
              { class: "attempt", id: one.id, open: index === 0 },
              el(
                "summary",
                {},
                el("strong", {}, `Attempt ${one.number}`),
                Show.answer(one.statusCode, one.class),
                el("span", { class: "faint" }, Words.length(one.durationMs)),
                el("span", { class: "end" }, Show.time(one.startedAt))
              ),
              attemptBody(one)
            )
          )
  )

const attemptBody = (one: Attempt): Child => [
  el("p", {}, Words.sentence(one.explanation)),
  one.advice !== null && el("p", { class: "advice" }, one.advice),
  one.error !== null &&
    el("p", {}, el("span", { class: "faint" }, "Said by the network: "), one.error),
  el(
    "div",
    { class: "columns" },
    el("div", {}, el("h3", {}, "Request"), request(one)),
    el(
      "div",
      {},
      el("h3", {}, "Response"),
      one.statusCode === null
        ? el("p", { class: "faint" }, "None came.")
        : [
            el("p", {}, "Status ", Show.answer(one.statusCode, one.class)),
            Show.headers(one.responseHeaders),
            Show.body(one.responseBody, one.responseBodyEncoding),
            one.responseTruncated && el("p", { class: "faint" }, "More came than is kept.")
          ]
    )
  )
]

const request = ({ request: sent }: Attempt): Child =>
  sent === null
    ? el("p", { class: "faint" }, "None was made.")
    : [
        el("p", { class: "break" }, el("strong", {}, sent.method), " ", el("code", {}, sent.url)),
        !sent.exact &&
          el(
            "p",
            { class: "faint" },
            "The webhook was changed since: this is how it would be sent today, unsigned."
          ),
        Show.headers(sent.headers)
      ]
