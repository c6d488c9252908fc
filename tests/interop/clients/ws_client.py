"""A WebSocket client that we did not write (Python `websockets`), for the tests.

    python3 ws_client.py PORT SCENARIO

Plays one scenario against the server of ws_server_test.cpp on 127.0.0.1 and ends
with status 0 and the line `ok`, or with what went wrong. See `scenarios` below;
ws_client.js plays the same ones on Node's `ws`.
"""

import asyncio
import sys

import websockets

PORT = sys.argv[1]
SIZES = [0, 1, 125, 126, 127, 65535, 65536, 1048576]


def connect(path="/echo", **options):
    options.setdefault("max_size", None)
    options.setdefault("ping_interval", None)
    return websockets.connect(f"ws://127.0.0.1:{PORT}{path}", **options)


def same(wanted, got):
    if wanted != got:
        raise SystemExit(f"wanted {str(wanted)[:200]!r}, got {str(got)[:200]!r}")


async def closed_with(ws, code, reason=""):
    await ws.wait_closed()
    same((code, reason), (ws.close_code, ws.close_reason))


async def echo():
    async with connect() as ws:
        for size in SIZES:
            for message in ("ä" * (size // 2), bytes(i % 251 for i in range(size))):
                await ws.send(message)
                same(message, await ws.recv())


async def fragments():
    async with connect(compression=None) as ws:
        await ws.send(["frag", "", "ments, ", "ä€😀", "!"])
        same("fragments, ä€😀!", await ws.recv())
        await ws.send([bytes([i % 256]) * 100 for i in range(500)])
        same(b"".join(bytes([i % 256]) * 100 for i in range(500)), await ws.recv())


async def burst():
    async with connect() as ws:
        for i in range(2000):
            await ws.send(str(i))
        for i in range(2000):
            same(str(i), await ws.recv())


async def large():
    async with connect() as ws:
        message = bytes(range(256)) * (10485760 // 256)
        await ws.send(message)
        same(message, await ws.recv())


async def many():
    async def one(i):
        async with connect() as ws:
            await ws.send(f"from {i}")
            same(f"from {i}", await ws.recv())

    await asyncio.gather(*(one(i) for i in range(100)))


async def ping():
    async with connect() as ws:
        await asyncio.wait_for(await ws.ping("are you there"), 60)
        await ws.send("after")
        same("after", await ws.recv())


async def pinged():
    async with connect("/pings") as ws:
        same("three pongs", await asyncio.wait_for(ws.recv(), 60))


async def close():
    ws = await connect()
    await ws.close(3001, "done here")
    await closed_with(ws, 3001, "done here" if ws.close_reason else "")


async def bye():
    ws = await connect("/bye")
    await closed_with(ws, 4001, "go away")


async def too_big():
    ws = await connect()
    await ws.send(bytes(10485761))
    await ws.wait_closed()
    same(1009, ws.close_code)


async def drop():
    ws = await connect()
    await ws.send("x")
    same("x", await ws.recv())
    ws.transport.abort()


async def dropped():
    ws = await connect("/drop")
    await ws.send("x")
    await ws.wait_closed()
    same(1006, ws.close_code)


async def subprotocol():
    async with connect(subprotocols=["other", "chat"]) as ws:
        same("chat", ws.subprotocol)
    async with connect(subprotocols=["other"]) as ws:
        same(None, ws.subprotocol)


async def headers():
    async with connect("/headers?a=b", extra_headers={"X-Name": "tom"}, origin="http://example.com") as ws:
        same("name=tom", ws.response_headers["Set-Cookie"])
        same("/headers a=b tom http://example.com", await ws.recv())


async def refused():
    try:
        await connect("/secret")
        raise SystemExit("it was not refused")
    except websockets.exceptions.InvalidStatusCode as e:
        same(401, e.status_code)
        same("Basic", e.headers["WWW-Authenticate"])


scenarios = [echo, fragments, burst, large, many, ping, pinged, close, bye, too_big, drop, dropped, subprotocol,
             headers, refused]

if __name__ == "__main__":
    chosen = {scenario.__name__: scenario for scenario in scenarios}[sys.argv[2]]
    asyncio.run(asyncio.wait_for(chosen(), 60))
    print("ok")
