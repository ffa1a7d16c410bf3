/**
 * The key ring of an embedded database: a file beside it, readable for its owner only, made when it
 * is missing. It has the form of `POSTHASTE_SECRET_KEYS`, and people may edit it.
 *
 * Promises: the file appears whole, and once it is there it is never written again. Whoever copies
 * the database needs it too, or the secrets are lost.
 */
import { Effect, FileSystem, Path, Redacted, Result, Schema } from "effect"
import { generate } from "./KeyRing.ts"
import { parse, type RingKey } from "./RingKey.ts"
import { reach } from "../telemetry/Failpoint.ts"

/** Reports a file that holds no key ring, or cannot be read or made. */
export class KeyFileUnusable extends Schema.TaggedError<KeyFileUnusable>()("KeyFileUnusable", {
  file: Schema.String,
  detail: Schema.String
}) {
  /** Names the file and what is wrong with it. */
  override get message(): string {
    return `${this.file}: ${this.detail}`
  }
}

/** Reads the keys in a data directory; none if there is no file. */
export const read = Effect.fn("KeyFile.read")(function* (dataDir: string) {
  const fs = yield* FileSystem.FileSystem
  const file = yield* fileIn(dataDir)
  const text = yield* Effect.gen(function* () {
    return (yield* fs.exists(file)) ? yield* fs.readFileString(file) : null
  }).pipe(Effect.mapError(({ message }) => new KeyFileUnusable({ file, detail: message })))
  if (text === null) return []
  const keys = parse(text)
  if (Result.isFailure(keys)) return yield* new KeyFileUnusable({ file, detail: keys.failure })
  return keys.success
})

/** Makes the file with one new key. Only one process at a time may do so. */
export const make = Effect.fn("KeyFile.make")(function* (dataDir: string) {
  const fs = yield* FileSystem.FileSystem
  const file = yield* fileIn(dataDir)
  const text = Redacted.value(yield* generate)
  yield* Effect.gen(function* () {
    yield* fs.makeDirectory(dataDir, { recursive: true, mode: 0o700 })
    // What a process left that was killed in here.
    yield* fs.remove(`${file}.new`, { force: true })
    yield* Effect.scoped(
      Effect.gen(function* () {
        const opened = yield* fs.open(`${file}.new`, { flag: "wx", mode: 0o600 })
        yield* opened.writeAll(new TextEncoder().encode(`${text}\n`))
        yield* opened.sync
      })
    )
    reach("keyfile.written")
    yield* fs.rename(`${file}.new`, file)
    reach("keyfile.placed")
  }).pipe(Effect.mapError(({ message }) => new KeyFileUnusable({ file, detail: message })))
})

/** Joins rings; of two keys with one id the earlier one counts. */
export const joined = (...rings: ReadonlyArray<ReadonlyArray<RingKey>>): ReadonlyArray<RingKey> => {
  const keys = new Map<string, RingKey>()
  for (const key of rings.flat()) if (!keys.has(key.id)) keys.set(key.id, key)
  return [...keys.values()]
}

const fileIn = (dataDir: string) =>
  Effect.map(Path.Path, (path) => path.join(dataDir, "secret-keys"))
