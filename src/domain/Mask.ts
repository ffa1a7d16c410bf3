/**
 * Hides credentials where people look at what is set: eight asterisks stand in their place.
 *
 * A mask that is sent back means the credential it stands for, so that what was read can be written.
 */

/** Stands in the place of a credential. */
export const mask = "********"

/** Tells by its name whether the value of a header or of a URL's parameter may be a credential. */
export const isSensitive = (name: string): boolean =>
  /auth(?!or)|authori[sz]|token|key|secret|cookie|pass|pwd|credential|session|bearer|jwt|sig|^code$/i.test(
    name
  )

/** Masks the values of headers whose names say that they may be credentials. */
export const maskHeaders = (
  headers: Readonly<Record<string, string>>
): Readonly<Record<string, string>> => {
  if (!Object.keys(headers).some(isSensitive)) return headers
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, isSensitive(name) ? mask : value])
  )
}

/** Puts the values of `known` headers in the place of masks; those without one stay masks. */
export const unmaskHeaders = (
  headers: Readonly<Record<string, string>>,
  known: Readonly<Record<string, string>>
): Readonly<Record<string, string>> => {
  if (!Object.values(headers).includes(mask)) return headers
  const values = new Map(
    Object.entries(known).map(([name, value]) => [name.toLowerCase(), value] as const)
  )
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      value === mask ? (values.get(name.toLowerCase()) ?? mask) : value
    ])
  )
}

/**
 * Masks the credentials in a URL's text: parameters whose names say so, and the parts of a path that
 * are the credential of a Discord, Slack or Telegram webhook. Placeholders of templates stay.
 */
export const maskUrl = (url: string): string => {
  const at = url.indexOf("?")
  const path = at === -1 ? url : url.slice(0, at)
  const query = at === -1 ? "" : url.slice(at)
  return (
    path.replace(pathCredential, (_, before: string) => before + mask) +
    query.replaceAll(
      /([?&])([^=&#]*)=([^&#]+)/g,
      (part, mark: string, name: string, value: string) =>
        isSensitive(name) && !/^\{[^{}]*\}$/.test(value) ? `${mark}${name}=${mask}` : part
    )
  )
}

const pathCredential =
  /(\/\/api\.telegram\.org\/bot|\/\/hooks\.slack(?:-gov)?\.com\/(?:services|triggers|workflows)\/[^/]+\/[^/]+\/|\/\/(?:[a-z]+\.)?discord(?:app)?\.com\/api\/(?:v\d+\/)?webhooks\/\d+\/)[^/?#]+/i
