/**
 * Answers the endpoints of the switch that stops all sending.
 */
import { Effect, Option } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Api } from "../api/Api.ts"
import type { HoldView } from "../api/HoldApi.ts"
import type { Hold } from "../domain/Hold.ts"
import { HoldRepo } from "../store/HoldRepo.ts"
import { operator } from "./Operator.ts"
import { answered } from "./StoreFaults.ts"

export const HoldHandlers = HttpApiBuilder.group(
  Api,
  "hold",
  Effect.fn(function* (handlers) {
    const holds = yield* HoldRepo
    return handlers.handleAll({
      get: Effect.fn("HoldHandlers.get")(function* () {
        yield* operator
        return view(yield* holds.find)
      }, answered),
      hold: Effect.fn("HoldHandlers.hold")(function* ({ payload }) {
        yield* operator
        return view(Option.some(yield* holds.hold(payload?.reason ?? null)))
      }, answered),
      release: Effect.fn("HoldHandlers.release")(function* () {
        yield* operator
        yield* holds.release
        return view(Option.none())
      }, answered)
    })
  })
)

const view = (hold: Option.Option<Hold>): HoldView =>
  Option.match(hold, {
    onNone: () => ({ held: false, reason: null, since: null }),
    onSome: ({ reason, since }) => ({ held: true, reason, since })
  })
