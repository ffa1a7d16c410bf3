/**
 * Bugs that a careless change could bring, one at a time: the simulation has to catch each of them.
 */
import type { Planted } from "./Planting.ts"

export const planted: ReadonlyArray<Planted> = [
  {
    name: "acknowledges before the commit",
    file: "src/publish/Commits.ts",
    text: `    const results = yield* (plans.some(isOrdered) ? inTurn.withPermit(insert) : insert).pipe(
      Effect.onError(() => Effect.sync(() => plans.forEach((one) => lanes.doubt(one.held))))
    )`,
    instead: `    const results = plans.map(() => ({ _tag: "Inserted" }) as const)
    yield* Effect.forkDetach(Effect.ignore(insert))`
  },
  {
    name: "hands over before the commit",
    file: "src/publish/Commits.ts",
    text: `    const insert = messages.insert([`,
    instead: `    plans.forEach((one) => lanes.hand(one.held))
    const insert = messages.insert([`
  },
  {
    name: "forgets deliveries of a commit whose answer was lost",
    file: "src/send/Lanes.ts",
    text: `            deliveries.forEach((delivery) => lanes.get(delivery.webhookId)?.release(delivery))
            sweep.soon()`,
    instead: `            return`
  },
  {
    name: "settles without a fence",
    file: "src/store/DeliveryLog.ts",
    text: `      if (engine.epoch !== epoch) {`,
    instead: `      if (engine.epoch < epoch) {`
  },
  {
    name: "accepts without a fence",
    file: "src/store/MessageRepo.ts",
    text: `engine.epoch === epoch ? messages`,
    instead: `engine.epoch >= epoch ? messages`
  },
  {
    name: "a retry forgets its count",
    file: "src/settle/Settler.ts",
    text: `          const tries = delivery.tries + 1`,
    instead: `          const tries = 1`
  },
  {
    name: "jitter is twice as wide",
    file: "src/settle/Backoff.ts",
    text: `Random.nextBetween(1 - fraction, 1 + fraction)`,
    instead: `Random.nextBetween(1 - 2 * fraction, 1 + fraction)`
  },
  {
    name: "Retry-After is read as milliseconds",
    file: "src/settle/RetryAfter.ts",
    text: `now + Math.ceil(Number(value) * 1000)`,
    instead: `now + Math.ceil(Number(value))`
  },
  {
    name: "Retry-After is not bounded",
    file: "src/settle/RetryAfter.ts",
    text: `Math.min(at, now + retryAfterMsMax)`,
    instead: `at`
  },
  {
    name: "an idle lane is never roused",
    file: "src/send/Lanes.ts",
    text: `              if (webhook.status === "enabled") laneOf(webhook, "slow")`,
    instead: `              if (webhook.status === "enabled" && lanes.size > 0) laneOf(webhook, "slow")`
  },
  {
    name: "a notice of what is due is lost while a lane leaves",
    file: "src/send/Lanes.ts",
    text: `            if (backlogAt !== null) agenda.note(id, backlogAt)`,
    instead: `            if (backlogAt !== null) return`
  },
  {
    name: "an idempotency key is kept beside the commit",
    file: "src/store/MessageMemory.ts",
    text: `    if (key !== null && keyRow === undefined) idempotency.set(key, row)`,
    instead: `    if (key !== null) queueMicrotask(() => idempotency.set(key, row))`
  },
  {
    name: "a pause loses what was held in memory",
    file: "src/send/Lane.ts",
    text: `    if (owed.length > 0) yield* Effect.retry(queue.park(owed, now), storeRetries)`,
    instead: `    if (owed.length > 1_000) yield* Effect.retry(queue.park(owed, now), storeRetries)`
  },
  {
    name: "recovery skips what was owed",
    file: "src/store/DeliveryQueueMemory.ts",
    text: `    const rows = [...owed]
`,
    instead: `    const rows = [...owed].slice(1)
`
  },
  {
    name: "what is due after a start is not read",
    file: "src/send/Lanes.ts",
    text: `        yield* readAgenda
        reach("recovery.planned")`,
    instead: `        reach("recovery.planned")`
  },
  {
    name: "a circuit never lets a probe through",
    file: "src/send/Gate.ts",
    text: `      return { workersMax: 1, until: null }`,
    instead: `      return { workersMax: 0, until: null }`
  },
  {
    name: "a stopped webhook gets what was in memory",
    file: "src/send/Gate.ts",
    text: `  if (webhook.status !== "enabled") return closed
`,
    instead: ``
  },
  {
    name: "a hold does not hold",
    file: "src/send/Lane.ts",
    text: `    context.isHeld() ? Gate.closed`,
    instead: `    context.isDraining() ? Gate.closed`
  },
  {
    name: "what has expired is sent",
    file: "src/send/Attempts.ts",
    text: `  message.expiresAt !== null && message.expiresAt <= now`,
    instead: `  message.expiresAt !== null && message.expiresAt <= now - 60_000`
  },
  {
    name: "an order ignores retries",
    file: "src/send/Attempts.ts",
    text: `            verdict._tag === "Delivered" || (`,
    instead: `            verdict._tag === "Delivered" || verdict._tag === "Again" || (`
  },
  {
    name: "a commit of an order overtakes another",
    file: "src/send/Order.ts",
    text: `      line.push(delivery)
      return false`,
    instead: `      line.push(delivery)
      return line.length > 1`
  },
  {
    name: "a cancelled delivery stays in the mailbox",
    file: "src/send/Mailbox.ts",
    text: `        return place.splice(at, 1).forEach(leave)`,
    instead: `        return`
  },
  {
    name: "a redelivery goes on with the tries of before",
    file: "src/store/DeliveryQueueMemory.ts",
    text: `    waiting.set(id, { tenantId, webhookId, attempts: made, tries: 0, dueAt, orderingKey })`,
    instead: `    waiting.set(id, { tenantId, webhookId, attempts: made, tries: made, dueAt, orderingKey })`
  },
  {
    name: "a redelivery counts attempts from one again",
    file: "src/store/DeliveryQueueMemory.ts",
    text: `    waiting.set(id, { tenantId, webhookId, attempts: made, tries: 0, dueAt, orderingKey })`,
    instead: `    waiting.set(id, { tenantId, webhookId, attempts: 0, tries: 0, dueAt, orderingKey })`
  },
  {
    name: "a retry carries the time of the message",
    file: "src/send/Request.ts",
    text: `        timestampSeconds: Math.floor(now / 1000),`,
    instead: `        timestampSeconds: Math.floor(message.createdAt / 1000),`
  },
  {
    name: "a rotation ends the former secret at once",
    file: "src/store/WebhookEdits.ts",
    text: `Math.min(secret.expiresAt ?? end, end)`,
    instead: `Math.min(secret.expiresAt ?? now, now)`
  },
  {
    name: "a commit of many answers the wrong one",
    file: "src/store/GroupCommit.ts",
    text: `batch[i]!.resume(Exit.succeed(results[i]!))`,
    instead: `batch[i]!.resume(Exit.succeed(results[batch.length - 1 - i]!))`
  },
  {
    name: "a lane reads again what it holds",
    file: "src/store/DeliveryQueueMemory.ts",
    text: `row.orderingKey === null && !held.has(id)`,
    instead: `row.orderingKey === null`
  },
  {
    name: "a settlement that the store could not take is dropped",
    file: "src/settle/Writer.ts",
    text: `while: (error) => error.isRetryable && !closing }),`,
    instead: `while: (error) => error.isRetryable && closing }),`
  },
  {
    name: "an edit is not told to the lane",
    file: "src/send/Lanes.ts",
    text: `            lane?.update(webhook)
            if (isResumed`,
    instead: `            if (webhook.status !== "enabled") lane?.update(webhook)
            if (isResumed`
  },
  {
    name: "a rate counts a token of an attempt twice back",
    file: "src/send/Rate.ts",
    text: `      taken--
      if`,
    instead: `      taken -= 2
      if`
  },
  {
    name: "410 does not stop the webhook",
    file: "src/settle/Verdict.ts",
    text: `  if (of !== "status_4xx") return onFailure[of] ?? defaultVerdicts[of]`,
    instead: `  if (of !== "status_4xx") return onFailure[of] ?? "retry"`
  },
  {
    name: "a cancellation misses what is under way",
    file: "src/send/Mailbox.ts",
    text: `      else if (held.has(id)) dropped.add(id)
`,
    instead: ``
  },
  {
    name: "what was sent again while it was under way is forgotten",
    file: "src/send/Mailbox.ts",
    text: `    if (dropped.delete(delivery.id)) onMissed()`,
    instead: `    dropped.delete(delivery.id)`
  },
  {
    name: "retention removes what blocks an ordering key",
    file: "src/store/RetentionMemory.ts",
    text: `    for (const id of blocked.keys()) kept.add(messageOf(id))
`,
    instead: ``
  },
  {
    name: "a clock that is put forward makes retries late",
    file: "src/send/Agenda.ts",
    text: `Math.min(next - now, lookMs)`,
    instead: `next - now`
  },
  {
    name: "what a commit with a lost answer left waiting is forgotten",
    file: "src/send/Sweep.ts",
    text: `    entries.forEach(({ dueAt, webhookId }) => onWaiting(webhookId, dueAt))
`,
    instead: `    entries.forEach(() => {})
`
  },
  {
    name: "a lane leaves although a delivery is reserved in it",
    file: "src/send/Lane.ts",
    text: `changed.isOpen() || isBusy()) return true`,
    instead: `changed.isOpen()) return true`
  }
]
