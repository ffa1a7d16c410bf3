/**
 * How the database reads what a list asks for: plans of the service's own statements, run.
 */
import { PgClient } from "@effect/sql-pg"
import { ManagedRuntime, Redacted } from "effect"
import { SqlClient } from "effect/sql/SqlClient"
import type { Statement } from "effect/sql/Statement"
import type { Connection } from "./Database.ts"

/** What stands out of a plan. */
export interface Plan {
  /** The tables that were read from end to end. */
  readonly seqScans: ReadonlyArray<string>
  /** The most rows that went into one sort. */
  readonly sortRows: number
  /** The most rows that one scan read and threw away. */
  readonly removedRows: number
}

interface Node {
  readonly "Node Type": string
  readonly "Relation Name"?: string
  readonly "Actual Rows": number
  readonly "Actual Loops": number
  readonly "Rows Removed by Filter"?: number
  readonly Plans?: ReadonlyArray<Node>
}

/** Explains statements that are made over the client that it is given; the client is not connected. */
export const explain = async <A extends object>(
  connection: Connection,
  make: (sql: SqlClient) => ReadonlyArray<Statement<A>>
): Promise<Plan> => {
  const runtime = ManagedRuntime.make(
    PgClient.layer({ url: Redacted.make("postgres://nobody@127.0.0.1:1/none") })
  )
  try {
    const sql = await runtime.runPromise(SqlClient)
    const plans: Array<Plan> = []
    for (const statement of make(sql)) {
      const [text, parameters] = statement.compile()
      const [row] = await connection.query<{
        readonly "QUERY PLAN": ReadonlyArray<{ Plan: Node }>
      }>(`explain (analyze, format json) ${text}`, parameters)
      plans.push(planOf(row!["QUERY PLAN"][0]!.Plan))
    }
    return {
      seqScans: plans.flatMap((plan) => plan.seqScans),
      sortRows: Math.max(0, ...plans.map((plan) => plan.sortRows)),
      removedRows: Math.max(0, ...plans.map((plan) => plan.removedRows))
    }
  } finally {
    await runtime.dispose()
  }
}

const planOf = (node: Node): Plan => {
  const below = (node.Plans ?? []).map(planOf)
  const loops = node["Actual Loops"]
  const type = node["Node Type"]
  const isRead = type === "Seq Scan" && loops > 0
  const sorted = type === "Sort" ? (node.Plans?.[0]?.["Actual Rows"] ?? 0) : 0
  return {
    seqScans: [
      ...(isRead ? [node["Relation Name"] ?? ""] : []),
      ...below.flatMap((plan) => plan.seqScans)
    ],
    sortRows: Math.max(sorted, ...below.map((plan) => plan.sortRows)),
    removedRows: Math.max(
      (node["Rows Removed by Filter"] ?? 0) * loops,
      ...below.map((plan) => plan.removedRows)
    )
  }
}
