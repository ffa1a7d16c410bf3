/**
 * The networks that are not the public internet, as data: what `AddressGuard` judges addresses by.
 *
 * Sources: the IANA special-purpose address registries, the metadata addresses of the large clouds,
 * and the union of the tables of other webhook senders.
 */
import * as IpNetwork from "effect/net/IpNetwork"

/** A network and the rule that keeps requests out of it. */
export interface SpecialNetwork {
  readonly network: IpNetwork.IpNetwork
  readonly rule: string
}

/** Reads a CIDR; throws where it is malformed. */
export const specialNetwork = (cidr: string, rule: string): SpecialNetwork => ({
  network: IpNetwork.fromStringUnsafe(cidr),
  rule
})

/** Rules that an allowed network opens only where it is a single address. */
export const openedSingly = new Set(["link_local", "cloud_metadata"])

/** Tells whether a network is one of those, or in one. */
export const isOpenedSingly = (network: IpNetwork.IpNetwork): boolean =>
  specialNetworks.some(
    (special) =>
      openedSingly.has(special.rule) &&
      network.prefixLength >= special.network.prefixLength &&
      IpNetwork.contains(special.network, network.address)
  )

/** Of IPv6, only this is handed out to the public; the table takes pieces out of it. */
export const globalUnicast = IpNetwork.fromStringUnsafe("2000::/3")

/** The table; the first row that holds an address names its rule. */
export const specialNetworks: ReadonlyArray<SpecialNetwork> = [
  specialNetwork("100.100.100.200/32", "cloud_metadata"),
  specialNetwork("168.63.129.16/32", "cloud_metadata"),
  specialNetwork("192.0.0.192/32", "cloud_metadata"),
  specialNetwork("0.0.0.0/8", "this_network"),
  specialNetwork("10.0.0.0/8", "private_network"),
  specialNetwork("100.64.0.0/10", "shared_address_space"),
  specialNetwork("127.0.0.0/8", "loopback"),
  specialNetwork("169.254.0.0/16", "link_local"),
  specialNetwork("172.16.0.0/12", "private_network"),
  specialNetwork("192.0.0.0/24", "protocol_assignments"),
  specialNetwork("192.0.2.0/24", "documentation"),
  specialNetwork("192.31.196.0/24", "as112"),
  specialNetwork("192.52.193.0/24", "multicast_relay"),
  specialNetwork("192.88.99.0/24", "six_to_four"),
  specialNetwork("192.168.0.0/16", "private_network"),
  specialNetwork("192.175.48.0/24", "as112"),
  specialNetwork("198.18.0.0/15", "benchmarking"),
  specialNetwork("198.51.100.0/24", "documentation"),
  specialNetwork("203.0.113.0/24", "documentation"),
  specialNetwork("224.0.0.0/4", "multicast"),
  specialNetwork("240.0.0.0/4", "reserved"),
  specialNetwork("fd00:ec2::254/128", "cloud_metadata"),
  specialNetwork("fd20:ce::254/128", "cloud_metadata"),
  specialNetwork("::/128", "unspecified"),
  specialNetwork("::1/128", "loopback"),
  specialNetwork("::/96", "ipv4_compatible"),
  specialNetwork("::ffff:0:0:0/96", "ipv4_translated"),
  specialNetwork("64:ff9b::/96", "nat64"),
  specialNetwork("64:ff9b:1::/48", "nat64"),
  specialNetwork("100::/64", "discard_only"),
  specialNetwork("100:0:0:1::/64", "discard_only"),
  specialNetwork("2001::/32", "teredo"),
  specialNetwork("2001::/23", "protocol_assignments"),
  specialNetwork("2001:db8::/32", "documentation"),
  specialNetwork("2002::/16", "six_to_four"),
  specialNetwork("3fff::/20", "documentation"),
  specialNetwork("5f00::/16", "segment_routing"),
  specialNetwork("fc00::/7", "unique_local"),
  specialNetwork("fe80::/10", "link_local"),
  specialNetwork("fec0::/10", "site_local"),
  specialNetwork("ff00::/8", "multicast")
]
