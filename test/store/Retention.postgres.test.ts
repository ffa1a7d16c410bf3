import { layer } from "@effect/vitest"
import * as RetentionSql from "../../src/store/RetentionSql.ts"
import { postgres } from "./Ground.ts"
import { suite } from "./Retention.suite.ts"
import { suite as sqlSuite } from "./RetentionSql.suite.ts"
import { over } from "./Stage.ts"

layer(over(postgres), { timeout: "60 seconds" })("Retention on Postgres", (it) => {
  suite(RetentionSql.make)(it)
  sqlSuite(it)
})
