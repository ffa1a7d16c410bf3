/**
 * What hostile receivers do, and what has to come of it. T-numbers are those of the project's list of
 * misbehaviours.
 */
import { gzipSync, deflateSync } from "node:zlib"
import type { AttemptClass } from "../../src/domain/Attempt.ts"
import { certificates } from "./Certificates.ts"
import type { Act, Listening } from "./HostileServer.ts"

/** A receiver's behaviour and the first attempt that it leads to. */
export interface Behaviour {
  readonly id: string
  readonly does: string
  readonly act: Act
  /** Over which it makes sense; both by default. */
  readonly over?: "http" | "https"
  readonly listening?: Listening
  /** By which name it is sent to; by its address where none is given. */
  readonly host?: string
  readonly class: AttemptClass
  readonly statusCode?: number | null
  /** What the attempt says went wrong; none where nothing did. */
  readonly error?: RegExp
  /** What is advised of it. */
  readonly advice?: RegExp
  /** Whether no byte of a request may reach it. */
  readonly getsNothing?: true
  readonly truncated?: boolean
  /** What was kept of the body. */
  readonly body?: string | RegExp
  readonly bodyEncoding?: "utf8" | "base64"
  /** For the whole attempt, in milliseconds. */
  readonly timeoutMs?: number
  /** When it has to end: at its timeout, or later than another time. Else before its timeout. */
  readonly endsAtMs?: number | "timeout"
  /** Delivered, tried again, or exhausted at once. */
  readonly leaves: "delivered" | "again" | "exhausted"
  /** The bytes of `data` besides a few. */
  readonly bytes?: number
  /** Sends a second message after the first: the class it meets, and connections made in all. */
  readonly second?: { readonly class: AttemptClass; readonly connections: number }
}

const delivered = { class: "status_2xx", leaves: "delivered" } as const
const protocol = { class: "protocol", statusCode: null, error: /./, leaves: "again" } as const
const late = {
  class: "headers_timeout",
  statusCode: null,
  error: /^no answer in time$/,
  endsAtMs: "timeout",
  leaves: "again"
} as const
const brokenTls = {
  over: "https",
  class: "tls",
  statusCode: null,
  leaves: "again"
} as const
const broken = /^The body broke off/
const slow = /^The body was not complete in time/
const ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
const again = { class: "status_2xx", connections: 2 } as const
const kept = { class: "status_2xx", connections: 1 } as const

const head = (status: string, headers = "") => `HTTP/1.1 ${status}\r\n${headers}\r\n`

/** Writes bytes as they are, then keeps the connection, ends it or resets it. */
const writes =
  (text: string | Buffer, then: "keep" | "end" | "reset" = "keep"): Act =>
  ({ later, reset, socket, write }) => {
    write(text)
    if (then === "end") socket.end()
    // A reset that overtakes the bytes would be another answer.
    if (then === "reset") later(50, reset)
  }

/** Misbehaves with its first request only. */
const once =
  (first: Act): Act =>
  (exchange) =>
    exchange.number === 1 ? first(exchange) : exchange.write(ok)

const drips =
  (beginning: string, piece: string, everyMs: number): Act =>
  ({ every, write }) => {
    if (beginning !== "") write(beginning)
    every(everyMs, () => write(piece))
  }

const floods =
  (beginning: string, piece: string): Act =>
  ({ socket, write }) => {
    const bytes = Buffer.from(piece, "latin1")
    const pour = () => {
      while (!socket.destroyed && socket.write(bytes)) continue
    }
    write(beginning)
    socket.on("drain", pour)
    pour()
  }

const encoded = (encoding: string, body: Buffer | string): Act =>
  writes(
    Buffer.concat([
      Buffer.from(
        head("200 OK", `content-encoding: ${encoding}\r\ncontent-length: ${body.length}\r\n`)
      ),
      Buffer.from(body)
    ])
  )

const silent: Act = () => {}

/** Says back what it was told, in a header and in the body. */
const echoes: Act = ({ head: told, write }) => {
  const [, signature = ""] = /webhook-signature: (.*)/i.exec(told) ?? []
  const headers = `x-told: ${signature}\r\ncontent-length: ${told.length}\r\n`
  write(`${head("500 Why", headers)}${told}`)
}

