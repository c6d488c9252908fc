"""A wss:// server that we did not write (Python `websockets`), for the tests.

    python3 tls_server.py CERT

Prints `port N` once it listens on 127.0.0.1 with that certificate and its key,
sends every message back, and prints `close CODE REASON` for each connection that
ends. It ends itself with its standard input.
"""

import asyncio
import ssl
import sys

import websockets


async def echo(ws, _=None):
    try:
        async for message in ws:
            await ws.send(message)
    except websockets.ConnectionClosed:
        pass
    print("close", ws.close_code, ws.close_reason, flush=True)


async def main(cert):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, lambda: sys.stdin.buffer.raw.read(4096) or stop.set())
    options = {"ssl": context, "max_size": None, "ping_interval": None, "close_timeout": 2}
    async with websockets.serve(echo, "127.0.0.1", 0, **options) as server:
        print("port", server.sockets[0].getsockname()[1], flush=True)
        await stop.wait()


asyncio.run(main(sys.argv[1]))
