/**
 * Says in whose name a store is changed.
 *
 * A door provides it around what a caller may change; the stores write it down with each change. The
 * engine acts in nobody's name: what it does by itself is told as operational messages.
 */
import { Context } from "effect"
import type { Origin } from "../domain/AuditEntry.ts"

/** Who acts, from where; null, as it is by default, for the engine itself. */
export const Acting = Context.Reference<Origin | null>("posthaste/store/Acting", {
  defaultValue: () => null
})
