/**
 * The dashboard as people use it: a real browser on the running service, a receiver that answers well
 * and one that answers ill, and texts that would run if anything took them for more than text.
 */
import { afterAll, afterEach, assert, beforeAll, describe, it } from "vitest"
import { type Browser, openBrowser } from "../support/Browser.ts"
import { type Inbox, openInbox } from "../support/Inbox.ts"
import { scaled } from "../support/Scale.ts"
import { adminKey, makeService, type Service } from "../support/Service.ts"

let service: Service
let browser: Browser
let good: Inbox
let bad: Inbox
let isBadWell = false

beforeAll(async () => {
  good = await openInbox((_, response) =>
    response.writeHead(200, { "content-type": "application/json" }).end('{"received":true}')
  )
  bad = await openInbox((_, response) =>
    response.writeHead(isBadWell ? 204 : 422).end(isBadWell ? "" : "unknown currency")
  )
  service = await makeService()
  await Promise.all([service.start(), openBrowser().then((opened) => (browser = opened))])
})

afterAll(async () => {
  good?.close()
  bad?.close()
  await Promise.all([browser?.close(), service?.remove()])
})

afterEach(() => {
  // What the pages said or did that they should not have; refusals that a test provokes are named there.
  assert.deepStrictEqual(
    browser.complaints.splice(0).filter((one) => !/status of 401/.test(one)),
    []
  )
})

/** Goes to a screen and waits until it is shown. */
const go = async (hash: string) => {
  await browser.go(`${service.baseUrl}/${hash}`)
  // The page hears of an address that changed behind the # in a turn of its own.
  await browser.run("new Promise((resolve) => setTimeout(resolve, 5))")
  await browser.sees("document.querySelector('main:not([aria-busy])')")
}

const signIn = async () => {
  await go("#/")
  if (await browser.run("sessionStorage.length > 0")) return
  await browser.fill("key", adminKey)
  await browser.press("Sign in")
  await browser.reads("Overview")
}

describe("The pages", () => {
  it("are served with a policy that lets nothing else in, and are kept by browsers", async () => {
    const page = await fetch(`${service.baseUrl}/`)
    const html = await page.text()
    assert.strictEqual(page.status, 200)
    const policy = page.headers.get("content-security-policy") ?? ""
    for (const rule of [
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "connect-src 'self'",
      "frame-ancestors 'none'",
      "base-uri 'none'",
      "form-action 'self'",
      "require-trusted-types-for 'script'"
    ]) {
      assert.include(policy.split("; "), rule)
    }
    assert.notInclude(policy, "unsafe")
    assert.strictEqual(page.headers.get("x-content-type-options"), "nosniff")
    assert.strictEqual(page.headers.get("referrer-policy"), "no-referrer")
    assert.strictEqual(page.headers.get("cache-control"), "no-cache")
    assert.isNull(page.headers.get("access-control-allow-origin"))
    assert.isNull(page.headers.get("set-cookie"))
    assert.notMatch(html, /<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=/)

    const again = await fetch(`${service.baseUrl}/`, {
      headers: { "if-none-match": page.headers.get("etag") ?? "" }
    })
    assert.strictEqual(again.status, 304)

    const files = [...html.matchAll(/(?:src|href)="(\/dashboard\/[^"]+)"/g)].map(([, at]) => at)
    assert.isAbove(files.length, 10)
    for (const at of new Set(files)) {
      const file = await fetch(`${service.baseUrl}${at}`)
      assert.strictEqual(file.status, 200, at)
      assert.include(file.headers.get("cache-control"), "immutable")
      assert.match(file.headers.get("content-type") ?? "", /^text\/(?:javascript|css)/)
      assert.strictEqual(file.headers.get("content-security-policy"), policy)
    }
    for (const at of ["/dashboard/old/Main.js", "/dashboard/x/..%2f..%2fServer.ts"]) {
      assert.strictEqual((await fetch(`${service.baseUrl}${at}`)).status, 404)
    }
  })
})

