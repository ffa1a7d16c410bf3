/**
 * Which methods a path takes, to tell a wrong method from a wrong path.
 */
import { Api } from "../api/Api.ts"

/** Lists the methods of the endpoints at a path; none when nothing is there. */
export const methodsAt = (path: string): ReadonlyArray<string> => [
  ...new Set(routes.filter(({ form }) => form.test(path)).map(({ method }) => method))
]

const routes: ReadonlyArray<{ readonly method: string; readonly form: RegExp }> = [
  ...Object.values(Api.groups).flatMap((group) =>
    Object.values(group.endpoints).map(({ method, path }) => ({ method, path }))
  ),
  { method: "GET", path: "/openapi.json" },
  { method: "GET", path: "/docs" },
  { method: "GET", path: "/dashboard/:version/:file" },
  { method: "GET", path: "/" },
  { method: "GET", path: "/metrics" }
].map(({ method, path }) => ({
  method,
  form: new RegExp(`^${path.replaceAll(".", "\\.").replaceAll(/:\w+/g, "[^/]+")}/?$`)
}))
