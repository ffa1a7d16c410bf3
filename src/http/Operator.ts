/**
 * Lets callers pass whose key belongs to no tenant: what they ask for concerns all of them.
 */
import { Effect } from "effect"
import { Caller } from "../api/Authorization.ts"
import { ScopeMissing } from "../domain/Tenant.ts"

/** Fails with `ScopeMissing` for the key of a tenant, whatever its scopes are. */
export const operator = Effect.flatMap(Caller, ({ ownTenantId }) =>
  ownTenantId === null
    ? Effect.void
    : Effect.fail(new ScopeMissing({ detail: "This needs an admin key that belongs to no tenant" }))
)
