/**
 * `posthaste listen`: a receiver for trying things out. It prints each request and its verdict on the
 * signature, and answers what it was told.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { verify } from "../verify.ts"

const Statuses = Schema.String.check(
  Schema.isPattern(/^[2-5]\d\d(,[2-5]\d\d)*$/, { message: "Expected statuses such as 200,500" })
)

/** Lets a secret pass that something can be verified with: `verify` throws at any other. */
const usable = (secret: Redacted.Redacted): Redacted.Redacted => {
  verify({ secret: Redacted.value(secret), headers: {}, body: "" })
  return secret
}

/** Receives requests on a loopback port and says what it saw. */
export const listen = Command.make(
  "listen",
  {
    port: Flag.Int("port").pipe(
      Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65_535 }))),
      Flag.withDescription("Where to listen on 127.0.0.1; 0 takes any free port"),
      Flag.withDefault(9000)
    ),
    secret: Flag.Redacted("secret").pipe(
      Flag.mapTryCatch(usable, (error) =>
        error instanceof TypeError ? `whsec_… or whpk_…; ${error.message}` : "whsec_… or whpk_…"
      ),
      Flag.withDescription(
        "The webhook's secret, whsec_…, or its public key, whpk_…, to verify standard signatures with"
      ),
      Flag.optional
    ),
    status: Flag.String("status").pipe(
      Flag.withSchema(Statuses),
      Flag.withDescription("What to answer, in turn: 200,500 answers 200, 500, 200, …"),
      Flag.withDefault("200")
    ),
    delay: Flag.Int("delay").pipe(
      Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 600_000 }))),
      Flag.withDescription("Milliseconds to wait before answering"),
      Flag.withDefault(0)
    )
  },
  (input) =>
    Effect.promise(() => import("./Listener.ts")).pipe(
      // Loaded only here: the other words start without a server.
      Effect.flatMap(({ run }) => run(input))
    )
).pipe(Command.withDescription("Receive webhooks here, to try things out"))
