import { layer } from "@effect/vitest"
import { Layer } from "effect"
import { inSql, sqlSuite, suite } from "./AuditLog.suite.ts"
import { postgres } from "./Ground.ts"

layer(Layer.provideMerge(inSql, postgres), { timeout: "60 seconds" })(
  "AuditLog on Postgres",
  (it) => {
    suite(it)
    sqlSuite(it)
  }
)
