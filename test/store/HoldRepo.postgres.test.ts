import { layer } from "@effect/vitest"
import { Layer } from "effect"
import { HoldRepo } from "../../src/store/HoldRepo.ts"
import { postgres } from "./Ground.ts"
import { byHand, suite } from "./HoldRepo.suite.ts"

layer(Layer.provideMerge(HoldRepo.layer, postgres), { timeout: "60 seconds" })(
  "HoldRepo on Postgres",
  (it) => {
    suite(it)
    byHand(it)
  }
)
