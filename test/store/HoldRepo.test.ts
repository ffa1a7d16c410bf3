import { layer } from "@effect/vitest"
import { Layer } from "effect"
import { HoldRepo } from "../../src/store/HoldRepo.ts"
import { memory, pglite } from "./Ground.ts"
import { byHand, suite } from "./HoldRepo.suite.ts"

layer(Layer.provideMerge(HoldRepo.layerMemory, memory))("HoldRepo in memory", suite)

layer(Layer.provideMerge(HoldRepo.layer, pglite), { timeout: "60 seconds" })(
  "HoldRepo on PGlite",
  (it) => {
    suite(it)
    byHand(it)
  }
)
