/**
 * Times that lists are narrowed to: since a while ago, or between two instants, always UTC.
 */

/** What an address says of time. */
export interface Asked {
  readonly within?: string | undefined
  readonly after?: string | undefined
  readonly before?: string | undefined
}

/** Reads what an address says, as the API wants it: RFC 3339. */
export const period = (
  { after, before, within }: Asked,
  now: number
): { readonly after: string | undefined; readonly before: string | undefined } => {
  const ms = within === undefined ? undefined : lengths[within]
  return ms === undefined
    ? { after: utc(after), before: utc(before) }
    : { after: new Date(now - ms).toISOString(), before: undefined }
}

const lengths: Readonly<Record<string, number>> = {
  "15m": 15 * 60_000,
  "1h": 3_600_000,
  "24h": 86_400_000,
  "7d": 7 * 86_400_000
}

/** A field for instants writes no zone and leaves seconds out where they are zero. */
const utc = (text: string | undefined): string | undefined => {
  if (text === undefined) return undefined
  const at = Date.parse(/(?:Z|[+-]\d\d:\d\d)$/i.test(text) ? text : `${text}Z`)
  return Number.isNaN(at) ? undefined : new Date(at).toISOString()
}
