/**
 * Undici's HTTP/1.1 client, and nothing else of undici.
 *
 * **Gotchas** Undici's main module sets the global dispatcher when it is loaded, and so the one behind
 * `fetch` of the program that embeds us. Its client alone changes nothing.
 */
import { createRequire } from "node:module"
import type * as Undici from "undici"

/** Speaks HTTP/1.1 to one origin on one socket. */
export const Client: typeof Undici.Client = createRequire(import.meta.url)(
  "undici/lib/dispatcher/client.js"
)
export type Client = Undici.Client
