/**
 * Reads `Retry-After`, the header by which a receiver asks to be left alone for a while.
 *
 * Understood are seconds, whole or with a fraction, and the three forms of an HTTP date. What is in
 * the past, negative, repeated, or no number and no date is as good as absent, and so is a number
 * that leads to an instant no calendar has. What is left is honoured for a day at most.
 * Source: RFC 9110 sections 5.6.7 and 10.2.3; fractions are common in the wild.
 */
import * as DateTime from "effect/DateTime"
import * as Headers from "effect/http/Headers"
import * as Result from "effect/Result"
import type { ResponseHeaders } from "../domain/Attempt.ts"

/** The longest wait that a receiver can ask for, in milliseconds: 24 hours. */
export const retryAfterMsMax = 86_400_000

/**
 * Reads the instant (epoch milliseconds) before which a response asks for no request: later than
 * `now`, at most `retryAfterMsMax` later. Null when it does not ask, or asks nothing sensible.
 */
export const retryAfterAt = (headers: ResponseHeaders, now: number): number | null => {
  const value = headers["retry-after"]?.trim()
  if (value === undefined) return null
  const at = seconds.test(value) ? now + Math.ceil(Number(value) * 1000) : dateAt(value)
  return at === null || at <= now || at > lastInstant ? null : Math.min(at, now + retryAfterMsMax)
}

const seconds = /^\d+(?:\.\d+)?$/

/** The last epoch millisecond that a date can hold, in the year 275760. */
const lastInstant = 8.64e15

const dateAt = (value: string): number | null => {
  const date = Headers.parseHttpDate(value)
  return Result.isSuccess(date) ? DateTime.toEpochMillis(date.success) : null
}
