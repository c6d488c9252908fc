"""A client with permessage-deflate that we did not write (Python `websockets`), for a server that echoes.

    python3 ws_deflate_client.py URL PARAMETERS...

For each of PARAMETERS (as in servers/ws_deflate_server.py) it connects, sends messages of many kinds and
compares what comes back. At the end one more connection sends the text `report`, a line for each of the
former: `ok` or what was wrong, and the extension as agreed.
"""

import asyncio
import random
import sys

import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory


def options(text):
    pairs = (one.partition("=") for one in text.split(",") if one != "any")
    return {name: int(value) if value else True for name, _, value in pairs}


def payloads():
    random.seed(5)
    for _ in range(2):
        for size in (0, 1, 63, 64, 125, 126, 1000, 65535, 65536, 100000):
            words = " ".join(str(random.randrange(1000)) for _ in range(size // 3 + 1))
            yield words[:size]
            yield bytes(random.randrange(256) for _ in range(size))
        yield "".join(chr(random.choice((65, 0xE4, 0x20AC, 0x1F600))) for _ in range(5000))


def pieces(message, size):
    return [message[i : i + size] for i in range(0, len(message), size)] or message


async def run(url, text):
    extension = ClientPerMessageDeflateFactory(**options(text))
    async with websockets.connect(url, compression=None, extensions=[extension], max_size=None) as ws:
        agreed = repr(ws.extensions)
        for index, message in enumerate(payloads()):
            await ws.send(pieces(message, 777) if index % 3 == 2 and message else message)
            if await ws.recv() != message:
                return f"message {index} came back different; {agreed}"
        return f"ok {agreed}"


async def main():
    url, *all_parameters = sys.argv[1:]
    report = ["report"]
    for text in all_parameters:
        try:
            report.append(await run(url, text))
        except Exception as e:
            report.append(f"{text}: {e!r}")
    async with websockets.connect(url, compression=None) as ws:
        await ws.send("\n".join(report))
        await ws.wait_closed()


asyncio.run(main())
