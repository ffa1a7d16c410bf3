/**
 * What users install: the packed package in an empty folder, with its declared dependencies and
 * nothing else, used as a library, as a command and as a service.
 *
 * The service runs from a tree that nobody may write, and as uid 65532 where the tests may choose,
 * the way the image runs it. Its health is asked by the image's own command.
 */
import { spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { stripTypeScriptTypes } from "node:module"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { version } from "../../src/domain/Version.ts"
import { until } from "../support/Inbox.ts"
import { freePort } from "../support/Service.ts"
import { root } from "../support/Sources.ts"

const home = fs.mkdtempSync(path.join(os.tmpdir(), "posthaste-package-"))
const installed = path.join(home, "node_modules", "posthaste")
afterAll(() => fs.rmSync(home, { recursive: true, force: true }))

const run = (command: string, args: ReadonlyArray<string>, cwd: string) => {
  const { status, stderr, stdout } = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    env: { ...process.env, PATH: `${path.dirname(process.execPath)}:${process.env["PATH"]}` }
  })
  assert.strictEqual(status, 0, `${command} ${args.join(" ")}\n${stdout}\n${stderr}`)
  return stdout
}

/** Runs a module in the folder as a user's program would. */
const program = (code: string) => {
  fs.writeFileSync(path.join(home, "program.mjs"), code)
  return run(process.execPath, ["program.mjs"], home)
}

/** Lists the files of a folder and those below it, by their paths in it. */
const filesBelow = (folder: string): Array<string> =>
  fs
    .readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => fs.statSync(path.join(folder, name)).isFile())

beforeAll(() => {
  const packed = run("npm", ["pack", "--silent", "--pack-destination", home], root).trim()
  const tarball = path.join(home, packed.split("\n").at(-1)!)
  fs.mkdirSync(installed, { recursive: true })
  run("tar", ["-xzf", tarball, "-C", installed, "--strip-components=1"], home)
  // What npm would install, from where it is installed already: the network is not under test.
  const declared = run("npm", ["ls", "--omit=dev", "--all", "--parseable"], root)
  for (const place of declared.split("\n").filter((line) => line.includes("/node_modules/"))) {
    const name = path.relative(path.join(root, "node_modules"), place)
    if (/^(?:posthaste-runtime|node-linux-)/.test(name) || name.includes("node_modules")) continue
    const link = path.join(home, "node_modules", name)
    fs.mkdirSync(path.dirname(link), { recursive: true })
    fs.cpSync(place, link, { recursive: true })
  }
})

describe("the packed package", () => {
  it("holds what is run and nothing else", () => {
    const names = fs.readdirSync(installed)
    assert.sameMembers(names, [
      "CHANGELOG.md",
      "LICENSE",
      "README.md",
      "dist",
      "migrations",
      "package.json"
    ])
    assert.deepStrictEqual(
      fs.readdirSync(path.join(installed, "migrations")),
      fs.readdirSync(path.join(root, "migrations"))
    )
    const built = filesBelow(path.join(root, "src")).flatMap((file) => {
      if (file.endsWith(".json") || file.endsWith(".md")) return []
      const name = file.replace(/\.ts$/, "")
      return name === file ? [file] : [`${name}.js`, `${name}.js.map`, `${name}.d.ts`]
    })
    assert.sameMembers(filesBelow(path.join(installed, "dist")), built)
  })

  it("tells its version", () => {
    const said = run(process.execPath, [path.join(installed, "dist", "main.js"), "--version"], home)
    assert.include(said, version)
    const { bin } = JSON.parse(fs.readFileSync(path.join(installed, "package.json"), "utf8"))
    assert.strictEqual(bin.posthaste, "./dist/main.js")
    const main = fs.readFileSync(path.join(installed, "dist", "main.js"), "utf8")
    assert.isTrue(main.startsWith("#!/usr/bin/env node\n"))
  })

  it("runs the README's example as a program", () => {
    const readme = fs.readFileSync(path.join(root, "README.md"), "utf8")
    const example = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)]
      .map(([, code = ""]) => code)
      .find((code) => code.includes("TestEngine"))
    const [, imports, body] = /^(.*?)\nit\.effect\(".*?", \(\) =>(.*)\)\s*$/s.exec(example ?? "")!
    const said = program(
      stripTypeScriptTypes(`
        ${imports!.replace('import { assert, it } from "@effect/vitest"', 'import assert from "node:assert"')}
        await Effect.runPromise(Effect.provide(${body}, TestClock.layer()))
        console.log("done")`)
    )
    assert.strictEqual(said.trim().split("\n").at(-1), "done")
  })

  it("has its three ways in, one of them without any dependency", () => {
    program(`
      import { Engine, Publisher, Database, version } from "posthaste"
      import { TestEngine } from "posthaste/testing"
      if (version !== ${JSON.stringify(version)} || !Engine.layer || !Publisher || !Database) throw 1
      if (!TestEngine) throw 2`)
    const alone = path.join(home, "verify.mjs")
    fs.copyFileSync(path.join(installed, "dist", "verify.js"), alone)
    run(process.execPath, ["--eval", `import(${JSON.stringify(alone)})`], os.tmpdir())
  })
})

