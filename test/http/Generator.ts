/**
 * Makes requests from schemas of an OpenAPI document: right ones, and ones that are wrong in one of the
 * ways in which callers and attackers are wrong. The same seed makes the same requests.
 */

/** A JSON Schema, as far as it is read here. */
export interface JsonSchema {
  readonly $ref?: string
  readonly type?: string | ReadonlyArray<string>
  readonly enum?: ReadonlyArray<unknown>
  readonly const?: unknown
  readonly anyOf?: ReadonlyArray<JsonSchema>
  readonly oneOf?: ReadonlyArray<JsonSchema>
  readonly allOf?: ReadonlyArray<JsonSchema>
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: ReadonlyArray<string>
  readonly additionalProperties?: JsonSchema | boolean
  readonly items?: JsonSchema | false
  readonly minItems?: number
  readonly maxItems?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly format?: string
}

/** A source of choices. */
export interface Chance {
  /** A whole number from 0 to below `n`. */
  readonly below: (n: number) => number
  readonly pick: <A>(all: ReadonlyArray<A>) => A
  /** True once in `n`. */
  readonly oneIn: (n: number) => boolean
}

/** Makes a source of choices from a seed (mulberry32). */
export const chance = (seed: number): Chance => {
  let state = seed
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
  const below = (n: number) => Math.floor(next() * n)
  return { below, pick: (all) => all[below(all.length)]!, oneIn: (n) => below(n) === 0 }
}

/** Text that breaks what is not careful. */
export const hostileTexts: ReadonlyArray<string> = [
  "",
  " ",
  "\0",
  "a\0b",
  "\ud800",
  "a\udfffb",
  "\u202e\u2066",
  "__proto__",
  "constructor",
  "toString",
  "' or 1=1; --",
  "%",
  "%00",
  "../../etc/passwd",
  "${jndi:x}",
  "{data.__proto__}",
  "*",
  ".*",
  "(a+)+$",
  "NaN",
  "-1",
  "9".repeat(400),
  "x".repeat(300),
  "é".repeat(5_000),
  "2026-02-30T00:00:00Z",
  "9999-12-31T23:59:59.999999999Z",
  "-000001-01-01T00:00:00Z"
]

const hostileValues: ReadonlyArray<unknown> = [
  null,
  true,
  0,
  -1,
  0.5,
  1e21,
  Number.MAX_SAFE_INTEGER + 2,
  -2_147_483_649,
  [],
  [[[[]]]],
  {},
  { a: { b: null } },
  JSON.parse('{"__proto__": {"polluted": true}}'),
  Array.from({ length: 2_000 }, (_, i) => i)
]

/** Makes values from schemas; now and then something in them is not as the schema says. */
export class Generator {
  readonly #schemas: Readonly<Record<string, JsonSchema>>
  readonly #chance: Chance
  /** Texts that are names of something, such as ids. */
  readonly #known: ReadonlyArray<string>
  #optionalOneIn = 1

  constructor(
    schemas: Readonly<Record<string, JsonSchema>>,
    source: Chance,
    known: ReadonlyArray<string>
  ) {
    this.#schemas = schemas
    this.#chance = source
    this.#known = known
  }

  /** Makes a value; each part of it is hostile once in `hostileOneIn`, 0 for never. */
  make(schema: JsonSchema, hostileOneIn: number): unknown {
    // One that names all that it may is hardly ever right as a whole.
    this.#optionalOneIn = this.#chance.pick([1, 3, 10, 40])
    return this.#value(schema, hostileOneIn, 0)
  }

  #value(schema: JsonSchema, hostileOneIn: number, depth: number): unknown {
    const { oneIn, pick } = this.#chance
    if (hostileOneIn > 0 && oneIn(hostileOneIn)) {
      return oneIn(2) ? pick(hostileTexts) : pick(hostileValues)
    }
    if (schema.$ref !== undefined) {
      const named = this.#schemas[schema.$ref.slice(schema.$ref.lastIndexOf("/") + 1)]
      return depth > 8 ? null : this.#value(named ?? {}, hostileOneIn, depth + 1)
    }
    if (schema.const !== undefined) return schema.const
    if (schema.enum !== undefined) return pick(schema.enum)
    const members = schema.anyOf ?? schema.oneOf
    if (members !== undefined) return this.#value(pick(members), hostileOneIn, depth + 1)
    const [type] = [schema.type ?? "any"].flat()
    switch (type) {
      case "null":
        return null
      case "boolean":
        return oneIn(2)
      case "integer":
      case "number":
        return this.#number(schema, hostileOneIn > 0)
      case "string":
        return this.#text(schema, hostileOneIn > 0)
      case "array":
        return this.#array(schema, hostileOneIn, depth)
      case "object":
        return this.#object(schema, hostileOneIn, depth)
      default:
        return pick([1, "text", null, { a: [1, { b: 2 }] }, [true]])
    }
  }

  #number({ maximum = 1_000_000, minimum = 0 }: JsonSchema, isHostile: boolean): number {
    const { below, pick } = this.#chance
    const inside = [minimum, maximum, minimum + below(maximum - minimum + 1)]
    return pick(isHostile ? [...inside, minimum - 1, maximum + 1] : inside)
  }

  #text({ format, maxLength = 20, minLength = 0 }: JsonSchema, isHostile: boolean): string {
    const { below, oneIn, pick } = this.#chance
    if (format === "date-time") return pick(["2026-01-31T12:00:00Z", "2099-12-31T23:59:59+14:00"])
    if (oneIn(2)) return pick(this.#known)
    const length = pick([minLength, maxLength, maxLength + Number(isHostile), below(12) + 1])
    return pick(["a", "z9", "-", "Ü", "🪝"]).repeat(Math.min(length, 3_000)).slice(0, length)
  }

  #array({ items, maxItems = 3, minItems = 0 }: JsonSchema, hostileOneIn: number, depth: number) {
    const { below } = this.#chance
    const length = Math.min(minItems + below(3), maxItems + 1)
    return Array.from({ length }, () => this.#value(items || {}, hostileOneIn, depth + 1))
  }

  #object(schema: JsonSchema, hostileOneIn: number, depth: number): object {
    const { oneIn, pick } = this.#chance
    const made: Record<string, unknown> = {}
    const required = new Set(schema.required)
    for (const [name, property] of Object.entries(schema.properties ?? {})) {
      const isLeft = hostileOneIn > 0 && oneIn(hostileOneIn * 2)
      if (required.has(name) ? isLeft : !oneIn(this.#optionalOneIn)) continue
      // Text of any other kind is hardly ever a URL.
      made[name] =
        name === "url" && !oneIn(3)
          ? "http://127.0.0.1:9/x"
          : this.#value(property, hostileOneIn, depth + 1)
    }
    if (typeof schema.additionalProperties === "object") {
      made[pick(["a", "x-b", pick(hostileTexts)])] = this.#value(
        schema.additionalProperties,
        hostileOneIn,
        depth + 1
      )
    }
    if (hostileOneIn > 0 && oneIn(hostileOneIn)) made[pick(hostileTexts)] = 1
    return made
  }
}
