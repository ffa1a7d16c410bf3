/**
 * The process that floods: it sends what falls due whether or not anything was answered, on connections
 * that are free as long as there are any, then behind what is under way. Reads its plan from its first
 * argument and prints what came of it.
 */
import { once } from "node:events"
import * as net from "node:net"
import type { Flooded, FloodPlan } from "./Flood.ts"

/** How long answers are waited for once nothing more is sent. */
const answerMaxMs = 60_000

const plan: FloodPlan = JSON.parse(process.argv[2] ?? "")
const request = Buffer.from(
  `POST ${plan.path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${plan.key}\r\n` +
    `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(plan.body)}\r\n\r\n` +
    plan.body
)

interface Line {
  readonly socket: net.Socket
  /** When what is under way fell due, oldest first. */
  readonly dueAt: Array<number>
  received: string
}

const accepted: Array<string> = []
const acceptedMs: Array<number> = []
const refusedMs: Array<number> = []
const wrong: Array<string> = []
const free: Array<Line> = []
let open = 0

const read = (line: Line, chunk: string): void => {
  line.received += chunk
  while (true) {
    const end = line.received.indexOf("\r\n\r\n")
    if (end === -1) return
    const head = line.received.slice(0, end)
    const bodyEnd = end + 4 + Number(/content-length: *(\d+)/i.exec(head)?.[1])
    if (!(line.received.length >= bodyEnd)) return
    judge(line, head, line.received.slice(end + 4, bodyEnd))
    line.received = line.received.slice(bodyEnd)
  }
}

const judge = (line: Line, head: string, body: string): void => {
  const took = performance.now() - (line.dueAt.shift() ?? Number.NaN)
  open--
  if (line.dueAt.length === 0) free.push(line)
  if (head.startsWith("HTTP/1.1 202 ")) {
    accepted.push(JSON.parse(body).id)
    acceptedMs.push(took)
  } else if (
    /^HTTP\/1\.1 (?:429|503) /.test(head) &&
    /\r\nretry-after: [1-9]\d*(?:\r\n|$)/i.test(head) &&
    /\r\ncontent-type: application\/problem\+json(?:\r\n|$)/i.test(head)
  ) {
    refusedMs.push(took)
  } else wrong.push(`${head}\n${body}`.slice(0, 500))
}

const lines = Array.from({ length: plan.connections }, (): Line => {
  const socket = net.connect({ port: plan.port, host: "127.0.0.1", noDelay: true })
  const line = { socket, dueAt: [], received: "" }
  socket.setEncoding("latin1")
  socket.on("error", (error) => wrong.push(String(error)))
  socket.on("close", () => {
    // One that nothing was asked on for a while may be closed.
    if (line.dueAt.length > 0) wrong.push(`closed with ${line.dueAt.length} requests under way`)
    else free.splice(free.indexOf(line), 1)
  })
  socket.on("data", (chunk: string) => read(line, chunk))
  free.push(line)
  return line
})
await Promise.all(lines.map(({ socket }) => once(socket, "connect")))

let sent = 0
let next = 0
let late = 0
const beganAt = performance.now()

/** A free connection, or else one with room behind what is under way. */
const lineFor = (): Line | undefined => {
  const one = free.pop()
  if (one !== undefined) return one
  for (let tries = 0; tries < 64; tries++) {
    const line = lines[next++ % lines.length]!
    if (line.dueAt.length < plan.pipelined && line.socket.writable) return line
  }
  return undefined
}

while (true) {
  const elapsed = Math.min(performance.now() - beganAt, plan.lastsMs)
  const due = Math.floor((elapsed / 1_000) * plan.perSecond)
  while (sent < due) {
    const line = lineFor()
    if (line === undefined) break
    line.dueAt.push(beganAt + (sent / plan.perSecond) * 1_000)
    line.socket.write(request)
    sent++
    open++
  }
  if (elapsed === plan.lastsMs) {
    late = due - sent
    break
  }
  await new Promise((resolve) => setTimeout(resolve, 2))
}
const lastedMs = performance.now() - beganAt
const deadline = performance.now() + answerMaxMs
while (open > 0 && wrong.length === 0 && performance.now() < deadline) {
  await new Promise((resolve) => setTimeout(resolve, 20))
}
const flooded: Flooded = {
  sent,
  late,
  lastedMs,
  accepted,
  acceptedMs,
  refusedMs,
  wrong: wrong.slice(0, 10)
}
await new Promise((resolve) => process.stdout.write(JSON.stringify(flooded), resolve))
process.exit()
