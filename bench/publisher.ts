/**
 * The process that publishes: POST requests over keep-alive sockets, one request at a time on each.
 *
 * At a rate, the schedule is fixed before the first request: message `n` is due at `start + n / rate`
 * and its latency counts from then on, also while it waits for a free connection, so a service that
 * stalls is charged for all that became due meanwhile (no coordinated omission). Without a rate every
 * connection sends as soon as it is answered, which finds the ceiling.
 *
 * It speaks just enough HTTP/1.1 to cost little: its own CPU is reported beside every figure.
 */
import * as net from "node:net"
import { digits, mark, typeDigits } from "./rig/Body.ts"
import { answerParent } from "./rig/Child.ts"
import { monotonicMs } from "./rig/MonotonicClock.ts"

/** What to publish, where, and how fast. */
export interface Plan {
  readonly port: number
  readonly path: string
  readonly headers: { readonly [name: string]: string }
  /** The request's body, holding the number zero after `mark` and, for `types` > 1, an event type. */
  readonly body: string
  /** Event types to go round, by the number at the end of `bench.h000`. */
  readonly types: number
  readonly connections: number
  /** The number of the first message. */
  readonly first: number
  /** Messages to publish at most. */
  readonly count: number
  /** Messages per second; null: as fast as the connections are answered. */
  readonly ratePerSecond: number | null
  /** How long to publish at most, in milliseconds. */
  readonly lastsMs: number
}

/** What was published. Instants are of the monotonic clock, in milliseconds, by number of message. */
export interface Published {
  readonly sent: number
  readonly dueAt: Float64Array
  /** When it was acknowledged; zero where it was not. */
  readonly acknowledgedAt: Float64Array
  /** Answers by status code; 0 counts connections that broke. */
  readonly statuses: ReadonlyMap<number, number>
  readonly beganAt: number
  readonly endedAt: number
  readonly cpuMs: number
}

/** What this process can be asked. */
export type PublisherMethods = {
  readonly publish: (plan: Plan) => Promise<Published>
}

interface Connection {
  socket: net.Socket
  readonly request: Buffer
  readonly numberAt: number
  readonly typeAt: number
  /** The message that waits for its answer, or -1. */
  current: number
  answer: string
}

/** An answer that takes longer is given up, so that a run always ends. */
const answerMaxMs = 15_000

/** How long a connection that broke waits before it is made again. */
const redialMs = 50

