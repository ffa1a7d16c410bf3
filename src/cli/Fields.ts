/**
 * Fields of a webhook as the command line takes them: flags for what is named often, `--set` for any
 * other field of the API, in JSON.
 */
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"

/** Reports a field that the API would not take. */
export class FieldInvalid extends Schema.TaggedError<FieldInvalid>()("FieldInvalid", {
  message: Schema.String
}) {}

const words = (name: string, description: string) =>
  Flag.String(name).pipe(
    Flag.map((text) => text.split(",").filter((word) => word !== "")),
    Flag.withDescription(description),
    Flag.optional
  )

/** The flags of `webhooks create` and `webhooks update`. */
export const fieldFlags = {
  name: Flag.String("name").pipe(Flag.withDescription("What people call it"), Flag.optional),
  uid: Flag.String("uid").pipe(Flag.withDescription("Your own id for it"), Flag.optional),
  eventTypes: words("event-types", "Types that it wants, such as invoice.*,user.created"),
  format: Flag.String("format").pipe(
    Flag.withDescription("json, discord, slack, telegram or query"),
    Flag.optional
  ),
  header: Flag.KeyValuePair("header").pipe(
    Flag.withDescription("A header of every request, name=value; may be repeated"),
    Flag.optional
  ),
  retry: Flag.String("retry").pipe(
    Flag.withDescription("A preset: standard, quick, jittered, patient or steps"),
    Flag.optional
  ),
  timeoutMs: Flag.Int("timeout-ms").pipe(
    Flag.withDescription("How long one attempt may take, in milliseconds"),
    Flag.optional
  ),
  concurrency: Flag.Int("concurrency").pipe(
    Flag.withDescription("Attempts at once"),
    Flag.optional
  ),
  set: Flag.KeyValuePair("set").pipe(
    Flag.withDescription(
      `Any other field, field=JSON, such as 'circuit={"failures":3}'; may be repeated`
    ),
    Flag.optional
  )
}

/** What those flags hold. */
export interface FieldValues {
  readonly name: Option.Option<string>
  readonly uid: Option.Option<string>
  readonly eventTypes: Option.Option<ReadonlyArray<string>>
  readonly format: Option.Option<string>
  readonly header: Option.Option<Readonly<Record<string, string>>>
  readonly retry: Option.Option<string>
  readonly timeoutMs: Option.Option<number>
  readonly concurrency: Option.Option<number>
  readonly set: Option.Option<Readonly<Record<string, string>>>
}

/** The body of a request that says what the flags say; a secret is told apart from what is printed. */
export const bodyOf = (
  values: FieldValues,
  more: { readonly url?: string; readonly secret?: Redacted.Redacted } = {}
): Readonly<Record<string, unknown>> => {
  const { header, set, ...named } = values
  const given = Object.entries({ ...named, headers: header }).flatMap(([field, value]) =>
    Option.isSome<unknown>(value) ? [[field, value.value] as const] : []
  )
  const others = Object.entries(Option.getOrElse(set, () => ({}))).map(
    ([field, text]) => [field, jsonOrText(text)] as const
  )
  return {
    ...(more.url === undefined ? {} : { url: more.url }),
    ...(more.secret === undefined ? {} : { secret: Redacted.value(more.secret) }),
    ...Object.fromEntries([...given, ...others])
  }
}

/** Decodes what was given as what the API takes, or says which field it would not take. */
export const decode =
  <S extends Schema.ConstraintDecoder<unknown>>(schema: S) =>
  (input: unknown): Effect.Effect<S["Type"], FieldInvalid> =>
    Schema.decodeUnknownEffect(schema, { onExcessProperty: "error" })(input).pipe(
      Effect.mapError((error) => new FieldInvalid({ message: error.message.replace(/\s+/g, " ") }))
    )

/** Reads JSON, or says that it is none. */
export const json = (text: string): Effect.Effect<unknown, FieldInvalid> =>
  Effect.try({
    try: (): unknown => JSON.parse(text),
    catch: () => new FieldInvalid({ message: `expected JSON, got ${text}` })
  })

const jsonOrText = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
