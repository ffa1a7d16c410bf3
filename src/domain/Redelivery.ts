/**
 * A job that redelivers many settled deliveries, slowly and once each.
 *
 * ```
 *  counting ──► running ──► done
 *     │  ╲_______________________▲  dry run, or nothing matched
 *     └──────────┴──► cancelled
 * ```
 *
 * It walks the deliveries made before the job, in the order of their ids, and never turns back. So
 * one that fails again while the job runs is not taken a second time.
 */
import * as Schema from "effect/Schema"
import { problem } from "./Problem.ts"
import type { RedeliveryId, TenantId, WebhookId } from "./TypeId.ts"

/** The states of a job; see the drawing above. `done` and `cancelled` are final. */
export const RedeliveryState = Schema.Literals(["counting", "running", "done", "cancelled"])
export type RedeliveryState = typeof RedeliveryState.Type

/** The states from which a delivery can be redelivered. */
export const RedeliverableStatus = Schema.Literals(["delivered", "exhausted", "cancelled"])
export type RedeliverableStatus = typeof RedeliverableStatus.Type

/** What a job is asked for. */
export interface RedeliveryFilter {
  readonly webhookId: WebhookId | null
  readonly type: string | null
  readonly status: RedeliverableStatus
  /** Only deliveries of messages made at or after this instant, epoch milliseconds. */
  readonly after: number | null
  /** Only deliveries of messages made before this instant, epoch milliseconds. */
  readonly before: number | null
  /** Count, and change nothing. */
  readonly dryRun: boolean
}

/** What a job takes of which nothing is said: all that was given up on. */
export const givenUpOn: RedeliveryFilter = {
  webhookId: null,
  type: null,
  status: "exhausted",
  after: null,
  before: null,
  dryRun: false
}

/** A job as it stands. */
export interface Redelivery extends RedeliveryFilter {
  readonly id: RedeliveryId
  readonly tenantId: TenantId
  readonly state: RedeliveryState
  /** Deliveries that were found while counting, and whose webhook and message still exist. */
  readonly matched: number
  /** Deliveries that were redelivered. */
  readonly done: number
  /** Epoch milliseconds. */
  readonly createdAt: number
  readonly updatedAt: number
  /** Epoch milliseconds at which it became final, or null. */
  readonly finishedAt: number | null
}

/** Tells whether a job does nothing more. */
export const isFinished = (state: RedeliveryState): boolean =>
  state === "done" || state === "cancelled"

/** No bulk redelivery of the tenant has this id. */
export class RedeliveryNotFound extends problem<RedeliveryNotFound>()("RedeliveryNotFound", {
  code: "redelivery_not_found",
  status: 404,
  title: "No such redelivery"
}) {}

/** The bulk redelivery has ended. */
export class RedeliveryFinished extends problem<RedeliveryFinished>()(
  "RedeliveryFinished",
  { code: "redelivery_finished", status: 409, title: "The redelivery has ended" },
  { state: RedeliveryState }
) {}

/** The tenant has as many unfinished bulk redeliveries as it may have. */
export class RedeliveriesBusy extends problem<RedeliveriesBusy>()(
  "RedeliveriesBusy",
  { code: "redeliveries_busy", status: 429, title: "Too many redeliveries are unfinished" },
  { retryAfterSeconds: Schema.Int }
) {}
