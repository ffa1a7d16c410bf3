/**
 * What a content type says about the bytes that have it.
 */

/** Tells whether bytes of a content type are JSON: `application/json`, `application/…+json`. */
export const isJson = (contentType: string): boolean =>
  /^[\w.+-]+\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(contentType)
