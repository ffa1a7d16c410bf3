/**
 * Tries a webhook out: sends it an example, or looks what stands in the way of deliveries.
 */
import { actions } from "./Actions.ts"
import type { App } from "./App.ts"
import type { Checked, Tested, Webhook } from "./Client.ts"
import { type Child, el, put } from "./Dom.ts"
import { field } from "./Form.ts"
import * as Show from "./Show.ts"
import * as Words from "./Words.ts"

/** Makes the part of the page. */
export const trialPart = ({ client }: App, one: Webhook): HTMLElement => {
  const place = el("div", { class: "results", "aria-live": "polite" })
  const choice = field({
    name: "testType",
    label: "Example of",
    placeholder: "posthaste.test",
    likely: one.eventTypes.filter((type) => !type.endsWith("*"))
  })
  const type = () => choice.querySelector("input")?.value.trim() || null
  return Show.section(
    "Try it out",
    el("p", {}, "An example is signed and sent like a delivery, and counts for nothing."),
    choice,
    actions(
      {
        label: "Send an example",
        run: async () => {
          put(place)
          put(place, tested(await client.test(one.id, type())))
        }
      },
      {
        label: "Check the connection",
        run: async () => {
          put(place)
          put(place, checked(await client.check(one.id)))
        }
      }
    ),
    place
  )
}

const tested = (trial: Tested): Child => [
  el("p", { class: "lead" }, Show.answer(trial.statusCode, trial.class), " ", trial.explanation),
  trial.advice !== null && el("p", { class: "advice" }, trial.advice),
  el(
    "div",
    { class: "columns" },
    el(
      "div",
      {},
      el("h3", {}, "Request"),
      trial.request === null
        ? el("p", { class: "faint" }, "None could be made.")
        : [
            el(
              "p",
              { class: "break" },
              el("strong", {}, trial.request.method),
              " ",
              el("code", {}, trial.request.url)
            ),
            el(
              "p",
              { class: "break" },
              trial.request.headerNames.map((name) => [el("code", { class: "tag" }, name), " "])
            ),
            Show.body(trial.request.body, trial.request.bodyEncoding)
          ]
    ),
    el(
      "div",
      {},
      el("h3", {}, "Response"),
      trial.statusCode === null
        ? el("p", { class: "faint" }, trial.error ?? "None came.")
        : [
            el("p", {}, `After ${Words.length(trial.durationMs)}`),
            Show.headers(trial.responseHeaders),
            Show.body(trial.responseBody, trial.responseBodyEncoding)
          ]
    )
  )
]

const checked = (report: Checked): Child => {
  const { dns, failure, http, latency, tls, warnings } = report
  return [
    el(
      "p",
      { class: "lead" },
      el(
        "span",
        { class: report.ok ? "good" : "bad" },
        report.ok ? "Nothing stands in the way." : "Something stands in the way."
      ),
      failure !== null && ` ${failure.detail}`
    ),
    warnings.map((warning) => el("p", { class: "advice" }, warning)),
    Show.facts([
      [
        "Address",
        [
          Show.state(dns.verdict),
          dns.rule !== null && ` ${dns.rule}`,
          dns.addresses.map((address) => [" ", el("code", {}, address)])
        ]
      ],
      ["Way out", report.egress === "direct" ? null : Words.spaced(report.egress)],
      [
        "TLS",
        tls === null
          ? null
          : `${tls.protocol}, ${Words.many(tls.daysToExpiry, "day")} until the certificate ends`
      ],
      [
        "Chain",
        tls !== null &&
          el(
            "ol",
            {},
            tls.chain.map(({ issuer, subject }) => el("li", {}, `${subject}, by ${issuer}`))
          )
      ],
      ["HTTP", http !== null && `${http.version}, answers ${http.statusCode} to HEAD`],
      ["Redirects to", http?.redirectHost],
      ...(
        [
          ["Name", latency.dnsMs],
          ["Connection", latency.connectMs],
          ["TLS handshake", latency.tlsMs],
          ["Answer", latency.answerMs],
          ["In all", latency.totalMs]
        ] as const
      ).map(([name, ms]) => [name, ms !== null && Words.length(ms)] as const)
    ])
  ]
}
