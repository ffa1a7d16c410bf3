import { layer } from "@effect/vitest"
import { Layer } from "effect"
import { inMemory, inSql, sqlSuite, suite } from "./AuditLog.suite.ts"
import { memory, pglite } from "./Ground.ts"

layer(Layer.provideMerge(inMemory, memory))("AuditLog in memory", suite)

layer(Layer.provideMerge(inSql, pglite), { timeout: "60 seconds" })("AuditLog on PGlite", (it) => {
  suite(it)
  sqlSuite(it)
})
