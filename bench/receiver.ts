/**
 * The process that receives: answers every request 204 at once, or as its path is told to, and
 * remembers which messages arrived, when, and how often.
 *
 * Messages are known by the number in their body, not by what the service calls them, so a message
 * that was stored twice under two ids is a duplicate too. It speaks just enough HTTP/1.1 to cost
 * little: its own CPU is reported beside every figure.
 */
import * as net from "node:net"
import { digits, mark, typeDigits } from "./rig/Body.ts"
import { answerParent } from "./rig/Child.ts"
import { monotonicMs } from "./rig/MonotonicClock.ts"

/** What to listen for from now on; all that was seen before is forgotten. */
export interface Expected {
  /** The number of the first message; lower ones are not counted. */
  readonly first: number
  /** Messages at most. */
  readonly count: number
  /** Receivers that each message goes to, by the number of their path; 1 where it goes to only one. */
  readonly copies: number
}

/** How the receiver with a number treats requests. */
export interface Behaviour {
  readonly receiver: number
  /** How long an answer takes, in milliseconds. */
  readonly delayMs: number
  /** Answered 500, from 0 to 1. */
  readonly failingShare: number
  /** False: the request is read and never answered. */
  readonly answers: boolean
}

/** What arrived. */
export interface Received {
  /** When a message was first accepted, in milliseconds of the monotonic clock; zero if it never was. */
  readonly acceptedAt: Float64Array
  /** How often it was accepted. */
  readonly times: Uint8Array
  /** Messages accepted, each counted once. */
  readonly accepted: number
  /** Requests that were answered 500, or not at all. */
  readonly refused: number
  readonly lastAt: number
  /** Connections that were opened meanwhile. */
  readonly connections: number
  readonly cpuMs: number
}

/** What this process can be asked. */
export type ReceiverMethods = {
  /** Listens on a free port and answers it. */
  readonly listen: (nothing: null) => Promise<number>
  readonly behave: (behaviours: ReadonlyArray<Behaviour>) => void
  readonly expect: (expected: Expected) => void
  /** Waits until so many messages were accepted, or nothing arrived for a while; answers how many. */
  readonly until: (wish: { readonly accepted: number; readonly quietMs: number }) => Promise<number>
  readonly collect: (nothing: null) => Received
}

const ok = Buffer.from("HTTP/1.1 204 No Content\r\n\r\n")
const failed = Buffer.from("HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n")
const normal: Behaviour = { receiver: 0, delayMs: 0, failingShare: 0, answers: true }

const behaviours = new Map<number, Behaviour>()
let expected: Expected = { first: 0, count: 0, copies: 1 }
let acceptedAt = new Float64Array(0)
let times = new Uint8Array(0)
let accepted = 0
let refused = 0
let lastAt = 0
let connections = 0
let cpuBefore = process.cpuUsage()
let seed = 7

const listen = () =>
  new Promise<number>((resolve) => {
    const server = net.createServer({ noDelay: true }, serve)
    server.listen(0, "127.0.0.1", 4096, () => {
      const address = server.address()
      resolve(typeof address === "object" && address !== null ? address.port : 0)
    })
  })

const serve = (socket: net.Socket) => {
  connections++
  let rest: Buffer | undefined
  socket.on("error", () => undefined)
  socket.on("data", (chunk: Buffer) => {
    let buffer = rest === undefined ? chunk : Buffer.concat([rest, chunk])
    rest = undefined
    while (buffer.length > 0) {
      const length = requestLength(buffer)
      if (length === 0 || length > buffer.length) {
        rest = buffer
        return
      }
      answer(socket, buffer, length)
      buffer = buffer.subarray(length)
    }
  })
}

/** Measures the request at the start of the buffer, or 0 while its head is not complete. */
const requestLength = (buffer: Buffer): number => {
  const headEnd = buffer.indexOf("\r\n\r\n")
  if (headEnd < 0) return 0
  const head = buffer.toString("latin1", 0, headEnd)
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
  return headEnd + 4 + Number(length ?? 0)
}

const answer = (socket: net.Socket, buffer: Buffer, length: number) => {
  const receiver = readNumber(buffer, "POST /h/".length, typeDigits)
  const numberAt = buffer.indexOf(mark)
  const message =
    numberAt < 0 || numberAt >= length
      ? -1
      : readNumber(buffer, numberAt + mark.length, digits) - expected.first
  const behaviour = behaviours.get(receiver) ?? normal
  if (!behaviour.answers) {
    refused++
    return
  }
  if (behaviour.failingShare > 0 && draw() < behaviour.failingShare) {
    refused++
    reply(socket, failed, behaviour.delayMs)
    return
  }
  lastAt = monotonicMs()
  if (message >= 0 && message < expected.count) {
    const at = expected.copies > 1 ? receiver * expected.count + message : message
    if (times[at] === 0) {
      acceptedAt[at] = lastAt
      accepted++
    }
    times[at] = Math.min(255, (times[at] ?? 0) + 1)
  }
  reply(socket, ok, behaviour.delayMs)
}

const reply = (socket: net.Socket, bytes: Buffer, delayMs: number) => {
  if (delayMs === 0) socket.write(bytes)
  else setTimeout(() => socket.write(bytes), delayMs)
}

const readNumber = (buffer: Buffer, at: number, length: number): number => {
  let value = 0
  for (let i = at; i < at + length; i++) value = value * 10 + (buffer[i]! - 48)
  return value
}

/** Draws from 0 to 1, the same in every run. */
const draw = (): number => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
  return seed / 2 ** 32
}

const methods: ReceiverMethods = {
  listen,
  behave: (list) => {
    for (const behaviour of list) behaviours.set(behaviour.receiver, behaviour)
  },
  expect: (next) => {
    expected = next
    acceptedAt = new Float64Array(next.count * next.copies)
    times = new Uint8Array(next.count * next.copies)
    accepted = 0
    refused = 0
    connections = 0
    lastAt = monotonicMs()
    cpuBefore = process.cpuUsage()
  },
  until: (wish) =>
    new Promise((resolve) => {
      let quietSince = monotonicMs()
      let before = accepted + refused
      const look = () => {
        const now = monotonicMs()
        if (accepted + refused !== before) quietSince = now
        before = accepted + refused
        if (accepted >= wish.accepted || now - quietSince >= wish.quietMs) resolve(accepted)
        else setTimeout(look, 20)
      }
      look()
    }),
  collect: () => {
    const cpu = process.cpuUsage(cpuBefore)
    return {
      acceptedAt,
      times,
      accepted,
      refused,
      lastAt,
      connections,
      cpuMs: (cpu.user + cpu.system) / 1000
    }
  }
}
answerParent(methods)
