/**
 * What all lanes of an engine share, and what is set for each.
 */
import type { Clock, Effect, Scope } from "effect"
import type { Delivery } from "../domain/Delivery.ts"
import type { WebhookId } from "../domain/TypeId.ts"
import type { Circuit } from "../settle/Circuit.ts"
import type { Settler } from "../settle/Settler.ts"
import type { DeliveryQueue } from "../store/DeliveryQueue.ts"
import type { Traces } from "../telemetry/Traces.ts"
import type { AddressGuard } from "./AddressGuard.ts"
import type { Authenticator } from "./Authenticator.ts"
import type { Memory } from "./Memory.ts"
import type { Bucket } from "./Rate.ts"
import type { Signer } from "./Signer.ts"
import type { Slots } from "./Slots.ts"

/** The bounds and times of each lane. */
export interface LaneOptions {
  /** Deliveries that one lane holds in memory. 1,000 by default. */
  readonly mailboxMax?: number
  /** Deliveries that are read from the store at once. 200 by default. */
  readonly refillMax?: number
  /** Body bytes that are read from the store at once. 1 MiB by default. */
  readonly refillBytesMax?: number
  /** Attempts that are answered and not yet written down. 256 by default. */
  readonly unsettledMax?: number
  /** How long a lane without work stays, in milliseconds. 60,000 by default. */
  readonly idleMs?: number
  /** How long a delivery is put off that met a defect of ours, in milliseconds. 60,000 by default. */
  readonly defectDelayMs?: number
}

/** What lanes share. */
export interface LaneContext {
  readonly queue: DeliveryQueue["Service"]
  readonly settler: Settler["Service"]
  readonly circuit: Circuit["Service"]
  readonly sender: Authenticator["Service"]
  readonly tracing: typeof Traces.Service
  readonly signer: Signer["Service"]
  readonly guard: AddressGuard["Service"]
  readonly clock: Clock.Clock
  readonly slots: Slots
  readonly memory: Memory
  /** What lanes that left had taken of their rates, until it is back. */
  readonly buckets: Map<WebhookId, Bucket>
  readonly options: LaneOptions
  /** Lives as long as all lanes; what is being settled outlives a restart of its lane in it. */
  readonly scope: Scope.Scope
  readonly isDraining: () => boolean
  /** Counts an attempt that is about to begin; false when the engine has made all it may. */
  readonly takeAttempt: () => boolean
  /** Takes that back for an attempt that was not made. */
  readonly putBackAttempt: () => void
  /** Tells whether a person holds all sending. */
  readonly isHeld: () => boolean
  /** Called in the turn in which a lane decides to leave, with when it has to come back, if ever. */
  readonly onLeave: (webhookId: WebhookId, backlogAt: number | null) => void
  /** Tells of deliveries that were cancelled because it was too late for them. */
  readonly onExpired: (deliveries: ReadonlyArray<Delivery>) => Effect.Effect<void>
  /** Called whenever an attempt in flight has ended and is settled. */
  readonly onEnded: () => void
}
