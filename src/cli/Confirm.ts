/**
 * Asks before something is done that cannot be taken back. Where nobody can be asked, `--yes` says it.
 */
import * as Flag from "effect/cli/Flag"
import * as Prompt from "effect/cli/Prompt"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** Reports that nobody said yes. */
export class NotConfirmed extends Schema.TaggedError<NotConfirmed>()("NotConfirmed", {}) {
  /** Says what would have. */
  override get message(): string {
    return "nothing was done: answer yes, or give --yes"
  }
}

/** Says yes beforehand. */
export const yes = Flag.Boolean("yes").pipe(
  Flag.withAlias("y"),
  Flag.withDescription("Do not ask"),
  Flag.withDefault(false)
)

/** Goes on once somebody said yes. */
export const confirmed = Effect.fnUntraced(function* (said: boolean, message: string) {
  if (said) return
  const answer = process.stdin.isTTY
    ? yield* Effect.orElseSucceed(Prompt.run(Prompt.Confirm({ message })), () => false)
    : false
  if (!answer) return yield* new NotConfirmed()
})
