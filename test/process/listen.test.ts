/**
 * The receiver for trying things out, started from the command line.
 */
import { spawn, spawnSync } from "node:child_process"
import { createHmac, generateKeyPairSync, sign } from "node:crypto"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "vitest"
import { until } from "../support/Inbox.ts"

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url))

/** Starts it on a free port, sends it one request signed as `webhook-signature`, reads its verdict. */
const verdictOn = async (secret: string, signed: (content: string) => string) => {
  const child = spawn(process.execPath, [main, "listen", "--port", "0", "--secret", secret], {
    stdio: ["ignore", "pipe", "inherit"]
  })
  let output = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text))
  try {
    await until(() => output.includes("listening on "))
    const url = /http:\S+:\d+/.exec(output)?.[0]
    assert.isDefined(url, output)
    const timestamp = String(Math.floor(Date.now() / 1000))
    const body = `{"a":1}`
    await fetch(url!, {
      method: "POST",
      headers: {
        "webhook-id": "msg_1",
        "webhook-timestamp": timestamp,
        "webhook-signature": signed(`msg_1.${timestamp}.${body}`)
      },
      body
    })
    await until(() => output.includes("answered 200"))
    return /attempt \?: (.*), answered/.exec(output)?.[1]
  } finally {
    child.kill("SIGKILL")
  }
}

describe("posthaste listen", () => {
  it("verifies with a shared secret", async () => {
    const key = Buffer.alloc(32, 7)
    const secret = `whsec_${key.toString("base64")}`
    const signed = (content: string) =>
      `v1,${createHmac("sha256", key).update(content).digest("base64")}`
    assert.strictEqual(await verdictOn(secret, signed), "signature verified")
    assert.include(await verdictOn(secret, () => "v1,AAAA"), "signature REFUSED")
  })

  it("verifies with a public key", async () => {
    const { privateKey, publicKey } = generateKeyPairSync("ed25519")
    const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32)
    const signed = (content: string) =>
      `v1a,${sign(null, Buffer.from(content), privateKey).toString("base64")}`
    const verdict = await verdictOn(`whpk_${raw.toString("base64")}`, signed)
    assert.strictEqual(verdict, "signature verified")
  })

  it.each(["whsec_", "hidden!", "whpk_hidden", "whsk_hidden"])(
    "does not start with %s, which verifies nothing, and does not repeat it",
    (secret) => {
      const run = spawnSync(process.execPath, [main, "listen", "--secret", secret], {
        encoding: "utf8",
        timeout: 30_000
      })
      assert.strictEqual(run.status, 64)
      assert.include(run.stderr, "Expected: whsec_… or whpk_…; ")
      assert.notInclude(run.stdout + run.stderr, "hidden")
    }
  )
})