describe("The dashboard", () => {
  it("lets nobody in without a key, says why, and forgets the key at the end", async () => {
    await go("#/webhooks")
    await browser.fill("key", "phk_wrong")
    await browser.press("Sign in")
    await browser.reads("This key opens nothing")
    await browser.reads("Request req_")
    await browser.fill("key", adminKey)
    await browser.type("Enter")
    await browser.reads("No webhook yet")
    assert.strictEqual(await browser.run("localStorage.length + document.cookie.length"), 0)
    await browser.press("Sign out")
    await browser.sees("document.querySelector('[name=key]')")
    assert.strictEqual(await browser.run("sessionStorage.length"), 0)
  })

  it("registers a webhook, publishes to it, and shows the delivery and its attempt", async () => {
    await signIn()
    await go("#/webhooks/new")
    await browser.fill("url", `${good.url}/hook`)
    await browser.fill("name", "Billing")
    await browser.fill("eventTypes", "invoice.*")
    await browser.press("Register")
    await browser.reads("Nothing was delivered yet.")

    await go("#/messages/new")
    await browser.fill("type", "invoice.paid")
    await browser.fill("data", '{"amount": 1e')
    await browser.sees("document.querySelector('[name=data][aria-invalid]')")
    await browser.fill("data", '{"amount": 12345678901234567890}')
    await browser.press("Publish")
    await browser.reads("It wants this message.")
    await browser.sees("document.querySelector('td .state.delivered')")
    assert.include(String(good.received[0]?.body), '{"amount": 12345678901234567890}')

    await browser.run("document.querySelector('td a[href*=dlv_]').click()")
    await browser.reads("Attempt 1")
    await browser.reads("webhook-signature")
    await browser.reads('"received": true')
    await browser.run("history.back()")
    await browser.reads("It wants this message.")
  })

  it("explains a failure, and redelivers it", async () => {
    await signIn()
    await service.call("POST", "/v1/webhooks", {
      url: bad.url,
      name: "Ledger",
      eventTypes: ["order.placed"],
      clientErrors: "permanent"
    })
    await service.call("POST", "/v1/messages", { type: "order.placed", data: { total: 1 } })
    await go("#/deliveries?type=order.placed")
    await browser.sees("document.querySelector('td .state.exhausted')")
    await browser.run("document.querySelector('td a[href*=dlv_]').click()")
    await browser.reads("Given up after 1 attempt")
    await browser.reads("unknown currency")
    await browser.sees("document.querySelector('.advice')")
    isBadWell = true
    await browser.press("Redeliver")
    await browser.reads("Attempt 2")
    await browser.sees("document.querySelector('.lead .state.delivered')")
  })

  it("counts before it redelivers many", async () => {
    await signIn()
    await go("#/redeliveries/new?type=order.placed&status=delivered")
    await browser.press("Count them first")
    await browser.press("Redeliver 1 delivery")
    await browser.sees("document.querySelector('.lead .state.done')")
    await browser.reads("1 of 1 delivery redelivered.")
  })

  it("tells of what happens while it happens", async () => {
    await signIn()
    await go("#/live")
    await browser.reads("Connected.")
    await service.call("POST", "/v1/messages", { type: "invoice.voided", data: {} })
    await browser.reads("invoice.voided")
    await browser.press("Pause")
    const before = good.received.length
    await service.call("POST", "/v1/messages", { type: "invoice.resent", data: {} })
    await browser.reads("1 event kept back")
    assert.strictEqual(good.received.length, before + 1)
    await browser.press("Go on")
    await browser.reads("invoice.resent")
  })

  it("holds all sending with a reason, and releases it", async () => {
    await signIn()
    await go("#/")
    await browser.run("document.querySelector('#emergency').open = true")
    await browser.fill("reason", "a flood")
    await browser.run("document.querySelector('#emergency form').requestSubmit()")
    await browser.reads("All sending is held. Messages are accepted and wait.")
    await browser.reads("a flood")
    assert.isTrue((await service.call("GET", "/v1/hold")).json.held)
    await browser.press("Release")
    await browser.sees("!document.querySelector('.banner')")
    assert.isFalse((await service.call("GET", "/v1/hold")).json.held)
  })

  it("tries a webhook out, keeps its secret until asked, and removes it by name only", async () => {
    await signIn()
    await go("#/webhooks")
    await browser.press("Billing")
    await browser.press("Send an example")
    await browser.reads("posthaste.test")
    await browser.press("Check the connection")
    await browser.reads("Nothing stands in the way.")
    assert.isFalse(await browser.run("document.body.innerText.includes('whsec_')"))
    await browser.press("Show")
    await browser.reads("whsec_")
    await browser.press("Pause")
    await browser.reads("Paused: deliveries wait until it is resumed.")
    await browser.press("Resume")
    await browser.reads("The receiver answers well.")
    await browser.press("Change")
    await browser.fill("name", "Billing, anew")
    await browser.run(`(() => {
      const more = document.querySelector("[name=more]")
      more.value = JSON.stringify({ ...JSON.parse(more.value), timeoutMs: 5000 })
    })()`)
    await browser.press("Change")
    await browser.sees("document.querySelector('h1').innerText === 'Billing, anew'")
    await browser.reads("5 s")
    await browser.press("Remove this webhook")
    assert.isTrue(await browser.run("document.querySelector('dialog [value=yes]').disabled"))
    await browser.type("Escape")
    await browser.sees("!document.querySelector('dialog')")
    await browser.press("Remove this webhook")
    await browser.fill("typed", "Billing, anew")
    await browser.press("Remove it")
    await browser.sees("location.hash === '#/webhooks'")
    await browser.reads("Ledger")
  })

  it("makes a tenant and a key that is shown once, looks at the tenant with it, and revokes it", async () => {
    await signIn()
    await go("#/tenants")
    await browser.fill("uid", "acme")
    await browser.press("Make")
    await browser.reads("Look at it")
    await browser.press("Make a key")
    await browser.fill("name", "reader")
    await browser.run(`document.querySelectorAll("[name=scopes]").forEach((one) => {
      one.checked = one.value === "read"
    })`)
    await browser.run("document.querySelector('form.form').requestSubmit()")
    await browser.reads("Copy it now")
    const key = await browser.run<string>("document.querySelector('.banner code').textContent")
    await browser.press("Sign out")
    await browser.fill("key", key)
    await browser.press("Sign in")
    await browser.sees("!location.hash.includes('tenants') || document.querySelector('.problem')")
    await go("#/webhooks")
    await browser.reads("No webhook yet")
    assert.isFalse(await browser.run("document.querySelector('nav').innerText.includes('Tenants')"))
    await go("#/webhooks/new")
    await browser.fill("url", good.url)
    await browser.press("Register")
    await browser.reads("This key may not do that")
    browser.complaints.splice(0)

    const { json: keys } = await service.call("GET", "/v1/tenants/acme/keys")
    await service.call("DELETE", `/v1/tenants/acme/keys/${keys.data[0].id}`)
    await browser.run("location.hash = '#/messages'")
    await browser.reads("This key opens nothing")
    assert.strictEqual(await browser.run("sessionStorage.length"), 0)
  })
})

