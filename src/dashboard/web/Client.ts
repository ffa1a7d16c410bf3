/**
 * The HTTP API as the pages call it: one line an endpoint, typed by the service's own contract.
 */
import type { DeliveryDetail, DeliveryView, AttemptDetail } from "../../api/DeliveryViews.ts"
import type { EventTypeView, EventTypePolicy } from "../../api/EventTypesApi.ts"
import type { HoldView } from "../../api/HoldApi.ts"
import type {
  MessageAccepted,
  MessageDetail,
  MessageView,
  RoutingView
} from "../../api/MessagesApi.ts"
import type { RedeliveryInput, RedeliveryView } from "../../api/RedeliveriesApi.ts"
import type { StatsView, WebhookStatsView } from "../../api/StatsApi.ts"
import type { KeyCreated, KeyView, TenantView } from "../../api/TenantsApi.ts"
import type { WebhookChecked, WebhookTested } from "../../api/TrialsApi.ts"
import type { SecretView, WebhookCreated, WebhookView } from "../../api/WebhookViews.ts"
import { type Problem, Refused } from "./Refused.ts"
import type { Session } from "./Session.ts"

/** A webhook, as JSON. */
export type Webhook = typeof WebhookView.Encoded
/** A webhook in numbers, as JSON. */
export type WebhookStats = typeof WebhookStatsView.Encoded
/** A message of a list, as JSON. */
export type Message = typeof MessageView.Encoded
/** A delivery of a list, as JSON. */
export type Delivery = typeof DeliveryView.Encoded
/** A delivery with its last attempt and in words, as JSON. */
export type DeliveryFull = typeof DeliveryDetail.Encoded
/** An attempt with its request and in words, as JSON. */
export type Attempt = typeof AttemptDetail.Encoded
/** A tenant in numbers, as JSON. */
export type Stats = typeof StatsView.Encoded
/** A type of the catalogue, as JSON. */
export type EventType = typeof EventTypeView.Encoded
/** A tenant, as JSON. */
export type Tenant = typeof TenantView.Encoded
/** A key without the key itself, as JSON. */
export type Key = typeof KeyView.Encoded
/** A bulk redelivery, as JSON. */
export type Redelivery = typeof RedeliveryView.Encoded
/** Why a webhook got a message or did not, as JSON. */
export type Routing = typeof RoutingView.Encoded
/** What came of an example, as JSON. */
export type Tested = typeof WebhookTested.Encoded
/** How far a connection came, as JSON. */
export type Checked = typeof WebhookChecked.Encoded
/** Whether all sending is held, as JSON. */
export type Hold = typeof HoldView.Encoded

/** A page of a list, and where its neighbours begin. */
export interface Page<A> {
  readonly data: ReadonlyArray<A>
  readonly nextCursor: string | null
  readonly prevCursor: string | null
}

/** What a list is narrowed to, by the names of the API; what is undefined is left out. */
export type Query = Readonly<Record<string, string | number | null | undefined>>

/** The endpoints that the dashboard uses. Each fails with `Refused`. */
export type Client = ReturnType<typeof make>

