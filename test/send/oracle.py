"""Says of each address on its input whether it may be reached: 1 or 0 a line.

An oracle that shares nothing with what it judges: Python's ipaddress, and the rule written down anew.
"""
import ipaddress, sys

BLOCKED = """
0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15
198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 168.63.129.16/32
2001::/23 2001:db8::/32 2002::/16 3fff::/20
"""
V4, V6 = [], []
for text in BLOCKED.split():
    network = ipaddress.ip_network(text)
    (V4 if network.version == 4 else V6).append((int(network.network_address), int(network.netmask)))
GLOBAL = ipaddress.ip_network("2000::/3")
GLOBAL = (int(GLOBAL.network_address), int(GLOBAL.netmask))


def within(number, networks):
    return any(number & mask == base for base, mask in networks)


def allowed(text):
    address = ipaddress.ip_address(text)
    if address.version == 6 and address.ipv4_mapped:
        address = address.ipv4_mapped
    if address.version == 4:
        return not within(int(address), V4)
    return within(int(address), [GLOBAL]) and not within(int(address), V6)


print("\n".join("1" if allowed(line.strip()) else "0" for line in sys.stdin))
