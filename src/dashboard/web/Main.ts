/**
 * The dashboard: signs in, keeps the frame around the screens, and leads to what the address names.
 */
import type { App, Screen, Shown } from "./App.ts"
import { make } from "./Client.ts"
import { pause } from "./Clock.ts"
import { deliveries } from "./Deliveries.ts"
import { delivery } from "./Delivery.ts"
import { el, put } from "./Dom.ts"
import { announce, problemBox } from "./Feedback.ts"
import { eventType, newEventType } from "./EventType.ts"
import { eventTypes } from "./EventTypes.ts"
import { frame, type Standing } from "./Frame.ts"
import { live } from "./Live.ts"
import { message } from "./Message.ts"
import { messages } from "./Messages.ts"
import { overview } from "./Overview.ts"
import { publish } from "./Publish.ts"
import { newRedelivery, redeliveries, redelivery } from "./Redeliveries.ts"
import { Refused } from "./Refused.ts"
import { parse, type Route } from "./Route.ts"
import * as Session from "./Session.ts"
import { nothing, refreshTimes } from "./Show.ts"
import { signIn } from "./SignIn.ts"
import { tenant } from "./Tenant.ts"
import { tenants } from "./Tenants.ts"
import { webhook } from "./Webhook.ts"
import { changeWebhook, newWebhook } from "./WebhookForm.ts"
import { webhooks } from "./Webhooks.ts"

/** Screens by their address, in which `*` stands for an id. */
const screens: Readonly<Record<string, Screen>> = {
  "": overview,
  webhooks,
  "webhooks/new": newWebhook,
  "webhooks/*": webhook,
  "webhooks/*/change": changeWebhook,
  messages,
  "messages/new": publish,
  "messages/*": message,
  deliveries,
  "deliveries/*": delivery,
  redeliveries,
  "redeliveries/new": newRedelivery,
  "redeliveries/*": redelivery,
  live,
  "event-types": eventTypes,
  "event-types/new": newEventType,
  "event-types/*": eventType,
  tenants,
  "tenants/*": tenant
}

const missing: Screen = () =>
  Promise.resolve({
    title: "Nothing is here",
    body: [nothing("No page has this address", el("a", { href: "#/" }, "To the overview"))]
  })

const screenAt = ({ parts }: Route): Screen =>
  screens[parts.join("/")] ??
  screens[parts.map((part, index) => (index === 1 ? "*" : part)).join("/")] ??
  missing

const root = document.getElementById("app") ?? document.body
/** Aborted when a screen is left. */
let leaving = new AbortController()
/** What the key may do, asked once for each key. */
let standing: Standing | null = null
let shownAt = ""

const navigate = async () => {
  leaving.abort()
  leaving = new AbortController()
  const { signal } = leaving
  // A question belongs to the screen that asked it.
  document.querySelector("dialog")?.close("no")
  const session = Session.read()
  if (session === null) return showSignIn(signal)
  const main = document.getElementById("main")
  main?.setAttribute("aria-busy", "true")
  const route = parse(location.hash)
  try {
    const client = make(session, signal)
    standing ??= await standingOf(session)
    const app: App = {
      client,
      route,
      signal,
      isAdmin: standing.isAdmin,
      isOperator: standing.isOperator,
      go: (hash) => {
        if (hash === location.hash) void navigate()
        else location.hash = hash
      },
      lookAt: (tenant) => {
        location.hash = "#/"
        enter({ ...session, tenant })
      },
      reload: () => void navigate()
    }
    const shown = await screenAt(route)(app)
    if (!signal.aborted) show(route, shown, session)
  } catch (error) {
    if (signal.aborted) return
    if (endsSession(error)) return
    show(route, { title: "This did not work", body: [problemBox(error), again()] }, session)
  }
}

const again = () =>
  el("p", {}, el("button", { type: "button", onclick: () => void navigate() }, "Try again"))

/** Signs out a key that opens nothing any more, and leaves a tenant that is gone. */
const endsSession = (error: unknown): boolean => {
  if (!(error instanceof Refused)) return false
  const session = Session.read()
  if (error.problem.status === 401) {
    signOut()
    document.querySelector("form .outcome")?.append(problemBox(error))
    return true
  }
  if (error.problem.code !== "tenant_not_found" || (session?.tenant ?? null) === null) return false
  enter({ key: session?.key ?? "", tenant: null })
  announce("That tenant is gone.")
  return true
}

const show = (route: Route, { body, title }: Shown, session: Session.Session) => {
  const at = route.parts.join("/")
  const active = document.activeElement?.id ?? ""
  document.title = `${title} · Posthaste`
  put(root, frame({ route, session, standing, enter, signOut, title, body }))
  // A filter keeps the focus; a new page is read from its heading.
  const same = at === shownAt && active !== "" ? document.getElementById(active) : null
  if (same !== null) same.focus({ preventScroll: true })
  else if (at !== shownAt) {
    scrollTo(0, 0)
    document.querySelector("h1")?.focus({ preventScroll: true })
  }
  shownAt = at
  document
    .querySelector("nav [aria-current]")
    ?.scrollIntoView({ block: "nearest", inline: "center" })
}

const showSignIn = (signal: AbortSignal) => {
  document.title = "Posthaste"
  shownAt = "sign-in"
  put(root, signIn(signal, enter))
  document.querySelector("input")?.focus()
}

const enter = (session: Session.Session) => {
  Session.keep(session)
  standing = null
  void navigate()
}

const signOut = () => {
  Session.forget()
  standing = null
  leaving.abort()
  leaving = new AbortController()
  showSignIn(leaving.signal)
}

/** Finds out what a key may do: no key says it of itself. */
const standingOf = async (session: Session.Session): Promise<Standing> => {
  const whole = make({ ...session, tenant: null }, new AbortController().signal)
  const page = await whole.tenants({ limit: 250 }).catch(unlessForbidden)
  if (page === null) return { isAdmin: false, isOperator: false, tenants: [] }
  const isOperator = (await whole.keys(null, { limit: 1 }).catch(unlessForbidden)) !== null
  return { isAdmin: true, isOperator, tenants: page.data }
}

const unlessForbidden = (error: unknown): null => {
  if (error instanceof Refused && [403, 404].includes(error.problem.status)) return null
  throw error
}

const keepTimes = async () => {
  const { signal } = new AbortController()
  while (!signal.aborted) {
    await pause(5_000, signal)
    refreshTimes()
  }
}

addEventListener("hashchange", () => void navigate())
void navigate()
void keepTimes()
