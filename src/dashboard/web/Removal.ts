/**
 * Removes something for good: asked for its name first, and away from its page afterwards.
 */
import type { Action } from "./Actions.ts"
import type { App } from "./App.ts"
import { ask } from "./Dialog.ts"
import { announce } from "./Feedback.ts"

/** Makes the action. `what` is what is removed, such as `webhook`; `name` has to be typed. */
export const removal = (
  app: App,
  options: {
    readonly what: string
    readonly name: string
    /** What is lost with it. */
    readonly text: string
    readonly remove: () => Promise<unknown>
    /** Where one is led then. */
    readonly next: string
  }
): Action => ({
  label: `Remove this ${options.what}`,
  kind: "danger",
  run: async () => {
    const isMeant = await ask({
      title: `Remove this ${options.what}?`,
      text: options.text,
      does: "Remove it",
      typed: options.name
    })
    if (!isMeant) return
    await options.remove()
    announce("Removed.")
    app.go(options.next)
  }
})
