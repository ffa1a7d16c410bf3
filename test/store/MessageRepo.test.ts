import { layer } from "@effect/vitest"
import { suite } from "./MessageRepo.suite.ts"
import { memory, pglite } from "./Stage.ts"

layer(memory)("MessageRepo in memory", suite)

layer(pglite, { timeout: "60 seconds" })("MessageRepo on PGlite", suite)
