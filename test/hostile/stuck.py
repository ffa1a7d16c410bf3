"""Listens on each "address,port" that it is given and takes no connection: SYNs to it get no answer.

Prints "ready" once that is so.
"""
import socket, sys, time

IP_FREEBIND, IPV6_FREEBIND = 15, 78
kept = []
for place in sys.argv[1:]:
    address, port = place.split(",")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
    else:
        listener.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
    listener.bind((address, int(port)))
    listener.listen(0)
    kept.append(listener)
    # What waits to be accepted fills the queue; from then on the kernel drops what comes.
    for _ in range(4):
        filler = socket.socket(family)
        filler.setblocking(False)
        filler.connect_ex((address, int(port)))
        kept.append(filler)
time.sleep(0.2)
print("ready", flush=True)
sys.stdin.read()
