/**
 * What a screen is given and what it answers.
 */
import type { Client } from "./Client.ts"
import type { Child } from "./Dom.ts"
import type { Route } from "./Route.ts"

/** What a screen works with. */
export interface App {
  readonly client: Client
  readonly route: Route
  /** Whether the key administers all tenants. */
  readonly isOperator: boolean
  /** Whether the key may make and revoke keys. */
  readonly isAdmin: boolean
  /** Aborted when the screen is left. */
  readonly signal: AbortSignal
  /** Looks at another tenant from now on. */
  readonly lookAt: (tenant: string) => void
  /** Leads to another address. */
  readonly go: (hash: string) => void
  /** Makes the screen anew. */
  readonly reload: () => void
}

/** A screen that is ready to be shown. */
export interface Shown {
  readonly title: string
  readonly body: ReadonlyArray<Child>
}

/** Reads what it shows and then shows it; the screen before stays until then. Fails with `Refused`. */
export type Screen = (app: App) => Promise<Shown>
