/**
 * Drives a real browser without a window over the DevTools protocol: for tests of pages as people see
 * them. Needs Chromium; a browser ends with the test run.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { until } from "./Inbox.ts"

/** A running browser with one page. */
export interface Browser {
  /** Goes to an address and waits until it is loaded. */
  readonly go: (url: string) => Promise<void>
  /** Runs an expression in the page and answers its value; a promise is waited for. */
  readonly run: <A>(expression: string) => Promise<A>
  /** Waits until an expression is truthy in the page. */
  readonly sees: (expression: string) => Promise<void>
  /** Waits until the page shows a text. */
  readonly reads: (text: string) => Promise<void>
  /** Presses the first button, link or summary that is called so, once there is one. */
  readonly press: (name: string) => Promise<void>
  /** Fills the field of this name in the way a person does. */
  readonly fill: (name: string, value: string) => Promise<void>
  /** Types a key, such as `Tab` or `Enter`. */
  readonly type: (key: "Tab" | "Enter" | "Escape") => Promise<void>
  /** Sets the size of the window in CSS pixels, and whether the page is dark. */
  readonly resize: (width: number, height: number, scheme: "light" | "dark") => Promise<void>
  /** Takes a picture of the whole page as PNG. */
  readonly picture: () => Promise<Buffer>
  /** Errors, warnings and dialogs of the page since it was opened. */
  readonly complaints: Array<string>
  readonly close: () => Promise<void>
}

const names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"]

/** Finds Chromium; undefined when none is installed. */
export const chromium = (): string | undefined =>
  [
    ...(process.env["CHROMIUM"] === undefined ? [] : [process.env["CHROMIUM"]]),
    ...(process.env["PATH"] ?? "")
      .split(":")
      .flatMap((folder) => names.map((name) => path.join(folder, name)))
  ].find((file) => fs.existsSync(file))

const children = new Set<ChildProcess>()
process.once("exit", () => children.forEach((child) => child.kill("SIGKILL")))

