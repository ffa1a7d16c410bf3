/**
 * Runs a file of bench/ as a process of its own and calls its functions from here. Arguments and
 * results are copied, typed arrays included. A child ends with its parent.
 */
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"

/** What a child process can be asked, by name; each takes one argument. */
export type Methods = { readonly [name: string]: (argument: never) => unknown }

/** A running child process. */
export interface Child<M extends Methods> {
  readonly pid: number
  /** Calls a function of the child. Rejects with what it threw, or when the child ends. */
  readonly call: <K extends keyof M & string>(
    name: K,
    argument: Parameters<M[K]>[0]
  ) => Promise<Awaited<ReturnType<M[K]>>>
  /** Ends the child and waits for its end. */
  readonly stop: () => Promise<void>
}

interface Request {
  readonly id: number
  readonly name: string
  readonly argument: unknown
}

type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: string }

interface Waiting {
  readonly resolve: (value: never) => void
  readonly reject: (error: Error) => void
}

/** Starts a file that calls `answerParent`. */
export const startChild = <M extends Methods>(file: URL): Child<M> => {
  const child: ChildProcess = fork(file, { serialization: "advanced", execArgv: [] })
  const waiting = new Map<number, Waiting>()
  let lastId = 0
  child.on("message", (answer: Answer) => {
    const caller = waiting.get(answer.id)
    waiting.delete(answer.id)
    if ("error" in answer) caller?.reject(new Error(answer.error))
    // Both sides are typed by M; the channel between them is not.
    else caller?.resolve(answer.value as never)
  })
  child.once("exit", (code) => {
    for (const { reject } of waiting.values()) reject(new Error(`${file.pathname} ended: ${code}`))
  })
  return {
    pid: child.pid ?? 0,
    call: (name, argument) =>
      new Promise((resolve, reject) => {
        const request: Request = { id: ++lastId, name, argument }
        waiting.set(request.id, { resolve, reject })
        child.send(request)
      }),
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, "exit")
      child.disconnect()
      await ended
    }
  }
}

/** Answers the calls of the process that started this one, and ends when it is gone. */
export const answerParent = (methods: Methods): void => {
  process.on("disconnect", () => process.exit(0))
  process.on("message", async ({ argument, id, name }: Request) => {
    try {
      const method = methods[name]
      if (method === undefined) throw new Error(`there is no ${name}`)
      // Both sides are typed by M; the channel between them is not.
      process.send?.({ id, value: await method(argument as never) })
    } catch (error) {
      process.send?.({ id, error: error instanceof Error ? String(error.stack) : String(error) })
    }
  })
}
