/**
 * Every way known to write an address that must not be reached, also beside a decoy.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Dns from "effect/net/Dns"
import * as Result from "effect/Result"
import { AddressGuard } from "../../src/send/AddressGuard.ts"
import { decoy, generated, targets } from "../hostile/Vectors.ts"

describe("AddressGuard.url", () => {
  for (const target of targets) {
    const urls = generated(target)
    it.effect(`refuses ${target} in ${urls.length} ways of writing it, or names the decoy`, () =>
      Effect.gen(function* () {
        const guard = yield* AddressGuard
        assert.isAbove(urls.length, 380)
        for (const url of urls) {
          const judged = guard.url(url)
          if (Result.isSuccess(judged)) assert.strictEqual(judged.success.hostname, decoy, url)
        }
      }).pipe(
        Effect.provide(AddressGuard.layer().pipe(Layer.provide(Layer.orDie(Dns.layerStatic({})))))
      )
    )
  }
})
