/**
 * Lets concurrent callers share a round trip: what is submitted in one turn of the event loop, or
 * while earlier flushes are in flight, travels in one flush.
 *
 * Promises: result `i` of a flush answers its item `i`; a flush that fails, or dies, does so for each
 * of its items; an idle batcher waits for nothing but the end of the current turn, there is no timer;
 * items leave in the order in which they came; everything is bounded, and at the bound `submit` fails
 * at once. Closing the scope refuses new items and lets pending ones and flushes in flight finish.
 *
 * A flush that is past its bound answers its callers and is interrupted; nobody waits for the end of
 * that. While all that may be in flight is past its bound, what waits and what comes is refused.
 *
 * Leaves to others: what a flush does, and retrying it. A caller that is interrupted leaves its item
 * in: the item is flushed and its result dropped.
 */
import {
  Cause,
  Clock,
  Context,
  Duration,
  Effect,
  Exit,
  type Fiber,
  Latch,
  Schema,
  Scheduler,
  Tracer
} from "effect"
import type { NonEmptyReadonlyArray } from "effect/Array"
import type { Scope } from "effect/Scope"

/** Submits items that are flushed together. */
export interface GroupCommit<A, B, E> {
  /** Hands one item to the next flush and waits for its result. */
  readonly submit: (item: A) => Effect.Effect<B, E | Overloaded>
  /** Counts the items that wait for a flush; items in flight are not among them. */
  readonly pending: () => number
}

/** What a group commit flushes, how, and every bound it keeps. */
export interface Options<A, B, E> {
  /** Names the batcher in `Overloaded`. */
  readonly name: string
  /** Answers a batch: result `i` for item `i`. */
  readonly flush: (items: NonEmptyReadonlyArray<A>) => Effect.Effect<ReadonlyArray<B>, E>
  /** Measures an item in bytes. */
  readonly sizeOf: (item: A) => number
  /** Items that may wait, in all. */
  readonly pendingMax: number
  /** Bytes that may wait, in all. 64 MiB by default. */
  readonly pendingBytesMax?: number
  /** Flushes in flight at once. 2 by default. */
  readonly inFlightMax?: number
  /** Items per flush. 200 by default. */
  readonly rowsMax?: number
  /** Bytes per flush, except that one larger item travels alone. 1 MiB by default. */
  readonly bytesMax?: number
  /** What a refused caller is told to wait. 1 second by default. */
  readonly retryAfter?: Duration.Input
  /** How long a flush may take, and what its callers are told then. No bound by default. */
  readonly bound?: Bound<E>
}

/** How long a flush may take, and what its callers are told then. */
export interface Bound<E> {
  readonly after: Duration.Input
  readonly unanswered: () => E
}

/** Reports that a bounded queue is full, or closing; HTTP answers 503 with `Retry-After`. */
export class Overloaded extends Schema.TaggedError<Overloaded>()("Overloaded", {
  name: Schema.String,
  retryAfter: Schema.Duration
}) {
  /** Names the queue that refused. */
  override get message(): string {
    return `${this.name} takes no more at the moment`
  }
}

