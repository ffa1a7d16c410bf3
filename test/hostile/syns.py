"""Counts the TCP connections that are begun on the loopback device, whether anybody listens or not.

Prints "address port count" for each destination when its input ends.
"""
import collections, ipaddress, select, socket, sys

OUTGOING = 4
SO_RCVBUFFORCE = 33
seen = collections.Counter()
packets = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
packets.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
packets.bind(("lo", 0))
print("ready", flush=True)
while True:
    ready, _, _ = select.select([packets, sys.stdin], [], [])
    if packets in ready:
        data, (_, protocol, kind, *_) = packets.recvfrom(256)
        if kind == OUTGOING:
            continue
        if protocol == 0x0800 and data[9] == 6:
            segment, to = data[(data[0] & 15) * 4 :], data[16:20]
        elif protocol == 0x86DD and data[6] == 6:
            segment, to = data[40:], data[24:40]
        else:
            continue
        if segment[13] & 0x12 == 0x02:
            seen[(ipaddress.ip_address(to), int.from_bytes(segment[2:4], "big"))] += 1
    elif sys.stdin in ready:
        break
for (address, port), count in seen.items():
    print(address, port, count)
print("end", flush=True)
