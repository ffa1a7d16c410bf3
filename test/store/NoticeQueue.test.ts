import { layer } from "@effect/vitest"
import { suite } from "./NoticeQueue.suite.ts"
import { memory, pglite } from "./Stage.ts"

layer(memory)("NoticeQueue in memory", suite)

layer(pglite, { timeout: "60 seconds" })("NoticeQueue on PGlite", suite)
