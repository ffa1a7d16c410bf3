/**
 * The webhooks that a `Ledger`'s receivers stand for, and how long there is something left to do for
 * them.
 */
import { assert } from "vitest"
import { until } from "./Inbox.ts"
import type { Ledger } from "./Ledger.ts"
import type { Service } from "./Service.ts"

/** Makes the webhooks, or finds them as they are, and tells the ledger their secrets. */
export const registerHooks = async (
  { call }: Service,
  { inbox, secrets }: Ledger
): Promise<void> => {
  const common = {
    retry: { kind: "table", delaysMs: Array.from({ length: 20 }, () => 50), jitter: 0 },
    circuit: { failures: 1_000, openMs: 1_000, openMsMax: 1_000 }
  }
  const hooks = [
    { uid: "plain", eventTypes: ["order.*", "once.*", "aged.*"], headers: { "X-Own": "1" } },
    { uid: "flaky", eventTypes: ["order.*"] },
    { uid: "slow", eventTypes: ["slow.*"], concurrency: 2 },
    { uid: "ops", eventTypes: ["posthaste.*"] }
  ]
  for (const { uid, ...hook } of hooks) {
    const { json, status } = await call("PUT", `/v1/webhooks/${uid}`, {
      ...hook,
      ...common,
      url: `${inbox.url}/${uid}`
    })
    assert.oneOf(status, [200, 201], JSON.stringify(json))
    secrets.set(`/${uid}`, (await call("GET", `/v1/webhooks/${uid}/secret`)).json.secret)
  }
}

/** Tells whether a delivery is not final. */
export const isOwing = async ({ call }: Service): Promise<boolean> => {
  for (const status of ["pending", "waiting", "held"]) {
    const { json } = await call("GET", `/v1/deliveries?status=${status}&limit=1`)
    if (json.data.length > 0) return true
  }
  return false
}

/** Waits until all that was acknowledged has arrived and nothing is owed; a minute at most. */
export const settled = async (service: Service, ledger: Ledger): Promise<void> => {
  const endsAt = performance.now() + 60_000
  await until(async () => {
    const missing = ledger.missing()
    if (performance.now() > endsAt) throw new Error(`still missing: ${missing.slice(0, 5).join()}`)
    return missing.length === 0 && !(await isOwing(service))
  })
}
