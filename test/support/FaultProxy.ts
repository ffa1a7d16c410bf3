/**
 * A TCP proxy between an engine and its Postgres that breaks connections as networks do: in the middle
 * of a message, between a message and its answer, or silently, so that neither side learns of it.
 */
import { once } from "node:events"
import * as net from "node:net"
import type { AddressInfo } from "node:net"

/** A break that waits for its moment. */
export interface Cut {
  /** Chooses the bytes of the engine at which it happens. */
  readonly at: (bytes: Buffer) => boolean
  /** So many of these bytes still pass; `answer`: all of them, but nothing of what comes back. */
  readonly passes: number | "answer"
}

/** A running proxy. */
export interface FaultProxy {
  /** The URL of a database, through the proxy. */
  readonly through: (url: string) => string
  /** Resets a connection, once; resolves when that has happened. */
  readonly cut: (cut: Cut) => Promise<void>
  /** Lets nothing pass on the connections that are open, without closing them. New ones work. */
  readonly silence: () => void
  /** Resets the connections that are open. */
  readonly reset: () => void
  /** Holds back what passes, either way, for so many milliseconds. */
  readonly delay: (ms: number) => void
  readonly close: () => void
}

interface Pair {
  readonly engine: net.Socket
  readonly server: net.Socket
  isSilent: boolean
  /** Called for the first bytes of the server, which then do not pass. */
  onAnswer: (() => void) | undefined
}

/** Starts a proxy to a port of this machine. */
export const openFaultProxy = async (port: number): Promise<FaultProxy> => {
  const pairs = new Set<Pair>()
  let armed: { readonly cut: Cut; readonly done: () => void } | undefined
  let delayMs = 0

  const reset = (pair: Pair) => {
    pairs.delete(pair)
    pair.engine.resetAndDestroy()
    pair.server.resetAndDestroy()
  }
  const pass = (pair: Pair, to: net.Socket, bytes: Buffer) => {
    const write = () => !pair.isSilent && !to.destroyed && to.write(bytes)
    if (delayMs === 0) write()
    else setTimeout(write, delayMs)
  }

  const listener = net.createServer((engine) => {
    const server = net.connect(port, "127.0.0.1")
    const pair: Pair = { engine, server, isSilent: false, onAnswer: undefined }
    pairs.add(pair)
    engine.setNoDelay(true)
    server.setNoDelay(true)
    engine.on("data", (bytes) => {
      if (armed === undefined || !armed.cut.at(bytes)) return pass(pair, server, bytes)
      const { cut, done } = armed
      armed = undefined
      const end = () => {
        reset(pair)
        done()
      }
      if (cut.passes === "answer") {
        pair.onAnswer = end
        return pass(pair, server, bytes)
      }
      // A reset that overtook the bytes would be another fault.
      server.write(bytes.subarray(0, cut.passes), end)
    })
    server.on("data", (bytes) => {
      if (pair.onAnswer === undefined) pass(pair, engine, bytes)
      else pair.onAnswer()
    })
    for (const [one, other] of [
      [engine, server],
      [server, engine]
    ] as const) {
      one.on("error", () => undefined)
      one.on("close", () => {
        // Whoever is silent does not even tell of its end.
        if (!pair.isSilent) other.destroy()
        pairs.delete(pair)
      })
    }
  })
  listener.listen(0, "127.0.0.1")
  await once(listener, "listening")
  const own = (listener.address() as AddressInfo).port

  return {
    through: (url) => {
      const through = new URL(url)
      through.host = `127.0.0.1:${own}`
      return through.href
    },
    cut: (cut) => new Promise((done) => (armed = { cut, done })),
    silence: () => pairs.forEach((pair) => (pair.isSilent = true)),
    reset: () => pairs.forEach(reset),
    delay: (ms) => {
      delayMs = ms
    },
    close: () => {
      listener.close()
      pairs.forEach(reset)
    }
  }
}
