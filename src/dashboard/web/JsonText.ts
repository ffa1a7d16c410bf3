/**
 * JSON as text: judged, and laid out for reading without changing a digit of it.
 */

/** Says what keeps a text from being JSON; null when it is. */
export const fault = (text: string): string | null => {
  if (text.trim() === "") return 'Expected JSON, such as {"id": 1}'
  try {
    JSON.parse(text)
    return null
  } catch (error) {
    return error instanceof Error ? error.message : "Expected JSON"
  }
}

/** Lays JSON out, one member a line; any other text stays as it is. Numbers keep their digits. */
export const layOut = (text: string): string => {
  if (fault(text) !== null) return text
  let out = ""
  let depth = 0
  const line = (by: number) => `\n${"  ".repeat((depth += by))}`
  // Strings, brackets that hold nothing, single signs, and what stands between them.
  for (const [token] of text.matchAll(
    /"(?:[^"\\]|\\.)*"|\{\s*\}|\[\s*\]|[{}[\],:]|[^\s{}[\],:"]+/g
  )) {
    if (token === "{" || token === "[") out += token + line(1)
    else if (token === "}" || token === "]") out += line(-1) + token
    else if (token === ",") out += token + line(0)
    else if (token === ":") out += ": "
    else out += /^[{[]/.test(token) ? token.replaceAll(/\s/g, "") : token
  }
  return out
}
