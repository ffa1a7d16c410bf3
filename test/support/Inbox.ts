/**
 * A receiver for tests of the whole service: a plain HTTP server that keeps what it was sent.
 */
import { once } from "node:events"
import * as http from "node:http"
import type { AddressInfo } from "node:net"

/** A request as it was received. */
export interface Received {
  readonly path: string
  readonly headers: http.IncomingHttpHeaders
  readonly body: Buffer
  readonly at: number
}

/** A running receiver. */
export interface Inbox {
  readonly url: string
  readonly received: ReadonlyArray<Received>
  /** The distinct `webhook-id`s received. */
  readonly ids: ReadonlySet<string>
  readonly close: () => void
}

/** How a receiver treats a request; 204 at once where nothing is said. */
export type Treatment = (request: Received, response: http.ServerResponse) => void

/** Starts a receiver on a free loopback port. */
export const openInbox = async (
  treat: Treatment = (_, response) => response.writeHead(204).end()
): Promise<Inbox> => {
  const received: Array<Received> = []
  const ids = new Set<string>()
  const server = http.createServer((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const one = {
        path: request.url ?? "",
        headers: request.headers,
        body: Buffer.concat(chunks),
        at: performance.now()
      }
      received.push(one)
      ids.add(String(request.headers["webhook-id"]))
      treat(one, response)
    })
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    received,
    ids,
    close: () => {
      server.closeAllConnections()
      server.close()
    }
  }
}

/** Waits for a fact; the test's own timeout bounds it. */
export const until = async (fact: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await fact())) await new Promise((resolve) => setTimeout(resolve, 10))
}
