/**
 * The browser's clock: pages have no other, so nothing else in this folder asks for the time.
 */

/** Tells the time in epoch milliseconds. */
export const now = (): number => Date.now()

/** Waits so many milliseconds, or until the signal says that nobody waits any more; never fails. */
export const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const timer = setTimeout(resolve, ms)
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer)
        resolve()
      },
      { once: true }
    )
  })
