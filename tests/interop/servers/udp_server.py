"""Datagrams with Python's own sockets, for the tests.

    python3 udp_server.py [6]

Prints `port N`. Sends each datagram back; `call PORT TEXT` is first sent on as
TEXT to that port, from a socket of its own, and what comes from there is sent back.
"""

import socket
import sys

is_v6 = sys.argv[1:] == ["6"]
family = socket.AF_INET6 if is_v6 else socket.AF_INET
host = "::1" if is_v6 else "127.0.0.1"

server = socket.socket(family, socket.SOCK_DGRAM)
server.bind((host, 0))
print("port", server.getsockname()[1], flush=True)
while True:
    data, peer = server.recvfrom(65535)
    if data.startswith(b"call "):
        _, port, text = data.split(b" ", 2)
        with socket.socket(family, socket.SOCK_DGRAM) as caller:
            caller.settimeout(60)
            caller.sendto(text, (host, int(port)))
            data = caller.recv(65535)
    server.sendto(data, peer)