const untrusted = (
  name: keyof typeof certificates,
  error: RegExp,
  advice: RegExp,
  host?: string
): Behaviour => ({
  id: "T-41",
  does: `has a bad certificate: ${name}`,
  act: writes(ok),
  ...brokenTls,
  // The server's own OpenSSL would not offer what is too weak.
  listening: { secure: { ...certificates[name], ciphers: "DEFAULT@SECLEVEL=0" } },
  error,
  advice,
  getsNothing: true,
  ...(host === undefined ? {} : { host })
})

const statuses = (id: string, codes: ReadonlyArray<number>, cls: AttemptClass) =>
  codes.map((code): Behaviour => ({
    id,
    does: `answers ${code}`,
    act: writes(head(`${code} X`, "content-length: 0\r\n")),
    class: cls,
    statusCode: code,
    leaves: cls === "status_2xx" ? "delivered" : "again"
  }))

/** All of them but those that need a network or a resolver of their own. */
export const behaviours: ReadonlyArray<Behaviour> = [
  { id: "T-01", does: "answers 200", act: writes(ok), body: "ok", second: kept, ...delivered },
  { id: "T-02", does: "never answers", act: silent, ...late },
  {
    id: "T-03",
    does: "drips its headers",
    act: drips("HTTP/1.1 200 OK\r\nx-a: ", "a", 200),
    ...late
  },
  {
    id: "T-04",
    does: "drips the body of a 200",
    act: drips(head("200 OK", "content-length: 999\r\n"), "a", 200),
    ...delivered,
    timeoutMs: 4_000,
    endsAtMs: 2_000,
    error: slow,
    truncated: true,
    body: /^a+$/
  },
  {
    id: "T-05",
    does: "drips the body of a 500",
    act: drips(head("500 No", "content-length: 999\r\n"), "a", 200),
    class: "status_5xx",
    endsAtMs: "timeout",
    error: slow,
    truncated: true,
    leaves: "again"
  },
  {
    id: "T-06",
    does: "resets before it answers",
    act: ({ reset }) => reset(),
    class: "reset",
    statusCode: null,
    error: /closed the connection without an answer/,
    leaves: "again"
  },
  {
    id: "T-07",
    does: "resets within the body of a 200",
    act: writes(head("200 OK", "content-length: 99\r\n") + "part", "reset"),
    ...delivered,
    error: broken,
    truncated: true,
    body: "part"
  },
  {
    id: "T-08",
    does: "ends the body of a 200 before its length",
    act: writes(head("200 OK", "content-length: 99\r\n") + "part", "end"),
    ...delivered,
    error: broken,
    truncated: true,
    body: "part"
  },
  {
    id: "T-09",
    does: "writes more than its length",
    act: once(writes(`${ok}surplus`)),
    ...delivered,
    body: "ok",
    second: again
  },
  ...(
    [
      ["sends no status line", "HELLO\r\n\r\n"],
      ["greets in SSH", "SSH-2.0-OpenSSH_9.6\r\n"],
      ["answers in HTTP/0.9", "<html>fine</html>"],
      ["ends lines with LF alone", "HTTP/1.1 200 OK\ncontent-length: 0\n\n"],
      ["folds a header", head("200 OK", "x-a: b\r\n c\r\ncontent-length: 0\r\n")],
      ["puts NUL into a header", head("200 OK", "x-a: \u0000\r\n")]
    ] as const
  ).map(([does, text]): Behaviour => ({ id: "T-10", does, act: writes(text, "end"), ...protocol })),
  {
    id: "T-11",
    does: "answers 099",
    act: writes(head("099 Low", "content-length: 0\r\n")),
    ...protocol
  },
  {
    id: "T-12",
    does: "answers 103 for ever",
    act: drips("", head("103 Early"), 100),
    ...late
  },
  { id: "T-13", does: "answers 100 unasked", act: writes(head("100 Continue") + ok), ...protocol },
  {
    id: "T-14",
    does: "answers 101 unasked",
    act: writes(head("101 Switching", "upgrade: h2c\r\nconnection: upgrade\r\n")),
    ...protocol
  },
  {
    id: "T-15",
    does: "sends a body with 204",
    act: once(writes(head("204 No", "content-length: 2\r\n") + "ok")),
    ...delivered,
    statusCode: 204,
    second: again
  },
  {
    id: "T-15",
    does: "sends chunks with 204",
    act: once(writes(head("204 No", "transfer-encoding: chunked\r\n") + "2\r\nok\r\n0\r\n\r\n")),
    ...delivered,
    statusCode: 204,
    second: again
  },
  ...statuses("T-16", [304], "status_3xx"),
  ...statuses("T-16", [205, 206], "status_2xx"),
  {
    id: "T-17",
    does: "names a length and chunks",
    act: writes(
      head("200 OK", "content-length: 2\r\ntransfer-encoding: chunked\r\n") + "0\r\n\r\n"
    ),
    ...protocol
  },
  {
    id: "T-18",
    does: "names two lengths",
    act: writes(head("200 OK", "content-length: 2\r\ncontent-length: 3\r\n") + "ok"),
    ...protocol
  },
  ...["-1", "99999999999999999999999", "+5"].map((length): Behaviour => ({
    id: "T-19",
    does: `names the length ${length}`,
    act: writes(head("200 OK", `content-length: ${length}\r\n`) + "abcde"),
    ...protocol
  })),
  {
    id: "T-20",
    does: "sends a header of 70 KB",
    act: writes(head("200 OK", `x-a: ${"a".repeat(70_000)}\r\n`)),
    ...protocol
  },
  {
    id: "T-21",
    does: "sends 3,000 headers",
    act: writes(head("200 OK", "x-name: value\r\n".repeat(3_000))),
    ...protocol
  },
  {
    id: "T-22",
    does: "sends chunks without an end",
    act: floods(
      head("200 OK", "transfer-encoding: chunked\r\n"),
      `1000\r\n${"a".repeat(4_096)}\r\n`
    ),
    ...delivered,
    truncated: true,
    body: "a".repeat(10_240)
  },
  {
    id: "T-23",
    does: "sends a body without an end",
    act: floods(head("200 OK", "connection: close\r\n"), "a".repeat(4_096)),
    ...delivered,
    truncated: true,
    body: "a".repeat(10_240)
  },
  {
    id: "T-24",
    does: "sends a bomb of gzip",
    act: encoded("gzip", gzipSync(Buffer.alloc(64 * 1_048_576))),
    ...delivered,
    truncated: true,
    bodyEncoding: "base64"
  },
  {
    id: "T-25",
    does: "names 200 encodings",
    act: encoded(Array.from({ length: 200 }, () => "gzip").join(), "x"),
    ...delivered,
    body: "x"
  },
  ...["gzip", "br", "zstd", "deflate"].map((encoding): Behaviour => ({
    id: "T-26",
    does: `calls something ${encoding} that is not`,
    act: encoded(encoding, "plain"),
    ...delivered,
    body: "plain"
  })),
  {
    id: "T-26",
    does: "sends a bomb of deflate",
    act: encoded("deflate", deflateSync(Buffer.alloc(8 * 1_048_576))),
    ...delivered,
    bodyEncoding: "base64"
  },
  {
    id: "T-27",
    does: "sends a chunk of no size",
    act: writes(head("200 OK", "transfer-encoding: chunked\r\n") + "4\r\npart\r\nzz\r\n"),
    ...delivered,
    error: broken,
    body: "part"
  },
  {
    id: "T-27",
    does: "floods with chunk extensions",
    act: writes(
      `${head("200 OK", "transfer-encoding: chunked\r\n")}4;${"a=b;".repeat(10_000)}\r\npart\r\n0\r\n\r\n`
    ),
    ...delivered,
    error: broken
  },
  {
    id: "T-27",
    does: "floods with trailers",
    act: writes(
      `${head("200 OK", "transfer-encoding: chunked\r\n")}4\r\npart\r\n0\r\n${"x-a: b\r\n".repeat(10_000)}\r\n`
    ),
    ...delivered,
    error: broken,
    body: "part"
  },
  {
    id: "T-28",
    does: "announces a gibibyte and drips",
    act: drips(head("200 OK", "content-length: 1073741824\r\n"), "a".repeat(100), 100),
    ...delivered,
    timeoutMs: 4_000,
    endsAtMs: 2_000,
    error: slow,
    truncated: true
  },
  {
    id: "T-28",
    does: "announces a gibibyte and floods",
    act: floods(head("200 OK", "content-length: 1073741824\r\n"), "a".repeat(4_096)),
    ...delivered,
    truncated: true
  },
  {
    id: "T-29",
    does: "answers NUL, broken UTF-8, escapes and markup",
    act: writes(
      Buffer.concat([
        Buffer.from(head("200 OK", "connection: close\r\n")),
        Buffer.from([0, 0xff, 0xfe, 0xc3, 0x28, 0x1b]),
        Buffer.from("[2J<script>alert(1)</script>")
      ]),
      "end"
    ),
    ...delivered,
    bodyEncoding: "base64",
    body: Buffer.concat([
      Buffer.from([0, 0xff, 0xfe, 0xc3, 0x28, 0x1b]),
      Buffer.from("[2J<script>alert(1)</script>")
    ]).toString("base64")
  },
  ...[301, 302, 303, 307, 308].flatMap((status) =>
    ["http://169.254.169.254/", "https://example.com/", "/loop"].map((location): Behaviour => ({
      id: "T-30",
      does: `answers ${status} to ${location}`,
      act: writes(
        head(`${status} There`, `location: ${location}\r\nrefresh: 0\r\ncontent-length: 0\r\n`)
      ),
      class: "status_3xx",
      statusCode: status,
      leaves: "again"
    }))
  ),
  ...[600, 999].map((status): Behaviour => ({
    id: "T-31",
    does: `answers ${status}`,
    act: writes(head(`${status} Odd`, "content-length: 0\r\n")),
    ...protocol
  })),
  {
    id: "T-32",
    does: "answers in HTTP/1.0",
    act: writes("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok"),
    ...delivered,
    second: again
  },
  {
    id: "T-32",
    does: "calls it HTTP/2.0",
    act: writes("HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\nok"),
    ...delivered
  },
  {
    id: "T-33",
    does: "answers twice in one packet",
    act: once(writes(`${ok}HTTP/1.1 500 Poison\r\ncontent-length: 0\r\n\r\n`)),
    ...delivered,
    body: "ok",
    second: again
  },
  {
    id: "T-34",
    does: "answers unasked while the connection rests",
    act: once(({ later, write }) => {
      write(ok)
      later(10, () => write("HTTP/1.1 500 Poison\r\ncontent-length: 0\r\n\r\n"))
    }),
    ...delivered,
    second: again
  },
  {
    id: "T-35",
    does: "closes the connection as the next request comes",
    act: once(({ later, socket, write }) => {
      write(ok)
      later(5, () => socket.end())
    }),
    ...delivered,
    second: again
  },
  {
    id: "T-36",
    does: "reads nothing",
    act: silent,
    listening: { raw: (socket) => void socket.pause() },
    over: "http",
    bytes: 250_000,
    ...late
  },
  ...[200, 413].map((status): Behaviour => ({
    id: "T-37",
    does: `answers ${status} before it has read the body, then resets`,
    listening: { early: true },
    act: ({ later, reset, socket, write }) => {
      socket.pause()
      write(head(`${status} Early`, "content-length: 0\r\nconnection: close\r\n"))
      later(100, reset)
    },
    bytes: 250_000,
    class: status === 200 ? "status_2xx" : "status_4xx",
    statusCode: status,
    leaves: status === 200 ? "delivered" : "again"
  })),
  untrusted("expired", /\(CERT_HAS_EXPIRED\)/, /past its end/),
  untrusted("notYet", /\(CERT_NOT_YET_VALID\)/, /not valid yet/),
  untrusted("selfSigned", /\(DEPTH_ZERO_SELF_SIGNED_CERT\)/, /signed by itself/),
  untrusted("otherName", /ALTNAME_INVALID/, /for another name/),
  untrusted("wildcard", /ALTNAME_INVALID/, /for another name/, "a.b.hooks.localhost"),
  untrusted("wildcard", /ALTNAME_INVALID/, /for another name/, "hooks.localhost"),
  untrusted("unknownAuthority", /SELF_SIGNED_CERT_IN_CHAIN/, /unknown authority/),
  untrusted("missingIntermediate", /UNABLE_TO_VERIFY/, /leaves out a certificate/),
  untrusted("smallKey", /EE certificate key too weak/, /certificate is too short/),
  untrusted("sha1", /CA signature digest algorithm too weak/, /signed with SHA-1/),
  {
    id: "T-41",
    does: "has a certificate for all names of its domain",
    act: writes(ok),
    ...delivered,
    over: "https",
    listening: { secure: certificates.wildcard },
    host: "a.hooks.localhost"
  },
  {
    id: "T-42",
    does: "stalls within the handshake",
    act: silent,
    over: "https",
    listening: { raw: (socket) => void socket.resume(), secure: {} },
    class: "connect_timeout",
    statusCode: null,
    error: /^no connection in time$/,
    endsAtMs: "timeout",
    leaves: "again"
  },
  {
    id: "T-42",
    does: "speaks HTTP where TLS is expected",
    act: silent,
    listening: { raw: (socket) => void socket.end(ok), secure: {} },
    ...brokenTls,
    error: /No TLS connection/
  },
  ...(["TLSv1", "TLSv1.1"] as const).map((version): Behaviour => ({
    id: "T-42",
    does: `speaks ${version} alone`,
    act: writes(ok),
    listening: {
      secure: { minVersion: version, maxVersion: version, ciphers: "ALL:@SECLEVEL=0" }
    },
    ...brokenTls,
    error: /No TLS connection/,
    advice: /TLS 1\.2/,
    getsNothing: true
  })),
  {
    id: "T-42",
    does: "writes no TLS where TLS was",
    act: ({ below }) => void below.write(ok),
    over: "https",
    class: "tls",
    statusCode: null,
    error: /./,
    leaves: "again"
  },
  {
    id: "T-43",
    does: "wants a client certificate",
    act: writes(ok),
    listening: { secure: { requestCert: true, rejectUnauthorized: true } },
    ...brokenTls,
    error: /CERTIFICATE_REQUIRED/
  },
  {
    id: "T-44",
    does: "speaks HTTP/2 alone by ALPN",
    act: silent,
    listening: { secure: { ALPNProtocols: ["h2"] } },
    ...brokenTls,
    error: /NO_APPLICATION_PROTOCOL/
  },
  {
    id: "T-44",
    does: "floods with frames of HTTP/2",
    act: floods("\0\0\0\u0004\0\0\0\0\0", "\0\0\u0008\u0006\0\0\0\0\0abcdefgh"),
    ...protocol
  },
  {
    id: "T-45",
    does: "answers 410",
    act: writes(head("410 Gone", "content-length: 0\r\n")),
    class: "status_410",
    statusCode: 410,
    leaves: "exhausted"
  },
  ...statuses("T-47", [400, 401, 403, 404, 422], "status_4xx"),
  {
    id: "T-48",
    does: "answers shortly before the deadline",
    act: ({ later, write }) => later(700, () => write(ok)),
    ...delivered,
    endsAtMs: 700
  },
  {
    id: "T-48",
    does: "answers shortly after the deadline",
    act: ({ later, write }) => later(1_200, () => write(ok)),
    ...late
  },
  {
    id: "T-49",
    does: "sets cookies, alternatives and strict transport",
    act: writes(
      head(
        "200 OK",
        'set-cookie: a=b\r\nalt-svc: h3=":443"\r\nstrict-transport-security: max-age=9\r\n' +
          "keep-alive: timeout=999999\r\ncontent-length: 0\r\n"
      )
    ),
    ...delivered,
    second: kept
  },
  ...["connection: close", "keep-alive: timeout=0"].map((header): Behaviour => ({
    id: "T-49",
    does: `says ${header}`,
    act: writes(head("200 OK", `${header}\r\ncontent-length: 0\r\n`)),
    ...delivered,
    second: again
  })),
  {
    id: "T-52",
    does: "echoes the request and its signature",
    act: echoes,
    class: "status_5xx",
    statusCode: 500,
    leaves: "again",
    body: /^POST \/[^]*webhook-id: msg_[^]*webhook-signature: \*{8}\r\n[^]*$/
  }
]

/** Forms of `Retry-After` (T-46), and the seconds after which the next attempt may come. */
export const retryAfters = (now: Date): ReadonlyArray<readonly [form: string, seconds: number]> => {
  const at = new Date(now.getTime() + 7_200_000)
  const imf = at.toUTCString()
  const days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
  const [, day = "", month = "", year = "", time = ""] = imf.split(" ")
  return [
    ["7200", 7_200],
    [imf, 7_200],
    [`${days[at.getUTCDay()]}, ${day}-${month}-${year.slice(2)} ${time} GMT`, 7_200],
    [`${imf.slice(0, 3)} ${month} ${String(Number(day)).padStart(2)} ${time} ${year}`, 7_200],
    ["999999999", 86_400],
    ["-5", 0],
    ["soon", 0],
    ["", 0]
  ]
}