const publish = async (plan: Plan): Promise<Published> => {
  const dueAt = new Float64Array(plan.count)
  const acknowledgedAt = new Float64Array(plan.count)
  const statuses = new Map<number, number>()
  const idle: Array<Connection> = []
  const connections: Array<Connection> = []
  const spacingMs = plan.ratePerSecond === null ? 0 : 1000 / plan.ratePerSecond
  const cpuBefore = process.cpuUsage()
  let next = 0
  let inFlight = 0
  let ended = false
  let timer: NodeJS.Timeout | undefined
  let finish: () => void = () => undefined
  const finished = new Promise<void>((resolve) => (finish = resolve))

  const connect = (connection: Connection) => {
    connection.socket = net.connect({
      port: plan.port,
      host: "127.0.0.1",
      noDelay: true,
      onread: {
        buffer: Buffer.allocUnsafe(16_384),
        callback: (length, chunk) => {
          // What a service says to a connection that asked nothing is that it closes it.
          if (connection.current < 0) return retire(connection)
          // Typed as bytes in general; it is the Buffer given above.
          const buffer = chunk as Buffer
          connection.answer += buffer.toString("latin1", 0, length)
          const status = completeStatus(connection.answer)
          if (status !== 0) {
            connection.answer = ""
            answered(connection, status)
          }
          return true
        }
      }
    })
    connection.socket.on("error", () => undefined)
    connection.socket.once("close", () => {
      retire(connection)
      if (connection.current >= 0) broke(connection)
      // A service that is gone is not asked again at once.
      setTimeout(() => {
        if (ended) return
        connect(connection)
        offer(connection)
      }, redialMs)
    })
  }

  const retire = (connection: Connection): boolean => {
    connection.answer = ""
    const at = idle.indexOf(connection)
    if (at >= 0) idle.splice(at, 1)
    connection.socket.destroy()
    return false
  }

  const answered = (connection: Connection, status: number) => {
    if (status === 202 || status === 204) acknowledgedAt[connection.current] = monotonicMs()
    count(connection, status)
    offer(connection)
  }

  const broke = (connection: Connection) => {
    count(connection, 0)
    if (ended && inFlight === 0) finish()
  }

  const count = (connection: Connection, status: number) => {
    statuses.set(status, (statuses.get(status) ?? 0) + 1)
    connection.current = -1
    inFlight--
  }

  const offer = (connection: Connection) => {
    idle.push(connection)
    send()
    if (ended && inFlight === 0) finish()
  }

  const beganAt = monotonicMs() + (plan.ratePerSecond === null ? 0 : 5)
  const endsAt = beganAt + plan.lastsMs

  const send = () => {
    const now = monotonicMs()
    while (!ended) {
      const due = plan.ratePerSecond === null ? now : beganAt + next * spacingMs
      if (next === plan.count || due >= endsAt || now >= endsAt + answerMaxMs) {
        ended = true
        return
      }
      if (due > now || idle.length === 0) return
      const connection = idle.pop()!
      const number = plan.first + next
      dueAt[next] = due
      connection.current = next++
      inFlight++
      writeNumber(connection.request, connection.numberAt, number, digits)
      if (plan.types > 1) {
        writeNumber(connection.request, connection.typeAt, number % plan.types, typeDigits)
      }
      connection.socket.write(connection.request)
    }
  }

  // A timer is precise to a millisecond; what it is late counts as latency, of the reference too.
  const tick = () => {
    send()
    if (ended) {
      if (inFlight === 0) finish()
      return
    }
    const waitMs = beganAt + next * spacingMs - monotonicMs()
    timer = setTimeout(tick, Math.max(1, Math.floor(waitMs)))
  }

  for (let i = 0; i < plan.connections; i++) {
    const connection = { ...requestOf(plan), socket: new net.Socket(), current: -1, answer: "" }
    connect(connection)
    connections.push(connection)
    idle.push(connection)
  }
  tick()
  const limit = setTimeout(finish, plan.lastsMs + answerMaxMs)
  await finished
  ended = true
  clearTimeout(limit)
  clearTimeout(timer)
  for (const { socket } of connections) socket.destroy()
  const cpu = process.cpuUsage(cpuBefore)
  return {
    sent: next,
    dueAt: dueAt.slice(0, next),
    acknowledgedAt: acknowledgedAt.slice(0, next),
    statuses,
    beganAt,
    endedAt: monotonicMs(),
    cpuMs: (cpu.user + cpu.system) / 1000
  }
}

/** Prepares a connection's request, of which only numbers change. */
const requestOf = (plan: Plan) => {
  const head = [
    `POST ${plan.path} HTTP/1.1`,
    `host: 127.0.0.1:${plan.port}`,
    ...Object.entries(plan.headers).map(([name, value]) => `${name}: ${value}`),
    "content-type: application/json",
    `content-length: ${Buffer.byteLength(plan.body)}`
  ]
  const request = Buffer.from(`${head.join("\r\n")}\r\n\r\n${plan.body}`)
  return {
    request,
    numberAt: request.lastIndexOf(mark) + mark.length,
    typeAt: request.indexOf('"bench.h') + 8
  }
}

const writeNumber = (buffer: Buffer, at: number, value: number, length: number) => {
  let rest = value
  for (let i = length - 1; i >= 0; i--) {
    buffer[at + i] = 48 + (rest % 10)
    rest = Math.floor(rest / 10)
  }
}

/** Reads the status of an answer, or 0 while it is not complete. */
const completeStatus = (answer: string): number => {
  const headEnd = answer.indexOf("\r\n\r\n")
  if (headEnd < 0) return 0
  const status = Number(answer.slice(9, 12))
  if (status === 204) return status
  const length = /content-length: *(\d+)/i.exec(answer)?.[1]
  const complete =
    length === undefined
      ? answer.endsWith("0\r\n\r\n")
      : answer.length >= headEnd + 4 + Number(length)
  return complete ? status : 0
}

const methods: PublisherMethods = { publish }
answerParent(methods)
