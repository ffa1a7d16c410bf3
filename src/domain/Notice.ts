/**
 * An operational message that is owed: what Posthaste tells a tenant about its own webhooks.
 */
import * as Schema from "effect/Schema"
import type { NoticeId, TenantId } from "./TypeId.ts"

/** The types of operational messages. */
export const NoticeType = Schema.Literals([
  "posthaste.webhook.failing",
  "posthaste.webhook.warning",
  "posthaste.webhook.disabled",
  "posthaste.webhook.paused",
  "posthaste.webhook.recovered",
  "posthaste.delivery.exhausted"
])
export type NoticeType = typeof NoticeType.Type

/** A notice that waits to be published. Its id makes publishing it twice one message. */
export interface Notice {
  readonly id: NoticeId
  readonly tenantId: TenantId
  readonly type: NoticeType
  /** JSON text. */
  readonly data: string
  /** Epoch milliseconds. */
  readonly createdAt: number
}
