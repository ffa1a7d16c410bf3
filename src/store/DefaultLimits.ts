/**
 * What the installation lets a tenant have and do where the tenant's own limits say nothing.
 */
import { Context } from "effect"
import type { TenantLimits } from "../domain/Tenant.ts"

/** Limits of every tenant that has none of its own: 1,000 webhooks, messages without a limit. */
export const DefaultLimits = Context.Reference<DefaultTenantLimits>(
  "posthaste/store/DefaultLimits",
  { defaultValue: () => ({ webhooks: 1_000, messagesPerSecond: null }) }
)

/** There is always a bound for webhooks, because memory holds them all. */
export interface DefaultTenantLimits extends TenantLimits {
  readonly webhooks: number
}
