/**
 * Tells listeners and streams of this process what was committed, in the order of the commits.
 *
 * A listener is called in line and one change at a time: it returns before the next change of
 * anything is told, and before the writer gets its answer. A stream is told the same afterwards,
 * without anybody waiting for it.
 *
 * Leaves to others: to write inside `ordered` and to announce what was written before leaving it.
 * Without that two commits of one record could be told the wrong way round.
 */
import { Cause, Effect, Exit, Hash, PubSub, type Scope, Semaphore, Stream, type Take } from "effect"
import { log } from "../telemetry/Log.ts"

/** Announces changes of records that have keys. */
export interface Announcer<Change> {
  /** Runs writes of one record one after another. */
  readonly ordered: (
    key: string
  ) => <A, E, R>(write: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Tells every listener, then the streams. Never fails: a listener's defect is logged. */
  readonly announce: (change: Change) => Effect.Effect<void>
  /** Calls the listener with every change until the scope closes. */
  readonly watch: (
    listener: (change: Change) => Effect.Effect<void>
  ) => Effect.Effect<void, never, Scope.Scope>
  /** Every change from now on; ends with the announcer. A slow reader misses the oldest. */
  readonly changes: Stream.Stream<Change>
}

/** Records that may be written at the same time, at most; those that share a lock take turns. */
const locks = 64

/** Makes an announcer that lives in the current scope; a stream keeps up to `capacity` changes. */
export const make = Effect.fnUntraced(function* <Change>(
  name: string,
  capacity: number
): Effect.fn.Return<Announcer<Change>, never, Scope.Scope> {
  const semaphores = Array.from({ length: locks }, () => Semaphore.makeUnsafe(1))
  const oneChange = Semaphore.makeUnsafe(1)
  const listeners = new Set<(change: Change) => Effect.Effect<void>>()
  const pubsub = yield* PubSub.sliding<Take.Take<Change>>(capacity)
  yield* Effect.addFinalizer(() => PubSub.end(pubsub, Exit.void))

  return {
    ordered: (key) => semaphores[(Hash.string(key) >>> 0) % locks]!.withPermit,
    announce: (change) =>
      Effect.forEach(
        [...listeners],
        (listener) =>
          Effect.catchCause(
            Effect.suspend(() => listener(change)),
            (cause) =>
              Cause.hasInterruptsOnly(cause)
                ? Effect.void
                : log("listener_died", { what: name }, cause)
          ),
        { discard: true }
      ).pipe(Effect.andThen(PubSub.publish(pubsub, [change])), oneChange.withPermit),
    watch: (listener) =>
      Effect.acquireRelease(
        // A listener that is given twice is called twice, so each gets an entry of its own.
        Effect.sync(() => {
          const entry = (change: Change) => listener(change)
          listeners.add(entry)
          return entry
        }),
        (entry) => Effect.sync(() => listeners.delete(entry))
      ).pipe(Effect.asVoid),
    changes: Stream.fromPubSubTake(pubsub)
  }
})
