/**
 * Decides where requests may go, so that nobody can use webhooks to reach what only we can reach.
 *
 * Promises: nothing goes to a private, loopback, link-local, metadata or otherwise special address
 * unless a network was allowed by name. Addresses are judged by their bytes and never by their
 * text, for literals in URLs and for answers of DNS alike. One bad answer refuses the whole name,
 * and a resolver that fails or is slow leaves no address to connect to.
 *
 * Leaves to others: connecting only to the addresses that `lookup` returned, and not following
 * redirects (`HttpSender`).
 *
 * An allowed network opens link-local and cloud metadata addresses only where it is a single address
 * (`169.254.169.254/32`) and `allowLinkLocal` is said besides, so that nobody opens them by accident.
 */
import * as Cache from "effect/Cache"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Dns from "effect/net/Dns"
import * as Host from "effect/net/Host"
import * as IpNetwork from "effect/net/IpNetwork"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import { isIP } from "node:net"
import { networkInterfaces } from "node:os"
import type { Refused, TimedOut, Unreachable } from "../domain/Attempt.ts"
import { UrlNotAllowed } from "../domain/Webhook.ts"
import { log } from "../telemetry/Log.ts"
import { globalUnicast, openedSingly, specialNetwork, specialNetworks } from "./SpecialNetworks.ts"

/** What may be reached besides the public internet over https. By default nothing. */
export interface AddressGuardOptions {
  /** Lets `http:` URLs pass too. */
  readonly allowHttp?: boolean
  /** CIDRs that receivers may be in although they are special. A malformed one is a defect. */
  readonly allowNetworks?: ReadonlyArray<string>
  /** Whether a single link-local or cloud metadata address in `allowNetworks` opens it. */
  readonly allowLinkLocal?: boolean
  /** CIDRs that receivers may not be in although they are public, such as our own addresses. */
  readonly denyNetworks?: ReadonlyArray<string>
}

/** Judges URLs, addresses and names. */
export class AddressGuard extends Context.Service<
  AddressGuard,
  {
    /** Parses a URL and judges all that can be judged without DNS. `detail` names the rule. */
    readonly url: (text: string) => Result.Result<URL, UrlNotAllowed>
    /** Names the rule that forbids an address, or undefined where it may be reached. */
    readonly address: (address: string | NetAddress.IpAddress) => string | undefined
    /**
     * Resolves a URL's host to the addresses that may be connected to, in order of preference.
     * Answers are kept for 30 seconds; concurrent questions for one name are asked once.
     */
    readonly lookup: (
      url: URL
    ) => Effect.Effect<ReadonlyArray<NetAddress.IpAddress>, Refused | Unreachable | TimedOut>
  }
>()("posthaste/send/AddressGuard") {
  /** Resolves names with the `Dns` service; strict unless the options say otherwise. */
  static layer(options: AddressGuardOptions = {}): Layer.Layer<AddressGuard, never, Dns.Dns> {
    return Layer.effect(AddressGuard, make(options))
  }
}

/** How a name is resolved: answers at most, time at most, and how long and how many are kept. */
const resolving = { answersMax: 16, timeoutMs: 3_000, keptMs: 30_000, namesMax: 10_000 } as const

const make = Effect.fnUntraced(function* (options: AddressGuardOptions) {
  const dns = yield* Dns.Dns
  const policy = policyOf(options)

  const resolve = Effect.fnUntraced(function* (host: string) {
    const answer = yield* dns.lookup(host).pipe(
      Effect.mapError((error) => unresolved(host, error.reason)),
      Effect.timeoutOrElse({
        duration: resolving.timeoutMs,
        orElse: () => Effect.fail(timedOut)
      })
    )
    if (answer.length > resolving.answersMax) {
      return yield* Effect.fail(unresolved(host, `more than ${resolving.answersMax} answers`))
    }
    for (const address of answer) {
      const rule = policy.address(address)
      if (rule === undefined) continue
      yield* told(host, NetAddress.formatIp(address), rule)
      return yield* Effect.fail(inNetwork(host, rule))
    }
    return answer.map((address) => NetAddress.toCanonical(address))
  })
  const told = yield* tellOnce
  const names = yield* Cache.makeWith(resolve, {
    capacity: resolving.namesMax,
    timeToLive: (exit) => (Exit.isSuccess(exit) ? resolving.keptMs : Duration.zero)
  })

  return AddressGuard.of({
    url: (text) => {
      const parsed = URL.parse(text)
      const refused =
        textRule(text) ??
        (parsed === null ? malformed : (lengthRule(parsed.href) ?? policy.url(parsed)))
      return parsed !== null && refused === undefined
        ? Result.succeed(parsed)
        : Result.fail(notAllowed(refused ?? malformed))
    },
    address: policy.address,
    lookup: (url) =>
      Effect.suspend(() => {
        const refused = policy.url(url)
        if (refused !== undefined) return Effect.fail(refused)
        const host = hostOf(url)
        if (typeof host !== "string") return Effect.succeed([host])
        // RFC 6761, section 6.3: these names mean this machine, whatever a resolver says.
        return isLocalhost(host) ? Effect.succeed(policy.loopback) : Cache.get(names, host)
      })
  })
})

