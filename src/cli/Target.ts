/**
 * What the command line was told about the service to talk to and the form to print in. Given before
 * or after any word: `posthaste --output json webhooks list`.
 */
import * as Flag from "effect/cli/Flag"
import * as Context from "effect/Context"
import type * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"

export class Target extends Context.Service<
  Target,
  {
    /** Where the service is; none is the one on this machine, or the database itself. */
    readonly url: Option.Option<string>
    readonly key: Option.Option<Redacted.Redacted>
    /** The tenant that an admin key acts for, by id or uid. */
    readonly tenant: Option.Option<string>
    readonly output: "table" | "json"
  }
>()("posthaste/cli/Target") {}

/** The flags that every word takes. */
export const targetFlags = {
  url: Flag.String("url").pipe(
    Flag.withDescription(
      "The service, such as http://127.0.0.1:8400; POSTHASTE_URL when absent, else the one on this " +
        "machine, or the database itself when none answers"
    ),
    Flag.optional
  ),
  key: Flag.Redacted("api-key").pipe(
    Flag.withDescription(
      "An API key; POSTHASTE_API_KEY when absent, else the admin key in the data directory"
    ),
    Flag.optional
  ),
  tenant: Flag.String("tenant").pipe(
    Flag.withDescription("The tenant that an admin key acts for, by id or uid"),
    Flag.optional
  ),
  output: Flag.Literals("output", ["table", "json"]).pipe(
    Flag.withAlias("o"),
    Flag.withDescription("How answers are printed"),
    Flag.withDefault("table" as const)
  )
}
