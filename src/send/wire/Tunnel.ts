/**
 * Asks a proxy for a tunnel by CONNECT (RFC 9110, section 9.3.6) and reads its answer.
 */
import type { Socket } from "node:net"
import type { ProxyAddress } from "./Proxy.ts"

/** How the asking ended: open, answered with another status, or broken off. */
export type Tunnelled =
  | { readonly _tag: "Open" }
  | { readonly _tag: "Refused"; readonly status: number }
  | { readonly _tag: "Broken"; readonly detail: string }

/** Bytes of the answer's head that are read. */
const headBytesMax = 16_384

/** Asks on a connected socket for a tunnel to an address with a port; calls back once. */
export const ask = (
  socket: Socket,
  proxy: ProxyAddress,
  authority: string,
  done: (tunnelled: Tunnelled) => void
): void => {
  let head = Buffer.alloc(0)

  const end = (tunnelled: Tunnelled) => {
    socket.off("readable", read).off("error", onError).off("end", onEnd).off("close", onEnd)
    done(tunnelled)
  }
  const onError = (error: Error) =>
    end({ _tag: "Broken", detail: "code" in error ? String(error.code) : error.name })
  const onEnd = () => end({ _tag: "Broken", detail: "closed without an answer" })
  const read = () => {
    // Read, not listened to: what a listener for data leaves behind would be lost to the next reader.
    for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) {
      head = Buffer.concat([head, chunk])
      const at = head.indexOf("\r\n\r\n")
      if (at < 0 && head.length <= headBytesMax) continue
      const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head.toString("latin1", 0, 16))?.[1])
      if (at < 0 || !(status >= 200)) return end({ _tag: "Broken", detail: "no HTTP answer" })
      const rest = head.subarray(at + 4)
      if (rest.length > 0) socket.unshift(rest)
      return end(status < 300 ? { _tag: "Open" } : { _tag: "Refused", status })
    }
  }
  socket.on("readable", read).on("error", onError).on("end", onEnd).on("close", onEnd)
  socket.write(
    `CONNECT ${authority} HTTP/1.1\r\nhost: ${authority}\r\n` +
      (proxy.authorization === null ? "" : `proxy-authorization: ${proxy.authorization}\r\n`) +
      "\r\n"
  )
}
