/**
 * Starts one PostgreSQL server for a whole run of the tests and tells the test files its URL.
 * Every project that needs the server names this file; the first of them starts it. A server named
 * by POSTHASTE_TEST_POSTGRES_URL is used instead, if that is set.
 */
import type { TestProject } from "vitest/node"
import { PostgresNotInstalled, startPostgres } from "./Postgres.ts"

declare module "vitest" {
  interface ProvidedContext {
    /** The server's URL, or why there is none. */
    readonly postgres: { readonly url: string } | { readonly missing: string }
  }
}

const variable = "POSTHASTE_TEST_POSTGRES_URL"

export default async function setup(project: TestProject): Promise<(() => Promise<void>) | void> {
  const given = process.env[variable]
  if (given !== undefined && given !== "") {
    project.provide("postgres", { url: given })
    return
  }
  try {
    const server = await startPostgres()
    // The other projects of this run find the server here.
    process.env[variable] = server.url
    project.provide("postgres", { url: server.url })
    return async () => {
      delete process.env[variable]
      await server.stop()
    }
  } catch (error) {
    if (!(error instanceof PostgresNotInstalled)) throw error
    // The tests that need the server report this; the others still run.
    project.provide("postgres", { missing: error.message })
  }
}
