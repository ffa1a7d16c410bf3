import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect } from "effect"
import { TestClock, TestConsole } from "effect/testing"
import { type Event, kinds, log } from "../../src/telemetry/Log.ts"
import * as Logging from "../../src/telemetry/Logging.ts"
import { lengthMax, safeText } from "../../src/telemetry/SafeText.ts"
import * as Throttle from "../../src/telemetry/Throttle.ts"

const events = Object.keys(kinds) as ReadonlyArray<Event>

/** The lines that an effect writes in a format. */
const linesOf = <A, E>(
  format: Logging.LoggingOptions["format"],
  effect: Effect.Effect<A, E>,
  level: Logging.LoggingOptions["level"] = "Debug"
) =>
  Effect.gen(function* () {
    yield* Effect.provide(effect, Logging.layer({ format, level }))
    return (yield* TestConsole.logLines).map(String)
  }).pipe(Effect.provide(TestConsole.layer, { local: true }))

describe("Logging", () => {
  it.effect("writes every kind of line as one JSON object with its event", () =>
    Effect.gen(function* () {
      const lines = yield* linesOf(
        "json",
        Effect.forEach(events, (event) => log(event))
      )
      const seen = lines.map((line) => JSON.parse(line))
      assert.sameOrderedMembers(
        seen.map(({ event }): string => event),
        events.map(String)
      )
      for (const { event, level, message, timestamp } of seen) {
        const kind = kinds[event as Event]
        assert.strictEqual(level, kind.level.toLowerCase())
        assert.strictEqual(message, kind.says)
        assert.strictEqual(timestamp, "1970-01-01T00:00:00.000Z")
      }
    })
  )

  it.effect("writes the same facts as logfmt and for people", () =>
    Effect.gen(function* () {
      const line = log("webhook_disabled", { webhook: "wh_1", reason: "gone for good" })
      const [logfmt] = yield* linesOf("logfmt", line)
      assert.strictEqual(
        logfmt,
        'timestamp=1970-01-01T00:00:00.000Z level=warn event=webhook_disabled message="A webhook is disabled" webhook=wh_1 reason="gone for good"'
      )
      const [pretty] = yield* linesOf("pretty", line)
      assert.strictEqual(
        pretty,
        '00:00:00.000 WARN  A webhook is disabled webhook=wh_1 reason="gone for good"'
      )
    })
  )

  it.effect("writes what caused a line, and leaves out what is below its level", () =>
    Effect.gen(function* () {
      const both = Effect.andThen(
        log("attempt_made", { attempt: 1 }),
        log("lane_restarted", {}, Cause.die(new Error("the dog ate it")))
      )
      const [line, ...more] = yield* linesOf("json", both, "Info")
      assert.isEmpty(more)
      assert.include(JSON.parse(line!).cause, "the dog ate it")
    })
  )

  it.effect("leaves out every field that is not on its list, whoever adds it", () =>
    Effect.gen(function* () {
      const stray = log("webhook_paused", { webhook: "wh_1" }).pipe(
        Effect.annotateLogs({ body: "canary", headers: { a: "canary" }, url: "https://canary" })
      )
      const library = Effect.logInfo("said", { secret: "canary" }, "more", new Error("went wrong"))
      const lines = yield* linesOf("json", Effect.andThen(stray, library))
      assert.lengthOf(lines, 2)
      assert.notInclude(lines.join(), "canary")
      assert.strictEqual(JSON.parse(lines[1]!).message, "said more went wrong")
    })
  )

  it.effect("writes one line whatever a text holds, of a bounded length", () =>
    Effect.gen(function* () {
      const nasty = ['a\nb\r\n{"level":"error"}', "\u001b[2J\u202eevil\u2066", "x".repeat(1e6)]
      for (const format of ["json", "logfmt", "pretty"] as const) {
        for (const reason of nasty) {
          const [line, ...more] = yield* linesOf(format, log("engine_lost", { reason }))
          assert.isEmpty(more)
          assert.notMatch(line!, /[\p{Cc}\u202e\u2066]/u)
          assert.isBelow(line!.length, 2 * lengthMax)
        }
      }
    })
  )

  it("hides what looks like a secret, wherever it strayed", () => {
    const hide: ReadonlyArray<readonly [string, string]> = [
      ["key phk_abcDEF123, refused", "key phk_<redacted>, refused"],
      ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_<redacted>"],
      ["postgres://user:canary@db:5432/x", "postgres://user:<redacted>@db:5432/x"],
      ["authorization: Bearer canary", "authorization: Bearer <redacted>"],
      ["https://a.example:8443/b@c", "https://a.example:8443/b@c"]
    ]
    for (const [text, shown] of hide) assert.strictEqual(safeText(text), shown)
  })

  it.effect("says of an outage of ten minutes what happens in few lines, and how often", () =>
    Effect.gen(function* () {
      const outage = Effect.gen(function* () {
        for (let tick = 0; tick < 6_000; tick++) {
          for (const event of ["due_waiting", "settlements_waiting", "engine_lost"] as const) {
            yield* log(event, { reason: "away" })
          }
          yield* TestClock.adjust(100)
        }
        yield* log("webhook_paused")
      })
      const lines = (yield* linesOf("json", outage)).map((line) => JSON.parse(line))
      assert.isAtMost(lines.length, 3 * 70 + 1)
      const told = lines.filter(({ event }) => event === "due_waiting")
      const stoodFor = told.reduce((sum, { repeated = 1 }) => sum + repeated, 0)
      assert.closeTo(stoodFor, 6_000, 100)
      assert.strictEqual(lines.at(-1).event, "webhook_paused", "what does not repeat is written")
    })
  )

  it("lets lines of other kinds and later outages pass as if nothing had been", () => {
    const throttle = Throttle.make()
    for (let i = 0; i < 10; i++) assert.strictEqual(throttle("due_waiting", 0), 1)
    assert.isNull(throttle("due_waiting", 0))
    assert.strictEqual(throttle("engine_lost", 0), 1)
    assert.strictEqual(throttle("due_waiting", 10_000), 2)
    assert.isNull(throttle("due_waiting", 19_999))
    for (let i = 0; i < 10; i++) assert.isNotNull(throttle("due_waiting", 1_000_000))
  })
})
