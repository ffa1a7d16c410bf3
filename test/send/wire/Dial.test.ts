/**
 * What a socket may be connected to, whoever lies about it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as NetAddress from "effect/net/NetAddress"
import * as Deadlines from "../../../src/send/wire/Deadlines.ts"
import { Dial, PeerNotApproved, type Target } from "../../../src/send/wire/Dial.ts"
import { TlsSessions } from "../../../src/send/wire/TlsSessions.ts"
import * as Receiver from "../../support/Receiver.ts"

const direct = { proxy: null, closed: () => null }
const time = Effect.all({ clock: Clock.Clock, deadlines: Deadlines.make })

const open = (
  target: Omit<Target, "addresses" | "proxy" | "closed">,
  ...addresses: Array<string>
) =>
  Effect.gen(function* () {
    const dial = new Dial(
      { ...target, ...direct, addresses: addresses.map(NetAddress.ipFromStringUnsafe) },
      new TlsSessions([]),
      yield* time
    )
    return yield* Effect.callback<Error | undefined>((resume) => {
      dial.open((error, socket) => {
        socket?.destroy()
        resume(Effect.succeed(error ?? undefined))
      })
    })
  })

describe("Dial", () => {
  it.live("connects to an approved address, though the name means another", () =>
    Effect.gen(function* () {
      const { port, accepted } = yield* Receiver.make()
      const error = yield* open({ host: "example.com", port, secure: false }, "127.0.0.1")
      assert.strictEqual(error, undefined)
      assert.strictEqual(accepted(), 1)
    })
  )

  it.live(
    "goes on to the next address at once where nobody listens, and tells where nobody does",
    () =>
      Effect.gen(function* () {
        const { port, accepted } = yield* Receiver.make()
        const target = { host: "example.com", port, secure: false }
        assert.strictEqual(yield* open(target, "127.0.0.2", "127.0.0.3", "127.0.0.1"), undefined)
        assert.strictEqual(accepted(), 1)
        const error = yield* open(target, "127.0.0.2", "127.0.0.3")
        assert.instanceOf(error, AggregateError)
        assert.propertyVal(error, "code", "ECONNREFUSED")
      })
  )

  for (const secure of [false, true]) {
    it.live(
      `writes nothing to a peer that was not approved, ${secure ? "with" : "without"} TLS`,
      () =>
        Effect.gen(function* () {
          const receiver = yield* Receiver.make()
          // Node asks nobody about a literal, so it stands for whatever else might lead elsewhere.
          const error = yield* open({ host: "127.0.0.1", port: receiver.port, secure }, "127.0.0.2")
          assert.instanceOf(error, PeerNotApproved)
          yield* receiver.closed
          assert.lengthOf(receiver.requests, 0)
        })
    )
  }

  it.live("calls back no more once it is cancelled", () =>
    Effect.gen(function* () {
      const { port } = yield* Receiver.make()
      const addresses = [NetAddress.ipv4Loopback]
      const dial = new Dial(
        { host: "a", port, secure: false, ...direct, addresses },
        new TlsSessions([]),
        yield* time
      )
      let calls = 0
      dial.open(() => calls++)
      dial.cancel()
      // A second one on the same loop opens after the first would have.
      yield* open({ host: "b", port, secure: false }, "127.0.0.1")
      assert.strictEqual(calls, 0)
    })
  )

  it("keeps a bounded number of sessions, the newest", () => {
    const sessions = new TlsSessions([])
    for (let i = 0; i < 1_001; i++) sessions.set(`host${i}:443`, Buffer.from([i]))
    assert.strictEqual(sessions.get("host0:443"), undefined)
    assert.isDefined(sessions.get("host1:443"))
    assert.isDefined(sessions.get("host1000:443"))
  })
})
