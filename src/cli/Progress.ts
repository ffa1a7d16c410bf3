/**
 * A bar that shows how far long work has come. It stands on the error output of a terminal only, so
 * what a command prints stays whole where it is piped.
 */
import * as Effect from "effect/Effect"
import type { Scope } from "effect/Scope"

/** Draws a bar until the scope closes, and answers what moves it. */
export const bar = (label: string): Effect.Effect<Move, never, Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => (process.stderr.isTTY ? draw(label) : quiet)),
    (move) => Effect.sync(() => move(0, 0))
  )

/** Shows that `done` of `total` are done; nothing of nothing takes the bar away. */
export type Move = (done: number, total: number) => void

const width = 24

const quiet: Move = () => {}

const draw =
  (label: string): Move =>
  (done, total) => {
    if (total === 0) return void process.stderr.write("\r\u001B[K")
    const filled = Math.round((Math.min(done, total) / total) * width)
    const line = `${label} ${"█".repeat(filled)}${"░".repeat(width - filled)} ${done}/${total}`
    process.stderr.write(`\r\u001B[K${line}`)
  }
