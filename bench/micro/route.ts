/** Finding the webhooks that want a message. */
import { Effect, Layer } from "effect"
import { Router } from "../../src/route/Router.ts"
import { Subscriptions } from "../../src/route/Subscriptions.ts"
import { messageType, repeat, type Task, tenantId, webhook } from "./Samples.ts"

/** Routes among 1, 100 and 1,000 webhooks of one tenant, of which one wants the message. */
export const route = (): Promise<ReadonlyArray<Task>> =>
  Promise.all(
    [1, 100, 1_000].map(async (count) => {
      const webhooks = Array.from({ length: count }, (_, i) => webhook(i))
      const subscriptions = Layer.succeed(
        Subscriptions,
        Subscriptions.of({
          wanting: () => webhooks,
          adHoc: () => undefined,
          adHocSize: () => 0,
          size: () => count
        })
      )
      const router = await Effect.runPromise(
        Effect.provide(Router, Layer.provide(Router.layer, subscriptions))
      )
      const message = { type: messageType, resource: null, channels: [], data: () => ({}) }
      return repeat(`route among ${count}`, () => router.route(tenantId, message))
    })
  )
