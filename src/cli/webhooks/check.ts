/**
 * `posthaste webhooks check`.
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { withClient } from "../Client.ts"
import { answer, both, list, record } from "../Print.ts"
import { webhook } from "./Ref.ts"

/** Says how far a connection to a webhook comes: address, TLS, HTTP. */
export const check = Command.make("check", { webhook }, ({ webhook }) =>
  withClient(({ trials }) =>
    Effect.flatMap(trials.check({ params: { id: webhook }, ...both }), (checked) =>
      answer(checked, ({ dns, failure, http, latency, ok, tls, warnings }) =>
        record({
          ok,
          failure: failure === null ? null : `${failure.class}: ${failure.detail}`,
          warnings: warnings.length === 0 ? null : warnings.join("; "),
          address: dns.rule === null ? dns.verdict : `${dns.verdict} (${dns.rule})`,
          addresses: list(dns.addresses, "none"),
          tls: tls === null ? null : `${tls.protocol}, ${tls.daysToExpiry} days to expiry`,
          http:
            http === null
              ? null
              : `HTTP/${http.version} ${http.statusCode}` +
                (http.redirectHost === null ? "" : `, redirects to ${http.redirectHost}`),
          "took ms": latency.totalMs
        })
      )
    )
  )
).pipe(Command.withDescription("Look what stands in the way of deliveries"))
