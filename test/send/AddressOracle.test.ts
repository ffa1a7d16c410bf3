/**
 * The address table against an oracle in another language, on random addresses and at every edge.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Dns from "effect/net/Dns"
import * as NetAddress from "effect/net/NetAddress"
import * as Random from "effect/Random"
import { spawnSync } from "node:child_process"
import * as os from "node:os"
import { fileURLToPath } from "node:url"
import { AddressGuard } from "../../src/send/AddressGuard.ts"
import { specialNetworks } from "../../src/send/SpecialNetworks.ts"
import { scaled } from "../support/Scale.ts"

const size = scaled(5_000, 500_000)

const guard = AddressGuard.layer().pipe(Layer.provide(Layer.orDie(Dns.layerStatic({}))))

/** Writes 128 bits as eight groups. */
const v6Of = (bits: bigint): string =>
  Array.from({ length: 8 }, (_, i) => ((bits >> BigInt(112 - i * 16)) & 0xffffn).toString(16)).join(
    ":"
  )

const v4Of = (bits: number): string =>
  [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join(".")

/** The first and last address of each network, and those beside them. */
const edges = specialNetworks.flatMap(({ network }) => {
  const bytes = NetAddress.isIpv4Address(network.address)
    ? NetAddress.ipv4ToOctets(network.address)
    : NetAddress.ipv6ToOctets(network.address)
  const width = bytes.length * 8
  const first = bytes.reduce((all, byte) => (all << 8n) | BigInt(byte), 0n)
  const last = first | ((1n << BigInt(width - network.prefixLength)) - 1n)
  return [first - 1n, first, (first + last) / 2n, last, last + 1n]
    .filter((bits) => bits >= 0n && bits < 1n << BigInt(width))
    .map((bits) => (width === 32 ? v4Of(Number(bits)) : v6Of(bits)))
})

describe("AddressGuard.address", () => {
  it.effect(
    `agrees with Python's ipaddress on ${2 * size} random addresses and ${edges.length} edges`,
    (context) =>
      Effect.gen(function* () {
        const { address } = yield* AddressGuard
        const word = Random.nextIntBetween(0, 2 ** 32 - 1)
        const heads = [0n, 0x64n, 0x100n, 0x2001n, 0x2002n, 0x2606n, 0x3fffn, 0x5f00n, 0xfe80n]
        const addresses = [...edges]
        for (let i = 0; i < size; i++) {
          addresses.push(v4Of(yield* word))
          const words = [yield* word, yield* word, yield* word, yield* word]
          const bits = words.reduce((all, one) => (all << 32n) | BigInt(one >>> 0), 0n)
          // Most begin where the table has something to say; every eighth is a mapped one.
          const low = bits & ((1n << 112n) - 1n)
          addresses.push(
            v6Of(
              i % 8 === 0
                ? 0xffff_0000_0000n | (bits & 0xffff_ffffn)
                : i % 3 === 0
                  ? bits
                  : (heads[i % heads.length]! << 112n) | (i % 2 === 0 ? low : low >> 80n)
            )
          )
        }
        const own = new Set(
          Object.values(os.networkInterfaces()).flatMap((all) =>
            (all ?? []).map((one) => one.address)
          )
        )
        const oracle = spawnSync(
          "python3",
          [fileURLToPath(new URL("oracle.py", import.meta.url))],
          { input: addresses.join("\n"), encoding: "utf8", maxBuffer: 2 ** 28 }
        )
        if (oracle.error !== undefined) context.skip("needs python3")
        const answers = oracle.stdout.trim().split("\n")
        assert.lengthOf(answers, addresses.length, oracle.stderr)
        const different = addresses.filter(
          (each, i) => !own.has(each) && (address(each) === undefined) !== (answers[i] === "1")
        )
        assert.deepStrictEqual(different.slice(0, 5), [])
      }).pipe(Effect.provide(guard), Random.withSeed("oracle")),
    { timeout: 600_000 }
  )
})
