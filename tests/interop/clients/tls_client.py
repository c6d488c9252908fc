"""A wss:// client that we did not write (Python `websockets`), for the tests.

    python3 tls_client.py wss PORT CAFILE HOST

Connects to wss://HOST:PORT, trusting CAFILE alone, sends `hello`, and prints what
comes back or what is wrong with the server's certificate.
"""

import asyncio
import ssl
import sys

import websockets


async def wss(port, cafile, host):
    trust = ssl.create_default_context(cafile=cafile)
    try:
        async with websockets.connect(f"wss://{host}:{port}/", ssl=trust, max_size=None) as ws:
            for size in (0, 1, 65536, 1048576):
                await ws.send("x" * size)
                if await ws.recv() != "echo " + "x" * size:
                    raise SystemExit(f"{size} bytes came back as others")
            await ws.send("hello")
            print(await ws.recv())
    except ssl.SSLCertVerificationError as e:
        print(e.verify_message)


assert sys.argv[1] == "wss"
asyncio.run(asyncio.wait_for(wss(*sys.argv[2:]), 60))
