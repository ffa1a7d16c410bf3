/**
 * What receivers answer: well, badly, late or not at all, as their plan says, until all is healed.
 */
import type { HttpRequest } from "../../src/send/HttpSender.ts"
import type { Answer } from "../../src/testing/TestSender.ts"
import { beganAt, type Receiver, type World } from "./World.ts"

/** Decides what a receiver does with a request. */
export const answerOf = (world: World, receiver: Receiver, request: HttpRequest): Answer => {
  const { plan, prng } = receiver
  const { away, delayMsMax, failing, leaves } = plan.receiver
  if (world.healed) return { status: 200, delayMs: prng.int(0, Math.min(delayMsMax, 50)) }
  const delayMs = prng.int(0, delayMsMax)
  const at = world.now() - beganAt
  if (away.some(([from, to]) => from <= at && at < to)) return gone(receiver, request.timeoutMs)
  if (leaves && !receiver.left && prng.chance(5)) {
    receiver.left = true
    return { status: 410, delayMs }
  }
  return prng.chance(failing) ? failure(receiver, delayMs) : success(receiver, delayMs)
}

const gone = ({ prng }: Receiver, timeoutMs: number): Answer =>
  prng.pick([
    { fault: "refused" },
    { fault: "dns", delayMs: prng.int(0, Math.min(3_000, timeoutMs)) },
    { timeout: "connect", delayMs: Math.min(5_000, timeoutMs) },
    { timeout: "headers" },
    { fault: "reset" }
  ])

const failure = ({ prng }: Receiver, delayMs: number): Answer =>
  prng.pick([
    { status: 500, delayMs },
    { status: 503, delayMs },
    { status: 404, delayMs },
    { status: 301, delayMs },
    { status: 503, headers: { "retry-after": String(prng.int(1, 900)) }, delayMs },
    { status: 429, headers: { "retry-after": String(prng.int(1, 120)) }, delayMs },
    { status: 429, headers: { "retry-after": "200000" }, delayMs },
    { status: 429, headers: { "retry-after": "soon" }, delayMs },
    { fault: "reset", delayMs },
    { fault: "tls" },
    { fault: "protocol", delayMs },
    { fault: "proxy" },
    { fault: "crowd" },
    { timeout: "headers" }
  ])

const success = ({ prng }: Receiver, delayMs: number): Answer =>
  prng.chance(5)
    ? { status: 200, bodyError: "reset", truncated: true, delayMs }
    : { status: prng.pick([200, 201, 204]), delayMs }
