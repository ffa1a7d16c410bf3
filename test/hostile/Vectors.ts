/**
 * URLs by which webhook senders were tricked into their own network, and a generator of more: every
 * way known to write an address.
 */

/** Refused wherever they are named: every way to write addresses that are not for us. */
export const refused: ReadonlyArray<string> = [
  ..."127.0.0.1 127.1 127.0.1 2130706433 0x7f000001 0x7f.1 017700000001 0177.0.0.1 127.0.0.1.".split(
    " "
  ),
  ..."①②⑦.⓪.⓪.① 127。0。0。1 １２７.０.０.１ %31%32%37.0.0.1".split(" "),
  ..."0 0.0.0.0 2852039166 0xa9fea9fe 0251.0376.0251.0376 169.254.43518 169.254.169.254".split(" "),
  ..."0o177.0.0.1 425.510.425.510 7147006462 256.256.256.256 1.2.3.4.5 1.1.1.09".split(" "),
  ..."127.0.0.1%00.example.com 127.0.0.1%09 127.0.0.1%0d%0aX:1 [fe80::1%25eth0]".split(" "),
  "127.1.1.1:80:\\@@127.2.2.2:80",
  "example.com:99999",
  " ",
  ..."[::1] [0000::1] [::] [::ffff:127.0.0.1] [::ffff:7f00:1]".split(" "),
  "[0:0:0:0:0:ffff:169.254.169.254]",
  ..."[::127.0.0.1] [::ffff:0:127.0.0.1] [64:ff9b::169.254.169.254] [64:ff9b::808:808]".split(" "),
  ..."[64:ff9b:1::a9fe:a9fe] [2002:7f00:1::] [2002:a9fe:a9fe::1] [2002:808:808::1]".split(" "),
  "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
  ..."[2001:db8::1] [3fff::1] [100::1] [5f00::1] [fec0::1] [ff02::1] [fd00:ec2::254]".split(" "),
  ..."[fe80::1] [::ffff:8.8.8.8] [fc00::1] [4000::1]".split(" "),
  ..."100.64.0.1 100.127.255.254 100.100.100.200 192.0.0.192 168.63.129.16 198.18.0.1".split(" "),
  ..."192.88.99.1 224.0.0.1 240.0.0.1 255.255.255.255 10.20.30.40 172.16.0.1 192.168.0.1".split(
    " "
  ),
  ..."localhost LOCALHOST localhost. foo.localhost ⓛocalhost ip6-localhost".split(" "),
  ..."metadata.google.internal. printer.local db metadata".split(" "),
  "user:pass@example.com",
  "example.com@127.0.0.1",
  "127.0.0.1%2f@example.com",
  "1.1.1.1 &@2.2.2.2# @3.3.3.3",
  "127.0.0.1?@example.com",
  "127.0.0.1#@example.com"
].flatMap((host) => [`https://${host}/`, `http://${host}/`])

/** The same with something wrong about the URL itself. */
export const refusedUrls: ReadonlyArray<string> = [
  "https:127.0.0.1/",
  "https:/127.0.0.1/",
  "https:///127.0.0.1/",
  "//example.com/",
  "example.com",
  "https://example.com:22/",
  "https://example.com:6379/",
  "https://example.com:0/",
  ..."file ftp gopher data unix jar javascript ws wss blob about ldap dict tftp sftp ssh telnet smb nfs"
    .split(" ")
    .map((scheme) => `${scheme}://127.0.0.1/`),
  ..."imap pop3 smtp rtsp mailto news nntp redis mongodb git svn view-source"
    .split(" ")
    .map((scheme) => `${scheme}://example.com/`)
]

/** Accepted: what lies right beside what is refused. */
export const accepted: ReadonlyArray<string> = [
  "1.2.3",
  "8.8.8.8",
  "100.63.255.254",
  "100.128.0.1",
  "[2606:4700:4700::1111]"
].map((host) => `http://${host}/`)

