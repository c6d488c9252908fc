"""Echo servers with permessage-deflate that we did not write (Python `websockets`), one for each argument.

    python3 ws_deflate_server.py PARAMETERS...

PARAMETERS are what the server asks for: those of RFC 7692, separated by commas, as in
`server_no_context_takeover,client_max_window_bits=9`, or `any`. Prints `ports N N...` once all listen on
127.0.0.1. A message comes back as it came, on the path /N in fragments of N bytes.
"""

import asyncio
import sys

import websockets
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory


def options(text):
    pairs = (one.partition("=") for one in text.split(",") if one != "any")
    return {name: int(value) if value else True for name, _, value in pairs}


async def echo(ws, path=None):
    size = int((path or ws.path)[1:] or 0)
    async for message in ws:
        await ws.send([message[i : i + size] for i in range(0, len(message), size)] if size and message else message)


async def main():
    servers = [
        await websockets.serve(
            echo,
            "127.0.0.1",
            0,
            max_size=None,
            compression=None,
            extensions=[ServerPerMessageDeflateFactory(**options(text))],
            ping_interval=None,
        )
        for text in sys.argv[1:]
    ]
    print("ports", *(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
