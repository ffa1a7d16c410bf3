/**
 * Throws the body of a refused request away as it comes, without handing it on.
 *
 * Node copies each piece of a body for whoever reads it, also where nobody does, and under a flood
 * these copies, and the collection of them, are most of what a refusal costs. Its parser makes none
 * while it has nobody to hand bodies to. That is not documented, so it is left alone unless it looks
 * as it does in the versions that are known; then bodies are thrown away as Node does it.
 *
 * Promises: what is changed of the parser is put back at the end of the body or of the connection,
 * before the parser reads anything else.
 */
import type { IncomingMessage } from "node:http"

/** Throws away what is still to come of a request's body. */
export const discard = (request: IncomingMessage): void => {
  const { socket } = request
  const parser: unknown = Reflect.get(socket, "parser")
  if (request.complete || !isParser(parser) || parser.incoming !== request) return
  const { [onBody]: body, [onMessageComplete]: complete } = parser
  const restore = () => {
    parser[onBody] = body
    parser[onMessageComplete] = complete
    socket.off("close", restore)
  }
  parser[onBody] = null
  parser[onMessageComplete] = function () {
    restore()
    return complete.call(parser)
  }
  socket.once("close", restore)
}

/** Where Node's parser keeps what it calls for a piece of a body, and at the end of a message. */
const onBody = 3
const onMessageComplete = 4

interface Parser {
  readonly incoming: unknown
  [onBody]: Call | null
  [onMessageComplete]: Call
}

type Call = (this: unknown, ...args: ReadonlyArray<unknown>) => unknown

const isParser = (value: unknown): value is Parser =>
  typeof value === "object" &&
  value !== null &&
  "incoming" in value &&
  isNamed(Reflect.get(value, onBody), "parserOnBody") &&
  isNamed(Reflect.get(value, onMessageComplete), "parserOnMessageComplete")

const isNamed = (value: unknown, name: string): boolean =>
  typeof value === "function" && value.name === name
