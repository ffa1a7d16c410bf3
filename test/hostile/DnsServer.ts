/**
 * A name server on UDP whose answers a test scripts, and which counts what it is asked.
 */
import * as dgram from "node:dgram"
import { once } from "node:events"
import * as net from "node:net"

/** What is answered to a question: addresses, another name, an error, or nothing at all. */
export type Answer =
  | { readonly addresses: ReadonlyArray<string>; readonly noise?: number }
  | { readonly alias: string; readonly addresses?: ReadonlyArray<string> }
  | { readonly code: "SERVFAIL" | "NXDOMAIN" | "REFUSED" }
  | "silence"

/** Answers a name; `asked` counts the questions of this type for it, from 1. Undefined is NXDOMAIN. */
export type Zone = (name: string, type: "A" | "AAAA", asked: number) => Answer | undefined

/** A running name server. */
export interface DnsServer {
  /** How often a name was asked for its addresses, by type. */
  readonly asked: (name: string, type: "A" | "AAAA") => number
  /** Forgets what was asked. */
  readonly forget: () => void
  readonly close: () => void
}

const codes = { SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 } as const
const types = new Map<number, "A" | "AAAA">([
  [1, "A"],
  [28, "AAAA"]
])

/** Starts a name server on port 53 of an address. */
export const open = async (address: string, zone: Zone): Promise<DnsServer> => {
  const asked = new Map<string, number>()
  const socket = dgram.createSocket("udp4")
  socket.on("message", (query, from) => {
    const { end, name } = readName(query)
    const type = types.get(query.readUInt16BE(end))
    const question = query.subarray(12, end + 4)
    const reply = (code: number, records: ReadonlyArray<Buffer>) => {
      const head = Buffer.alloc(12)
      query.copy(head, 0, 0, 2)
      head.writeUInt16BE(0x8580 | code, 2)
      head.writeUInt16BE(1, 4)
      head.writeUInt16BE(records.length, 6)
      socket.send(Buffer.concat([head, question, ...records]), from.port, from.address)
    }
    if (type === undefined) return reply(codes.NXDOMAIN, [])
    const key = `${type} ${name}`
    const count = (asked.get(key) ?? 0) + 1
    asked.set(key, count)
    const answer = zone(name, type, count)
    if (answer === undefined) return reply(codes.NXDOMAIN, [])
    if (answer === "silence") return
    if ("code" in answer) return reply(codes[answer.code], [])
    const records: Array<Buffer> = []
    let owner = name
    if ("alias" in answer) {
      records.push(record(owner, 5, encodeName(answer.alias)))
      owner = answer.alias
    }
    const noise = "noise" in answer ? (answer.noise ?? 0) : 0
    for (let left = noise; left > 0; left--) {
      records.push(record(owner, 16, Buffer.concat([Buffer.from([255]), Buffer.alloc(255, 97)])))
    }
    for (const each of answer.addresses ?? []) {
      const bytes = bytesOf(each)
      if (bytes.length === (type === "A" ? 4 : 16)) {
        records.push(record(owner, type === "A" ? 1 : 28, bytes))
      }
    }
    reply(0, records)
  })
  socket.bind(53, address)
  await once(socket, "listening")
  return {
    asked: (name, type) => asked.get(`${type} ${name}`) ?? 0,
    forget: () => asked.clear(),
    close: () => socket.close()
  }
}

const readName = (query: Buffer): { readonly name: string; readonly end: number } => {
  const labels: Array<string> = []
  let at = 12
  while (query[at] !== undefined && query[at] !== 0) {
    const length = query[at]!
    labels.push(query.toString("latin1", at + 1, at + 1 + length))
    at += length + 1
  }
  return { name: labels.join(".").toLowerCase(), end: at + 1 }
}

const encodeName = (name: string): Buffer =>
  Buffer.concat([
    ...name
      .split(".")
      .map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)])),
    Buffer.from([0])
  ])

/** A record with no time to live. */
const record = (owner: string, type: number, data: Buffer): Buffer => {
  const head = Buffer.alloc(10)
  head.writeUInt16BE(type, 0)
  head.writeUInt16BE(1, 2)
  head.writeUInt16BE(data.length, 8)
  return Buffer.concat([encodeName(owner), head, data])
}

/** The bytes of an address, read without anything of ours. */
const bytesOf = (address: string): Buffer => {
  if (net.isIPv4(address)) return Buffer.from(address.split(".").map(Number))
  const mapped = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(address)
  const text =
    mapped === null
      ? address
      : mapped[1]! +
        bytesOf(mapped[2]!)
          .toString("hex")
          .replace(/^(.{4})/, "$1:")
  const [left = "", right] = text.split("::")
  const groups = (part: string) => (part === "" ? [] : part.split(":"))
  const before = groups(left)
  const after = groups(right ?? "")
  const zeros = right === undefined ? 0 : 8 - before.length - after.length
  const all = [...before, ...Array.from({ length: zeros }, () => "0"), ...after]
  return Buffer.concat(all.map((group) => Buffer.from(group.padStart(4, "0"), "hex")))
}
