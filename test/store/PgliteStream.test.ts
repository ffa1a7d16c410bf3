import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { once } from "node:events"
import * as PgliteStream from "../../src/store/PgliteStream.ts"

const message = (type: string, body: string): Buffer => {
  const bytes = Buffer.alloc(5 + body.length)
  bytes.write(type)
  bytes.writeInt32BE(4 + body.length, 1)
  bytes.write(body, 5)
  return bytes
}

/** A packet without a type: its length, a code, and what follows. */
const packet = (code: number): Buffer => {
  const bytes = Buffer.alloc(16)
  bytes.writeInt32BE(16)
  bytes.writeInt32BE(code, 4)
  return bytes
}

const startup = packet(196_608)

/** A stream on a backend that echoes, the calls it saw, and the turns the test decides. */
const echoing = () => {
  const calls: Array<string> = []
  const tasks: Array<() => void> = []
  let ended: Error | undefined
  const backend: PgliteStream.Backend = {
    ended: () => ended,
    exec: (messages) => {
      const text = Buffer.from(messages).toString("latin1")
      calls.push(text)
      if (text.includes("panic")) ended = new Error("panicked")
      return messages
    }
  }
  const stream = PgliteStream.make({
    backend: () => Promise.resolve(backend),
    schedule: (task) => void tasks.push(task)
  })
  /** Ends turns until nothing is scheduled any more, opening the backend included. */
  const turn = Effect.promise(async () => {
    for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) {
      task()
      await Promise.resolve()
      await Promise.resolve()
    }
  })
  return { calls, stream, turn }
}

describe("PgliteStream", () => {
  it.effect("resets the session and runs in one call what was written in one turn", () =>
    Effect.gen(function* () {
      const { calls, stream, turn } = echoing()
      stream.write(startup)
      yield* turn
      assert.match(calls.shift()!, /rollback.*discard all/)
      assert.strictEqual(calls.shift(), startup.toString("latin1"))
      const written = ["one", "two", "three"].map((body) => message("Q", body))
      for (const bytes of written) stream.write(bytes)
      yield* turn
      assert.deepStrictEqual(calls, [Buffer.concat(written).toString("latin1")])
      assert.isTrue(Buffer.concat([startup, ...written]).equals(stream.read()))
    })
  )

  it.effect("hands over whole messages only, however they were cut", () =>
    Effect.gen(function* () {
      const { calls, stream, turn } = echoing()
      const written = [message("P", "parse"), message("S", ""), message("Q", "query")]
      for (const byte of Buffer.concat([startup, ...written])) {
        stream.write(Buffer.of(byte))
        yield* turn
      }
      assert.deepStrictEqual(
        calls.slice(2),
        written.map((bytes) => bytes.toString("latin1"))
      )
    })
  )

  it.effect("keeps cancel requests and goodbyes from the backend", () =>
    Effect.gen(function* () {
      const cancelling = echoing()
      const closed = once(cancelling.stream, "close")
      cancelling.stream.write(packet(80_877_102))
      yield* cancelling.turn
      yield* Effect.promise(() => closed)
      assert.deepStrictEqual(cancelling.calls, [])

      const leaving = echoing()
      leaving.stream.write(startup)
      yield* leaving.turn
      leaving.stream.end(message("X", ""))
      yield* leaving.turn
      assert.strictEqual(leaving.calls.length, 2)
    })
  )

  it.effect("answers, then ends with the backend", () =>
    Effect.gen(function* () {
      const { calls, stream, turn } = echoing()
      const failed = once(stream, "error")
      stream.write(startup)
      yield* turn
      stream.write(message("Q", "panic"))
      stream.write(message("Q", "panic"))
      yield* turn
      assert.strictEqual(calls.length, 3)
      const [error] = yield* Effect.promise(() => failed)
      assert.strictEqual(error.message, "panicked")
    })
  )
})
