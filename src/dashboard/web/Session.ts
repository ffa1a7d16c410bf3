/**
 * Who is signed in, for as long as the tab is open: the key lives in sessionStorage and nowhere else.
 */

/** A key, and the tenant that it looks at where it may look at several. */
export interface Session {
  readonly key: string
  readonly tenant: string | null
}

/** Reads who is signed in; null when nobody is. */
export const read = (): Session | null => {
  const key = sessionStorage.getItem(keyName)
  return key === null ? null : { key, tenant: sessionStorage.getItem(tenantName) }
}

/** Signs in, or changes the tenant. */
export const keep = ({ key, tenant }: Session): void => {
  sessionStorage.setItem(keyName, key)
  if (tenant === null) sessionStorage.removeItem(tenantName)
  else sessionStorage.setItem(tenantName, tenant)
}

/** Signs out: nothing of the key is left. */
export const forget = (): void => sessionStorage.clear()

const keyName = "posthaste.key"
const tenantName = "posthaste.tenant"
