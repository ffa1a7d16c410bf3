/**
 * The throughput of an hour as bars, one a minute, with the same in words and as a table.
 */
import type { Stats } from "./Client.ts"
import { type Child, el, svg } from "./Dom.ts"
import { count, many } from "./Words.ts"

type Minutes = Stats["throughput"]

/** Draws the chart. */
export const throughput = (minutes: Minutes): Child => {
  const most = Math.max(1, ...minutes.map(({ attempts }) => attempts))
  return el(
    "figure",
    { class: "chart" },
    el("p", { id: "throughput" }, inWords(minutes)),
    el(
      "div",
      { class: "scale", "aria-hidden": "true" },
      el("span", {}, count(most)),
      el("span", {}, "0")
    ),
    svg(
      "svg",
      {
        viewBox: `0 0 ${minutes.length * step} ${tall}`,
        preserveAspectRatio: "none",
        role: "img",
        "aria-labelledby": "throughput"
      },
      [0.25, 0.5, 0.75].map((part) =>
        svg("line", {
          class: "grid",
          x1: 0,
          x2: minutes.length * step,
          y1: tall * part,
          y2: tall * part
        })
      ),
      minutes.map((minute, index) => bar(minute, index, most))
    ),
    el(
      "div",
      { class: "ends", "aria-hidden": "true" },
      el("span", {}, "an hour ago"),
      el("span", {}, "30 min ago"),
      el("span", {}, "now")
    ),
    el(
      "figcaption",
      {},
      el("span", { class: "key delivered" }, "delivered"),
      el("span", { class: "key retried" }, "failed, tried again"),
      el("span", { class: "key exhausted" }, "exhausted")
    )
  )
}

/** Says what the chart shows. */
const inWords = (minutes: Minutes): string => {
  const sum = (of: (minute: Minutes[number]) => number) =>
    minutes.reduce((total, minute) => total + of(minute), 0)
  const attempts = sum((minute) => minute.attempts)
  if (attempts === 0) return "Nothing was sent in the last hour."
  const busiest = minutes.reduce((a, b) => (b.attempts > a.attempts ? b : a))
  return (
    `${many(attempts, "attempt")} in the last hour: ${count(sum((minute) => minute.delivered))} delivered, ` +
    `${count(sum((minute) => minute.exhausted))} exhausted. The busiest minute was ` +
    `${busiest.minute.slice(11, 16)} UTC with ${count(busiest.attempts)}.`
  )
}

const step = 10
const tall = 100

/** A minute from the ground up: delivered, tried again, exhausted. */
const bar = (minute: Minutes[number], index: number, most: number) => {
  const retried = Math.max(0, minute.attempts - minute.delivered - minute.exhausted)
  const scale = (value: number) => (Math.min(value, most) / most) * tall
  let top = tall
  const piece = (kind: string, value: number) => {
    top -= scale(value)
    return (
      value > 0 &&
      svg("rect", {
        class: kind,
        x: index * step + 1,
        y: top,
        width: step - 2,
        height: scale(value)
      })
    )
  }
  return svg(
    "g",
    {},
    svg(
      "title",
      {},
      `${minute.minute.slice(11, 16)} UTC: ${many(minute.attempts, "attempt")}, ${count(minute.delivered)} delivered`
    ),
    svg("rect", { class: "ground", x: index * step, y: 0, width: step, height: tall }),
    piece("delivered", minute.delivered),
    piece("retried", retried),
    piece("exhausted", minute.exhausted)
  )
}
