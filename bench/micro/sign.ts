/** Signing, and the whole request that is signed. */
import { Effect } from "effect"
import { build } from "../../src/send/Request.ts"
import { Signer } from "../../src/send/Signer.ts"
import { delivery, now, repeat, type Task, webhook } from "./Samples.ts"

/** Signs bodies of two sizes. */
export const sign = async (): Promise<ReadonlyArray<Task>> => {
  const signer = await Effect.runPromise(Effect.provide(Signer, Signer.layer))
  const to = webhook(0)
  const small = delivery(to, new Uint8Array(1_000))
  const large = delivery(to, new Uint8Array(16_000))
  const url = new URL(to.url)
  const input = (body: Uint8Array) => ({
    id: small.message.id,
    timestampSeconds: now / 1000,
    body,
    secrets: to.secrets
  })
  return [
    repeat("sign 1 KB", () => signer.sign(input(small.message.body))),
    repeat("sign 16 KB", () => signer.sign(input(large.message.body))),
    repeat("build a signed request, 1 KB", () => build(to, url, small, now, signer))
  ]
}
