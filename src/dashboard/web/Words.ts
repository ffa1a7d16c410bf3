/**
 * Numbers, lengths and instants as people read them. English, with units, the same in every browser.
 */

/** Says how far an instant is from now, such as `5 min ago` or `in 2 h`; a date beyond a month. */
export const relative = (at: number, now: number): string => {
  const away = Math.abs(at - now)
  if (away < 1_000) return "now"
  if (away >= 30 * day) return dateOf(at)
  const text = coarse(away)
  return at > now ? `in ${text}` : `${text} ago`
}

/** Says how long something took or waits, such as `840 ms`, `1.2 s` or `3 min 20 s`. */
export const length = (ms: number): string => {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 10_000) return `${Math.floor(ms / 100) / 10} s`
  if (ms < minute) return `${Math.floor(ms / 1_000)} s`
  if (ms < hour) return two(ms, minute, "min", 1_000, "s")
  return ms < day ? two(ms, hour, "h", minute, "min") : two(ms, day, "d", hour, "h")
}

/** Says how large something is, such as `312 B` or `4.1 KB` (of 1,024 bytes). */
export const size = (bytes: number): string => {
  if (bytes < 1_024) return `${bytes} B`
  const kilo = bytes / 1_024
  return kilo < 1_024 ? `${decimal(kilo)} KB` : `${decimal(kilo / 1_024)} MB`
}

/** Writes a number with its thousands apart, such as `12,304`. */
export const count = (value: number): string =>
  String(Math.trunc(value)).replaceAll(/\B(?=(?:\d{3})+(?!\d))/g, ",")

/** Names a number of things: `1 attempt`, `2 attempts`. */
export const many = (value: number, one: string, more = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : more}`

/** Writes a share, such as `99.2 %`; never `100 %` or `0 %` where it is not. */
export const share = (value: number): string => {
  if (value === 0 || value === 1) return `${value * 100} %`
  return `${Math.min(99.9, Math.max(0.1, value * 100)).toFixed(1)} %`
}

/** Makes a word of a name with underscores, such as `half open`. */
export const spaced = (name: string): string => name.replaceAll("_", " ")

/** Begins a sentence with a capital letter. */
export const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

const coarse = (ms: number): string => {
  if (ms < minute) return `${Math.floor(ms / 1_000)} s`
  if (ms < hour) return `${Math.floor(ms / minute)} min`
  if (ms < 2 * day) return `${Math.floor(ms / hour)} h`
  return `${Math.floor(ms / day)} days`
}

const two = (ms: number, large: number, name: string, small: number, rest: string): string => {
  const over = Math.floor((ms % large) / small)
  return `${Math.floor(ms / large)} ${name}${over === 0 ? "" : ` ${over} ${rest}`}`
}

const decimal = (value: number): string =>
  value < 10 ? value.toFixed(1) : String(Math.round(value))

const dateOf = (at: number): string => {
  const date = new Date(at)
  return `${date.getUTCDate()} ${months[date.getUTCMonth()]} ${date.getUTCFullYear()}`
}

const months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ")
