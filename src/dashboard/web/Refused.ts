/**
 * A request that did not succeed, in the words of the service or, where it did not answer, in ours.
 */

/** What the service answers in place of what was asked for; see RFC 9457. */
export interface Problem {
  readonly status: number
  readonly code: string
  readonly title: string
  readonly detail?: string
  readonly requestId?: string
  readonly retryAfterSeconds?: number
  readonly errors?: ReadonlyArray<{ readonly pointer: string; readonly message: string }>
}

/** A request that the service refused, or could not be asked for; its status is 0 then. */
export class Refused extends Error {
  readonly problem: Problem
  constructor(problem: Problem) {
    super(problem.title)
    this.name = "Refused"
    this.problem = problem
  }
}

/** Says in words what became of a request and what can be done. */
export const inWords = (problem: Problem): { readonly title: string; readonly text: string } => {
  const wait =
    problem.retryAfterSeconds === undefined
      ? "Try again in a moment."
      : `Try again in ${problem.retryAfterSeconds} s.`
  switch (problem.status) {
    case 0:
      return {
        title: "The service cannot be reached",
        text: "It may be restarting, or this machine is offline. Nothing is known to have changed."
      }
    case 401:
      return {
        title: "This key opens nothing",
        text: "It is unknown, revoked or past its end. Sign in with another one."
      }
    case 403:
      return {
        title: "This key may not do that",
        text: problem.detail ?? "It lacks the scope. Sign in with one that has it."
      }
    case 404:
      return {
        title: problem.title,
        text: problem.detail ?? "It may have been removed, or belongs to another tenant."
      }
    case 429:
    case 503:
      return { title: problem.title, text: [problem.detail, wait].filter(Boolean).join(" ") }
    default:
      return { title: problem.title, text: problem.detail ?? "" }
  }
}
