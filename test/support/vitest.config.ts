/**
 * Names the four suites, so that each can be run alone: `unit` needs nothing but Node, `postgres`
 * needs PostgreSQL binaries, `process` also starts the service as a child process, `timed` holds the
 * service against a clock.
 *
 * A test file in test/process/ or test/hostile/ belongs to `timed` when it is listed below, and to
 * `process` otherwise. Any other one belongs to `postgres` when its name ends in `.postgres.test.ts`,
 * and to `unit` otherwise.
 */
import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"
import { BaseSequencer, type TestSpecification } from "vitest/node"

const processTests = ["test/process/**/*.test.ts", "test/hostile/**/*.test.ts"]
// These say how soon or how fast, which a busy machine would make untrue.
const timedTests = [
  "test/process/{health,outages,overload,pace}.test.ts",
  "test/hostile/{namespace,receivers}.test.ts"
]
const postgresTests = "test/**/*.postgres.test.ts"
// Vitest would leave one core idle, which on a machine of two is half of it.
const maxWorkers = availableParallelism()
const globalSetup = ["test/support/globalSetup.ts"]

const longTests = /\/(?:kill|simulation|Fuzz|Isolation)\.test\.ts$/

/**
 * Begins with what takes longest, so that no worker waits for it in the end, and keeps the files of a
 * project together, as a worker that goes from one project to another begins anew.
 */
class LongestFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>) {
    const isLong = ({ moduleId }: TestSpecification) => Number(longTests.test(moduleId))
    return (await super.sort(files)).toSorted(
      (a, b) => isLong(b) - isLong(a) || a.project.name.localeCompare(b.project.name)
    )
  }
}

export default defineConfig({
  root: fileURLToPath(new URL("../..", import.meta.url)),
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: [...processTests, postgresTests],
          maxWorkers,
          // No test changes what another one sees, so each worker loads the engine once, not for every file.
          isolate: false,
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
          isolate: false,
          testTimeout: 30_000,
          hookTimeout: 60_000
        }
      },
      {
        extends: true,
        test: {
          name: "process",
          include: processTests,
          exclude: timedTests,
          globalSetup,
          // They wait for each other's processes more than they work.
          maxWorkers: maxWorkers + 1,
          sequence: { groupOrder: 1 },
          testTimeout: 120_000,
          hookTimeout: 120_000
        }
      },
      {
        extends: true,
        test: {
          name: "timed",
          include: timedTests,
          globalSetup,
          // They want the machine for themselves: one file at a time, after the rest.
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
          testTimeout: 120_000,
          hookTimeout: 120_000
        }
      }
    ]
  }
})
