/**
 * How deliveries are shown in a terminal.
 */
import type { DeliveryView } from "../../api/DeliveryViews.ts"
import { type Column, instant } from "../Print.ts"

/** The columns of a list of deliveries. */
export const columns: ReadonlyArray<Column<DeliveryView>> = [
  ["id", ({ id }) => id],
  ["created", ({ createdAt }) => instant(createdAt)],
  ["type", ({ type }) => type],
  ["status", ({ status }) => status],
  ["attempts", ({ attempts }) => attempts],
  ["last", ({ lastClass, lastStatusCode }) => lastStatusCode ?? lastClass],
  ["next attempt", ({ nextAttemptAt }) => instant(nextAttemptAt)],
  ["webhook", ({ webhookId }) => webhookId]
]