/**
 * Makes what tells the operator the address that a name led to: tenants are told the rule alone. Each
 * name is told once in ten minutes, so that nobody fills the log.
 */
const tellOnce = Effect.map(
  Cache.make({
    capacity: 1_000,
    timeToLive: "10 minutes",
    lookup: (told: string) => {
      const [host = "", address = "", rule = ""] = told.split(" ")
      return log("guard_refused", { host, address, rule })
    }
  }),
  (told) => (host: string, address: string, rule: string) =>
    Cache.get(told, `${host} ${address} ${rule}`)
)

type Addresses = ReadonlyArray<NetAddress.IpAddress>

interface Policy {
  readonly url: (url: URL) => Refused | undefined
  readonly address: (address: string | NetAddress.IpAddress) => string | undefined
  /** The loopback addresses that are allowed. */
  readonly loopback: Addresses
}

const policyOf = (options: AddressGuardOptions): Policy => {
  const allowHttp = options.allowHttp ?? false
  const allowLinkLocal = options.allowLinkLocal ?? false
  const allowed = (options.allowNetworks ?? []).map(IpNetwork.fromStringUnsafe)
  const denied = [
    ...(options.denyNetworks ?? []).map((network) => specialNetwork(network, "denied_network")),
    ...specialNetworks,
    ...ownAddresses()
  ]

  const isAllowed = (address: NetAddress.IpAddress, rule: string): boolean =>
    allowed.some(
      (network) =>
        (!openedSingly.has(rule) ||
          (allowLinkLocal && network.prefixLength === NetAddress.width(address))) &&
        IpNetwork.contains(network, address)
    )

  const address = (input: string | NetAddress.IpAddress): string | undefined => {
    const parsed = NetAddress.ipFromInput(input)
    if (Result.isFailure(parsed)) return "no_address"
    const canonical = NetAddress.toCanonical(parsed.success)
    const rule =
      denied.find(({ network }) => IpNetwork.contains(network, canonical))?.rule ??
      (NetAddress.isIpv4Address(canonical) || IpNetwork.contains(globalUnicast, canonical)
        ? undefined
        : "not_global_unicast")
    return rule === undefined || isAllowed(canonical, rule) ? undefined : rule
  }

  const loopback = NetAddress.loopbackAddresses.filter((each) => address(each) === undefined)

  const nameRule = (name: string): Refused | undefined => {
    if (isLocalhost(name)) {
      return loopback.length > 0 ? undefined : refuse("special_name", `${name} is this machine.`)
    }
    if (name.endsWith(".") || Result.isFailure(Host.domainNameFromString(name))) {
      return refuse("host", `${name} is no valid host name.`)
    }
    // Names of local networks can only lead to addresses that someone allowed.
    if (allowed.length > 0) return undefined
    if (!name.includes(".")) return refuse("single_label", `${name} is a name without a domain.`)
    return specialNames.test(name)
      ? refuse("special_name", `${name} is a name of local networks.`)
      : undefined
  }

  const url = (parsed: URL): Refused | undefined => {
    if (parsed.protocol !== "https:" && (parsed.protocol !== "http:" || !allowHttp)) {
      return refuse("scheme", `Only ${allowHttp ? "http and https" : "https"} URLs are allowed.`)
    }
    if (parsed.username !== "" || parsed.password !== "") {
      return refuse("userinfo", "The URL holds a user name or password; send a header instead.")
    }
    const port = portOf(parsed)
    if (port === 0) return refuse("port", "Port 0 is no port.")
    const host = hostOf(parsed)
    if (typeof host === "string") {
      return nameRule(host) ?? (isLocalhost(host) ? undefined : portRule(port))
    }
    // Mapped addresses have no use in a URL but to hide an IPv4 address.
    const rule = address(host) ?? (isMapped(host) && !inAllowed(host) ? "ipv4_mapped" : undefined)
    if (rule !== undefined) return inNetwork(NetAddress.formatIp(host), rule)
    return inAllowed(host) ? undefined : portRule(port)
  }

  const inAllowed = (host: NetAddress.IpAddress): boolean =>
    allowed.some((network) => IpNetwork.contains(network, NetAddress.toCanonical(host)))

  return { url, address, loopback }
}