/** Starts a browser with an empty profile. */
export const openBrowser = async (): Promise<Browser> => {
  const program = chromium()
  if (program === undefined) throw new Error("Chromium is not installed; see .ci/run")
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), "posthaste-browser-"))
  const child = spawn(
    program,
    [
      "--headless=new",
      "--remote-debugging-port=0",
      `--user-data-dir=${profile}`,
      "--no-first-run",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--disable-extensions",
      "--disable-background-networking",
      "--disable-component-update",
      "--hide-scrollbars",
      ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
      "about:blank"
    ],
    { stdio: ["ignore", "ignore", "pipe"] }
  )
  children.add(child)
  const gone = once(child, "exit").then(() => children.delete(child))
  const address = await addressOf(child)
  const socket = new WebSocket(address)
  await once(socket, "open")

  let calls = 0
  const waiting = new Map<number, (answer: Answer) => void>()
  const complaints: Array<string> = []
  let loads = 0
  socket.addEventListener("message", ({ data }) => {
    const message: Answer & Notice = JSON.parse(String(data))
    if (message.id !== undefined) {
      waiting.get(message.id)?.(message)
      waiting.delete(message.id)
      return
    }
    if (message.method === "Page.loadEventFired") loads++
    const complaint = complaintOf(message)
    if (complaint !== undefined) complaints.push(complaint)
    // A dialog stops the page until it is answered.
    if (message.method === "Page.javascriptDialogOpening") {
      void send("Page.handleJavaScriptDialog", { accept: true })
    }
  })

  let session = {}
  // The shape of an answer is known to the protocol alone.
  // oxlint-disable-next-line typescript/no-explicit-any
  const send = async (method: string, params: object = {}): Promise<any> => {
    const id = ++calls
    const answered = new Promise<Answer>((resolve) => waiting.set(id, resolve))
    socket.send(JSON.stringify({ id, method, params, ...session }))
    const { error, result } = await answered
    if (error !== undefined) throw new Error(`${method}: ${error.message}`)
    return result
  }

  const { targetInfos } = await send("Target.getTargets")
  const page = targetInfos.find((one: { readonly type: string }) => one.type === "page")
  const attached = await send("Target.attachToTarget", { targetId: page.targetId, flatten: true })
  session = { sessionId: attached.sessionId }
  for (const domain of ["Page", "Runtime", "Log"]) await send(`${domain}.enable`)

  const run = async <A>(expression: string): Promise<A> => {
    const { exceptionDetails, result } = await send("Runtime.evaluate", {
      expression,
      awaitPromise: true,
      returnByValue: true,
      userGesture: true
    })
    if (exceptionDetails !== undefined) {
      throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text)
    }
    return result.value
  }
  const sees = (expression: string) => until(async () => Boolean(await run(expression)))

  return {
    go: async (url) => {
      const before = loads
      await send("Page.navigate", { url })
      // Within one document only the part behind the # changes, and nothing is loaded.
      await until(async () => loads > before || (await run<string>("location.href")) === url)
      await sees("document.readyState === 'complete'")
    },
    run,
    sees,
    reads: (text) => sees(`document.body.innerText.includes(${JSON.stringify(text)})`),
    press: (name) =>
      sees(`(() => {
        const all = [...document.querySelectorAll("button, a, summary")]
        const found = all.filter((one) => one.checkVisibility() && !one.disabled)
          .filter((one) => one.innerText.trim() === ${JSON.stringify(name)})
        // A question stands above the page.
        const one = found.find((each) => each.closest("dialog")) ?? found[0]
        if (one === undefined || document.querySelector("main[aria-busy]")) return false
        one.click()
        return true
      })()`),
    fill: (name, value) =>
      sees(`(() => {
        const all = [...document.querySelectorAll('[name=${JSON.stringify(name)}]')]
        const field = all.find((each) => each.closest("dialog")) ?? all[0]
        if (field === undefined || document.querySelector("main[aria-busy]")) return false
        field.focus()
        field.value = ${JSON.stringify(value)}
        field.dispatchEvent(new Event("input", { bubbles: true }))
        field.dispatchEvent(new Event("change", { bubbles: true }))
        return true
      })()`),
    type: async (key) => {
      const code = { Tab: 9, Enter: 13, Escape: 27 }[key]
      const press = { key, code: key, windowsVirtualKeyCode: code }
      await send("Input.dispatchKeyEvent", {
        type: "keyDown",
        ...press,
        ...(key === "Enter" ? { text: "\r" } : {})
      })
      await send("Input.dispatchKeyEvent", { type: "keyUp", ...press })
    },
    resize: async (width, height, scheme) => {
      await send("Emulation.setDeviceMetricsOverride", {
        width,
        height,
        deviceScaleFactor: 1,
        mobile: width < 600
      })
      await send("Emulation.setEmulatedMedia", {
        features: [{ name: "prefers-color-scheme", value: scheme }]
      })
    },
    picture: async () => {
      const { data } = await send("Page.captureScreenshot", {
        format: "png",
        captureBeyondViewport: true
      })
      return Buffer.from(data, "base64")
    },
    complaints,
    close: async () => {
      socket.close()
      child.kill("SIGKILL")
      await gone
      fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
    }
  }
}

interface Answer {
  readonly id?: number
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly result?: any
  readonly error?: { readonly message: string }
}

interface Notice {
  readonly method?: string
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly params?: any
}

/** What a page should not have said or done. */
const complaintOf = ({ method, params }: Notice): string | undefined => {
  switch (method) {
    case "Runtime.exceptionThrown":
      return `threw: ${params.exceptionDetails.exception?.description ?? params.exceptionDetails.text}`
    case "Runtime.consoleAPICalled":
      return `console.${params.type}: ${JSON.stringify(params.args)}`
    case "Log.entryAdded":
      return `${params.entry.level}: ${params.entry.text} ${params.entry.url ?? ""}`
    case "Page.javascriptDialogOpening":
      return `dialog: ${params.message}`
    default:
      return undefined
  }
}

/** Where a browser listens, which it prints once it does. */
const addressOf = async (child: ChildProcess): Promise<string> => {
  let said = ""
  child.stderr?.on("data", (chunk: Buffer) => (said += chunk.toString()))
  const address = () => /DevTools listening on (ws:\S+)/.exec(said)?.[1]
  await until(() => {
    if (child.exitCode !== null) throw new Error(`the browser ended:\n${said}`)
    return address() !== undefined
  })
  return address() ?? ""
}
