/**
 * Which connection is taken next, and which is closed where there are too many.
 */
import { assert, describe, it } from "@effect/vitest"
import { IdleConnections } from "../../../src/send/wire/IdleConnections.ts"

const setUp = (idleConnectionsMax: number, idleConnectionsPerOriginMax: number) => {
  const closed: Array<string> = []
  const idle = new IdleConnections<{ origin: string; name: string; close: () => void }>({
    idleConnectionsMax,
    idleConnectionsPerOriginMax
  })
  const connection = (origin: string, name: string) => ({
    origin,
    name,
    close: () => void closed.push(name)
  })
  const put = (origin: string, ...names: Array<string>) => {
    for (const name of names) idle.put(connection(origin, name))
  }
  const take = (origin: string) => idle.take(origin)?.name
  return { idle, closed, connection, put, take }
}

describe("IdleConnections", () => {
  it("give out the one used last, of the same origin only", () => {
    const { put, take } = setUp(10, 10)
    put("https://a", "a1", "a2")
    put("https://b", "b1")
    assert.strictEqual(take("https://a"), "a2")
    assert.strictEqual(take("https://a"), "a1")
    assert.strictEqual(take("https://a"), undefined)
    assert.strictEqual(take("https://b"), "b1")
    assert.strictEqual(take("http://b"), undefined)
  })

  it("close what is too many for an origin", () => {
    const { closed, put, take } = setUp(10, 2)
    put("https://a", "a1", "a2", "a3")
    assert.deepStrictEqual(closed, ["a3"])
    assert.strictEqual(take("https://a"), "a2")
  })

  it("close the one that waited longest where there are too many in all", () => {
    const { closed, put, take } = setUp(3, 3)
    put("https://a", "a1")
    put("https://b", "b1", "b2")
    assert.strictEqual(take("https://a"), "a1")
    put("https://a", "a1")
    put("https://c", "c1", "c2")
    assert.deepStrictEqual(closed, ["b1", "b2"])
    assert.strictEqual(take("https://b"), undefined)
    assert.strictEqual(take("https://a"), "a1")
  })

  it("close one that is dropped, unless it was taken", () => {
    const { idle, closed, connection, take } = setUp(3, 3)
    const [waiting, taken] = [connection("https://a", "waiting"), connection("https://a", "taken")]
    idle.put(waiting)
    idle.put(taken)
    idle.take("https://a")
    idle.drop(taken)
    idle.drop(waiting)
    idle.drop(waiting)
    assert.deepStrictEqual(closed, ["waiting"])
    assert.strictEqual(take("https://a"), undefined)
  })
})
