/**
 * Discord, Slack and Telegram as they document what they take, and no more lenient: each judges a
 * payload and lists what it would refuse. Lengths are counted in UTF-16 units, the strictest reading
 * of "characters"; keys that are not documented for these calls are refused.
 *
 * `parseTelegramHtml` is Telegram's parser of HTML as its documentation tells, so that tests see the
 * text that people would.
 */

type Complain = (complaint: string) => void

/** A field of an object: how it is judged and whether it must be there. */
interface Field {
  readonly check: (value: unknown, at: string, complain: Complain) => void
  readonly required?: boolean
}

const judge = (check: Field["check"], payload: unknown): ReadonlyArray<string> => {
  const complaints: Array<string> = []
  check(payload, "payload", (complaint) => complaints.push(complaint))
  return complaints
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const object =
  (fields: Record<string, Field>): Field["check"] =>
  (value, at, complain) => {
    if (!isRecord(value)) return complain(`${at} is no object`)
    for (const [name, { check, required }] of Object.entries(fields)) {
      if (name in value) check(value[name], `${at}.${name}`, complain)
      else if (required === true) complain(`${at}.${name} is missing`)
    }
    for (const name of Object.keys(value)) {
      if (!(name in fields)) complain(`${at}.${name} is unknown`)
    }
  }

const list =
  (min: number, max: number, check: Field["check"]): Field["check"] =>
  (value, at, complain) => {
    if (!Array.isArray(value)) return complain(`${at} is no list`)
    if (value.length < min || value.length > max) complain(`${at} has ${value.length} elements`)
    value.forEach((element, i) => check(element, `${at}[${i}]`, complain))
  }

const literal =
  (...allowed: ReadonlyArray<unknown>): Field["check"] =>
  (value, at, complain) => {
    if (!allowed.includes(value)) complain(`${at} is ${JSON.stringify(value)}`)
  }

const boolean: Field["check"] = literal(true, false)

/** A text of which something can be seen, for the chats trim what they get. */
const text =
  (max: number, also: Field["check"] = () => {}): Field["check"] =>
  (value, at, complain) => {
    if (typeof value !== "string") return complain(`${at} is no text`)
    if (looksEmpty(value)) complain(`${at} is empty`)
    if (value.length > max) complain(`${at} has ${value.length} characters`)
    if (!value.isWellFormed()) complain(`${at} is no Unicode`)
    // eslint-disable-next-line no-control-regex -- These are what is looked for.
    if (/[\0-\x08\x0b-\x1f\x7f]/.test(value)) complain(`${at} holds control characters`)
    also(value, at, complain)
  }

const looksEmpty = (value: string): boolean =>
  [...value].every((char) => {
    const code = char.codePointAt(0) ?? 0
    return char.trim() === "" || unseen.some(([from, to]) => code >= from && code <= to)
  })

/** Control characters, soft hyphens, fillers, joiners, marks of direction, selectors, tags. */
const unseen: ReadonlyArray<readonly [number, number]> = [
  [0x00, 0x1f],
  [0x7f, 0x9f],
  [0xad, 0xad],
  [0x34f, 0x34f],
  [0x61c, 0x61c],
  [0x115f, 0x1160],
  [0x17b4, 0x17b5],
  [0x180b, 0x180f],
  [0x200b, 0x200f],
  [0x202a, 0x202e],
  [0x2060, 0x206f],
  [0x2800, 0x2800],
  [0x3164, 0x3164],
  [0xfe00, 0xfe0f],
  [0xfeff, 0xfeff],
  [0xffa0, 0xffa0],
  [0xe0000, 0xe0fff]
]

/**
 * Judges a payload for "Execute Webhook" of Discord.
 *
 * Source: discord-api-docs, resources/webhook and resources/message ("Embed Limits").
 */
export const discord = (payload: unknown): ReadonlyArray<string> => judge(checkDiscord, payload)

const checkDiscord: Field["check"] = (payload, at, complain) => {
  object({
    content: { check: text(2_000) },
    embeds: { check: list(1, 10, embed) },
    allowed_mentions: {
      required: true,
      check: object({
        parse: { required: true, check: list(0, 3, literal("roles", "users", "everyone")) }
      })
    }
  })(payload, at, complain)
  if (!isRecord(payload)) return
  if (!("content" in payload) && !("embeds" in payload)) complain(`${at} is an empty message`)
  const embeds: ReadonlyArray<unknown> = Array.isArray(payload["embeds"]) ? payload["embeds"] : []
  const characters = embeds.reduce((sum: number, one) => sum + charactersOf(one), 0)
  if (characters > 6_000) complain(`${at}.embeds has ${characters} characters in all`)
}

const embed: Field["check"] = object({
  title: { check: text(256) },
  description: { check: text(4_096) },
  fields: {
    check: list(
      0,
      25,
      object({
        name: { required: true, check: text(256) },
        value: { required: true, check: text(1_024) },
        inline: { check: boolean }
      })
    )
  },
  footer: { check: object({ text: { required: true, check: text(2_048) } }) },
  timestamp: {
    check: (value, at, complain) => {
      const instant = typeof value === "string" ? Date.parse(value) : NaN
      if (Number.isNaN(instant)) complain(`${at} is no ISO 8601 timestamp`)
    }
  },
  color: {
    check: (value, at, complain) => {
      if (!Number.isInteger(value)) complain(`${at} is no integer`)
    }
  }
})

/** The characters of title, description, field names and values and footer together. */
const charactersOf = (one: unknown): number => {
  if (!isRecord(one)) return 0
  const { description, fields, footer, title } = one
  const texts: ReadonlyArray<unknown> = [
    title,
    description,
    isRecord(footer) ? footer["text"] : undefined,
    ...(Array.isArray(fields)
      ? fields.flatMap((field) => (isRecord(field) ? [field["name"], field["value"]] : []))
      : [])
  ]
  return texts.reduce((sum: number, one) => sum + (typeof one === "string" ? one.length : 0), 0)
}

/** In Slack `&`, `<` and `>` are markup: `<` opens a link, a mention or a date, `&` an entity. */
const escaped: Field["check"] = (value, at, complain) => {
  const left = String(value)
    .replaceAll(/&(?:amp|lt|gt);/g, "")
    .replaceAll(
      /<(?:https?:\/\/|mailto:|@[UW]|#C|!(?:here|channel|everyone|subteam\^|date\^))[^<>]*>/g,
      ""
    )
    .replaceAll(/^>/gm, "")
  if (/[&<>]/.test(left)) complain(`${at} holds & < or > that is not escaped`)
}

/**
 * Judges a payload for an incoming webhook of Slack.
 *
 * Source: docs.slack.dev, "Sending messages using incoming webhooks", "Blocks", "Text object" and
 * "Formatting message text"; the bound of all blocks: slackapi/bolt-js, issues 2509 and 2867.
 */
export const slack = (payload: unknown): ReadonlyArray<string> => judge(checkSlack, payload)

const checkSlack: Field["check"] = (payload, at, complain) => {
  object({
    text: { required: true, check: text(40_000, escaped) },
    blocks: { check: list(1, 50, block) }
  })(payload, at, complain)
  if (!isRecord(payload)) return
  const blocksLength = JSON.stringify(payload["blocks"] ?? []).length
  if (blocksLength > 13_000) complain(`${at}.blocks have ${blocksLength} characters in all`)
}

const block: Field["check"] = (value, at, complain) => {
  const type = isRecord(value) ? value["type"] : undefined
  const check = typeof type === "string" ? blocks[type] : undefined
  if (check === undefined) return complain(`${at} has no known type`)
  check(value, at, complain)
}

const textObject = (max: number, ...types: ReadonlyArray<string>): Field["check"] =>
  object({
    type: { required: true, check: literal(...types) },
    text: { required: true, check: text(Math.min(max, 3_000), escaped) }
  })

const blocks: Record<string, Field["check"]> = {
  header: object({
    type: { required: true, check: literal("header") },
    text: { required: true, check: textObject(150, "plain_text") }
  }),
  section: (value, at, complain) => {
    object({
      type: { required: true, check: literal("section") },
      text: { check: textObject(3_000, "plain_text", "mrkdwn") },
      fields: { check: list(1, 10, textObject(2_000, "plain_text", "mrkdwn")) }
    })(value, at, complain)
    if (isRecord(value) && !("text" in value) && !("fields" in value)) complain(`${at} is empty`)
  },
  context: object({
    type: { required: true, check: literal("context") },
    elements: { required: true, check: list(1, 10, textObject(3_000, "plain_text", "mrkdwn")) }
  })
}

/**
 * Judges a call of `sendMessage` of the Telegram Bot API.
 *
 * Source: core.telegram.org/bots/api, "Making requests", "sendMessage" and "Formatting options".
 */
export const telegram = (url: URL, payload: unknown): ReadonlyArray<string> => {
  const complaints: Array<string> = []
  if (!/^\/bot\d+:[\w-]+\/sendMessage$/.test(url.pathname)) complaints.push("the path is unknown")
  if (url.searchParams.has("chat_id")) complaints.push("the chat is given twice")
  return [...complaints, ...judge(sendMessage, payload)]
}

const sendMessage: Field["check"] = object({
  chat_id: {
    required: true,
    check: (value, at, complain) => {
      if (!Number.isSafeInteger(value) && !/^(?:-?\d+|@[A-Za-z]\w{4,31})$/.test(String(value))) {
        complain(`${at} is no chat`)
      }
    }
  },
  text: {
    required: true,
    check: (value, at, complain) => {
      const parsed = parseTelegramHtml(String(value))
      if (typeof parsed === "string") return complain(`${at}: can't parse entities: ${parsed}`)
      text(4_096)(parsed.text, at, complain)
      if (parsed.entities > 100) complain(`${at} has ${parsed.entities} entities`)
      // What is longer is cut before it is parsed.
      if (Buffer.byteLength(String(value)) > 35_000) complain(`${at} has too many bytes`)
    }
  },
  parse_mode: { required: true, check: literal("HTML") },
  link_preview_options: { check: object({ is_disabled: { check: boolean } }) }
})

const tags: ReadonlySet<string> = new Set(
  "a b strong i em u ins s strike del span tg-spoiler tg-emoji code pre blockquote".split(" ")
)

const named: Record<string, string> = { lt: "<", gt: ">", amp: "&", quot: '"' }

/** A tag, an entity, or text: of `&`, `<` and `>` only what is part of neither. */
const tokens = /<(\/?)([^\s/<>]+)([^<>]*)>|&(?:([a-z]+)|#(\d+));|[^&<>]+|[&<>]/g

/** Parses a text in Telegram's HTML style: what is left to read, or why it is refused. */
export const parseTelegramHtml = (
  html: string
): { readonly text: string; readonly entities: number } | string => {
  const open: Array<string> = []
  let text = ""
  let entities = 0
  for (const [token, slash, name, attributes = "", entity, digits] of html.matchAll(tokens)) {
    if (name !== undefined) {
      if (!tags.has(name.toLowerCase())) return `Unsupported tag "${name}"`
      if (slash === "/") {
        if (open.pop() !== name) return `Unmatched end tag "${name}"`
      } else {
        if (!/^(?:\s+[a-z-]+(?:="[^"]*")?)*\s*$/.test(attributes)) return "Malformed attribute"
        open.push(name)
        entities++
      }
    } else if (/^[&<>]/.test(token)) {
      const char = entity === undefined ? undefined : named[entity]
      if (char === undefined && digits === undefined) return `Unescaped "${token}"`
      text += char ?? String.fromCodePoint(Number(digits))
    } else {
      text += token
    }
  }
  return open.length > 0 ? `Can't find the end of "${open.at(-1)}"` : { text, entities }
}
