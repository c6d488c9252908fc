#!/usr/bin/env python3
"""The chat example in Chromium: two tabs that see each other.

    chat_browser_test.py CHAT_PROGRAM FOLDER

Steers a headless Chromium by its DevTools protocol and leaves a screenshot of
each tab in FOLDER. Exit status 0 if all went well.
"""

import asyncio
import base64
import contextlib
import itertools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import websockets

SECONDS = 90  # for everything
HOSTILE = "<img src=x onerror=\"document.title='injected'\"><b>bold</b>"


class Program:
    """A child with its own process group, of which nothing stays."""

    def __init__(self, arguments, environment=None):
        self.name = arguments[0]
        self.process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})}, start_new_session=True)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.text = ""

    async def rest_of_line(self, begin):
        """What follows `begin` on its line, once that line is complete."""
        while begin not in self.text or "\n" not in self.text.split(begin, 1)[1]:
            piece = await self.read()
            if not piece:
                raise AssertionError(f"{self.name} ended before '{begin}': {self.text}")
            self.text += piece
        return self.text.split(begin, 1)[1].split("\n", 1)[0].strip()

    async def read(self):
        readable = asyncio.get_running_loop().create_future()
        fd = self.process.stdout.fileno()
        asyncio.get_running_loop().add_reader(fd, lambda: readable.done() or readable.set_result(None))
        try:
            await readable
        finally:
            asyncio.get_running_loop().remove_reader(fd)
        return os.read(fd, 65536).decode(errors="replace")

    async def drain(self):
        while await self.read():
            pass

    def stop(self):
        """Asks it to stop; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Browser:
    """Chromium, by way of one DevTools connection."""

    def __init__(self, connection):
        self.connection = connection
        self.numbers = itertools.count(1)
        self.waiting = {}
        self.reader = asyncio.create_task(self.read())

    async def read(self):
        async for text in self.connection:
            message = json.loads(text)
            if message.get("id") in self.waiting:
                self.waiting.pop(message["id"]).set_result(message)

    async def call(self, method, session=None, **parameters):
        number = next(self.numbers)
        answer = self.waiting[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        await self.connection.send(json.dumps(message))
        result = await answer
        if "error" in result:
            raise AssertionError(f"{method}: {result['error']}")
        return result["result"]

    async def open_tab(self, url):
        target = (await self.call("Target.createTarget", url="about:blank"))["targetId"]
        session = (await self.call("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        tab = Tab(self, session)
        await tab.call("Page.navigate", url=url)
        return tab


class Tab:
    def __init__(self, browser, session):
        self.browser = browser
        self.session = session

    async def call(self, method, **parameters):
        return await self.browser.call(method, self.session, **parameters)

    async def evaluate(self, script):
        result = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise AssertionError(f"{script}: {result['exceptionDetails']}")
        return result["result"].get("value")

    async def until(self, condition):
        """Waits until `condition` is true in the page; says what was there if that takes too long."""
        script = f"""new Promise((done) => {{
            const look = () => {{
                try {{ if (document.readyState === 'complete' && ({condition})) return done(); }} catch {{}}
                setTimeout(look, 20);
            }};
            look();
        }})"""

        async def look():
            while True:
                try:
                    return await self.evaluate(script)
                except AssertionError:  # the page was replaced meanwhile
                    pass
        try:
            await asyncio.wait_for(look(), 60)
        except asyncio.TimeoutError:
            page = await self.evaluate("document.body.innerText")
            raise AssertionError(f"this did not come true: {condition}; the page: {page}") from None

    async def join(self, name, room):
        await self.until("document.getElementById('entrance')")
        await self.evaluate(f"""
            document.getElementById('name').value = {json.dumps(name)};
            document.getElementById('room').value = {json.dumps(room)};
            document.getElementById('entrance').requestSubmit();""")

    async def say(self, text):
        await self.evaluate(f"""
            document.getElementById('text').value = {json.dumps(text)};
            document.getElementById('speech').requestSubmit();""")

    async def sees(self, text):
        await self.until(f"document.getElementById('log').textContent.includes({json.dumps(text)})")

    async def sees_people(self, names):
        await self.until("JSON.stringify([...document.querySelectorAll('#people li')].map((li) => li.textContent))"
                         f" === {json.dumps(json.dumps(names, separators=(',', ':'), ensure_ascii=False))}")

    async def is_here_as(self, name):
        await self.until(f"document.getElementById('status').textContent === {json.dumps('here as ' + name)}")

    async def screenshot(self, path):
        picture = await self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(picture["data"]))


async def tell_the_story(browser, chat, url, folder):
    tom = await browser.open_tab(url)
    await tom.join("  ", "lobby")
    await tom.until("document.getElementById('status').textContent === 'Please give a name and a room.'")
    await tom.join("Tom", "lobby")
    await tom.is_here_as("Tom")

    ann = await browser.open_tab(url)
    await ann.join("Änn", "lobby")
    await ann.is_here_as("Änn")
    for tab in tom, ann:
        await tab.sees_people(["Tom", "Änn"])
    await tom.sees("Änn has joined")

    await tom.say("Hello from Tom")
    await ann.sees("Hello from Tom")
    await ann.say("Hello from Änn \U0001f600")
    await tom.sees("Hello from Änn \U0001f600")
    await ann.say(HOSTILE)
    for tab in tom, ann:
        await tab.sees(HOSTILE)
        assert await tab.evaluate("document.querySelectorAll('#log img, #log b').length") == 0, "markup got in"
        assert await tab.evaluate("document.title") == "Chat", "a script got in"
    await tom.screenshot(folder / "chat-tom.png")

    # A reload: gone for a moment, back by itself, with what has been said.
    await ann.evaluate("window.isOld = true")
    await ann.call("Page.reload")
    await ann.until("!window.isOld")
    await ann.is_here_as("Änn")
    for text in "Hello from Tom", "Hello from Änn", HOSTILE:
        await ann.sees(text)
    await tom.sees("Änn has left")
    for tab in tom, ann:
        await tab.sees_people(["Tom", "Änn"])
    await ann.screenshot(folder / "chat-ann.png")

    # The chat ends: the tabs notice, and say so.
    assert chat.stop() == 0, f"the chat's end: {chat.text}"
    for tab in tom, ann:
        await tab.until("document.getElementById('status').textContent.startsWith('connection lost')")


async def main(program, folder):
    with contextlib.ExitStack() as cleanup:
        home = pathlib.Path(tempfile.mkdtemp())
        cleanup.callback(shutil.rmtree, home, ignore_errors=True)
        for file in program, program.with_name("chat.html"):
            shutil.copy(file, home)
        chat = Program([str(home / program.name), "start"],
                       {"LISTEN": "websocket://127.0.0.1:0", "PAGE": "page://127.0.0.1:0"})
        cleanup.callback(chat.kill)
        url = "http://127.0.0.1:" + await chat.rest_of_line("page on port ") + "/"
        chromium = Program([
            shutil.which("chromium") or "chromium", "--headless", "--no-sandbox", "--disable-gpu",
            "--disable-dev-shm-usage", "--no-first-run", "--remote-debugging-port=0", "--window-size=800,600",
            "--disable-background-timer-throttling", f"--user-data-dir={home}/profile", "about:blank"])
        cleanup.callback(chromium.kill)
        address = await chromium.rest_of_line("DevTools listening on ")
        drain = asyncio.create_task(chromium.drain())
        cleanup.callback(drain.cancel)
        async with websockets.connect(address, max_size=None) as connection:
            await tell_the_story(Browser(connection), chat, url, folder)
    print("chat in Chromium: ok")


if __name__ == "__main__":
    asyncio.run(asyncio.wait_for(main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])), SECONDS))