describe("Every screen", () => {
  it("fits a phone, and gives each control a name and each id once", async () => {
    await signIn()
    const { json: deliveries } = await service.call(
      "GET",
      "/v1/deliveries?type=order.placed&limit=1"
    )
    const [{ id, messageId, webhookId }] = deliveries.data
    for (const [at, heading] of [
      ["#/", "Overview"],
      ["#/webhooks", "Webhooks"],
      ["#/webhooks/new", "Register a webhook"],
      [`#/webhooks/${webhookId}/change`, "Change"],
      [`#/webhooks/${webhookId}`, ""],
      ["#/messages", "Messages"],
      ["#/messages/new", "Publish a message"],
      [`#/messages/${messageId}`, "order."],
      ["#/deliveries", "Deliveries"],
      [`#/deliveries/${id}`, "Delivery"],
      ["#/redeliveries", "Redeliveries"],
      ["#/redeliveries/new", "Redeliver many"],
      ["#/live", "Live"],
      ["#/event-types", "Event types"],
      ["#/event-types/new", "Add an event type"],
      ["#/tenants", "Tenants"],
      ["#/tenants/acme", "acme"],
      ["#/nowhere", "Nothing is here"]
    ] as const) {
      for (const width of [360, 1_440]) {
        await browser.resize(width, 800, width === 360 ? "dark" : "light")
        await go(at)
        await browser.sees(
          `document.querySelector("h1").innerText.includes(${JSON.stringify(heading)})`
        )
        const wrong = await browser.run<ReadonlyArray<string>>(`(() => {
          const { scrollWidth } = document.documentElement
          const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id)
          return [
            ...(scrollWidth > innerWidth ? ["it is " + scrollWidth + " wide"] : []),
            ...ids.filter((id, index) => ids.indexOf(id) !== index).map((id) => "two of " + id),
            ...[...document.querySelectorAll("a, button, summary")]
              .filter((one) => (one.innerText || one.ariaLabel || one.textContent).trim() === "")
              .map((one) => one.outerHTML),
            ...[...document.querySelectorAll("input, select, textarea")]
              .filter((one) => one.labels.length === 0)
              .map((one) => one.outerHTML)
          ]
        })()`)
        assert.deepStrictEqual(wrong, [], `${at} at ${width}`)
      }
    }
  })

  it("is reached and used by keyboard alone", async () => {
    await signIn()
    await go("#/webhooks")
    await browser.sees(
      "document.activeElement.tagName === 'H1' && document.title.startsWith('Webhooks')"
    )
    await browser.type("Tab")
    assert.strictEqual(await browser.run("document.activeElement.innerText"), "Register a webhook")
    await browser.type("Enter")
    await browser.sees(
      "document.activeElement.tagName === 'H1' && document.activeElement.innerText.startsWith('Register')"
    )
    await browser.type("Tab")
    assert.strictEqual(await browser.run("document.activeElement.name"), "url")
    await browser.type("Enter")
    await browser.reads("This is needed.")
  })
})

