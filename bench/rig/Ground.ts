/**
 * The Postgres that a run measures on: a throw-away server with fsync and synchronous_commit on, one
 * new database for each rig. Where a server has no lz4 or no pg_stat_statements it does without.
 */
import { randomBytes } from "node:crypto"
import { type Postgres, startPostgres } from "../../test/support/Postgres.ts"
import { connect, type Connection } from "./Database.ts"

/** A running server. */
export interface Ground {
  readonly postgres: Postgres
  /** Whether statements are counted. */
  readonly countsStatements: boolean
  /** Creates a database and answers its URL. */
  readonly createDatabase: () => Promise<string>
  readonly dropDatabase: (url: string) => Promise<void>
  readonly stop: () => Promise<void>
}

const settings = {
  synchronous_commit: "on",
  shared_buffers: "1GB",
  max_wal_size: "8GB",
  checkpoint_timeout: "30min"
}
const lz4 = { wal_compression: "lz4" }
const statements = {
  shared_preload_libraries: "pg_stat_statements",
  "pg_stat_statements.track": "top"
}

/** Starts a server with as much of what a measurement wants as it knows. */
export const startGround = async (): Promise<Ground> => {
  const { countsStatements, postgres } = await launch()
  const admin: Connection = connect(postgres.url)
  return {
    postgres,
    countsStatements,
    createDatabase: async () => {
      const name = `bench_${randomBytes(6).toString("hex")}`
      await admin.query(`create database ${name}`)
      const url = new URL(postgres.url)
      url.pathname = `/${name}`
      return url.href
    },
    dropDatabase: async (url) => {
      await admin.query(`drop database if exists ${new URL(url).pathname.slice(1)} with (force)`)
    },
    stop: async () => {
      await admin.close()
      await postgres.stop()
    }
  }
}

const launch = async (): Promise<{ postgres: Postgres; countsStatements: boolean }> => {
  const choices = [
    { countsStatements: true, more: { ...lz4, ...statements } },
    { countsStatements: true, more: statements },
    { countsStatements: false, more: lz4 },
    { countsStatements: false, more: {} }
  ]
  let refusal: unknown
  for (const { countsStatements, more } of choices) {
    try {
      const postgres = await startPostgres({ fsync: true, settings: { ...settings, ...more } })
      return { postgres, countsStatements }
    } catch (error) {
      refusal = error
    }
  }
  throw refusal
}
