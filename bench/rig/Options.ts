/**
 * What the command line of the bench can say.
 */
import { parseArgs } from "node:util"

/** How to run the cells. */
export interface Options {
  /** The cells to run; empty: all. */
  readonly cells: ReadonlyArray<string>
  /** How often each cell runs; the table shows median and spread. */
  readonly runs: number
  /** How long a cell publishes; null: as it likes. */
  readonly seconds: number | null
  /** Connections of the publisher where it publishes as fast as it can. */
  readonly connections: number
  /** Attempts at once that a webhook allows where one webhook takes all. */
  readonly concurrency: number
  /** Messages per second of the cells that publish at a rate of their own choosing; null: theirs. */
  readonly rate: number | null
  /** Messages of the backlog that is drained. */
  readonly messages: number
  /** Profiles the service while it is measured, and shows where its time went. */
  readonly profile: boolean
}

/** Reads the arguments after `node bench/main.ts`. Throws on ones it does not know. */
export const readOptions = (args: ReadonlyArray<string>): Options => {
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      runs: { type: "string" },
      seconds: { type: "string" },
      connections: { type: "string" },
      concurrency: { type: "string" },
      rate: { type: "string" },
      messages: { type: "string" },
      profile: { type: "boolean", default: false }
    }
  })
  return {
    cells: positionals,
    runs: number("runs", values.runs) ?? 1,
    seconds: number("seconds", values.seconds),
    connections: number("connections", values.connections) ?? 64,
    concurrency: number("concurrency", values.concurrency) ?? 128,
    rate: number("rate", values.rate),
    messages: number("messages", values.messages) ?? 100_000,
    profile: values.profile
  }
}

const number = (name: string, text: string | undefined): number | null => {
  if (text === undefined) return null
  const value = Number(text)
  if (!(value > 0)) throw new Error(`--${name}: expected a number above 0, got "${text}"`)
  return value
}
