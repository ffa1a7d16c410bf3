/**
 * Reads attempts from their rows.
 */
import type { Attempt, AttemptClass, ResponseHeaders } from "../domain/Attempt.ts"
import { type DeliveryId, fromUuid, type TenantId } from "../domain/TypeId.ts"

/** The columns of `attempt`, but for those that were asked for by value. */
export interface AttemptRow {
  readonly number: number
  readonly id: string
  readonly webhook_id: string
  readonly started_at: Date
  readonly duration_ms: number
  readonly class: AttemptClass
  readonly status_code: number | null
  readonly error: string | null
  readonly response_headers: ResponseHeaders | null
  readonly response_body: Uint8Array | null
  readonly response_truncated: boolean
  readonly next_at: Date | null
  readonly settled: "delivered" | "exhausted" | null
}

/** Builds an attempt of a tenant's delivery from its row. */
export const decode = (tenantId: TenantId, deliveryId: DeliveryId, row: AttemptRow): Attempt => ({
  id: fromUuid("attempt", row.id),
  deliveryId,
  tenantId,
  webhookId: fromUuid("webhook", row.webhook_id),
  number: row.number,
  startedAt: row.started_at.getTime(),
  durationMs: row.duration_ms,
  class: row.class,
  statusCode: row.status_code,
  error: row.error,
  responseHeaders: row.response_headers,
  // A copy, because the bytes may be a part of a larger buffer that would stay with them.
  responseBody: row.response_body?.slice() ?? null,
  responseTruncated: row.response_truncated,
  nextAt: row.next_at?.getTime() ?? null,
  settled: row.settled
})