/** The host that every generated URL either names or is refused for. */
export const decoy = "example.com"

/** Addresses that must not be reached in whatever way they are written. */
export const targets: ReadonlyArray<string> = [
  "127.0.0.1",
  "10.0.0.1",
  "169.254.169.254",
  "100.100.100.200",
  "192.168.0.1",
  "0.0.0.0"
]

/** Writes an address in every way that some parser has understood, also beside a decoy. */
export const generated = (target: string): ReadonlyArray<string> => {
  const octets = target.split(".").map(Number)
  const [a = 0, b = 0, c = 0, d = 0] = octets
  const whole = ((a * 256 + b) * 256 + c) * 256 + d
  const bases: ReadonlyArray<(n: number) => string> = [
    (n) => String(n),
    (n) => `0x${n.toString(16)}`,
    (n) => `0X${n.toString(16).toUpperCase().padStart(2, "0")}`,
    (n) => `0${n.toString(8)}`,
    (n) => `0000${n.toString(8)}`,
    (n) => `0x0000${n.toString(16)}`
  ]
  const parts = [octets, [a, b, c * 256 + d], [a, (b * 256 + c) * 256 + d], [whole]]
  const numeric = parts.flatMap((numbers) =>
    numbers.reduce<ReadonlyArray<string>>(
      (texts, n) =>
        texts.flatMap((text) =>
          bases.map((base) => (text === "" ? base(n) : `${text}.${base(n)}`))
        ),
      [""]
    )
  )
  const overflowed = [
    octets.map((n) => n + 256).join("."),
    String(whole + 2 ** 32),
    `0x1${whole.toString(16).padStart(8, "0")}`
  ]
  const hex = (n: number, m: number) => ((n << 8) | m).toString(16)
  const groups = `${hex(a, b)}:${hex(c, d)}`
  const v6 = [
    `::ffff:${target}`,
    `::FFFF:${target}`,
    `::ffff:${groups}`,
    `0:0:0:0:0:ffff:${target}`,
    `0000:0000:0000:0000:0000:ffff:${groups}`,
    `::${target}`,
    `::${groups}`,
    `::ffff:0:${target}`,
    `64:ff9b::${target}`,
    `64:ff9b::${groups}`,
    `64:ff9b:1::${groups}`,
    `2002:${groups}::`,
    `2002:${groups}::1`
  ].map((text) => `[${text}]`)
  const wide = [...target].map((char) =>
    /\d/.test(char) ? String.fromCodePoint(0xff10 + Number(char)) : char
  )
  const circled = [...target].map((char) =>
    /\d/.test(char) ? (char === "0" ? "⓪" : String.fromCodePoint(0x2460 + Number(char) - 1)) : char
  )
  const dressed = [
    wide.join(""),
    circled.join(""),
    ...["。", "．", "｡", "%2e"].map((dot) => target.replaceAll(".", dot)),
    `${target}.`,
    [...target].map((char) => `%${char.charCodeAt(0).toString(16)}`).join("")
  ]
  const decoyed = [
    `${decoy}@${target}`,
    `${decoy}:80@${target}`,
    `${decoy}%40${target}`,
    `${target}@${decoy}`,
    `${target}%23@${decoy}`,
    `${decoy}#@${target}`,
    `${target}#@${decoy}`,
    `${target}?@${decoy}`,
    `${target}\\@${decoy}`,
    `${decoy}\\@${target}`,
    `${target}%2f@${decoy}`,
    `${target}:80\\@${decoy}:80`,
    `${target}%00.${decoy}`,
    `${target}%0a.${decoy}`,
    ` ${target}`,
    `${target}\t`,
    `${decoy}/@${target}`,
    `${decoy}?url=https://${target}`
  ]
  return [...numeric, ...overflowed, ...v6, ...dressed, ...decoyed].map(
    (host) => `https://${host}/`
  )
}
