/**
 * Makes what a webhook's format sends of a message: where, how, and which bytes.
 *
 * `json` passes the stored bytes through untouched and reads nothing. Every other format reads the
 * body once. What cannot be made is refused with the rule `format` and a sentence, so that its
 * delivery is exhausted instead of tried again.
 */
import * as Result from "effect/Result"
import type { Refused } from "../domain/Attempt.ts"
import { type Format, type Method, methodOf } from "../domain/Format.ts"
import type { Template } from "../domain/Template.ts"
import type { OutgoingMessage } from "../store/DeliveryQueue.ts"
import { type Content, read, refuse } from "./formats/Content.ts"
import * as Discord from "./formats/Discord.ts"
import * as Json from "./formats/Json.ts"
import * as QueryString from "./formats/QueryString.ts"
import * as Slack from "./formats/Slack.ts"
import * as Telegram from "./formats/Telegram.ts"

/** What to make a request of. */
export interface RenderInput {
  readonly format: Format
  /** Without it the method that `methodOf` names. */
  readonly method?: Method | undefined
  /** The webhook's URL, judged by the guard. */
  readonly url: URL
  readonly template?: Template | undefined
  readonly message: OutgoingMessage
}

/** The part of a request that a format decides. */
export interface Rendered {
  /** Of the same origin as the webhook's URL. */
  readonly url: URL
  readonly method: Method
  /** Null where there is no body. */
  readonly contentType: string | null
  readonly body: Uint8Array | null
}

/** Renders a message in a format, or says why that cannot be. */
export const render = (input: RenderInput): Result.Result<Rendered, Refused> => {
  const { format, message, template, url } = input
  const method = methodOf(format, input.method)
  switch (format) {
    case "json":
      return Result.map(Json.body(message, method), (body) => ({
        url,
        method,
        contentType: message.contentType,
        body
      }))
    case "discord":
      return post(input, method, (content) =>
        Result.map(Discord.payload(content, template), (payload) => ({ url, payload }))
      )
    case "slack":
      return post(input, method, (content) =>
        Result.map(Slack.payload(content, template), (payload) => ({ url, payload }))
      )
    case "telegram":
      return post(input, method, (content) => Telegram.payload(content, template, url))
    case "query":
      return Result.flatMap(read(message, format), (content) =>
        Result.map(QueryString.target(content, url), (url) => ({
          url,
          method,
          contentType: null,
          body: null
        }))
      )
  }
}

const encoder = new TextEncoder()

const post = (
  { format, message }: RenderInput,
  method: Method,
  write: (
    content: Content
  ) => Result.Result<{ readonly url: URL; readonly payload: object }, Refused>
): Result.Result<Rendered, Refused> =>
  method === "GET"
    ? refuse(`A GET request has no body, and the format ${format} needs one.`)
    : Result.map(Result.flatMap(read(message, format), write), ({ payload, url }) => ({
        url,
        method,
        contentType: "application/json",
        body: encoder.encode(JSON.stringify(payload))
      }))
