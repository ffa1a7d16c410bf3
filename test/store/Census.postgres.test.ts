import { Effect, Layer, Redacted } from "effect"
import { Database } from "../../src/store/Database.ts"
import { database } from "../support/TestDatabase.ts"
import { suite } from "./Census.suite.ts"

suite(
  "Postgres",
  Layer.unwrap(Effect.map(database, (url) => Database.layerPostgres({ url: Redacted.make(url) })))
)
