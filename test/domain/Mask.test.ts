import { assert, describe, it } from "@effect/vitest"
import { isSensitive, mask, maskHeaders, maskUrl, unmaskHeaders } from "../../src/domain/Mask.ts"

describe("Mask", () => {
  it("knows credentials by the names of headers and parameters", () => {
    for (const name of [
      "Authorization",
      "X-Api-Key",
      "api_key",
      "access_token",
      "X-Auth",
      "client_secret",
      "Set-Cookie",
      "password",
      "pwd",
      "X-Session-Id",
      "jwt",
      "sig",
      "signature",
      "code"
    ]) {
      assert.isTrue(isSensitive(name), name)
    }
    for (const name of ["X-Request-Id", "author", "zipcode", "user", "Accept", "chat_id"]) {
      assert.isFalse(isSensitive(name), name)
    }
  })

  it("masks parameters of URLs that are credentials, and no placeholder", () => {
    const cases: ReadonlyArray<readonly [url: string, shown: string]> = [
      ["https://a.example/b", "https://a.example/b"],
      ["https://a.example/?token=x", `https://a.example/?token=${mask}`],
      ["https://a.example/?a=1&KEY=x%20y&b=2", `https://a.example/?a=1&KEY=${mask}&b=2`],
      ["https://a.example/?token=x=y", `https://a.example/?token=${mask}`],
      ["https://a.example/?token=", "https://a.example/?token="],
      ["https://a.example/token=x", "https://a.example/token=x"],
      ["https://a.example/?token={data.token}", "https://a.example/?token={data.token}"],
      ["https://a.example/?token={data.a}x", `https://a.example/?token=${mask}`]
    ]
    for (const [url, shown] of cases) assert.strictEqual(maskUrl(url), shown)
  })

  it("masks the part of a chat's URL that lets everybody post", () => {
    const cases: ReadonlyArray<readonly [url: string, shown: string]> = [
      [
        "https://api.telegram.org/bot1:AA/sendMessage?chat_id=1",
        `https://api.telegram.org/bot${mask}/sendMessage?chat_id=1`
      ],
      [
        "https://hooks.slack.com/services/T1/B2/x3",
        `https://hooks.slack.com/services/T1/B2/${mask}`
      ],
      ["https://discord.com/api/webhooks/12/ab-c_d", `https://discord.com/api/webhooks/12/${mask}`],
      [
        "https://canary.discord.com/api/v10/webhooks/12/ab?wait=true",
        `https://canary.discord.com/api/v10/webhooks/12/${mask}?wait=true`
      ]
    ]
    for (const [url, shown] of cases) assert.strictEqual(maskUrl(url), shown)
  })

  it("puts what is there in the place of a mask, whatever the case of its name", () => {
    const headers = { "X-Token": "t", "X-Plain": "p" }
    const shown = maskHeaders(headers)
    assert.deepStrictEqual(shown, { "X-Token": mask, "X-Plain": "p" })
    assert.deepStrictEqual(unmaskHeaders({ "x-token": mask, "X-Plain": "new" }, headers), {
      "x-token": "t",
      "X-Plain": "new"
    })
    assert.deepStrictEqual(unmaskHeaders({ "X-Other": mask }, headers), { "X-Other": mask })
  })
})
