/**
 * Gives tests new, empty embedded databases without the seconds that making one takes: the first
 * test of all makes one, which stays in the directory for temporary files, and the others copy it.
 */
import { Effect, type Scope } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as Pglite from "../../src/store/Pglite.ts"

/** Makes a directory that is removed with the scope. */
export const temporary: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "posthaste-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

/** Makes the directory of an empty database that nobody has open; it is removed with the scope. */
export const directory: Effect.Effect<string, never, Scope.Scope> = Effect.gen(function* () {
  const copy = path.join(yield* temporary, "database")
  yield* Effect.promise(() => copyEmptyPglite(copy))
  return copy
})

/** Makes an empty database that nobody has open in a place of the caller's. */
export const copyEmptyPglite = async (to: string): Promise<void> => {
  if (!fs.existsSync(template)) await Effect.runPromise(Effect.scoped(makeTemplate))
  await fs.promises.cp(template, to, { recursive: true })
}

const makeTemplate = Effect.gen(function* () {
  const made = path.join(yield* temporary, "template")
  yield* Effect.void.pipe(
    Effect.provide(Pglite.layer({ directory: made }), { local: true }),
    Effect.orDie
  )
  // Another test file may have been faster.
  yield* Effect.ignore(Effect.try(() => fs.renameSync(made, template)))
})

/** Named after the version that makes it, so that another one makes its own. */
const { version } = JSON.parse(
  fs.readFileSync(new URL("../package.json", import.meta.resolve("@electric-sql/pglite")), "utf8")
)

const template = path.join(os.tmpdir(), `posthaste-test-pglite-${version}`)
