/**
 * Holds a directory lock in a process of its own. On "take" it answers "held" or what refused it, and
 * on "release" it answers "released".
 */
import { Effect, Exit, Logger, Scope } from "effect"
import * as DirectoryLock from "../../src/store/DirectoryLock.ts"

const directory = String(process.argv[2])
let scope: Scope.Closeable | undefined

const take = Effect.gen(function* () {
  const taken = yield* Scope.make()
  return yield* DirectoryLock.acquire(directory).pipe(
    Scope.provide(taken),
    Effect.as("held"),
    Effect.tap(() =>
      Effect.sync(() => {
        scope = taken
      })
    ),
    Effect.catch((error) => Effect.as(Scope.close(taken, Exit.void), error.message))
  )
})

const release = Effect.suspend(() => Scope.close(scope!, Exit.void)).pipe(Effect.as("released"))

process.on("message", (message) => {
  void Effect.runPromise(
    (message === "take" ? take : release).pipe(Effect.provide(Logger.layer([])))
  ).then((answer) => process.send?.(answer))
})
process.on("disconnect", () => process.exit())
process.send?.("ready")
