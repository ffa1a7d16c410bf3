/**
 * Speaks Postgres' wire protocol to a backend that runs in this process, so that the driver takes it
 * for a socket.
 *
 * Promises: messages reach the backend whole and in order; everything that was written in one turn
 * of the event loop runs as one call, so that pipelined statements share it; answers arrive after
 * the call, never inside of it. A stream that starts up puts the session back to its defaults, since
 * all streams share the one session that the backend has.
 *
 * Leaves to others: that only one stream is in use at a time (a pool of one connection).
 */
import { Duplex } from "node:stream"

/** A Postgres backend that can be called. */
export interface Backend {
  /** Runs whole messages to their end and returns what was answered. */
  readonly exec: (messages: Uint8Array) => Uint8Array
  /** The failure that ended the backend, once it has ended. */
  readonly ended: () => Error | undefined
}

/** Makes one connection to a backend, which is asked for when the driver starts its session. */
export const make = (options: {
  readonly backend: () => Promise<Backend>
  /** Runs a task at the end of the current turn of the event loop. */
  readonly schedule: (task: () => void) => void
}): Duplex => {
  let pending: Array<Uint8Array> = []
  let backend: Backend | undefined
  let busy = false

  const wake = () => {
    if (busy || pending.length === 0) return
    busy = true
    options.schedule(backend === undefined ? start : run)
  }

  const start = () => {
    const packet = takePending()
    const length = wholePacket(packet)
    if (length === 0) return again(packet)
    // Statements here run to their end before anybody could ask to cancel them.
    if (readInt32(packet, 4) === cancelRequest) return void stream.destroy()
    options.backend().then(
      (opened) => {
        if (stream.destroyed) return
        backend = opened
        opened.exec(resetSession)
        answer(opened, packet.subarray(0, length))
        again(packet.subarray(length))
      },
      (error: Error) => stream.destroy(error)
    )
  }

  const run = () => {
    const messages = takePending()
    const length = wholeMessages(messages)
    if (length > 0 && backend !== undefined) answer(backend, messages.subarray(0, length))
    again(messages.subarray(length))
  }

  const takePending = (): Uint8Array => {
    const chunks = pending
    pending = []
    return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
  }

  const answer = (to: Backend, messages: Uint8Array) => {
    if (stream.destroyed) return
    const ended = to.ended()
    if (ended !== undefined) return stream.destroy(ended)
    const answered = to.exec(messages)
    if (answered.length > 0) stream.push(answered)
    const failure = to.ended()
    if (failure !== undefined) stream.destroy(failure)
  }

  const again = (rest: Uint8Array) => {
    const more = pending.length > 0
    if (rest.length > 0) pending.unshift(rest)
    busy = false
    // A rest alone is the beginning of a message whose end has yet to be written.
    if (more) wake()
  }

  const stream = new Duplex({
    read() {},
    write(chunk: Uint8Array, _encoding, done) {
      // The session outlives the stream, so its goodbye stays here.
      if (chunk[0] !== terminate || chunk.length !== 5) pending.push(chunk)
      wake()
      done()
    },
    final(done) {
      stream.push(null)
      done()
    }
  })
  return stream
}

const cancelRequest = 80877102
const terminate = 0x58

const readInt32 = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!

/** The length of a startup packet, which alone has no type byte, or 0 until all of it is there. */
const wholePacket = (bytes: Uint8Array): number => {
  const length = bytes.length < 8 ? 8 : readInt32(bytes, 0)
  return length <= bytes.length ? length : 0
}

/** How many bytes at the start are whole messages: a backend must never wait for the rest of one. */
const wholeMessages = (bytes: Uint8Array): number => {
  let at = 0
  while (at + 5 <= bytes.length) {
    const next = at + 1 + readInt32(bytes, at + 1)
    if (next > bytes.length) break
    at = next
  }
  return at
}

const simpleQuery = (text: string): Uint8Array => {
  const bytes = Buffer.alloc(text.length + 6)
  bytes.write("Q")
  bytes.writeInt32BE(text.length + 5, 1)
  bytes.write(text, 5)
  return bytes
}

/** Ends what a lost stream left open, and forgets its settings and prepared statements. */
const resetSession = Buffer.concat([simpleQuery("rollback"), simpleQuery("discard all")])
