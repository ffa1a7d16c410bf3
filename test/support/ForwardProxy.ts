/**
 * A forward proxy on loopback that opens tunnels by CONNECT, or fails as a test tells it to.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import * as Https from "node:https"
import * as Net from "node:net"

/** What it does when it is asked for a tunnel: opens one, answers a status, hangs up or says nothing. */
export type Mood = "open" | "hang up" | "silent" | { readonly status: number }

/** A proxy that runs until its scope closes. */
export interface ForwardProxy {
  readonly port: number
  /** Sets what it does from now on, for all tunnels or for those to one address with its port. */
  readonly mood: (mood: Mood, authority?: string) => void
  /** What tunnels were asked for: the address with its port, and the authorization that came along. */
  readonly asked: ReadonlyArray<{ readonly authority: string; readonly authorization: string }>
  /** Resets every connection. */
  readonly reset: () => void
  /** Requests that came without CONNECT, and connections that came at all. */
  readonly hits: () => { readonly plain: number; readonly connections: number }
}

/** Starts a proxy that opens every tunnel until told otherwise. */
export const make = (
  options: { readonly certificate?: { readonly key: string; readonly cert: string } } = {}
): Effect.Effect<ForwardProxy, never, Scope.Scope> =>
  Effect.gen(function* () {
    const asked: Array<{ authority: string; authorization: string }> = []
    const moods = new Map<string, Mood>()
    const sockets = new Set<Net.Socket>()
    let plain = 0
    let connections = 0
    const server: Http.Server =
      options.certificate === undefined
        ? Http.createServer()
        : Https.createServer(options.certificate)
    server.on("connection", (socket: Net.Socket) => {
      connections++
      sockets.add(socket)
      socket.on("error", () => {}).on("close", () => sockets.delete(socket))
    })
    server.on("request", (_request, response) => {
      plain++
      response.writeHead(200).end()
    })
    server.on("connect", (request, socket: Net.Socket) => {
      const authority = request.url ?? ""
      asked.push({ authority, authorization: request.headers["proxy-authorization"] ?? "" })
      socket.on("error", () => {})
      const mood = moods.get(authority) ?? moods.get("") ?? "open"
      if (mood === "hang up") return socket.destroy()
      if (mood === "silent") return
      if (mood !== "open") {
        return socket.end(`HTTP/1.1 ${mood.status} No\r\ncontent-length: 0\r\n\r\n`)
      }
      const { hostname, port } = new URL(`http://${authority}`)
      const there = Net.connect(Number(port), hostname.replace(/^\[|\]$/g, ""), () => {
        socket.write("HTTP/1.1 200 Connection established\r\n\r\n")
        socket.pipe(there).pipe(socket)
      })
      there.on("error", () => socket.end("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"))
      socket.on("close", () => there.destroy())
    })
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => {
        server.listen(0, "127.0.0.1", () => resume(Effect.void))
      }),
      () =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          for (const socket of sockets) socket.destroy()
        })
    )
    const address = server.address()
    return {
      port: address !== null && typeof address === "object" ? address.port : 0,
      mood: (mood, authority = "") => void moods.set(authority, mood),
      asked,
      reset: () => {
        for (const socket of sockets) socket.resetAndDestroy()
      },
      hits: () => ({ plain, connections })
    }
  })
