/**
 * The version of Posthaste, as receivers and the API see it. A test compares it with package.json.
 */

/** Semantic version of this build. */
export const version = "0.1.0"
