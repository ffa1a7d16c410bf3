import { layer } from "@effect/vitest"
import { suite } from "./DeliveryModel.suite.ts"
import { pglite } from "./Stage.ts"

layer(pglite, { timeout: "60 seconds" })("Deliveries on PGlite and in memory", (it) => suite(it, 4))
