/**
 * The path as one Layer: what a library user embeds, and what the service is built on.
 *
 * ```
 * Operations ─► Publisher
 * Publisher ─► Catalogue, Destinations
 *     └──────► Router ─► Subscriptions
 *     └──────► Lanes ◄─ Redeliveries
 *                ├────► Authenticator, HttpSender, Signer, AddressGuard
 *                └────► Settler ─► Circuit, Alerts
 *                          └─────► stores
 * ```
 *
 * `layer` leaves the stores open. `layerStores` keeps them in SQL, over whatever `Database` stands
 * below, and seals secrets by the `KeyRing` beside it; `layerStoresMemory` keeps them in Maps.
 */
import * as NodeDns from "@effect/platform-node/NodeDns"
import { Effect, Layer } from "effect"
import * as Operations from "./Operations.ts"
import { Catalogue } from "./publish/Catalogue.ts"
import { Destinations, type DestinationsOptions } from "./publish/Destinations.ts"
import { Publisher, type PublisherOptions } from "./publish/Publisher.ts"
import { Router } from "./route/Router.ts"
import { Subscriptions } from "./route/Subscriptions.ts"
import { AddressGuard, type AddressGuardOptions } from "./send/AddressGuard.ts"
import { Authenticator } from "./send/Authenticator.ts"
import { HttpSender, type HttpSenderOptions } from "./send/HttpSender.ts"
import { Lanes, type LanesOptions } from "./send/Lanes.ts"
import { Redeliveries, type RedeliveriesOptions } from "./send/Redeliveries.ts"
import { Signer } from "./send/Signer.ts"
import { Trials } from "./send/Trials.ts"
import { Alerts } from "./settle/Alerts.ts"
import { Circuit } from "./settle/Circuit.ts"
import { Settler, type SettlerOptions } from "./settle/Settler.ts"
import { AuditLog } from "./store/AuditLog.ts"
import { Census } from "./store/Census.ts"
import { DefaultLimits, type DefaultTenantLimits } from "./store/DefaultLimits.ts"
import { DeliveryLog } from "./store/DeliveryLog.ts"
import { DeliveryQueue } from "./store/DeliveryQueue.ts"
import { EventTypeRepo } from "./store/EventTypeRepo.ts"
import { HoldRepo } from "./store/HoldRepo.ts"
import { Ids } from "./store/Ids.ts"
import { MemoryTables } from "./store/MemoryTables.ts"
import { MessageRepo } from "./store/MessageRepo.ts"
import * as Migrations from "./store/Migrations.ts"
import { NoticeQueue } from "./store/NoticeQueue.ts"
import { Ownership } from "./store/Ownership.ts"
import { Retention, type RetentionOptions } from "./store/Retention.ts"
import { RedeliveryRepo } from "./store/RedeliveryRepo.ts"
import { StatsRepo } from "./store/StatsRepo.ts"
import { TenantErasure } from "./store/TenantErasure.ts"
import { TenantRepo } from "./store/TenantRepo.ts"
import * as Upkeep from "./store/Upkeep.ts"
import { WebhookRepo } from "./store/WebhookRepo.ts"

/** The bounds and times of an engine, by the part they belong to. Each has a default. */
export interface EngineOptions {
  readonly operations?: Operations.OperationsOptions
  readonly publisher?: PublisherOptions
  readonly destinations?: DestinationsOptions
  readonly lanes?: LanesOptions
  readonly redeliveries?: RedeliveriesOptions
  readonly settler?: SettlerOptions
  readonly sender?: HttpSenderOptions
  readonly addresses?: AddressGuardOptions
}

/** The engine without its stores and without a way out: both are swapped in tests. */
export const layerPath = (options: EngineOptions = {}) =>
  Layer.merge(Operations.layer(options.operations), Redeliveries.layer(options.redeliveries)).pipe(
    Layer.provideMerge(Publisher.layer(options.publisher)),
    Layer.provideMerge(
      Layer.mergeAll(Router.layer, Catalogue.layer, Destinations.layer(options.destinations))
    ),
    Layer.provideMerge(Subscriptions.layer),
    Layer.provideMerge(Layer.merge(Lanes.layer(options.lanes), Trials.layer)),
    Layer.provideMerge(Authenticator.layer),
    Layer.provideMerge(Settler.layer(options.settler)),
    Layer.provideMerge(Layer.mergeAll(Circuit.layer, Alerts.layer, Signer.layer))
  )

/** The engine over whatever stores stand below it. */
export const layer = (options: EngineOptions = {}) =>
  layerPath(options).pipe(
    Layer.provideMerge(HttpSender.layer(options.sender)),
    Layer.provideMerge(AddressGuard.layer(options.addresses)),
    Layer.provide(NodeDns.layer)
  )

const repos = Layer.mergeAll(
  MessageRepo.layer,
  DeliveryQueue.layer,
  HoldRepo.layer,
  NoticeQueue.layer,
  TenantRepo.layer,
  EventTypeRepo.layer,
  Census.layer
)

/** The bounds and times of the stores. Each has a default. */
export interface StoresOptions {
  readonly retention?: RetentionOptions
  /** What a tenant may have and do that has no limits of its own. 1,000 webhooks by default. */
  readonly limits?: Partial<DefaultTenantLimits>
  readonly upkeep?: Upkeep.UpkeepOptions
}

/** Sets what the options say of the limits. */
const layerLimits = ({ limits }: StoresOptions) =>
  Layer.effect(
    DefaultLimits,
    Effect.map(DefaultLimits, (defaults) => ({ ...defaults, ...limits }))
  )

/**
 * The stores in SQL: migrated, kept in shape, and owned by this engine alone. They need a `Database`
 * and a `KeyRing`: `KeyRing.layer` with keys of yours, or `KeyRing.layerPlain`.
 */
export const layerStores = (options: StoresOptions = {}) =>
  Layer.mergeAll(
    RedeliveryRepo.layer,
    StatsRepo.layer,
    TenantErasure.layer,
    Upkeep.layer(options.upkeep),
    Retention.layer(options.retention)
  ).pipe(
    Layer.provideMerge(DeliveryLog.layer),
    Layer.provideMerge(repos),
    Layer.provideMerge(WebhookRepo.layer),
    Layer.provideMerge(AuditLog.layer),
    Layer.provideMerge(Ownership.layer),
    Layer.provideMerge(Migrations.layer),
    Layer.provideMerge(Ids.layer),
    Layer.provide(layerLimits(options))
  )

/** The stores in memory. Nothing survives the process. */
export const layerStoresMemory = (options: StoresOptions = {}) =>
  layerStoresTables(options).pipe(Layer.provideMerge(MemoryTables.layer))

/** The stores in Maps that outlive this engine, as a database does: the next one takes over. */
export const layerStoresTables = (options: StoresOptions = {}) =>
  Layer.mergeAll(
    DeliveryLog.layerMemory,
    RedeliveryRepo.layerMemory,
    StatsRepo.layerMemory,
    TenantErasure.layer,
    Retention.layerMemory(options.retention)
  ).pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        MessageRepo.layerMemory,
        DeliveryQueue.layerMemory,
        HoldRepo.layerMemory,
        NoticeQueue.layerMemory,
        TenantRepo.layerMemory,
        EventTypeRepo.layerMemory
      )
    ),
    Layer.provideMerge(WebhookRepo.layerMemory),
    Layer.provideMerge(AuditLog.layerMemory),
    Layer.provideMerge(Ownership.layerMemory),
    Layer.provide(layerLimits(options))
  )