const payloads = (mark: string): ReadonlyArray<string> => [
  `<script>${mark}</script>`,
  `"><img src=x onerror=${mark}>`,
  `<svg onload=${mark}>`,
  `<iframe srcdoc="<script>parent.${mark}</script>">`,
  `javascript:${mark}`,
  `</pre></code><script>${mark}</script>`,
  `'-${mark}-'`,
  `\${${mark}}`,
  `{{constructor.constructor('${mark}')()}}`,
  `<a href="javascript:${mark}" autofocus onfocus=${mark}>x</a>`
]

describe("What others wrote", () => {
  it(
    "stays text on every screen, whatever it is",
    { timeout: scaled(60_000, 600_000) },
    async () => {
      await signIn()
      const all = Array.from({ length: scaled(10, 100) }, (_, index) => {
        const one = payloads(`window.ran=${index}`)[index % 10] ?? ""
        return { one, index }
      })
      const inbox = await openInbox((request, response) => {
        const text = Buffer.from(request.path.split("=")[1] ?? "", "base64url").toString()
        response.writeHead(500, {
          "x-said": encodeURI(text),
          server: text.replaceAll(/[^\x20-\x7e]/g, "")
        })
        response.end(text)
      })
      const pages = new Set([
        "#/",
        "#/webhooks",
        "#/deliveries",
        "#/messages",
        "#/event-types",
        "#/live",
        "#/tenants"
      ])
      for (const { index, one } of all) {
        const type = `xss.n${index}`
        const { json: webhook } = await service.call("POST", "/v1/webhooks", {
          url: `${inbox.url}/?t=${Buffer.from(one).toString("base64url")}`,
          name: one,
          description: one,
          metadata: { note: one },
          eventTypes: [type],
          headers: { "x-note": one },
          retry: { kind: "table", delaysMs: [1], jitter: 0 }
        })
        assert.isString(webhook.id, JSON.stringify(webhook))
        await service.call("PUT", `/v1/event-types/${type}`, {
          displayName: one,
          description: one,
          example: { note: one }
        })
        const { json: message } = await service.call("POST", "/v1/messages", {
          type,
          data: { note: one, [one]: one },
          resource: { type: one, id: one }
        })
        assert.isString(message.id, JSON.stringify(message))
        const { json: tenant } = await service.call("POST", "/v1/tenants", { name: one })
        for (const at of [
          `#/webhooks/${webhook.id}`,
          `#/webhooks/${webhook.id}/change`,
          `#/messages/${message.id}`,
          `#/event-types/${type}`,
          `#/tenants/${tenant.uid}`,
          `#/deliveries?webhook=${webhook.id}`,
          // A made-up address is what somebody else may send.
          `#/webhooks?q=${encodeURIComponent(one)}`,
          `#/webhooks/${encodeURIComponent(one)}`
        ]) {
          pages.add(at)
        }
      }
      for (const at of pages) {
        await go(at)
      }
      await go("#/deliveries?type=xss.n0")
      await browser.sees("document.querySelector('td .bad')")
      await browser.run("document.querySelector('td a[href*=dlv_]').click()")
      await browser.reads("Attempt 1")
      await browser.reads("<script>window.ran=0</script>")
      assert.isUndefined(await browser.run("window.ran"))
      assert.strictEqual(
        await browser.run("document.querySelectorAll('main script, iframe, main img').length"),
        0
      )
      inbox.close()
      // The made-up addresses name nothing, which the browser notes.
      const expected = browser.complaints.filter((one) => /status of 404/.test(one))
      browser.complaints.splice(0)
      assert.lengthOf(expected, all.length)
    }
  )
})
