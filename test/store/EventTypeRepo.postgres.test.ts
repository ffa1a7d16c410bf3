import { layer } from "@effect/vitest"
import { Layer } from "effect"
import { EventTypeRepo } from "../../src/store/EventTypeRepo.ts"
import { suite } from "./EventTypeRepo.suite.ts"
import { postgres } from "./Ground.ts"

layer(Layer.provideMerge(EventTypeRepo.layer, postgres), { timeout: "60 seconds" })(
  "EventTypeRepo on Postgres",
  suite
)
