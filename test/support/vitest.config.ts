/**
 * Names the three suites, so that each can be run alone: `unit` needs nothing but Node, `postgres`
 * needs PostgreSQL binaries, `process` also starts the service as a child process.
 *
 * A test file belongs to `process` when it lies in test/process/ or test/hostile/, to `postgres` when its name ends
 * in `.postgres.test.ts`, and to `unit` otherwise.
 */
import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

const processTests = ["test/process/**/*.test.ts", "test/hostile/**/*.test.ts"]
const postgresTests = "test/**/*.postgres.test.ts"
// Vitest would leave one core idle, which on a machine of two is half of it.
const maxWorkers = availableParallelism()
const globalSetup = ["test/support/globalSetup.ts"]

export default defineConfig({
  root: fileURLToPath(new URL("../..", import.meta.url)),
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: [...processTests, postgresTests],
          maxWorkers,
          // Ends what hangs; a busy machine is no reason to fail.
          testTimeout: 30_000
        }
      },
      {
        extends: true,
        test: {
          name: "postgres",
          include: [postgresTests],
          exclude: processTests,
          globalSetup,
          maxWorkers,
          testTimeout: 30_000,
          hookTimeout: 60_000
        }
      },
      {
        extends: true,
        test: {
          name: "process",
          include: processTests,
          globalSetup,
          // Real time and kills want the machine for themselves: one file at a time, after the rest.
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
          testTimeout: 120_000,
          hookTimeout: 120_000
        }
      }
    ]
  }
})
