/**
 * Proves that nothing goes where it may not: in a network namespace where every address leads to
 * canaries and none leads out, the real service gets every URL by which others were tricked, at
 * registration, at update, at tests and at attempts, and names that lead elsewhere each time they are
 * asked for. What it connects to is counted on the wire.
 *
 * Making a namespace needs root and `ip`, counting needs python3; where one is missing the test is
 * skipped and says so.
 */
import { execFileSync, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "vitest"
import { scaled } from "../support/Scale.ts"
import type { Report } from "./Namespace.ts"
import { accepted, refused, refusedUrls } from "./Vectors.ts"

const flips = scaled(40, 1_000)
const generatedMax = scaled(100, 100_000)

/** Says why no namespace can be made here, or undefined. */
const missing = (): string | undefined => {
  if (process.getuid?.() !== 0) return "a network namespace needs root"
  for (const [command, ...args] of [
    ["ip", "-V"],
    ["python3", "--version"]
  ] as const) {
    try {
      execFileSync(command, args, { stdio: "ignore" })
    } catch {
      return `needs ${command}`
    }
  }
  return undefined
}

/** Runs the program in a namespace of its own and reads its report. */
const explore = async (): Promise<Report> => {
  const name = `posthaste-${process.pid}`
  const ip = (...args: ReadonlyArray<string>) => execFileSync("ip", args)
  const inside = (...args: ReadonlyArray<string>) => ip("netns", "exec", name, "ip", ...args)
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "posthaste-netns-"))
  const resolver = path.join(directory, "resolv.conf")
  fs.writeFileSync(resolver, "nameserver 127.0.0.1\noptions timeout:5 attempts:1\n")
  ip("netns", "add", name)
  try {
    inside("link", "set", "lo", "up")
    inside("route", "add", "local", "0.0.0.0/0", "dev", "lo")
    inside("-6", "route", "add", "local", "::/0", "dev", "lo")
    inside("route", "add", "unreachable", "9.9.9.8/32", "table", "local")
    inside("route", "add", "prohibit", "9.9.9.7/32", "table", "local")
    inside("-6", "route", "add", "unreachable", "2606:4700:dead::1/128", "table", "local")
    const program = fileURLToPath(new URL("Namespace.ts", import.meta.url))
    const child = spawn(
      "ip",
      [
        "netns",
        "exec",
        name,
        // `ip netns exec` gives the command mounts of its own, so the machine's file stays as it is.
        "sh",
        "-c",
        'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"',
        "sh",
        resolver,
        process.execPath,
        program,
        String(flips),
        String(generatedMax)
      ],
      { stdio: ["ignore", "pipe", "inherit"] }
    )
    let output = ""
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()))
    const code = await new Promise((resolve) => child.once("close", resolve))
    assert.strictEqual(code, 0, output.slice(-2_000))
    return JSON.parse(output.trim().split("\n").at(-1) ?? "")
  } finally {
    ip("netns", "delete", name)
    fs.rmSync(directory, { recursive: true })
  }
}

