/**
 * What a proxy's URL says, and whom its failures are charged to.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import type { Outcome } from "../../../src/domain/Attempt.ts"
import { parse, Proxy } from "../../../src/send/wire/Proxy.ts"

describe("A proxy's URL", () => {
  it("names host, port, and credentials as basic authorization", () => {
    assert.deepStrictEqual(Result.getOrThrow(parse("http://proxy.example:3128")), {
      host: "proxy.example",
      port: 3128,
      secure: false,
      authorization: null
    })
    const full = Result.getOrThrow(parse("https://us%40er:p%3Ass@[::1]"))
    assert.deepInclude(full, { host: "::1", port: 443, secure: true })
    assert.strictEqual(full.authorization, `Basic ${Buffer.from("us@er:p:ss").toString("base64")}`)
    assert.strictEqual(Result.getOrThrow(parse("http://proxy.example")).port, 80)
  })

  it("is refused without being told again, as it may hold a password", () => {
    for (const text of [
      "socks5://user:secret@proxy:1080",
      "proxy:3128",
      "http://user:secret@proxy/path",
      "http://user:secret@proxy?x",
      "http://user:%zzsecret@proxy",
      ""
    ]) {
      const parsed = parse(text)
      assert.isTrue(Result.isFailure(parsed), text)
      if (Result.isFailure(parsed)) assert.notInclude(parsed.failure, "secret")
    }
  })
})

describe("A proxy's failures", () => {
  const charged: Outcome = { _tag: "Unreachable", cause: "refused", detail: "dead" }

  const proxy = () => {
    let now = 0
    const begun: Array<number> = []
    const one = new Proxy(
      { host: "proxy", port: 1, secure: false, authorization: null },
      () => ++now,
      () => begun.push(now)
    )
    return { one, begun, fails: (receiver: string) => one.refused(receiver, "503", charged)._tag }
  }

  it("are its own as long as no other receiver's tunnel opens between two of them", () => {
    const { begun, fails, one } = proxy()
    one.opened("a:443")
    one.opened("b:443")
    for (let i = 0; i < 3; i++) {
      assert.strictEqual(fails("a:443"), "NotSent")
      assert.strictEqual(fails("b:443"), "NotSent")
    }
    assert.strictEqual(one.failure, "503")
    assert.lengthOf(begun, 1)
    one.opened("a:443")
    assert.isNull(one.failure)
  })

  it("are the receiver's where others are reached and it is not", () => {
    const { fails, one } = proxy()
    assert.strictEqual(fails("dead:443"), "NotSent")
    one.opened("dead2:443")
    assert.strictEqual(fails("dead:443"), "Unreachable")
    assert.strictEqual(fails("dead:443"), "NotSent")
    one.opened("dead:443")
    assert.strictEqual(fails("dead:443"), "NotSent")
  })

  it("are its own where it cannot be reached, whoever was reached before", () => {
    const { fails, one } = proxy()
    fails("a:443")
    one.opened("b:443")
    assert.deepStrictEqual(one.broke("ECONNREFUSED"), {
      _tag: "NotSent",
      cause: "proxy",
      detail: "The egress proxy failed (ECONNREFUSED)."
    })
  })
})
