import { layer } from "@effect/vitest"
import { postgres } from "./Ground.ts"
import { suite } from "./NoticeQueue.suite.ts"
import { over } from "./Stage.ts"

layer(over(postgres), { timeout: "60 seconds" })("NoticeQueue on Postgres", suite)