describe("the service among canaries", () => {
  it("connects to nothing that it may not", { timeout: 900_000 }, async (context) => {
    const reason = missing()
    if (reason !== undefined) context.skip(reason)
    const report = await explore()
    console.log(JSON.stringify({ ...report.generated, ...report.rebinding, ...report.refusalMs }))

    // Registered and updated (SEC-03, SEC-09, SEC-10, SEC-11).
    const bad = new Set([...refused, ...refusedUrls])
    for (const { status, url } of report.creates) {
      assert.strictEqual(status, bad.has(url) ? 422 : 201, url)
    }
    assert.lengthOf(report.creates, bad.size + accepted.length)
    for (const { status, url } of report.updates) assert.strictEqual(status, 422, url)
    assert.lengthOf(report.updates, bad.size)
    // All of them are refused but those that name the decoy alone (SEC-04).
    const { decoys, refused: refusals, tried: generated } = report.generated
    assert.strictEqual(refusals, generated - decoys)

    // Attempts at what came into the database under other rules.
    const fine = new Set(accepted.map((url) => new URL(url).href))
    for (const tried of report.attempts) {
      const expected = fine.has(new URL(tried.url).href) ? "status_2xx" : "blocked"
      assert.strictEqual(tried.class, expected, JSON.stringify(tried))
      if (expected === "blocked") assert.strictEqual(tried.status, "exhausted")
    }
    assert.isAbove(report.attempts.length, 120)
    for (const { passed, test, url } of report.trials) {
      const isFine = fine.has(new URL(url).href)
      assert.strictEqual(test, isFine ? "status_2xx" : "blocked", url)
      assert.strictEqual(passed, isFine, url)
    }
    assert.lengthOf(report.trials, report.attempts.length)

    // Names: mixes of answers (SEC-05) and resolvers that fail (T-40), dead and dark addresses.
    const expected: Readonly<Record<string, readonly [string, string, RegExp?]>> = {
      "public.example.net": ["status_2xx", "delivered"],
      "noise.example.net": ["status_2xx", "delivered"],
      "private.example.net": ["blocked", "exhausted", /\(private_network\)/],
      "mixed.example.net": ["blocked", "exhausted", /\(private_network\)/],
      "sneaky.example.net": ["blocked", "exhausted", /\(loopback\)/],
      "alias.example.net": ["blocked", "exhausted", /\(private_network\)/],
      "nat64.example.net": ["blocked", "exhausted", /\(nat64\)/],
      "mapped.example.net": ["blocked", "exhausted", /\(private_network\)/],
      "meta.example.net": ["blocked", "exhausted", /\(link_local\)/],
      "empty.example.net": ["dns", "waiting", /No address/],
      "servfail.example.net": ["dns", "waiting", /No address/],
      "lame.example.net": ["dns", "waiting", /No address/],
      "silent.example.net": ["dns", "waiting", /./],
      "loop.example.net": ["dns", "waiting", /No address/],
      "crowd.example.net": ["dns", "waiting", /more than 16 answers/],
      // T-50: four addresses that say nothing, then one that answers.
      "five.example.net": ["status_2xx", "delivered"],
      // T-51.
      "six.example.net": ["status_2xx", "delivered"],
      "brokensix.example.net": ["status_2xx", "delivered"],
      "darksix.example.net": ["status_2xx", "delivered"],
      // T-38, T-39.
      "9.9.9.9": ["connect_timeout", "waiting", /no connection in time/],
      "9.9.9.8": ["refused", "waiting", /EHOSTUNREACH/],
      "9.9.9.7": ["refused", "waiting", /EACCES/]
    }
    assert.lengthOf(report.names, Object.keys(expected).length)
    for (const tried of report.names) {
      const { hostname } = new URL(tried.url)
      const [cls, status, error] = expected[hostname] ?? ["", ""]
      const said = JSON.stringify(tried)
      assert.strictEqual(tried.class, cls, said)
      assert.strictEqual(tried.status, status, said)
      if (error !== undefined) assert.match(tried.error ?? "", error, said)
      // What a name leads to is not told to tenants (SEC-15), but in the log.
      if (cls === "blocked") assert.notMatch(tried.error ?? "", /10\.20|169\.254|64:ff9b|::/, said)
    }
    assert.isTrue(report.logged.some((line) => line.includes("10.20.30.40")))
    // Each address that says nothing costs a quarter of a second (T-50); how much later a busy machine is
    // tells nothing, so the other bound is held under a fake clock.
    const five = report.names.find(({ url }) => url.includes("five.example.net"))
    assert.isAtLeast(five?.durationMs ?? 0, 1_000)

    // Names that lead elsewhere at every question (SEC-06): each was asked once, and half were public.
    assert.deepStrictEqual(report.rebinding, {
      names: flips,
      delivered: flips / 2,
      blocked: flips / 2,
      askedAgain: 0
    })
    assert.isBelow(Math.abs(report.refusalMs.literal - report.refusalMs.name), 5)

    const canaries = ["127.0.0.1", "::1", "10.20.30.40", "169.254.169.254"]
    const open = new Set(["1.2.0.3", "8.8.8.8", "100.63.255.254", "100.128.0.1", "93.184.216.34"])
    const strange = report.syns.filter(
      ({ address, port }) =>
        !open.has(address) &&
        !/^9\.9\.9\.|^2606:4700:/.test(address) &&
        // Our own calls to the service's API, at the ports that it was given.
        !(address === "127.0.0.1" && port > 1_024)
    )
    // One each: those that this program made itself when all was over, to show that they count.
    assert.deepStrictEqual(
      strange.map(({ address, count, port }) => `${address} ${port} ${count}`).toSorted(),
      canaries.map((address) => `${address} 80 1`).toSorted()
    )
    console.log(
      `${report.creates.length} URLs registered, ${report.updates.length} updated, ` +
        `${report.generated.tried} generated, ${report.attempts.length} attempted, ` +
        `${flips} names rebound: no SYN to a canary`
    )
  })
})
