/**
 * Makes text fit to stand in a log: one line, no tricks of display, no endless value, no secret that
 * strayed into it.
 */

/** The longest text of one field, in UTF-16 units. */
export const lengthMax = 1_024

/** Escapes control and bidirectional characters, hides what looks like a secret, and cuts the rest. */
export const safeText = (text: string, max = lengthMax): string => {
  // Cut first: what follows costs time for each character.
  const cut = text.length > max ? `${text.slice(0, max - 1)}…` : text
  return cut
    .toWellFormed()
    .replaceAll(secrets, (_, prefix: string) => `${prefix}<redacted>`)
    .replaceAll(hidden, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`)
    .slice(0, max)
}

/** Controls, line separators, and the marks that turn the direction of text round. */
const hidden = /[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/** Keys and secrets of ours, credentials in a URL, and what follows `Bearer` or `Basic`. */
const secrets =
  /(\b(?:phk|whsec|whsk)_|:\/\/[^/@\s:]*:(?=[^/@\s]*@)|\b(?:Bearer|Basic) )[^\s@"',]+/gi
