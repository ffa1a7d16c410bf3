/**
 * Commits changes of webhooks and announces them: after the commit, before the writer is answered,
 * and for each webhook in the order of its commits.
 *
 * A write that Postgres gave up because of a deadlock is done again: whoever settles attempts in the
 * meantime locks the same deliveries, in an order of its own.
 *
 * A commit whose answer was lost is looked for in the background until the store tells whether it
 * happened. So what this process believes of a webhook is never wrong for longer than the store is
 * away, although the writer was told of a failure.
 */
import { Effect, FiberSet, type Scope } from "effect"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import type { WebhookId } from "../domain/TypeId.ts"
import type { Webhook } from "../domain/Webhook.ts"
import * as Announcer from "./Announcer.ts"
import { untilAnswered } from "./UntilAnswered.ts"
import type { WebhookTable } from "./WebhookTable.ts"
import { reach } from "../telemetry/Failpoint.ts"

/** What is announced: `WebhookRepo.WebhookChange`. */
export type Change =
  | { readonly _tag: "Saved"; readonly webhook: Webhook; readonly previous: Webhook | null }
  | { readonly _tag: "Deleted"; readonly webhook: Webhook }

/** Commits changes of webhooks, and tells of them. */
export interface WebhookCommits extends Pick<Announcer.Announcer<Change>, "watch" | "changes"> {
  /** Commits a write of one webhook and announces what it changed, if anything. */
  readonly commit: <A, E>(
    id: WebhookId,
    write: Effect.Effect<A, E>,
    changeOf: (written: A) => Change | undefined
  ) => Effect.Effect<A, E | SqlError>
  /** Reads a webhook again and announces it; one that is gone is announced as `gone`, if given. */
  readonly reread: (id: WebhookId, gone?: Webhook) => Effect.Effect<Change | undefined, SqlError>
}

/** Changes that a slow reader of `changes` may be behind. */
const changesMax = 1_024

/** Makes it over a table, for as long as the current scope is open. */
export const make = Effect.fnUntraced(function* (
  table: WebhookTable
): Effect.fn.Return<WebhookCommits, never, Scope.Scope> {
  const announcer = yield* Announcer.make<Change>("WebhookRepo", changesMax)
  const { announce, ordered, watch, changes } = announcer
  const background = yield* FiberSet.makeRuntime()

  const reread: WebhookCommits["reread"] = (id, gone) =>
    table.findMany([id]).pipe(
      Effect.map(([found]): Change | undefined => {
        if (found !== undefined) return { _tag: "Saved", webhook: found, previous: null }
        return gone && { _tag: "Deleted", webhook: gone }
      }),
      Effect.tap((change) => (change === undefined ? Effect.void : announce(change))),
      ordered(id)
    )

  const lookFor = (id: WebhookId, change: Change) =>
    reread(id, change._tag === "Deleted" ? change.webhook : undefined).pipe(
      Effect.retry(untilAnswered)
    )

  const commit: WebhookCommits["commit"] = (id, write, changeOf) =>
    Effect.suspend(() => {
      let change: Change | undefined
      const remembered = Effect.map(write, (written) => {
        change = changeOf(written)
        reach("webhook.written")
        return written
      })
      const announced = Effect.suspend(() => {
        reach("webhook.committed")
        return change ? announce(change) : Effect.void
      })
      return table
        .transaction(remembered, () => announced)
        .pipe(
          Effect.retry({ times: 3, while: isDeadlock }),
          Effect.onError(() => {
            // All was written and then the commit failed, or was given up: only the store knows.
            if (change) background(lookFor(id, change))
            return Effect.void
          }),
          ordered(id)
        )
    })

  return { commit, reread, watch, changes }
})

const isDeadlock = (error: unknown): boolean =>
  isSqlError(error) && error.reason._tag === "DeadlockError"
