/**
 * Every list that can be asked for by one filter and by two, as its path and as the statements that it
 * comes to.
 */
import type { SqlClient } from "effect/sql/SqlClient"
import type { Statement } from "effect/sql/Statement"
import type { DeliveryStatus } from "../../src/domain/Delivery.ts"
import { firstPage } from "../../src/domain/Page.ts"
import type { MessageId, TenantId, WebhookId } from "../../src/domain/TypeId.ts"
import * as DeliveryRows from "../../src/store/DeliveryRows.ts"
import * as IdRange from "../../src/store/IdRange.ts"
import * as MessageRows from "../../src/store/MessageRows.ts"
import { looksMax } from "../../src/store/Scan.ts"
import { eventType } from "./Body.ts"
import { rareType } from "./SeedHistory.ts"

/** What the filters name. */
export interface Named {
  readonly tenantId: TenantId
  readonly webhookId: WebhookId
  readonly messageId: MessageId
}

/** A list that is asked for. */
export interface ListCase {
  readonly path: string
  /** Null where the statement is not looked at. */
  readonly statements: ((sql: SqlClient) => ReadonlyArray<Statement<object>>) | null
}

type Filter = Readonly<Record<string, string>>

/** Lists the cases over a history that `seedHistory` wrote. */
export const listCases = (named: Named): ReadonlyArray<ListCase> => [
  ...combined([
    ["webhook", [named.webhookId]],
    ["message", [named.messageId]],
    ["type", [eventType(1), rareType, "bench.none"]],
    ["status", ["pending", "waiting", "held", "delivered", "exhausted", "cancelled"]],
    ["statusCodeClass", ["2xx", "3xx", "4xx", "5xx"]]
  ]).map((filter) => deliveries(named, filter)),
  ...combined([
    ["type", [eventType(1), rareType, "bench.none"]],
    ["resourceType", ["order", "ghost", "none"]],
    ["resourceId", ["7", "none"]]
  ]).map((filter) => messages(named, filter)),
  ...combined([
    ["status", ["enabled", "paused"]],
    ["q", ["127", "none"]]
  ]).map((filter) => ({ path: pathOf("/v1/webhooks", filter), statements: null }))
]

type Choices = ReadonlyArray<readonly [name: string, values: ReadonlyArray<string>]>

/** No filter, each by itself, each pair. */
const combined = (choices: Choices): ReadonlyArray<Filter> => {
  const single = choices.map(([name, values]) => values.map((value) => ({ [name]: value })))
  const pairs = single.flatMap((some, i) =>
    single
      .slice(i + 1)
      .flatMap((others) => some.flatMap((one) => others.map((two) => ({ ...one, ...two }))))
  )
  return [{}, ...single.flat(), ...pairs]
}

const pathOf = (path: string, filter: Filter): string =>
  `${path}?${new URLSearchParams(filter).toString()}`

const limit = firstPage.limit + 1

const deliveries = ({ messageId, tenantId, webhookId }: Named, filter: Filter): ListCase => ({
  path: pathOf("/v1/deliveries", filter),
  statements: (sql) => {
    const all = IdRange.ofPage("delivery", firstPage)
    const { message, status, statusCodeClass, type = null, webhook } = filter
    return DeliveryRows.ways(sql, {
      tenantId,
      range: message === undefined ? all : IdRange.withinMessage(all, messageId),
      narrowing: {
        webhookId: webhook === undefined ? null : webhookId,
        type,
        status: statuses.find((known) => known === status) ?? null,
        statusCodeClass: statusCodeClass === undefined ? null : Number(statusCodeClass[0])
      },
      limit,
      looks: looksMax
    })
  }
})

const statuses: ReadonlyArray<DeliveryStatus> = [
  "pending",
  "waiting",
  "held",
  "delivered",
  "exhausted",
  "cancelled"
]

const messages = ({ tenantId }: Named, filter: Filter): ListCase => ({
  path: pathOf("/v1/messages", filter),
  statements: (sql) => {
    const { resourceId = null, resourceType = null, type = null } = filter
    return MessageRows.ways(sql, {
      tenantId,
      range: IdRange.ofPage("message", firstPage),
      filter: { type, resourceType, resourceId, includeBody: false },
      limit,
      looks: looksMax
    })
  }
})
