/**
 * Makes elements. Text is only ever set as text, and a link leads only into the dashboard or to a path
 * of this service: whatever a receiver, a webhook or a message says stays inert.
 */

/** What an element holds; nothing for null, undefined and false. */
export type Child = Node | string | number | null | undefined | false | ReadonlyArray<Child>

/** Attributes by name; a function listens for the event after `on`. Nothing for null, undefined and false. */
export interface Attributes {
  readonly [name: string]: string | number | boolean | null | undefined | ((event: Event) => void)
}

/** Makes an element of HTML. */
export const el = <K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: ReadonlyArray<Child>
): HTMLElementTagNameMap[K] => fill(document.createElement(tag), attributes, children)

/** Makes an element of SVG. */
export const svg = <K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: ReadonlyArray<Child>
): SVGElementTagNameMap[K] =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children)

/** Puts children in the place of those that are there. */
export const put = (parent: Element, ...children: ReadonlyArray<Child>): void =>
  parent.replaceChildren(...nodesOf(children))

const fill = <E extends Element>(
  element: E,
  attributes: Attributes,
  children: ReadonlyArray<Child>
): E => {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue
    if (typeof value === "function") element.addEventListener(name.replace(/^on/, ""), value)
    else if (isInert(name, String(value))) {
      element.setAttribute(name, value === true ? "" : String(value))
    } else throw new Error(`The attribute ${name} would not be inert`)
  }
  element.append(...nodesOf(children))
  return element
}

/** Tells whether an attribute runs nothing and leads nowhere else. */
const isInert = (name: string, value: string): boolean => {
  if (/^(?:on|style$|src)/.test(name)) return false
  return name !== "href" || /^(?:#|\/(?![/\\]))/.test(value)
}

const nodesOf = (children: ReadonlyArray<Child>): Array<Node | string> =>
  children.flatMap((child) => {
    if (child === null || child === undefined || child === false) return []
    if (typeof child === "string") return [child]
    if (typeof child === "number") return [String(child)]
    return child instanceof Node ? [child] : nodesOf(child)
  })
