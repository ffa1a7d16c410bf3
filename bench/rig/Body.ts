/**
 * The bytes that are published: JSON with a number that names the message, at a place that is found
 * without parsing. The rest looks like an order: it compresses about as well as such data does.
 */

/** Digits of a message's number. */
export const digits = 9

/** What stands before a message's number, in what is published and in what is delivered. */
export const mark = Buffer.from('"n":"')

/** Digits of the number that ends an event type and a receiver's path. */
export const typeDigits = 3

/** Names the event type with the given number. */
export const eventType = (number: number): string =>
  `bench.h${String(number).padStart(typeDigits, "0")}`

/** Names the path of the receiver with the given number. */
export const receiverPath = (number: number): string =>
  `/h/${String(number).padStart(typeDigits, "0")}`

/** Builds `data` of about the given size, with the number zero. */
export const data = (bytes: number): string => {
  let seed = 42
  const random = (below: number) => {
    // Numerical Recipes' generator: the same bytes in every run.
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    return seed % below
  }
  const head = `{"n":"${"0".repeat(digits)}","items":[`
  const items: Array<string> = []
  let length = head.length + 2
  while (length < bytes) {
    const sku = random(2 ** 31).toString(36)
    const item = `{"sku":"${sku}","quantity":${random(9) + 1},"price":${random(99_999)},"name":"Item ${random(1_000_000)}"}`
    items.push(item)
    length += item.length + 1
  }
  return `${head}${items.join(",")}]}`
}