describe("the service from the package", () => {
  /** The image's words of a kind, as it runs them but for where Node is. */
  const words = (kind: RegExp): ReadonlyArray<string> => {
    const dockerfile = fs.readFileSync(path.join(root, ".deploy", "Dockerfile"), "utf8")
    return JSON.parse(kind.exec(dockerfile)![1]!)
  }

  /** Lists what of the dashboard is missing: its page, or anything that the page or its modules name. */
  const dashboard = async (base: string): Promise<ReadonlyArray<string>> => {
    const page = await (await fetch(base)).text()
    const asked = new Set(
      [...page.matchAll(/(?:src|href)="(\/dashboard\/[^"]+)"/g)].map(([, at]) => at!)
    )
    const missing = asked.size > 10 ? [] : ["modules"]
    for (const at of asked) {
      const file = await fetch(`${base}${at}`)
      const text = await file.text()
      if (file.status !== 200 || text === "") missing.push(at)
      if (!at.endsWith(".js")) continue
      for (const [, name = ""] of text.matchAll(/^import .*?from "(.*?)"/gms)) {
        asked.add(new URL(name, `${base}${at}`).pathname)
      }
    }
    return missing
  }

  it("starts as nobody on a tree that cannot be written, and is found healthy", async () => {
    const dataDir = path.join(home, "data")
    fs.mkdirSync(dataDir, { mode: 0o700 })
    const isRoot = process.getuid?.() === 0
    if (isRoot) fs.chownSync(dataDir, 65_532, 65_532)
    fs.chmodSync(home, 0o755)
    run("chmod", ["-R", "a-w,a+rX", path.join(home, "node_modules")], home)
    const port = String(await freePort())
    const env = {
      PATH: process.env["PATH"],
      POSTHASTE_HOST: "0.0.0.0",
      POSTHASTE_PORT: port,
      POSTHASTE_DATA_DIR: dataDir
    }
    const account = isRoot ? { uid: 65_532, gid: 65_532 } : {}
    const [, main = "", ...rest] = [...words(/^ENTRYPOINT (.*)$/m), ...words(/^CMD (.*)$/m)]
    const inPackage = main.replace("/app", installed)
    let said = ""
    const service = spawn(process.execPath, [inPackage, ...rest], { env, cwd: "/", ...account })
    service.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()))
    service.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()))
    try {
      const [, ...check] = words(/^\s+CMD (.*)$/m)
      const isHealthy = () => spawnSync(process.execPath, check, { env, ...account }).status === 0
      assert.isFalse(isHealthy(), "nothing listens yet")
      await until(async () => {
        if (service.exitCode !== null) throw new Error(said)
        const ready = await fetch(`http://127.0.0.1:${port}/health/ready`).catch(() => undefined)
        return ready?.ok === true
      })
      assert.isTrue(isHealthy())
      assert.deepStrictEqual(await dashboard(`http://127.0.0.1:${port}`), [])
      assert.include(said, `Posthaste ${version}`)
      assert.include(said, "schema_migrated")
      const ended = new Promise((resolve) => service.once("exit", resolve))
      service.kill("SIGTERM")
      assert.strictEqual(await ended, 0, said)
    } finally {
      service.kill("SIGKILL")
      run("chmod", ["-R", "u+w", path.join(home, "node_modules")], home)
    }
  })
})
