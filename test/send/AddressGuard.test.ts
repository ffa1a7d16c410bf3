/**
 * The address table at its edges, every URL by which others were tricked, and names that resolve to
 * what they should not.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arr from "effect/Array"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Dns from "effect/net/Dns"
import * as NetAddress from "effect/net/NetAddress"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import { TestClock } from "effect/testing"
import { BlockList } from "node:net"
import { AddressGuard, type AddressGuardOptions } from "../../src/send/AddressGuard.ts"

/** First and last address of each network that is refused, and its closest neighbours outside. */
const table: ReadonlyArray<
  readonly [cidr: string, rule: string, first: string, last: string, ...outside: Array<string>]
> = [
  ["0.0.0.0/8", "this_network", "0.0.0.0", "0.255.255.255", "1.0.0.0"],
  ["10.0.0.0/8", "private_network", "10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0"],
  [
    "100.64.0.0/10",
    "shared_address_space",
    "100.64.0.0",
    "100.127.255.255",
    "100.63.255.255",
    "100.128.0.0"
  ],
  ["100.100.100.200/32", "cloud_metadata", "100.100.100.200", "100.100.100.200"],
  ["127.0.0.0/8", "loopback", "127.0.0.0", "127.255.255.255", "126.255.255.255", "128.0.0.0"],
  [
    "168.63.129.16/32",
    "cloud_metadata",
    "168.63.129.16",
    "168.63.129.16",
    "168.63.129.15",
    "168.63.129.17"
  ],
  [
    "169.254.0.0/16",
    "link_local",
    "169.254.0.0",
    "169.254.255.255",
    "169.253.255.255",
    "169.255.0.0"
  ],
  [
    "172.16.0.0/12",
    "private_network",
    "172.16.0.0",
    "172.31.255.255",
    "172.15.255.255",
    "172.32.0.0"
  ],
  [
    "192.0.0.0/24",
    "protocol_assignments",
    "192.0.0.0",
    "192.0.0.255",
    "191.255.255.255",
    "192.0.1.0"
  ],
  ["192.0.0.192/32", "cloud_metadata", "192.0.0.192", "192.0.0.192"],
  ["192.0.2.0/24", "documentation", "192.0.2.0", "192.0.2.255", "192.0.1.255", "192.0.3.0"],
  ["192.31.196.0/24", "as112", "192.31.196.0", "192.31.196.255", "192.31.195.255", "192.31.197.0"],
  [
    "192.52.193.0/24",
    "multicast_relay",
    "192.52.193.0",
    "192.52.193.255",
    "192.52.192.255",
    "192.52.194.0"
  ],
  [
    "192.88.99.0/24",
    "six_to_four",
    "192.88.99.0",
    "192.88.99.255",
    "192.88.98.255",
    "192.88.100.0"
  ],
  [
    "192.168.0.0/16",
    "private_network",
    "192.168.0.0",
    "192.168.255.255",
    "192.167.255.255",
    "192.169.0.0"
  ],
  ["192.175.48.0/24", "as112", "192.175.48.0", "192.175.48.255", "192.175.47.255", "192.175.49.0"],
  ["198.18.0.0/15", "benchmarking", "198.18.0.0", "198.19.255.255", "198.17.255.255", "198.20.0.0"],
  [
    "198.51.100.0/24",
    "documentation",
    "198.51.100.0",
    "198.51.100.255",
    "198.51.99.255",
    "198.51.101.0"
  ],
  [
    "203.0.113.0/24",
    "documentation",
    "203.0.113.0",
    "203.0.113.255",
    "203.0.112.255",
    "203.0.114.0"
  ],
  ["224.0.0.0/4", "multicast", "224.0.0.0", "239.255.255.255", "223.255.255.255"],
  ["240.0.0.0/4", "reserved", "240.0.0.0", "255.255.255.255"],
  ["::/128", "unspecified", "::", "::"],
  ["::1/128", "loopback", "::1", "::1"],
  ["::/96", "ipv4_compatible", "::2", "::ffff:ffff"],
  ["::ffff:0:0:0/96", "ipv4_translated", "::ffff:0:0:0", "::ffff:0:ffff:ffff"],
  ["64:ff9b::/96", "nat64", "64:ff9b::", "64:ff9b::ffff:ffff"],
  ["64:ff9b:1::/48", "nat64", "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"],
  ["100::/64", "discard_only", "100::", "100::ffff:ffff:ffff:ffff"],
  ["100:0:0:1::/64", "discard_only", "100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff"],
  ["2001::/32", "teredo", "2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff"],
  [
    "2001::/23",
    "protocol_assignments",
    "2001:1::",
    "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:200::"
  ],
  [
    "2001:db8::/32",
    "documentation",
    "2001:db8::",
    "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:db9::"
  ],
  [
    "2002::/16",
    "six_to_four",
    "2002::",
    "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2003::"
  ],
  [
    "3fff::/20",
    "documentation",
    "3fff::",
    "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
    "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "3fff:1000::"
  ],
  ["5f00::/16", "segment_routing", "5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["fc00::/7", "unique_local", "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["fd00:ec2::254/128", "cloud_metadata", "fd00:ec2::254", "fd00:ec2::254"],
  ["fd20:ce::254/128", "cloud_metadata", "fd20:ce::254", "fd20:ce::254"],
  ["fe80::/10", "link_local", "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["fec0::/10", "site_local", "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["ff00::/8", "multicast", "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]
]

/** URLs that are refused, by the word that their refusal holds. */
const refusedUrls: { readonly [word: string]: ReadonlyArray<string> } = {
  loopback: [
    "https://127.0.0.1/",
    "https://127.1/",
    "https://127.0.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.1/",
    "https://017700000001/",
    "https://0177.0.0.1/",
    "https://127.0.0.1./",
    "https://①②⑦.⓪.⓪.①/",
    "https://127。0。0。1/",
    "https://１２７.０.０.１/",
    "https://%31%32%37.0.0.1/",
    "https:127.0.0.1/",
    "https:/127.0.0.1/",
    "https:///127.0.0.1/",
    "https://127.0.0.1?@example.com/",
    "https://[::1]/",
    "https://[0000::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/"
  ],
  this_network: ["https://0/", "https://0.0.0.0/"],
  unspecified: ["https://[::]/"],
  link_local: [
    "https://2852039166/",
    "https://0xa9fea9fe/",
    "https://0251.0376.0251.0376/",
    "https://169.254.43518/",
    "https://[0:0:0:0:0:ffff:169.254.169.254]/",
    "https://[fe80::1]/"
  ],
  "no URL": [
    "https://0o177.0.0.1/",
    "https://425.510.425.510/",
    "https://7147006462/",
    "https://256.256.256.256/",
    "https://1.2.3.4.5/",
    "https://1.1.1.09/",
    "https://127.0.0.1%00.example.com/",
    "https://127.0.0.1%09/",
    "https://127.0.0.1%0d%0aX:1/",
    "https://[fe80::1%25eth0]/",
    "https://example.com:99999/",
    "//example.com/",
    "example.com",
    "https://",
    ""
  ],
  "white space": [
    "https:// /",
    "https://127.1.1.1:80:\\@@127.2.2.2:80/",
    "https://127.0.0.1\\@example.com/",
    "https://127.1.1.1:80\\@127.2.2.2:80/",
    "https://example.com\\@127.0.0.1/",
    "https://exa\tmple.com/",
    "https://exa\nmple.com/",
    " https://example.com/",
    "https://example.com/\u0000",
    "https://1.1.1.1 &@2.2.2.2# @3.3.3.3/"
  ],
  ipv4_compatible: ["https://[::127.0.0.1]/"],
  ipv4_translated: ["https://[::ffff:0:127.0.0.1]/"],
  ipv4_mapped: ["https://[::ffff:8.8.8.8]/"],
  nat64: [
    "https://[64:ff9b::169.254.169.254]/",
    "https://[64:ff9b::808:808]/",
    "https://[64:ff9b:1::a9fe:a9fe]/"
  ],
  six_to_four: [
    "https://[2002:7f00:1::]/",
    "https://[2002:a9fe:a9fe::1]/",
    "https://[2002:808:808::1]/",
    "https://192.88.99.1/"
  ],
  teredo: ["https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/"],
  documentation: ["https://[2001:db8::1]/", "https://[3fff::1]/"],
  discard_only: ["https://[100::1]/"],
  segment_routing: ["https://[5f00::1]/"],
  site_local: ["https://[fec0::1]/"],
  multicast: ["https://[ff02::1]/", "https://224.0.0.1/"],
  not_global_unicast: ["https://[4000::1]/", "https://[::1:0:0:1]/"],
  cloud_metadata: [
    "https://[fd00:ec2::254]/",
    "https://100.100.100.200/",
    "https://192.0.0.192/",
    "https://168.63.129.16/"
  ],
  shared_address_space: ["https://100.64.0.1/", "https://100.127.255.254/"],
  benchmarking: ["https://198.18.0.1/"],
  reserved: ["https://240.0.0.1/", "https://255.255.255.255/"],
  "this machine": [
    "https://localhost/",
    "https://LOCALHOST/",
    "https://localhost./",
    "https://foo.localhost/",
    "https://ⓛocalhost/",
    "https://ip6-localhost/"
  ],
  "local networks": [
    "https://metadata.google.internal./",
    "https://printer.local/",
    "https://router.home.arpa/",
    "https://hidden.onion/",
    "https://receiver.test/",
    "https://nowhere.invalid/"
  ],
  "without a domain": ["https://db/", "https://metadata/"],
  "user name": [
    "https://user:pass@example.com/",
    "https://user@example.com/",
    "https://:pass@example.com/",
    "https://example.com@127.0.0.1/",
    "https://127.0.0.1%2f@example.com/"
  ],
  fragment: [
    "https://example.com/path#frag",
    "https://127.0.0.1#@example.com/",
    "https://example.com/#"
  ],
  "port 0": ["https://example.com:0/"],
  "another kind of service": [
    "https://example.com:22/",
    "https://example.com:1/",
    "https://example.com:1023/",
    "https://example.com:6379/",
    "https://8.8.8.8:25/",
    "https://[2606:4700:4700::1111]:27017/"
  ],
  "no valid host name": [
    "https://a..b/",
    "https://.example.com/",
    "https://example.com../",
    "https://-/",
    "https://-a.example/",
    `https://${"a".repeat(64)}.example/`
  ],
  "only https": [
    "http://example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "data:text/plain,a",
    "javascript:alert(1)",
    "unix:/run/a.sock",
    "jar:https://example.com/a!/",
    "ws://example.com/",
    "blob:https://example.com/a"
  ],
  "longer than": [
    `https://example.com/${"a".repeat(2_029)}`,
    `https://example.com/${"東".repeat(300)}`
  ]
}

/** URLs that are accepted, and the host they were understood to name. */
const acceptedUrls: ReadonlyArray<readonly [string, string]> = [
  ["https://1.2.3/", "1.2.0.3"],
  ["https://8.8.8.8/", "8.8.8.8"],
  ["https://100.63.255.254/", "100.63.255.254"],
  ["https://100.128.0.1/", "100.128.0.1"],
  ["https://[2606:4700:4700::1111]/", "[2606:4700:4700::1111]"],
  ["https://аррӏе.com/", "xn--80ak6aa92e.com"],
  ["https://ß.example/", "xn--zca.example"],
  ["https://example.com./hook?a=b", "example.com."],
  ["https://example.com:80/", "example.com"],
  ["https://example.com:1024/", "example.com"],
  ["https://example.com:65535/", "example.com"],
  ["https://127.0.0.1.nip.io/", "127.0.0.1.nip.io"],
  [`https://example.com/${"a".repeat(2_028)}`, "example.com"]
]

const noDns = Layer.orDie(Dns.layerStatic({}))

const guard = <A, E>(
  options: AddressGuardOptions,
  use: (guard: AddressGuard["Service"]) => Effect.Effect<A, E>,
  dns: Layer.Layer<Dns.Dns> = noDns
): Effect.Effect<A, E> =>
  AddressGuard.use(use).pipe(Effect.provide(AddressGuard.layer(options).pipe(Layer.provide(dns))))

const detailOf = (result: Result.Result<URL, { readonly detail?: string | undefined }>) =>
  Result.isFailure(result) ? result.failure.detail : undefined

describe("AddressGuard.address", () => {
  for (const [cidr, rule, first, last, ...outside] of table) {
    it.effect(`refuses ${cidr} as ${rule}, and not what lies beside it`, () =>
      guard({}, ({ address }) =>
        Effect.sync(() => {
          assert.strictEqual(address(first), rule)
          assert.strictEqual(address(last), rule)
          for (const each of outside) assert.strictEqual(address(each), undefined, each)
        })
      )
    )
  }

  it.effect("judges mapped addresses by the IPv4 address inside", () =>
    guard({}, ({ address }) =>
      Effect.sync(() => {
        assert.strictEqual(address("::ffff:10.1.2.3"), "private_network")
        assert.strictEqual(address("::ffff:8.8.8.8"), undefined)
      })
    )
  )

  it.effect("refuses what is no address, without throwing", () =>
    guard({}, ({ address }) =>
      Effect.sync(() => {
        for (const text of ["", "127.1", "0x7f000001", "example.com", "1.2.3.4:80", "[::1]"]) {
          assert.strictEqual(address(text), "no_address", text)
        }
      })
    )
  )

  it.effect("refuses IPv6 outside 2000::/3 even where no row names it", () =>
    guard({}, ({ address }) =>
      Effect.sync(() => {
        for (const text of ["1fff::1", "4000::1", "6000::", "e000::1", "::1:0:0:0"]) {
          assert.strictEqual(address(text), "not_global_unicast", text)
        }
      })
    )
  )

  it.effect("agrees with an independent list on 20,000 random addresses", () =>
    guard({}, ({ address }) =>
      Effect.gen(function* () {
        const list = new BlockList()
        for (const [cidr] of table) {
          const [network = "", prefix] = cidr.split("/")
          list.addSubnet(network, Number(prefix), network.includes(":") ? "ipv6" : "ipv4")
        }
        const random = (max: number) => Random.nextIntBetween(0, max)
        for (let round = 0; round < 10_000; round++) {
          const octets = [yield* random(255), yield* random(255), yield* random(255), round % 256]
          const v4 = octets.join(".")
          assert.strictEqual(address(v4) !== undefined, list.check(v4, "ipv4"), v4)

          // Half of them begin with a number that the table knows, or random bits would miss it.
          const heads = [0, 0x64, 0x100, 0x2001, 0x2002, 0x3fff, 0x5f00, 0xfd00, 0xfe80, 0xff02]
          const head = round % 2 === 0 ? yield* random(0xffff) : (heads[round % 10] ?? 0)
          const groups = [head]
          while (groups.length < 8) groups.push(yield* random(round % 3 === 0 ? 3 : 0xffff))
          const v6 = groups.map((group) => group.toString(16)).join(":")
          const isOutside = head >> 13 !== 1
          assert.strictEqual(address(v6) !== undefined, isOutside || list.check(v6, "ipv6"), v6)
        }
      }).pipe(Random.withSeed("addresses"))
    )
  )

  it.effect("lets allowed networks pass, and nothing beside them", () =>
    guard({ allowNetworks: ["10.1.0.0/16", "fd12::/32"] }, ({ address }) =>
      Effect.sync(() => {
        assert.strictEqual(address("10.1.255.255"), undefined)
        assert.strictEqual(address("::ffff:10.1.0.1"), undefined)
        assert.strictEqual(address("fd12::1"), undefined)
        assert.strictEqual(address("10.2.0.0"), "private_network")
        assert.strictEqual(address("fd13::1"), "unique_local")
      })
    )
  )

  it.effect(
    "opens link-local and metadata addresses only one at a time, and where that is said twice",
    () =>
      Effect.gen(function* () {
        const allowNetworks = ["0.0.0.0/0", "::/0", "169.254.170.2/32"]
        yield* guard({ allowNetworks }, ({ address }) =>
          Effect.sync(() => assert.strictEqual(address("169.254.170.2"), "link_local"))
        )
        yield* guard({ allowNetworks, allowLinkLocal: true }, ({ address }) =>
          Effect.sync(() => {
            assert.strictEqual(address("10.0.0.1"), undefined)
            assert.strictEqual(address("169.254.169.254"), "link_local")
            assert.strictEqual(address("168.63.129.16"), "cloud_metadata")
            assert.strictEqual(address("fd00:ec2::254"), "cloud_metadata")
            assert.strictEqual(address("169.254.170.2"), undefined)
          })
        )
      })
  )

  it.effect("refuses networks that were denied though they are public", () =>
    guard({ denyNetworks: ["8.8.8.0/24"] }, ({ address }) =>
      Effect.sync(() => {
        assert.strictEqual(address("8.8.8.8"), "denied_network")
        assert.strictEqual(address("8.8.9.8"), undefined)
      })
    )
  )
})

describe("AddressGuard.url", () => {
  for (const [word, urls] of Object.entries(refusedUrls)) {
    it.effect(`refuses with the words "${word}"`, () =>
      guard({}, ({ url }) =>
        Effect.sync(() => {
          for (const text of urls) {
            assert.include(detailOf(url(text))?.toLowerCase(), word.toLowerCase(), text)
          }
        })
      )
    )
  }

  it.effect("accepts public hosts, as the parser understood them", () =>
    guard({}, ({ url }) =>
      Effect.sync(() => {
        for (const [text, host] of acceptedUrls) {
          const result = url(text)
          assert.isTrue(Result.isSuccess(result), `${text}: ${detailOf(result)}`)
          if (Result.isSuccess(result)) assert.strictEqual(result.success.hostname, host)
        }
      })
    )
  )

  it.effect("decides every port as the rule says", () =>
    guard({}, ({ url }) =>
      Effect.sync(() => {
        const named = new Set([
          2375, 2376, 2379, 2380, 3306, 5432, 5984, 6379, 6443, 8500, 9200, 10250, 11211, 27017
        ])
        for (let port = 0; port <= 65_535; port++) {
          const expected = port === 80 || port === 443 || (port >= 1_024 && !named.has(port))
          const result = url(`https://example.com:${port}/`)
          assert.strictEqual(Result.isSuccess(result), expected, String(port))
        }
      })
    )
  )

  it.effect("accepts http only where it is allowed", () =>
    guard({ allowHttp: true }, ({ url }) =>
      Effect.sync(() => {
        assert.isTrue(Result.isSuccess(url("http://example.com/")))
        assert.include(detailOf(url("ftp://example.com/")), "Only http and https")
        assert.include(detailOf(url("http://127.0.0.1/")), "loopback")
      })
    )
  )

  it.effect("lets local mode reach this machine on any port, and no other network", () =>
    guard({ allowHttp: true, allowNetworks: ["127.0.0.0/8", "::1/128"] }, ({ url }) =>
      Effect.sync(() => {
        for (const text of [
          "http://127.0.0.1:9000/",
          "http://localhost:9000/",
          "http://localhost:25/",
          "http://127.0.0.1:5432/",
          "http://[::1]:9000/",
          "http://hooks.localhost:9000/",
          "http://[::ffff:127.0.0.1]:9000/",
          "http://receiver.test/"
        ]) {
          assert.strictEqual(detailOf(url(text)), undefined, text)
        }
        assert.include(detailOf(url("http://localhost:0/")), "Port 0")
        assert.include(detailOf(url("http://10.0.0.1/")), "private_network")
        assert.include(detailOf(url("http://example.com:25/")), "Port 25")
      })
    )
  )

  it.effect("keeps localhost refused where only another network is allowed", () =>
    guard({ allowNetworks: ["172.18.0.0/16"] }, ({ url }) =>
      Effect.sync(() => {
        assert.include(detailOf(url("https://localhost/")), "this machine")
        assert.strictEqual(detailOf(url("https://receiver:8443/")), undefined)
      })
    )
  )
})

describe("AddressGuard.lookup", () => {
  const zone = Layer.orDie(
    Dns.layerStatic({
      hosts: {
        "public.example": ["93.184.216.34", "2606:2800:220:1::1"],
        "private.example": ["10.0.0.1"],
        "mixed.example": ["93.184.216.34", "10.0.0.1"],
        "sneaky.example": ["93.184.216.34", "::1"],
        "mapped.example": ["::ffff:10.0.0.1"],
        "nat64.example": ["64:ff9b::808:808"],
        "127.0.0.1.nip.io": ["127.0.0.1"],
        "169.254.169.254.nip.io": ["169.254.169.254"],
        "localtest.me": ["127.0.0.1", "::1"],
        "many.example": Arr.makeBy(16, (i) => `93.184.216.${i + 1}`),
        "crowd.example": Arr.makeBy(17, (i) => `93.184.216.${i + 1}`)
      }
    })
  )

  const lookup = (url: string, options: AddressGuardOptions = {}) =>
    guard(options, (guard) => Effect.result(guard.lookup(new URL(url))), zone).pipe(
      Effect.map((result) =>
        Result.isSuccess(result) ? result.success.map(NetAddress.formatIp) : result.failure
      )
    )

  it.effect("answers all addresses of a public name, in order", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* lookup("https://public.example/"), [
        "93.184.216.34",
        "2606:2800:220:1::1"
      ])
      assert.deepStrictEqual(yield* lookup("https://public.example./"), [
        "93.184.216.34",
        "2606:2800:220:1::1"
      ])
    })
  )

  it.effect("refuses a name for one blocked answer, and does not say which address", () =>
    Effect.gen(function* () {
      for (const [name, rule] of [
        ["private.example", "private_network"],
        ["mixed.example", "private_network"],
        ["sneaky.example", "loopback"],
        ["mapped.example", "private_network"],
        ["nat64.example", "nat64"],
        ["127.0.0.1.nip.io", "loopback"],
        ["169.254.169.254.nip.io", "link_local"],
        ["localtest.me", "loopback"]
      ] as const) {
        assert.deepStrictEqual(yield* lookup(`https://${name}/`), {
          _tag: "Refused",
          rule,
          detail: `${name} is at an address that requests may not go to (${rule}).`
        })
      }
    })
  )

  it.effect("takes a name's answers from an allowed network", () =>
    Effect.gen(function* () {
      const options = { allowNetworks: ["10.0.0.0/8"] }
      assert.deepStrictEqual(yield* lookup("https://mixed.example/", options), [
        "93.184.216.34",
        "10.0.0.1"
      ])
    })
  )

  it.effect("judges URLs again, which were parsed elsewhere", () =>
    Effect.gen(function* () {
      for (const [url, rule] of [
        ["https://127.0.0.1/", "loopback"],
        ["https://[::ffff:a9fe:a9fe]/", "link_local"],
        ["http://public.example/", "scheme"],
        ["https://public.example:22/", "port"],
        ["https://user@public.example/", "userinfo"],
        ["https://localhost/", "special_name"],
        ["https://db/", "single_label"]
      ] as const) {
        const refused = yield* lookup(url)
        assert.deepInclude(refused, { _tag: "Refused", rule }, url)
      }
      assert.deepStrictEqual(yield* lookup("https://93.184.216.34/"), ["93.184.216.34"])
    })
  )

  it.effect("knows localhost without asking, where loopback is allowed", () =>
    Effect.gen(function* () {
      const both = { allowNetworks: ["127.0.0.0/8", "::1/128"] }
      assert.deepStrictEqual(yield* lookup("https://localhost/", both), ["127.0.0.1", "::1"])
      const one = { allowNetworks: ["127.0.0.0/8"] }
      assert.deepStrictEqual(yield* lookup("https://hooks.localhost/", one), ["127.0.0.1"])
    })
  )

  it.effect("fails closed where there is no answer, or more than sixteen", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* lookup("https://missing.example/"), {
        _tag: "Unreachable",
        cause: "dns",
        detail: "No address for missing.example (NotFound)."
      })
      assert.deepStrictEqual(yield* lookup("https://crowd.example/"), {
        _tag: "Unreachable",
        cause: "dns",
        detail: "No address for crowd.example (more than 16 answers)."
      })
      assert.lengthOf(Object.keys(yield* lookup("https://many.example/")), 16)
    })
  )

  /** A resolver that answers when it is told to, and counts questions. */
  const scripted = (answer: (question: number) => Effect.Effect<string, Dns.DnsError>) => {
    let questions = 0
    const layer = Layer.succeed(
      Dns.Dns,
      Dns.make({
        lookup: () =>
          Effect.suspend(() => answer(++questions)).pipe(
            Effect.map((text) => [NetAddress.ipFromStringUnsafe(text)])
          )
      })
    )
    return { layer, questions: () => questions }
  }

  it.effect("gives up on a resolver after 3 seconds", () =>
    guard(
      {},
      ({ lookup }) =>
        Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(
            Effect.flip(lookup(new URL("https://slow.example/")))
          )
          yield* TestClock.adjust("2999 millis")
          assert.strictEqual(fiber.pollUnsafe(), undefined)
          yield* TestClock.adjust("1 millis")
          assert.deepStrictEqual(yield* Fiber.join(fiber), { _tag: "TimedOut", phase: "dns" })
        }),
      scripted(() => Effect.never).layer
    )
  )

  it.effect("asks once for concurrent questions, though the first who asked gave up", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<string>()
      const dns = scripted(() => Deferred.await(gate))
      yield* guard(
        {},
        ({ lookup }) =>
          Effect.gen(function* () {
            const url = new URL("https://public.example/")
            const fibers = yield* Effect.forEach(Arr.range(1, 50), () =>
              Effect.forkChild(lookup(url), { startImmediately: true })
            )
            yield* Fiber.interrupt(Arr.headNonEmpty(fibers))
            yield* Deferred.succeed(gate, "93.184.216.34")
            for (const fiber of fibers.slice(1)) assert.lengthOf(yield* Fiber.join(fiber), 1)
            assert.strictEqual(dns.questions(), 1)
          }),
        dns.layer
      )
    })
  )

  it.effect("asks again after 30 seconds", () => {
    const dns = scripted(() => Effect.succeed("93.184.216.34"))
    return guard(
      {},
      ({ lookup }) =>
        Effect.gen(function* () {
          const url = new URL("https://public.example/")
          yield* lookup(url)
          yield* TestClock.adjust("29 seconds")
          yield* lookup(url)
          assert.strictEqual(dns.questions(), 1)
          yield* TestClock.adjust("1 seconds")
          yield* lookup(url)
          assert.strictEqual(dns.questions(), 2)
        }),
      dns.layer
    )
  })

  it.effect("keeps no failure, and judges each new answer", () => {
    const failed = new Dns.DnsError({ reason: "Temporary", method: "lookup", hostname: "a" })
    const dns = scripted((question) =>
      question === 1
        ? Effect.fail(failed)
        : Effect.succeed(question === 2 ? "93.184.216.34" : "10.0.0.1")
    )
    return guard(
      {},
      ({ lookup }) =>
        Effect.gen(function* () {
          const url = new URL("https://rebinding.example/")
          assert.isTrue(Exit.isFailure(yield* Effect.exit(lookup(url))))
          assert.lengthOf(yield* lookup(url), 1)
          yield* TestClock.adjust("30 seconds")
          assert.deepInclude(yield* Effect.flip(lookup(url)), { rule: "private_network" })
        }),
      dns.layer
    )
  })
})
