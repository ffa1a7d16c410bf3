import { layer } from "@effect/vitest"
import { Layer } from "effect"
import { EventTypeRepo } from "../../src/store/EventTypeRepo.ts"
import { suite } from "./EventTypeRepo.suite.ts"
import { memory, pglite } from "./Ground.ts"

layer(Layer.provideMerge(EventTypeRepo.layerMemory, memory))("EventTypeRepo in memory", suite)

layer(Layer.provideMerge(EventTypeRepo.layer, pglite), { timeout: "60 seconds" })(
  "EventTypeRepo on PGlite",
  suite
)
