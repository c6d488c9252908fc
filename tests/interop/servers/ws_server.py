"""A WebSocket server that we did not write (Python `websockets`), for the tests.

    python3 ws_server.py [--port N] [--max-size BYTES] [--subprotocols A,B] [--deflate] [--stdin]

Prints `port N` once it listens on 127.0.0.1, then a line per event of any
connection: `open PATH`, `text LENGTH`, `binary LENGTH`, `pong TEXT`,
`close CODE REASON`. With --stdin it ends when its standard input does, so that
it cannot outlive the test that started it; SIGTERM ends it as well.

What a connection gets depends on its path, so that one server serves many tests:

    /echo                  every message back, text as text and binary as binary
    /headers               first the request's path and headers as one JSON text, then echo
    /ping?data=TEXT        a ping at once; when its pong is there, the text `ponged`; then echo
    /close?code=N&reason=T closed with that code and reason after the first message
    /bye?code=N&reason=T   closed like that at once
    /fragment?size=N       echo, each message in fragments of N bytes
    /interleave?size=N     as /fragment, with a ping between each two fragments
    /big?size=N            one binary message of N bytes (byte i is i % 251), then echo
    /bigtext?size=N        one text message of N letters, then echo
    /burst?count=N         the texts `0` to `N-1` at once, then echo
    /drop                  the TCP connection cut without a close frame after the first message
"""

import argparse
import asyncio
import json
import signal
import sys
from urllib.parse import parse_qs, urlsplit

import websockets


def say(*words):
    print(*words, flush=True)


def chunks(message, size):
    return [message[i : i + size] for i in range(0, len(message), size)] or [message]


async def echo(ws, _):
    async for message in ws:
        note(message)
        await ws.send(message)


async def headers(ws, path):
    fields = ws.request_headers if hasattr(ws, "request_headers") else ws.request.headers
    await ws.send(json.dumps({"path": path, "headers": [[k, v] for k, v in fields.raw_items()]}))
    await echo(ws, path)


async def ping(ws, _, data="are you there"):
    await (await ws.ping(data))
    say("pong", data)
    await ws.send("ponged")
    await echo(ws, _)


async def close(ws, _, code="1000", reason=""):
    note(await ws.recv())
    await ws.close(int(code), reason)


async def bye(ws, _, code="1000", reason=""):
    await ws.close(int(code), reason)


async def fragment(ws, _, size="1"):
    async for message in ws:
        note(message)
        await ws.send(chunks(message, int(size)))


async def interleave(ws, _, size="1"):
    async def pieces(message):
        for index, piece in enumerate(chunks(message, int(size))):
            if index > 0:
                await ws.ping(str(index))
            yield piece

    async for message in ws:
        note(message)
        await ws.send(pieces(message))


async def big(ws, _, size="1000000"):
    await ws.send(bytes(i % 251 for i in range(int(size))))
    await echo(ws, _)


async def bigtext(ws, _, size="1000000"):
    await ws.send("x" * int(size))
    await echo(ws, _)


async def burst(ws, _, count="100"):
    for index in range(int(count)):
        await ws.send(str(index))
    await echo(ws, _)


async def drop(ws, _):
    note(await ws.recv())
    ws.transport.abort()


MODES = [echo, headers, ping, close, bye, fragment, interleave, big, bigtext, burst, drop]


def note(message):
    say("text" if isinstance(message, str) else "binary", len(message))


async def serve(ws, path=None):
    path = path or (ws.path if hasattr(ws, "path") else ws.request.path)
    say("open", path)
    parts = urlsplit(path)
    mode = {"/" + mode.__name__: mode for mode in MODES}.get(parts.path, echo)
    options = {key: values[0] for key, values in parse_qs(parts.query).items()}
    try:
        await mode(ws, path, **options)
        await ws.wait_closed()
    except websockets.ConnectionClosed:
        pass
    say("close", ws.close_code, ws.close_reason)


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--max-size", type=int, default=None)
    parser.add_argument("--subprotocols", default="")
    parser.add_argument("--deflate", action="store_true")
    parser.add_argument("--stdin", action="store_true")
    options = parser.parse_args()

    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if options.stdin:
        loop.add_reader(sys.stdin, lambda: sys.stdin.buffer.raw.read(4096) or stop.set())

    async with websockets.serve(
        serve,
        "127.0.0.1",
        options.port,
        max_size=options.max_size,
        subprotocols=options.subprotocols.split(",") if options.subprotocols else None,
        compression="deflate" if options.deflate else None,
        ping_interval=None,
        close_timeout=2,
    ) as server:
        say("port", server.sockets[0].getsockname()[1])
        await stop.wait()


asyncio.run(main())
