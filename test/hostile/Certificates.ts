/**
 * Certificates of an authority that is made anew in each process, good ones and bad ones, written in
 * DER by hand (RFC 5280) so that each can be wrong in one way alone.
 */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto"
import { isIPv4 } from "node:net"

/** A certificate with those that follow it, and its key, in PEM. */
export interface Identity {
  readonly cert: string
  readonly key: string
}

interface Keys {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

interface Issuer {
  readonly name: string
  readonly keys: Keys
}

/** What a certificate says where it says something unusual. */
interface Terms {
  readonly name?: string
  readonly hosts?: ReadonlyArray<string>
  readonly keys?: Keys
  readonly from?: Date
  readonly until?: Date
  readonly digest?: "sha256" | "sha1"
  readonly isAuthority?: boolean
}

const dayMs = 86_400_000
const days = (count: number) => new Date(Date.now() + count * dayMs)

const ecKeys = (): Keys => generateKeyPairSync("ec", { namedCurve: "P-256" })

const der = (tag: number, ...contents: ReadonlyArray<Buffer>): Buffer => {
  const content = Buffer.concat(contents)
  const { length } = content
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}
const sequence = (...contents: ReadonlyArray<Buffer>) => der(0x30, ...contents)
const oid = (hex: string) => der(0x06, Buffer.from(hex, "hex"))
const yes = der(0x01, Buffer.from([0xff]))
const bits = (content: Buffer) => der(0x03, Buffer.from([0]), content)
const nameOf = (name: string) =>
  sequence(der(0x31, sequence(oid("550403"), der(0x0c, Buffer.from(name)))))
const timeOf = (at: Date) =>
  der(
    0x17,
    Buffer.from(
      at
        .toISOString()
        .slice(2)
        .replace(/[-:T]|\.\d+/g, "")
    )
  )
const extension = (id: string, content: Buffer) => sequence(oid(id), yes, der(0x04, content))

const algorithms = { sha256: "2a8648ce3d040302", sha1: "2a8648ce3d0401" } as const

const pem = (bytes: Buffer) =>
  `-----BEGIN CERTIFICATE-----\n${bytes
    .toString("base64")
    .replace(/.{64}(?=.)/g, "$&\n")}\n-----END CERTIFICATE-----\n`

const issue = (by: Issuer | undefined, terms: Terms = {}): Identity & Issuer => {
  const {
    name = "receiver.test",
    hosts = ["receiver.test", "127.0.0.1"],
    digest = "sha256"
  } = terms
  const keys = terms.keys ?? ecKeys()
  const issuer = by ?? { name, keys }
  const algorithm = sequence(oid(algorithms[digest]))
  const names = hosts.map((host) =>
    isIPv4(host)
      ? der(0x87, Buffer.from(host.split(".").map(Number)))
      : der(0x82, Buffer.from(host))
  )
  const certified = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1]), randomBytes(15)),
    algorithm,
    nameOf(issuer.name),
    sequence(timeOf(terms.from ?? days(-1)), timeOf(terms.until ?? days(2))),
    nameOf(name),
    keys.publicKey.export({ type: "spki", format: "der" }),
    der(
      0xa3,
      sequence(
        terms.isAuthority === true
          ? extension("551d13", sequence(yes))
          : extension("551d11", sequence(...names))
      )
    )
  )
  const signature = sign(digest, certified, issuer.keys.privateKey)
  return {
    name,
    keys,
    cert: pem(sequence(certified, algorithm, bits(signature))),
    key: keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString()
  }
}

const root = issue(undefined, { name: "Posthaste hostile CA", isAuthority: true })
const strange = issue(undefined, { name: "Strange CA", isAuthority: true })
const between = issue(root, { name: "Intermediate", isAuthority: true })
const unknown = issue(strange)
const short = generateKeyPairSync("rsa", { modulusLength: 1_024 })

/** The authority that the service is told to trust, in PEM. */
export const ca = root.cert

/** Certificates for `127.0.0.1`, but for those that are for other names. */
export const certificates = {
  trusted: issue(root),
  /** For one label before `hooks.localhost`. */
  wildcard: issue(root, { hosts: ["*.hooks.localhost"] }),
  expired: issue(root, { from: days(-2), until: days(-1) }),
  notYet: issue(root, { from: days(1) }),
  selfSigned: issue(undefined),
  otherName: issue(root, { hosts: ["other.test"] }),
  unknownAuthority: { ...unknown, cert: unknown.cert + strange.cert },
  missingIntermediate: issue(between),
  smallKey: issue(root, { keys: short }),
  sha1: issue(root, { digest: "sha1" })
} satisfies Readonly<Record<string, Identity>>
