/** Settling attempts, with a log that keeps nothing. */
import { Effect, Layer, ManagedRuntime } from "effect"
import { Alerts } from "../../src/settle/Alerts.ts"
import { Circuit } from "../../src/settle/Circuit.ts"
import { Settler } from "../../src/settle/Settler.ts"
import { DeliveryLog } from "../../src/store/DeliveryLog.ts"
import { Ids } from "../../src/store/Ids.ts"
import { delivery, now, type Task, times, webhook } from "./Samples.ts"

/** Settles many attempts at once, as a busy engine does. */
export const settle = async (): Promise<ReadonlyArray<Task>> => {
  const runtime = ManagedRuntime.make(
    Settler.layer().pipe(
      Layer.provide(Layer.mergeAll(Alerts.layer, Circuit.layer, Ids.layer)),
      Layer.provide(Layer.mock(DeliveryLog, { settle: () => Effect.void }))
    )
  )
  const settler = await runtime.runPromise(Settler)
  const to = webhook(0)
  await runtime.runPromise(settler.adopt(to))
  const made = {
    webhook: to,
    delivery: delivery(to, new Uint8Array(1_000)),
    startedAt: now,
    outcome: {
      _tag: "Responded",
      statusCode: 204,
      headers: {},
      body: new Uint8Array(0),
      truncated: false,
      bodyError: null
    },
    durationMs: 1
  } as const
  const all = Effect.forEach(Array.from({ length: times }), () => settler.settle(made), {
    concurrency: "unbounded",
    discard: true
  })
  return [{ name: "settle a success", times, run: () => runtime.runPromise(all) }]
}
