/**
 * What must stay hidden, planted everywhere it can come in, and looked for everywhere it could come
 * out: in the log at its most talkative, in errors, lists, metrics, streams, and in the database.
 */
import { spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as https from "node:https"
import type { AddressInfo } from "node:net"
import * as path from "node:path"
import { assert, describe, it } from "vitest"
import clients from "../send/clients.json" with { type: "json" }
import { borrowing } from "../support/Borrowing.ts"
import { openInbox, until } from "../support/Inbox.ts"
import { makeService, type Service, type ServiceOptions } from "../support/Service.ts"
import { createDatabase } from "../support/TestDatabase.ts"

/** One for each place, so that a finding names its own. */
const canary = (place: string) => `CANARY${Buffer.from(place).toString("hex")}CANARY`

/** Kept sealed or hashed: the database gives none of them away. */
const sealed = {
  secret: canary("signing secret"),
  oldSecret: canary("rotated secret"),
  password: canary("basic password"),
  bearer: canary("bearer token"),
  key: canary("header key"),
  clientSecret: canary("client secret"),
  accessToken: canary("access token"),
  header: canary("header value"),
  plainHeader: canary("value of a header with a harmless name"),
  apiKey: `phk_${canary("api key")}`,
  wrongKey: canary("wrong api key"),
  databasePassword: canary("database password"),
  refused: canary("what a request was refused for")
}

/** Needed as they are, so in the database, but nowhere where people look by the way. */
const kept = { url: canary("parameter of a url"), payload: canary("payload") }

/** The body of the client's key: its first line is the same for every key. */
const privateKey = clients.clientA.key.split("\n")[1]!

const hidden: ReadonlyArray<readonly [place: string, value: string]> = [
  ...Object.entries({ ...sealed, privateKey }),
  ...Object.entries(kept)
]

/** Names the canaries in a text, as they are or in a form that is read back at once. */
const found = (text: string, among = hidden): ReadonlyArray<string> =>
  among
    .filter(([, value]) =>
      [
        value,
        Buffer.from(value).toString("hex"),
        Buffer.from(value).toString("base64").slice(0, -4),
        encodeURIComponent(value)
      ].some((form) => text.includes(form))
    )
    .map(([place]) => place)

const { atEnd, prepared } = borrowing()

const talkative = {
  POSTHASTE_ADMIN_KEY: sealed.apiKey,
  POSTHASTE_LOG_LEVEL: "debug",
  POSTHASTE_LOG_FORMAT: "json"
}

/** Calls the service with the planted key; answers status and text. */
const caller = (service: Service) => async (method: string, at: string, body?: unknown) => {
  const response = await fetch(service.baseUrl + at, {
    method,
    headers: { authorization: `Bearer ${sealed.apiKey}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) })
  })
  return { status: response.status, text: await response.text() }
}

/** A receiver over TLS that wants the client's certificate. */
const mutual = async () => {
  const server = https.createServer(
    { ...clients.receiver, ca: clients.ca, requestCert: true },
    (_, response) => response.writeHead(204).end()
  )
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  atEnd(() => {
    server.closeAllConnections()
    server.close()
  })
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

/** Every file below a directory, but those that hold keys by their nature. */
const filesIn = (directory: string): string =>
  fs
    .readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== "secret-keys")
    .map((entry) => fs.readFileSync(path.join(entry.parentPath, entry.name), "latin1"))
    .join("\n")

const dump = (databaseUrl: string): string => {
  const { stderr, stdout } = spawnSync("pg_dump", ["--inserts", databaseUrl], {
    encoding: "latin1",
    maxBuffer: 1 << 28
  })
  assert.isAbove(stdout.length, 1_000, stderr)
  return stdout
}

const withPassword = (databaseUrl: string): string => {
  const url = new URL(databaseUrl)
  url.password = sealed.databasePassword
  return url.href
}

interface Case {
  readonly ground: string
  readonly options: () => Promise<ServiceOptions>
  readonly database: (service: Service, options: ServiceOptions) => string
}

const cases: ReadonlyArray<Case> = [
  {
    ground: "PGlite",
    options: async () => ({}),
    database: (service) => filesIn(service.dataDir)
  },
  {
    ground: "Postgres",
    // The test server asks for no password, so it takes the planted one.
    options: async () => ({ databaseUrl: withPassword(await createDatabase()) }),
    database: (_, { databaseUrl = "" }) => dump(databaseUrl)
  }
]

describe.each(cases)("on $ground", ({ database, options }) => {
  it("a canary comes out where it is asked for, and nowhere else", async () => {
    const given = await options()
    const service = await prepared({ ...given, env: talkative })
    await service.start()
    const call = caller(service)

    const issuer = await openInbox((request, response) => {
      // The second one says in its error all that it was told.
      if (request.path.includes("bad")) {
        response
          .writeHead(401)
          .end(`{"error":"${sealed.clientSecret} ${request.headers.authorization}"}`)
      } else {
        response.end(`{"access_token":"${sealed.accessToken}","token_type":"Bearer"}`)
      }
    })
    // It says back what it was told, in every way that may come to its mind.
    const receiver = await openInbox(({ headers, path }, response) => {
      const told = Object.values(headers).join("\n")
      const text = [told, encodeURIComponent(told)]
      for (const value of Object.values(headers)) {
        const bytes = Buffer.from(String(value))
        text.push(bytes.toString("base64"), bytes.toString("hex"))
      }
      if (path.includes("hangup")) response.socket?.destroy()
      else {
        response
          .writeHead(path.includes("fails") ? 500 : 200, {
            "x-told": String(headers["x-harmless"]),
            location: `/?token=${kept.url}`
          })
          .end(JSON.stringify(text))
      }
    })
    atEnd(issuer.close, receiver.close)

    const oauth2 = {
      kind: "oauth2",
      tokenUrl: `${issuer.url}/token?key=${kept.url}`,
      clientId: "id",
      clientSecret: sealed.clientSecret
    }
    const tls = { certificate: clients.clientA.cert, key: clients.clientA.key, ca: clients.ca }
    const auths: ReadonlyArray<readonly [url: string, auth: object]> = [
      [`${receiver.url}/`, { kind: "none" }],
      [`${receiver.url}/`, { kind: "basic", username: "me", password: sealed.password }],
      [`${receiver.url}/fails`, { kind: "bearer", token: sealed.bearer }],
      [`${receiver.url}/hangup`, { kind: "header", name: "X-Auth", value: sealed.key }],
      [`${receiver.url}/`, oauth2],
      [`${receiver.url}/`, { ...oauth2, tokenUrl: `${issuer.url}/bad` }],
      [await mutual(), { kind: "mtls", ...tls }],
      ["https://127.0.0.1:9/", { kind: "mtls", ...tls }]
    ]
    const secretOf = (text: string) => ({ secret: text, signature: "github" })
    const shown: Array<string> = []
    const ids: Array<string> = []
    const seen = async (...args: Parameters<typeof call>) => {
      const answer = await call(...args)
      shown.push(`${args[0]} ${args[1].slice(0, 40)} ${answer.status} ${answer.text}`)
      return answer
    }
    for (const [url, auth] of auths) {
      const made = await call("POST", "/v1/webhooks", {
        url: `${url}?token=${kept.url}`,
        ...secretOf(sealed.oldSecret),
        headers: { "X-Api-Token": sealed.header, "X-Harmless": sealed.plainHeader },
        retry: "quick",
        auth
      })
      assert.strictEqual(made.status, 201, made.text)
      const { id } = JSON.parse(made.text)
      ids.push(id)
      const rotated = await call("POST", `/v1/webhooks/${id}/rotate-secret`, {
        secret: sealed.secret
      })
      assert.strictEqual(rotated.status, 200)
    }
    // Whoever asks for one webhook needs its URL in full.
    const one = await call("GET", `/v1/webhooks/${ids[1]}`)
    assert.sameMembers([...found(one.text)], ["plainHeader", "url"])

    const stream = await fetch(`${service.baseUrl}/v1/deliveries/stream`, {
      headers: { authorization: `Bearer ${sealed.apiKey}` }
    })
    let streamed = ""
    const reading = stream
      .body!.pipeThrough(new TextDecoderStream())
      .pipeTo(
        new WritableStream({
          write: (chunk) => {
            streamed += chunk
          }
        })
      )
      // It ends with the service that is killed.
      .catch(() => {})
    for (let i = 0; i < 5; i++) {
      const published = await call("POST", "/v1/messages", { type: "a.b", data: kept.payload })
      assert.strictEqual(published.status, 202)
    }
    await until(() => receiver.received.length >= 25)
    const failing = async () =>
      JSON.parse((await call("GET", `/v1/deliveries?webhook=${ids[5]}`)).text).data.every(
        (delivery: { readonly attempts: number }) => delivery.attempts > 0
      )
    await until(failing)
    // Each receiver was told what it is to know.
    const told = receiver.received.map(({ headers }) => JSON.stringify(headers)).join("\n")
    for (const place of [
      "password",
      "bearer",
      "key",
      "accessToken",
      "header",
      "plainHeader"
    ] as const) {
      const value =
        place === "password"
          ? Buffer.from(`me:${sealed.password}`).toString("base64")
          : sealed[place]
      assert.include(told, value, place)
    }

    // Requests that are refused, each for what it carries.
    const { refused } = sealed
    const bad = { url: "https://example.com/" }
    for (const [method, at, body] of [
      [
        "POST",
        "/v1/webhooks",
        { ...bad, auth: { kind: "bearer", token: `${refused} ${refused}` } }
      ],
      [
        "POST",
        "/v1/webhooks",
        { ...bad, auth: { kind: "basic", username: "a", password: [refused] } }
      ],
      ["POST", "/v1/webhooks", { ...bad, auth: refused }],
      [
        "POST",
        "/v1/webhooks",
        { ...bad, auth: { kind: "mtls", certificate: refused, key: refused } }
      ],
      ["POST", "/v1/webhooks", { ...bad, secret: `whsec_-${refused}` }],
      ["POST", "/v1/webhooks", { ...bad, headers: { "X-A": `${refused}\r\n` } }],
      ["POST", "/v1/webhooks", { ...bad, headers: { "X-A": [refused] } }],
      ["POST", "/v1/webhooks", { url: `https://me:${refused}@example.com/` }],
      ["POST", "/v1/webhooks", { url: `https://10.0.0.1/?token=${refused}` }],
      ["POST", "/v1/webhooks", `{"url":"${refused}`],
      [
        "PATCH",
        `/v1/webhooks/${ids[0]}`,
        { auth: { kind: "header", name: "a", value: `${refused}\n` } }
      ],
      ["POST", `/v1/webhooks/${ids[0]}/rotate-secret`, { secret: `whsk_${refused}` }],
      ["POST", "/v1/messages", `{"type":"a.b","data":"${refused}`],
      ["POST", "/v1/messages", { type: `a b`, data: refused }]
    ] as const) {
      const { status } = await seen(method, at, body)
      assert.include([400, 422], status, `${method} ${at} ${JSON.stringify(body)}`)
    }
    const unknown = await fetch(`${service.baseUrl}/v1/webhooks?token=${kept.url}`, {
      headers: { authorization: `Bearer ${sealed.wrongKey}` }
    })
    shown.push(await unknown.text())

    for (const at of [
      "/v1/webhooks",
      "/v1/messages",
      "/v1/deliveries",
      ...ids.map((id) => `/v1/deliveries?webhook=${id}`),
      "/v1/tenants",
      "/v1/audit?limit=250",
      "/health/ready",
      "/metrics"
    ]) {
      await seen("GET", at)
    }
    const { data } = JSON.parse((await call("GET", `/v1/deliveries?limit=100`)).text)
    for (const { id } of data) await seen("GET", `/v1/deliveries/${id}/attempts?include=body`)
    // A header is shown whose name says nothing of a credential.
    const secret = hidden.filter(([place]) => place !== "plainHeader")
    for (const text of shown) assert.deepStrictEqual(found(text, secret), [], text.slice(0, 2_000))

    await service.end("SIGKILL")
    await reading
    assert.include(streamed, "status_5xx")
    assert.deepStrictEqual(found(streamed), [])
    await service.start()
    const first = service.output()
    await service.end("SIGTERM")
    assert.deepStrictEqual(found(service.output()), [])
    assert.deepStrictEqual(found(first), [])

    const stored = database(service, given)
    // What is there as it is shows that the others would have been found.
    assert.sameMembers([...found(stored)], ["url", "payload"])
  })
})

describe("a service that cannot start", () => {
  it("says nothing of the database's password", async () => {
    const service = await makeService({
      databaseUrl: `postgres://me:${sealed.databasePassword}@127.0.0.1:9/none`,
      env: talkative
    })
    atEnd(service.remove)
    const error: unknown = await service.start().catch((error: unknown) => error)
    assert.include(String(error), "ended while it started")
    assert.deepStrictEqual(found(`${service.output()} ${String(error)}`), [])
  })
})
