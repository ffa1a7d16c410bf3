/**
 * Opens what the tests of a file need, so that none of them has to close it.
 */
import { afterAll } from "vitest"
import { openInbox } from "./Inbox.ts"
import { makeService } from "./Service.ts"

/** Opens things until the tests of the file, or of the `describe` around it, are over; the last one is closed first. */
export const borrowing = () => {
  const ends: Array<() => Promise<void> | void> = []
  afterAll(async () => {
    for (const end of ends.toReversed()) await end()
  })
  return {
    /** Does this too when all is over. */
    atEnd: (...more: ReadonlyArray<() => Promise<void> | void>) => {
      ends.push(...more)
    },
    /** Prepares a service, to be started. */
    prepared: async (...options: Parameters<typeof makeService>) => {
      const service = await makeService(...options)
      ends.push(service.remove)
      return service
    },
    /** Opens an inbox. */
    inbox: async (...treat: Parameters<typeof openInbox>) => {
      const opened = await openInbox(...treat)
      ends.push(opened.close)
      return opened
    }
  }
}
