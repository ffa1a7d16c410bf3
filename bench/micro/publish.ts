/** Publishing, with a store that keeps nothing and no lanes to hand to. */
import { Effect, Layer, ManagedRuntime } from "effect"
import { Catalogue } from "../../src/publish/Catalogue.ts"
import { Destinations } from "../../src/publish/Destinations.ts"
import { Publisher } from "../../src/publish/Publisher.ts"
import { Router } from "../../src/route/Router.ts"
import { Subscriptions } from "../../src/route/Subscriptions.ts"
import { Lanes } from "../../src/send/Lanes.ts"
import { Ids } from "../../src/store/Ids.ts"
import { MessageRepo } from "../../src/store/MessageRepo.ts"
import { TenantRepo } from "../../src/store/TenantRepo.ts"
import { data1k, messageType, type Task, tenantId, times, webhook } from "./Samples.ts"

/** Publishes many messages at once, each to one webhook. */
export const publish = async (): Promise<ReadonlyArray<Task>> => {
  const webhooks = [webhook(0)]
  const runtime = ManagedRuntime.make(
    Publisher.layer().pipe(
      Layer.provide(Router.layer),
      Layer.provide([
        Ids.layer,
        Layer.succeed(Catalogue, Catalogue.of({ judge: () => null })),
        Layer.succeed(
          Subscriptions,
          Subscriptions.of({
            wanting: () => webhooks,
            adHoc: () => undefined,
            adHocSize: () => 0,
            size: () => 1
          })
        ),
        Layer.mock(Destinations, {}),
        Layer.mock(Lanes, {
          reserve: () => true,
          hand: () => undefined,
          doubt: () => undefined,
          expect: () => undefined,
          remind: () => undefined,
          release: () => undefined,
          stats: Effect.die("not asked for")
        }),
        Layer.mock(TenantRepo, { messagesPerSecond: () => null }),
        Layer.mock(MessageRepo, {
          insert: (messages) => Effect.succeed(messages.map(() => ({ _tag: "Inserted" as const })))
        })
      ])
    )
  )
  const publisher = await runtime.runPromise(Publisher)
  const draft = {
    tenantId,
    type: messageType,
    uid: null,
    resource: null,
    data: data1k,
    idempotencyKey: null
  }
  const all = Effect.forEach(Array.from({ length: times }), () => publisher.publish(draft), {
    concurrency: "unbounded",
    discard: true
  })
  return [{ name: "publish 1 KB", times, run: () => runtime.runPromise(all) }]
}