/** What a webhook may name; a URL that data is rendered into may grow beyond it. */
const urlLengthMax = 2_048

const lengthRule = (text: string): Refused | undefined =>
  text.length > urlLengthMax
    ? refuse("length", `The URL is longer than ${urlLengthMax} characters.`)
    : undefined

/** Judges what parsing would hide: the parser drops tabs and turns backslashes into slashes. */
const textRule = (text: string): Refused | undefined => {
  const long = lengthRule(text)
  if (long !== undefined) return long
  if (/[\s\p{Cc}\\]/u.test(text)) {
    return refuse("characters", "The URL holds white space, a control character or a backslash.")
  }
  return text.includes("#") ? refuse("fragment", "The URL holds a fragment (#).") : undefined
}

const portRule = (port: number): Refused | undefined =>
  (port < 1_024 && port !== 80 && port !== 443) || deniedPorts.has(port)
    ? refuse("port", `Port ${port} belongs to another kind of service.`)
    : undefined

/** Ports of databases, caches and control planes that speak something like HTTP or trust callers. */
const deniedPorts = new Set([
  2375, 2376, 2379, 2380, 3306, 5432, 5984, 6379, 6443, 8500, 9200, 10250, 11211, 27017
])

const portOf = (url: URL): number =>
  url.port === "" ? (url.protocol === "http:" ? 80 : 443) : Number(url.port)

/** The host as the parser understood it: an address, or a name without its trailing dot. */
const hostOf = (url: URL): NetAddress.IpAddress | string => {
  const text = url.hostname.replace(/^\[|\]$|\.$/g, "")
  // Asked first, because an address that fails to parse costs a stack trace.
  return isIP(text) === 0 ? text : NetAddress.ipFromStringUnsafe(text)
}

const isMapped = (address: NetAddress.IpAddress): boolean =>
  NetAddress.isIpv6Address(address) && NetAddress.isIpv4Mapped(address)

const isLocalhost = (name: string): boolean => /^(?:.+\.)?localhost$|^ip6-localhost$/.test(name)

const specialNames = /(?:^|\.)(?:local|internal|home\.arpa|onion|test|invalid|metadata)$/

/** The addresses of this machine's network interfaces, as they are when the layer is built. */
const ownAddresses = () =>
  Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .map(({ address, family }) =>
      specialNetwork(`${address}/${family === "IPv4" ? 32 : 128}`, "own_address")
    )

const refuse = (rule: string, detail: string): Refused => ({ _tag: "Refused", rule, detail })

const notAllowed = ({ detail }: Refused): UrlNotAllowed =>
  new UrlNotAllowed({ detail, errors: [{ pointer: "/url", message: detail }] })

const malformed = refuse("malformed", "This is no URL.")

// The address itself stays unsaid: an answer of DNS would tell a tenant how our networks look.
const inNetwork = (host: string, rule: string): Refused =>
  refuse(rule, `${host} is at an address that requests may not go to (${rule}).`)

const timedOut: TimedOut = { _tag: "TimedOut", phase: "dns" }

const unresolved = (host: string, reason: string): Unreachable => ({
  _tag: "Unreachable",
  cause: "dns",
  detail: `No address for ${host} (${reason}).`
})