/** Makes a group commit that lives in the current scope. */
export const make = Effect.fnUntraced(function* <A, B, E>(
  options: Options<A, B, E>
): Effect.fn.Return<GroupCommit<A, B, E>, never, Scope> {
  const { name, flush, sizeOf, pendingMax, bound } = options
  const pendingBytesMax = options.pendingBytesMax ?? 64 * 1_048_576
  const inFlightMax = options.inFlightMax ?? 2
  const rowsMax = options.rowsMax ?? 200
  const bytesMax = options.bytesMax ?? 1_048_576
  const retryAfter = Duration.fromInputUnsafe(options.retryAfter ?? "1 second")
  // One instance for all refusals: under overload a stack trace per refusal would cost the most.
  const refused = Exit.fail(new Overloaded({ name, retryAfter }))

  // A flush belongs to all of its callers, so it runs in the context of none of them.
  const runFork = Effect.runForkWith(Context.omit(Tracer.ParentSpan)(yield* Effect.context()))
  const dispatcher = (yield* Scheduler.Scheduler).makeDispatcher()

  const clock = yield* Clock.Clock
  // Not the clock on the wall: that may be put forward.
  const present = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
  const waiting: Array<Waiting<A, B, E>> = []
  const flights = new Set<Flight<A, B, E>>()
  const begun = Latch.makeUnsafe()
  let waitingBytes = 0
  let late = 0
  let scheduled = false
  let closing = false
  let onDrained: (() => void) | undefined

  const mayFlush = () => waiting.length > 0 && flights.size < inFlightMax

  const schedule = () => {
    if (scheduled || !mayFlush()) return
    scheduled = true
    dispatcher.scheduleTask(flushWaiting, 0)
  }

  const flushWaiting = () => {
    scheduled = false
    while (mayFlush()) flushBatch(takeBatch())
  }

  const takeBatch = (): Array<Waiting<A, B, E>> => {
    let bytes = waiting[0]!.bytes
    let rows = 1
    while (rows < waiting.length && rows < rowsMax) {
      const next = bytes + waiting[rows]!.bytes
      if (next > bytesMax) break
      bytes = next
      rows++
    }
    waitingBytes -= bytes
    return waiting.splice(0, rows)
  }

  const flushBatch = (batch: Array<Waiting<A, B, E>>) => {
    const [first, ...rest] = batch
    const items: NonEmptyReadonlyArray<A> = [first!.item, ...rest.map((entry) => entry.item)]
    const fiber = runFork(Effect.suspend(() => flush(items)))
    const flight = { batch, fiber, begunAt: present(), isLate: false }
    flights.add(flight)
    begun.openUnsafe()
    fiber.addObserver((exit) => {
      flights.delete(flight)
      if (flight.isLate) late--
      schedule()
      if (!flight.isLate) answer(name, batch, exit)
      if (closing && flights.size === 0 && waiting.length === 0) onDrained?.()
    })
  }

  /** Waits for the flush that is out longest: one timer for however many come and go meanwhile. */
  const watch = Effect.fnUntraced(function* ({ after, unanswered }: Bound<E>) {
    const afterMs = Duration.toMillis(Duration.fromInputUnsafe(after))
    while (true) {
      begun.closeUnsafe()
      const now = present()
      let leftMs = Infinity
      for (const flight of flights) {
        if (flight.isLate) continue
        const left = flight.begunAt + afterMs - now
        if (left <= 0) giveUp(flight, unanswered())
        else leftMs = Math.min(leftMs, left)
      }
      yield* leftMs === Infinity ? begun.await : Effect.sleep(leftMs)
    }
  })

  const giveUp = (flight: Flight<A, B, E>, error: E) => {
    flight.isLate = true
    late++
    answer(name, flight.batch, Exit.fail(error))
    if (late >= inFlightMax) refuseWaiting()
    flight.fiber.interruptUnsafe()
  }

  const refuseWaiting = () => {
    waitingBytes = 0
    for (const entry of waiting.splice(0)) entry.resume(refused)
  }

  if (bound !== undefined) yield* Effect.forkScoped(watch(bound))
  yield* Effect.addFinalizer(() =>
    Effect.callback<void>((resume) => {
      closing = true
      if (flights.size === 0 && waiting.length === 0) return resume(Effect.void)
      onDrained = () => resume(Effect.void)
    })
  )

  return {
    pending: () => waiting.length,
    submit: (item) =>
      Effect.callback((resume) => {
        const bytes = sizeOf(item)
        if (
          closing ||
          late >= inFlightMax ||
          waiting.length >= pendingMax ||
          (waitingBytes + bytes > pendingBytesMax && waiting.length > 0)
        ) {
          return resume(refused)
        }
        waitingBytes += bytes
        waiting.push({ item, bytes, resume })
        schedule()
      })
  }
})

/** A flush that is under way. Once it is late, its callers have been answered. */
interface Flight<A, B, E> {
  readonly batch: ReadonlyArray<Waiting<A, B, E>>
  readonly fiber: Fiber.Fiber<ReadonlyArray<B>, E>
  /** Milliseconds of the monotonic clock. */
  readonly begunAt: number
  isLate: boolean
}

interface Waiting<A, B, E> {
  readonly item: A
  readonly bytes: number
  readonly resume: (exit: Exit.Exit<B, E | Overloaded>) => void
}

const answer = <A, B, E>(
  name: string,
  batch: ReadonlyArray<Waiting<A, B, E>>,
  exit: Exit.Exit<ReadonlyArray<B>, E>
): void => {
  if (Exit.isSuccess(exit) && exit.value.length === batch.length) {
    const results = exit.value
    for (let i = 0; i < batch.length; i++) batch[i]!.resume(Exit.succeed(results[i]!))
    return
  }
  const failure = Exit.isSuccess(exit)
    ? Exit.die(new Error(`${name} answered ${exit.value.length} of ${batch.length} items`))
    : // An interrupted flush must not look as if each caller had been interrupted.
      Cause.hasInterruptsOnly(exit.cause)
      ? Exit.die(new Error(`${name} was interrupted during a flush`))
      : Exit.failCause(exit.cause)
  for (const entry of batch) entry.resume(failure)
}