/** Makes a client for whoever is signed in. `signal` gives up what is still asked for. */
export const make = (session: Session, signal: AbortSignal) => {
  const send = async (method: string, path: string, body?: string): Promise<Response> => {
    const headers = new Headers({ authorization: `Bearer ${session.key}` })
    if (session.tenant !== null) headers.set("posthaste-tenant", session.tenant)
    if (body !== undefined) headers.set("content-type", "application/json")
    // A write that was begun is not given up: nobody would know what became of it.
    const abandon = method === "GET" ? { signal } : {}
    const form = path + (method === "POST" ? body : "")
    if (method === "POST") headers.set("idempotency-key", keyFor(form))
    const response = await fetch(path, {
      method,
      headers,
      ...(body === undefined ? {} : { body }),
      ...abandon
    }).catch((error: unknown) => {
      if (signal.aborted && method === "GET") throw error
      throw new Refused({ status: 0, code: "unreachable", title: "The service cannot be reached" })
    })
    keys.delete(form)
    if (!response.ok) throw new Refused(await problemOf(response))
    return response
  }
  const call = async <A>(method: string, path: string, body?: unknown): Promise<A> => {
    const text = typeof body === "string" || body === undefined ? body : JSON.stringify(body)
    const answer = await (await send(method, path, text)).text()
    return JSON.parse(answer === "" ? "null" : answer)
  }
  const get = <A>(path: string, query: Query = {}) => call<A>("GET", path + search(query))
  const post = <A>(path: string, body?: unknown) => call<A>("POST", path, body)
  const patch = <A>(path: string, body: unknown) => call<A>("PATCH", path, body)
  const remove = (path: string) => call<null>("DELETE", path)
  const webhook = (id: string) => `/v1/webhooks/${encodeURIComponent(id)}`
  const message = (id: string) => `/v1/messages/${encodeURIComponent(id)}`
  const delivery = (id: string) => `/v1/deliveries/${encodeURIComponent(id)}`
  const redelivery = (id: string) => `/v1/redeliveries/${encodeURIComponent(id)}`
  const eventType = (name: string) => `/v1/event-types/${encodeURIComponent(name)}`
  const tenant = (id: string) => `/v1/tenants/${encodeURIComponent(id)}`
  const key = (at: string | null, id: string) =>
    `${at === null ? "/v1/admin-keys" : `${tenant(at)}/keys`}/${encodeURIComponent(id)}`
  return {
    stats: () => get<Stats>("/v1/stats"),
    hold: () => get<Hold>("/v1/hold"),
    holdAll: (reason: string | null) => post<Hold>("/v1/hold", { reason }),
    release: () => post<Hold>("/v1/release"),

    webhooks: (query: Query) => get<Page<Webhook>>("/v1/webhooks", query),
    webhook: (id: string) => get<Webhook>(webhook(id)),
    webhookStats: (id: string) => get<WebhookStats>(`${webhook(id)}/stats`),
    createWebhook: (input: unknown) => post<typeof WebhookCreated.Encoded>("/v1/webhooks", input),
    changeWebhook: (id: string, input: unknown) => patch<Webhook>(webhook(id), input),
    removeWebhook: (id: string) => remove(webhook(id)),
    secret: (id: string) => get<typeof SecretView.Encoded>(`${webhook(id)}/secret`),
    rotate: (id: string, gracePeriodSeconds: number) =>
      post<typeof SecretView.Encoded>(`${webhook(id)}/rotate-secret`, { gracePeriodSeconds }),
    pause: (id: string) => post<Webhook>(`${webhook(id)}/pause`),
    resume: (id: string) => post<Webhook>(`${webhook(id)}/resume`),
    test: (id: string, type: string | null) =>
      post<Tested>(`${webhook(id)}/test`, type === null ? undefined : { type }),
    check: (id: string) => post<Checked>(`${webhook(id)}/check`),

    messages: (query: Query) => get<Page<Message>>("/v1/messages", query),
    message: (id: string) => get<typeof MessageDetail.Encoded>(message(id), { include: "body" }),
    routing: (id: string, query: Query) => get<Page<Routing>>(`${message(id)}/routing`, query),
    /** Takes the whole body as text, so that `data` arrives digit for digit. */
    publish: (json: string) => post<typeof MessageAccepted.Encoded>("/v1/messages", json),

    deliveries: (query: Query) => get<Page<Delivery>>("/v1/deliveries", query),
    delivery: (id: string) => get<DeliveryFull>(delivery(id)),
    attempts: (id: string) => get<Page<Attempt>>(`${delivery(id)}/attempts`, { include: "body" }),
    redeliver: (id: string) => post<Delivery>(`${delivery(id)}/redeliver`),
    cancel: (id: string) => post<Delivery>(`${delivery(id)}/cancel`),
    stream: (query: Query) => send("GET", `/v1/deliveries/stream${search(query)}`),

    redeliveries: (query: Query) => get<Page<Redelivery>>("/v1/redeliveries", query),
    redelivery: (id: string) => get<Redelivery>(redelivery(id)),
    redeliverMany: (input: typeof RedeliveryInput.Encoded) =>
      post<Redelivery>("/v1/redeliveries", input),
    cancelRedelivery: (id: string) => post<Redelivery>(`${redelivery(id)}/cancel`),

    eventTypes: (query: Query) => get<Page<EventType>>("/v1/event-types", query),
    eventType: (name: string) => get<EventType>(eventType(name)),
    createEventType: (input: unknown) => post<EventType>("/v1/event-types", input),
    changeEventType: (name: string, input: unknown) => patch<EventType>(eventType(name), input),
    removeEventType: (name: string) => remove(eventType(name)),
    policy: () => get<typeof EventTypePolicy.Encoded>("/v1/event-type-policy"),
    putPolicy: (unknown: "allow" | "refuse") =>
      call<typeof EventTypePolicy.Encoded>("PUT", "/v1/event-type-policy", { unknown }),

    tenants: (query: Query) => get<Page<Tenant>>("/v1/tenants", query),
    tenant: (id: string) => get<Tenant>(tenant(id)),
    createTenant: (input: unknown) => post<Tenant>("/v1/tenants", input),
    removeTenant: (id: string) => remove(tenant(id)),
    /** Keys of a tenant, or those of none where it is null. */
    keys: (at: string | null, query: Query) =>
      get<Page<Key>>(at === null ? "/v1/admin-keys" : `${tenant(at)}/keys`, query),
    createKey: (at: string | null, input: unknown) =>
      post<typeof KeyCreated.Encoded>(at === null ? "/v1/admin-keys" : `${tenant(at)}/keys`, input),
    revokeKey: (at: string | null, id: string) => remove(key(at, id))
  }
}

/** Idempotency keys of requests that had no answer, so that trying once more creates nothing twice. */
const keys = new Map<string, string>()

const keyFor = (form: string): string => {
  const known = keys.get(form)
  if (known !== undefined) return known
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  const made = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")
  keys.set(form, made)
  return made
}

const search = (query: Query): string => {
  const asked = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") asked.set(name, String(value))
  }
  const text = asked.toString()
  return text === "" ? "" : `?${text}`
}

const problemOf = async (response: Response): Promise<Problem> => {
  const requestId = response.headers.get("x-request-id")
  const known = requestId === null ? {} : { requestId }
  const plain = {
    status: response.status,
    code: "unknown",
    title: `The answer was ${response.status}`
  }
  const text = await response.text().catch(() => "")
  if (!/\bjson\b/.test(response.headers.get("content-type") ?? "")) return { ...plain, ...known }
  try {
    return { ...plain, ...known, ...JSON.parse(text) }
  } catch {
    return { ...plain, ...known }
  }
}
