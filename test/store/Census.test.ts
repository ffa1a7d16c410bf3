import { Effect, Layer } from "effect"
import * as Pglite from "../../src/store/Pglite.ts"
import * as EmptyPglite from "../support/EmptyPglite.ts"
import { suite } from "./Census.suite.ts"

suite(
  "PGlite",
  Layer.unwrap(Effect.map(EmptyPglite.directory, (directory) => Pglite.layer({ directory })))
)
