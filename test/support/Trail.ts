/**
 * Holds the audit trail of a database at rest to what is there: no change without an entry, and no
 * entry without a change.
 */
import { assert } from "vitest"
import { fromUuid } from "../../src/domain/TypeId.ts"
import type { Query } from "./Store.ts"

/** Compares the webhooks that are there, and those that were, with what the trail says of them. */
export const judgeTrail = async (query: Query): Promise<void> => {
  const webhooks = await query(
    "select w.id from webhook w join tenant t on t.id = w.tenant_id where not ad_hoc and t.deleted_at is null"
  )
  const entries = await query("select action, target from audit_entry order by id")
  const told = (action: string): ReadonlyArray<string> =>
    entries.filter((entry) => entry.action === action).map(({ target }) => target)
  const there = webhooks.map(({ id }) => fromUuid("webhook", id))
  assert.sameMembers([...told("webhook.created")], [...there, ...told("webhook.deleted")])
}
