/**
 * Shows how far a connection to a receiver came, with what people should know of it in words.
 */
import type { WebhookChecked } from "../api/TrialsApi.ts"
import { advice } from "../domain/Advice.ts"
import { classify, describe, type Outcome } from "../domain/Attempt.ts"
import type { CircuitState, Webhook } from "../domain/Webhook.ts"
import type { Inspection } from "../send/Trials.ts"

const dayMs = 86_400_000

/** Certificates that end sooner are warned of: most are renewed a month before. */
const daysLeftMin = 14

/** Shows an inspection of a webhook. */
export const checkedView = (
  inspection: Inspection,
  webhook: Webhook,
  circuit: CircuitState,
  egress: WebhookChecked["egress"]
): WebhookChecked => {
  const { checkedAt, inspected, refusal } = inspection
  const probed = inspected?.probed ?? null
  const failed = refusal ?? inspected?.refusal ?? probed?.failure ?? null
  const chain = probed?.tls?.chain ?? []
  const endsAt = Math.min(...chain.map(({ validUntil }) => validUntil))
  const dnsMs = inspected?.resolvedMs ?? null
  const { answeredMs = null, connectedMs = null, securedMs = null } = probed ?? {}
  const redirectHost = hostOf(probed?.answer?.location ?? null, webhook.url)
  const checked: WebhookChecked = {
    ok: failed === null,
    checkedAt,
    warnings: [],
    failure: failed === null ? null : { class: classify(failed), detail: describe(failed) ?? "" },
    dns: {
      verdict: verdictOf(refusal ?? inspected?.refusal ?? null),
      rule: failed?._tag === "Refused" ? failed.rule : null,
      addresses: inspected?.addresses ?? []
    },
    egress,
    tls:
      probed?.tls === null || probed?.tls === undefined
        ? null
        : {
            protocol: probed.tls.protocol,
            daysToExpiry: Math.floor((endsAt - checkedAt) / dayMs),
            chain
          },
    http:
      probed?.answer === null || probed?.answer === undefined
        ? null
        : {
            version: probed.answer.httpVersion,
            statusCode: probed.answer.statusCode,
            redirectHost
          },
    latency: {
      dnsMs,
      connectMs: connectedMs,
      tlsMs: between(connectedMs, securedMs),
      answerMs: between(securedMs ?? connectedMs, answeredMs),
      totalMs: dnsMs === null || answeredMs === null ? null : dnsMs + answeredMs
    }
  }
  return { ...checked, warnings: warningsOf(checked, webhook, circuit) }
}

const verdictOf = (refusal: Outcome | null): WebhookChecked["dns"]["verdict"] =>
  refusal === null ? "allowed" : refusal._tag === "Refused" ? "refused" : "failed"

const between = (from: number | null, to: number | null): number | null =>
  from === null || to === null ? null : to - from

/** Where a redirect leads: the host alone, because the rest may hold what is not for everybody. */
const hostOf = (location: string | null, base: string): string | null => {
  if (location === null) return null
  const host = URL.parse(location, URL.parse(base)?.href)?.host
  return host === undefined ? null : host.slice(0, 256)
}

const warningsOf = (
  { failure, http, latency, tls }: WebhookChecked,
  webhook: Webhook,
  circuit: CircuitState
): ReadonlyArray<string> => {
  const found: Array<string> = []
  if (webhook.status !== "enabled") found.push(`The webhook is ${webhook.status}: deliveries wait.`)
  if (circuit !== "closed")
    found.push(`The circuit is ${circuit.replace("_", " ")} after failures.`)
  if (webhook.url.startsWith("http:"))
    found.push("The URL is http: anybody on the way can read it.")
  if (failure?.class === "tls") found.push(advice("tls", failure.detail) ?? failure.detail)
  if (tls !== null && tls.daysToExpiry < daysLeftMin) {
    found.push(`A certificate of the receiver ends in ${tls.daysToExpiry} days.`)
  }
  if (http === null) return found
  const { redirectHost, statusCode, version } = http
  if (version === "1.0")
    found.push("The receiver speaks HTTP/1.0: each delivery needs a connection.")
  if (statusCode >= 300 && statusCode < 400) {
    const where = redirectHost === null ? "" : ` to ${redirectHost}`
    found.push(`The URL redirects${where}. Redirects are not followed: register where it leads.`)
  }
  if (statusCode === 404 || statusCode === 410) {
    found.push(`The receiver answered ${statusCode} to HEAD: look whether the path is right.`)
  }
  if (statusCode >= 500)
    found.push(`The receiver answered ${statusCode} to HEAD: it may be broken.`)
  const { timeoutMs } = webhook.settings
  if (latency.totalMs !== null && latency.totalMs > timeoutMs / 2) {
    found.push(`The answer took ${latency.totalMs} ms of the ${timeoutMs} ms that there are.`)
  }
  return found
}
