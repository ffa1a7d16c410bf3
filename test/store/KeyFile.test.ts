import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Redacted } from "effect"
import * as path from "node:path"
import * as KeyFile from "../../src/store/KeyFile.ts"

const directory = Effect.flatMap(FileSystem.FileSystem, (fs) =>
  Effect.map(fs.makeTempDirectoryScoped(), (made) => path.join(made, "data"))
)

describe("KeyFile", () => {
  it.effect("makes a ring once, which only its owner can read", () =>
    Effect.gen(function* () {
      const dataDir = yield* directory
      const fs = yield* FileSystem.FileSystem
      assert.deepStrictEqual(yield* KeyFile.read(dataDir), [])
      yield* KeyFile.make(dataDir)
      const file = path.join(dataDir, "secret-keys")
      assert.strictEqual((yield* fs.stat(file)).mode & 0o777, 0o600)
      const [key, ...others] = yield* KeyFile.read(dataDir)
      assert.lengthOf(others, 0)
      assert.lengthOf(Redacted.value(key!.key), 32)
      assert.deepStrictEqual(yield* fs.readDirectory(dataDir), ["secret-keys"])
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("names the file when it holds no ring", () =>
    Effect.gen(function* () {
      const dataDir = yield* directory
      const fs = yield* FileSystem.FileSystem
      const file = path.join(dataDir, "secret-keys")
      yield* KeyFile.make(dataDir)
      yield* fs.writeFileString(file, "hunter2")
      const error = yield* Effect.flip(KeyFile.read(dataDir))
      assert.include(error.message, file)
      assert.notInclude(error.message, "hunter2")
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("joins rings so that the earlier one of two equal ids counts", () =>
    Effect.sync(() => {
      const key = (id: string, fill: number) => ({
        id,
        key: Redacted.make(new Uint8Array(32).fill(fill))
      })
      const [a, b, c] = [key("a", 1), key("b", 2), key("a", 3)]
      assert.deepStrictEqual(KeyFile.joined([a, b], [c]), [a, b])
    })
  )
})
