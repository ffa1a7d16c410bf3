/**
 * Takes the first of several ways that leads to a goal: the next one begins when the one before has
 * failed, or has led nowhere for a quarter of a second, and does not stop it. So a dead address costs
 * 250 ms, and a slow one is not taken for dead (Happy Eyeballs, RFC 8305, section 5).
 *
 * At most four ways are tried at once; then the oldest, tried for a second, makes room.
 */
import type * as Clock from "effect/Clock"
import * as Result from "effect/Result"
import { type Deadlines, monotonicMs, type Timed } from "./Deadlines.ts"

/**
 * Starts on one way and reports at most once how it ended. Answers what gives it up, after which it
 * reports nothing.
 */
export type Way<A> = (ended: (result: Result.Result<A, Error>) => void) => () => void

/** What a race reads the time from, and what wakes it. */
export interface RaceTime {
  readonly clock: Clock.Clock
  readonly deadlines: Deadlines
}

/** When the next way begins although the one before may still lead to the goal, in milliseconds. */
const delayMs = 250
const runningMax = 4

/** Goes all ways until one leads to the goal. */
export class Race<A> implements Timed {
  endsAt = Infinity
  readonly #time: RaceTime
  readonly #ways: Array<Way<A>>
  readonly #done: (result: Result.Result<A, ReadonlyArray<Error>>) => void
  /** What gives each of the running ones up, the oldest first. */
  readonly #running = new Map<Way<A>, () => void>()
  readonly #errors: Array<Error> = []
  #isOver = false

  /** Calls `done` once: with the goal, or with how every way failed. It begins with `start`. */
  constructor(
    time: RaceTime,
    ways: ReadonlyArray<Way<A>>,
    done: (result: Result.Result<A, ReadonlyArray<Error>>) => void
  ) {
    this.#time = time
    this.#ways = [...ways]
    this.#done = done
  }

  /** Starts on the first way. */
  start(): void {
    this.#next()
  }

  expire(): void {
    this.#next()
  }

  /** Gives all ways up; nothing is reported any more. */
  cancel(): void {
    this.#isOver = true
    this.#time.deadlines.delete(this)
    for (const giveUp of this.#running.values()) giveUp()
    this.#running.clear()
  }

  #next(): void {
    const way = this.#ways.shift()
    if (way === undefined) {
      if (this.#running.size === 0) this.#finish(Result.fail(this.#errors))
      return
    }
    if (this.#running.size >= runningMax) this.#giveUpOldest()
    if (this.#ways.length > 0) {
      this.endsAt = monotonicMs(this.#time.clock) + delayMs
      this.#time.deadlines.add(this)
    }
    this.#running.set(way, () => {})
    const giveUp = way((result) => this.#ended(way, result))
    if (this.#running.has(way)) this.#running.set(way, giveUp)
  }

  #ended(way: Way<A>, result: Result.Result<A, Error>): void {
    if (this.#isOver || !this.#running.delete(way)) return
    if (Result.isSuccess(result)) return this.#finish(Result.succeed(result.success))
    this.#errors.push(result.failure)
    this.#time.deadlines.delete(this)
    this.#next()
  }

  #giveUpOldest(): void {
    for (const [way, giveUp] of this.#running) {
      this.#running.delete(way)
      giveUp()
      this.#errors.push(late)
      return
    }
  }

  #finish(result: Result.Result<A, ReadonlyArray<Error>>): void {
    this.cancel()
    this.#done(result)
  }
}

const late = Object.assign(new Error("no connection in a second"), { code: "ETIMEDOUT" })
