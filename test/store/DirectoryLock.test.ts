import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, References, Scope } from "effect"
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as DirectoryLock from "../../src/store/DirectoryLock.ts"

const temporary = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "posthaste-lock-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

/** A process that takes and releases the lock when it is told to. */
const holder = (directory: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const file = fileURLToPath(new URL("DirectoryLock.holder.ts", import.meta.url))
      const child = fork(file, [directory])
      await once(child, "message")
      return child
    }),
    (child) => Effect.promise(() => end(child, "SIGKILL"))
  )

const end = async (child: ChildProcess, signal: NodeJS.Signals) => {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill(signal)
  await once(child, "exit")
}

const ask = (child: ChildProcess, message: "take" | "release") =>
  Effect.promise(async () => {
    const answer = once(child, "message")
    child.send(message)
    return String((await answer)[0])
  })

const lockOf = (directory: string) => path.join(directory, "posthaste.lock")
const recordOf = (directory: string): Record<string, unknown> =>
  JSON.parse(fs.readFileSync(lockOf(directory), "utf8"))

const takeHere = (directory: string) =>
  DirectoryLock.acquire(directory).pipe(
    Effect.scoped,
    Effect.provideService(References.MinimumLogLevel, "None")
  )

/** Writes a lock that this process left, except for what is said to differ. */
const leave = (directory: string, differing: Record<string, unknown>) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    yield* DirectoryLock.acquire(directory).pipe(Scope.provide(scope))
    const record = recordOf(directory)
    yield* Scope.close(scope, Exit.void)
    fs.writeFileSync(lockOf(directory), JSON.stringify({ ...record, token: "left", ...differing }))
  })

describe("DirectoryLock", () => {
  it.live("makes the directory, names the live holder, and ends with its scope", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* temporary, "a", "b")
      const scope = yield* Scope.make()
      yield* DirectoryLock.acquire(directory).pipe(Scope.provide(scope))
      const error = yield* Effect.flip(takeHere(directory))
      assert.instanceOf(error, DirectoryLock.DirectoryLocked)
      assert.strictEqual(
        error.message,
        `${directory} is in use by process ${process.pid} on ${os.hostname()}`
      )
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(fs.readdirSync(directory), [])
      yield* takeHere(directory)
    })
  )

  it.live("is taken at once after its holder was killed, and by one of those who race for it", () =>
    Effect.gen(function* () {
      const directory = yield* temporary
      const first = yield* holder(directory)
      const racers = [yield* holder(directory), yield* holder(directory)]
      assert.strictEqual(yield* ask(first, "take"), "held")
      const refusal = `${directory} is in use by process ${first.pid} on ${os.hostname()}`
      for (const racer of racers) assert.strictEqual(yield* ask(racer, "take"), refusal)
      yield* Effect.promise(() => end(first, "SIGKILL"))
      const answers = yield* Effect.forEach(racers, (racer) => ask(racer, "take"), {
        concurrency: "unbounded"
      })
      assert.strictEqual(answers.filter((answer) => answer === "held").length, 1)
    })
  )

  it.live(
    "has one holder whenever three processes race for it, left behind or free",
    () =>
      Effect.gen(function* () {
        const directory = yield* temporary
        const racers = yield* Effect.all([holder(directory), holder(directory), holder(directory)])
        for (let round = 0; round < 150; round++) {
          const dead = { bootId: "another", token: `dead-${round}` }
          const record = JSON.stringify({
            pid: 1,
            started: "1",
            pidNamespace: "",
            hostname: "h",
            ...dead
          })
          if (round % 3 > 0) fs.writeFileSync(lockOf(directory), record)
          // One that took over and was killed before it was done.
          if (round % 3 > 1) {
            const successor = record.replace(`dead-${round}`, `next-${round}`)
            fs.writeFileSync(`${lockOf(directory)}.dead-${round}.by`, successor)
          }
          const answers = yield* Effect.forEach(racers, (racer) => ask(racer, "take"), {
            concurrency: "unbounded"
          })
          const held = racers.filter((_, index) => answers[index] === "held")
          assert.strictEqual(held.length, 1, `round ${round}: ${answers.join(" | ")}`)
          assert.strictEqual(recordOf(directory)["pid"], held[0]!.pid)
          assert.strictEqual(yield* ask(held[0]!, "release"), "released")
          assert.deepStrictEqual(fs.readdirSync(directory), [])
        }
      }),
    30_000
  )

  it.live("is taken over when its process has another start time, is gone, or booted before", () =>
    Effect.gen(function* () {
      const directory = yield* temporary
      const gone = yield* Effect.promise(async () => {
        const child = fork(fileURLToPath(import.meta.url), {
          execArgv: ["--version"],
          silent: true
        })
        await once(child, "exit")
        return child.pid
      })
      for (const differing of [{ started: "1" }, { pid: gone }, { bootId: "another" }]) {
        yield* leave(directory, differing)
        yield* takeHere(directory)
        assert.deepStrictEqual(fs.readdirSync(directory), [])
      }
      yield* leave(directory, {})
      assert.instanceOf(yield* Effect.flip(takeHere(directory)), DirectoryLock.DirectoryLocked)
    })
  )

  it.live("is judged by its socket where pids mean nothing: in another container", () =>
    Effect.gen(function* () {
      const directory = yield* temporary
      const child = yield* holder(directory)
      assert.strictEqual(yield* ask(child, "take"), "held")
      const elsewhere = { ...recordOf(directory), pidNamespace: "pid:[1]", pid: 1 }
      fs.writeFileSync(lockOf(directory), JSON.stringify(elsewhere))
      assert.instanceOf(yield* Effect.flip(takeHere(directory)), DirectoryLock.DirectoryLocked)
      yield* Effect.promise(() => end(child, "SIGKILL"))
      yield* takeHere(directory)
    })
  )

  it.live("is judged by its host where there is neither a pid nor a socket", () =>
    Effect.gen(function* () {
      const directory = yield* temporary
      const namespace = { pidNamespace: "pid:[1]" }
      yield* leave(directory, { ...namespace, hostname: "another" })
      assert.instanceOf(yield* Effect.flip(takeHere(directory)), DirectoryLock.DirectoryLocked)
      const restarted = yield* temporary
      yield* leave(restarted, namespace)
      yield* takeHere(restarted)
    })
  )

  it.live("is taken over when its words make no sense", () =>
    Effect.gen(function* () {
      const directory = yield* temporary
      for (const text of ["", "{", `{"pid":1}`]) {
        fs.writeFileSync(lockOf(directory), text)
        yield* takeHere(directory)
        assert.deepStrictEqual(fs.readdirSync(directory), [])
      }
    })
  )

  it.live("says which directory cannot be used, and why", () =>
    Effect.gen(function* () {
      const file = path.join(yield* temporary, "file")
      fs.writeFileSync(file, "")
      const error = yield* Effect.flip(takeHere(path.join(file, "data")))
      assert.instanceOf(error, DirectoryLock.DirectoryUnusable)
      assert.match(error.message, /file\/data cannot be used: ENOTDIR/)
    })
  )

  it.live("works where the path is too long for a socket", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* temporary, "d".repeat(120))
      const child = yield* holder(directory)
      assert.strictEqual(yield* ask(child, "take"), "held")
      assert.instanceOf(yield* Effect.flip(takeHere(directory)), DirectoryLock.DirectoryLocked)
      yield* Effect.promise(() => end(child, "SIGKILL"))
      yield* takeHere(directory)
    })
  )
})
