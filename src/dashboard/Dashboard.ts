/**
 * Serves the dashboard at `/`: the pages of `web/` as they are, but for their types.
 *
 * What is served is read once, when it is first asked for. Everything but the start page lies under an
 * address that changes with what is served, so a browser keeps it for good. Compiled pages are served as
 * they were built; from a checkout, Node takes the types away.
 *
 * The pages run nothing that is not served here and talk to nothing else: their policy allows no inline
 * script or style, and no text becomes markup.
 */
import { Effect, FileSystem, Path } from "effect"
import { HttpRouter, HttpServerError, HttpServerRequest, HttpServerResponse } from "effect/http"
import { createHash } from "node:crypto"
import { stripTypeScriptTypes } from "node:module"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { gzip } from "node:zlib"

/** The routes of the dashboard. It needs no key: the pages ask for one and hold nothing secret. */
export const layer = HttpRouter.use(
  Effect.fnUntraced(function* (router) {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const site = yield* Effect.cached(
      Effect.provideService(Effect.provideService(read, FileSystem.FileSystem, fs), Path.Path, path)
    )
    yield* router.add(
      "GET",
      "/",
      Effect.flatMap(site, ({ page }) => respond(page, "no-cache"))
    )
    yield* router.add(
      "GET",
      "/dashboard/:version/:file",
      Effect.gen(function* () {
        const { files, version } = yield* site
        const { file, version: asked } = yield* HttpRouter.params
        const found = asked === version ? files.get(file ?? "") : undefined
        return found === undefined
          ? yield* notFound
          : yield* respond(found, "public, max-age=31536000, immutable")
      })
    )
  })
)

/** Something that is served, and the same compressed. */
interface Served {
  readonly type: string
  readonly tag: string
  readonly bytes: Uint8Array
  readonly packed: Uint8Array
}

/** Reads the folder of the pages. A package that lacks one is broken, so that is a defect. */
const read = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const folder = fileURLToPath(new URL("./web", import.meta.url))
  const text = (name: string) => fs.readFileString(path.join(folder, name))
  const names = (yield* fs.readDirectory(folder)).filter((name) => typeOf(name) !== undefined)
  const texts = new Map<string, string>()
  for (const name of names.sort()) {
    texts.set(
      name,
      name.endsWith(".ts") ? stripTypeScriptTypes(yield* text(name)) : yield* text(name)
    )
  }
  const version = tagOf([...texts].flat().join("\0"))
  const files = new Map<string, Served>()
  for (const [name, content] of texts) files.set(name, yield* serve(content, typeOf(name) ?? ""))
  const html = withAddresses(yield* text("index.html"), names, version)
  return { version, files, page: yield* serve(html, "text/html; charset=utf-8") }
}).pipe(Effect.orDie)

/** The type of a file that is served, by the end of its name. */
const typeOf = (name: string): string | undefined =>
  name.endsWith(".d.ts") ? undefined : types[name.slice(name.lastIndexOf("."))]

const types: Readonly<Record<string, string>> = {
  ".ts": "text/javascript; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".map": "application/json"
}

/** Names the files in the start page, all modules at once, so that none is waited for to find the next. */
const withAddresses = (page: string, names: Iterable<string>, version: string): string => {
  const at = `/dashboard/${version}/`
  const modules = [...names].filter((name) => /\.[jt]s$/.test(name))
  const main = modules.find((name) => name.startsWith("Main.")) ?? ""
  return page
    .replace('href="style.css"', `href="${at}style.css"`)
    .replace('src="Main.js"', `src="${at}${main}"`)
    .replace(
      "  </head>",
      modules.map((name) => `    <link rel="modulepreload" href="${at}${name}">\n`).join("") +
        "  </head>"
    )
}

const serve = (text: string, type: string): Effect.Effect<Served> =>
  Effect.map(
    Effect.promise(() => promisify(gzip)(text)),
    (packed) => ({ type, tag: tagOf(text), bytes: Buffer.from(text), packed })
  )

const tagOf = (text: string): string =>
  createHash("sha256").update(text).digest("base64url").slice(0, 16)

/** Answers with a file, compressed where that is understood; with its absence where it is known. */
const respond = ({ bytes, packed, tag, type }: Served, cacheControl: string) =>
  Effect.map(HttpServerRequest.HttpServerRequest, (request) => {
    const isPacked = /\bgzip\b/.test(request.headers["accept-encoding"] ?? "")
    const etag = `"${tag}${isPacked ? "-gzip" : ""}"`
    const headers = { ...policy, etag, "cache-control": cacheControl, vary: "accept-encoding" }
    if (request.headers["if-none-match"]?.includes(etag) === true) {
      return HttpServerResponse.empty({ status: 304, headers })
    }
    return HttpServerResponse.uint8Array(isPacked ? packed : bytes, {
      contentType: type,
      headers: { ...headers, ...(isPacked ? { "content-encoding": "gzip" } : {}) }
    })
  })

const notFound = Effect.flatMap(
  HttpServerRequest.HttpServerRequest,
  (request) =>
    new HttpServerError.HttpServerError({
      reason: new HttpServerError.RouteNotFound({ request })
    })
)

/** Nothing inline, nothing from elsewhere, no frame around it, and no text that becomes markup. */
const policy = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
    "img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; " +
    "require-trusted-types-for 'script'; trusted-types 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin"
} as const
