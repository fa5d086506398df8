"""A headless Chromium, spoken to over a pipe: pages as pictures, and what goes wrong in them.

    with Browser() as browser:
        page = browser.open("report.html", width=390, height=844, phone=True, dark=True)
        page.picture("report.png")
        print(page.errors, page.requests)

It speaks the DevTools protocol, JSON that ends in a zero byte, so it needs nothing but Chromium.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 60.0


def chromium() -> str | None:
    """Where it is; None if it is not installed."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """A Chromium without a window."""

    def __enter__(self) -> Browser:
        there = chromium()
        if there is None:
            raise SystemExit("Chromium is not installed: apt-get install chromium")
        self._folder = tempfile.mkdtemp(prefix="backhand-browser-")
        asked, self._write = os.pipe()
        self._read, answered = os.pipe()
        flags = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")

        def as_three_and_four() -> None:
            # the numbers may be taken, so they go by way of others
            one, other = os.dup(asked), os.dup(answered)
            os.dup2(one, 3)
            os.dup2(other, 4)

        self._process = subprocess.Popen(
            [there, *flags, f"--user-data-dir={self._folder}", "--remote-debugging-pipe"],
            preexec_fn=as_three_and_four,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(asked)
        os.close(answered)
        self._number, self._rest = 0, b""
        self.events: list[dict] = []
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            self.call("Browser.close")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self._process.kill()
        os.close(self._write)
        os.close(self._read)
        shutil.rmtree(self._folder, ignore_errors=True)

    def call(self, method: str, session: str | None = None, **given: object) -> dict:
        """Call a method of the protocol; what it answers."""
        self._number += 1
        asked = {"id": self._number, "method": method, "params": given}
        if session is not None:
            asked["sessionId"] = session
        os.write(self._write, json.dumps(asked).encode() + b"\0")
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            for found in self._messages(end):
                if found.get("id") == self._number:
                    if "error" in found:
                        raise RuntimeError(f"{method}: {found['error']['message']}")
                    return found["result"]
                self.events.append(found)
        raise RuntimeError(f"{method}: no answer in {SECONDS:.0f} s")

    def _messages(self, end: float) -> list[dict]:
        if not select.select([self._read], [], [], max(0.0, end - time.monotonic()))[0]:
            return []
        some = os.read(self._read, 1 << 20)
        if not some:
            raise RuntimeError("Chromium has ended")
        *whole, self._rest = (self._rest + some).split(b"\0")
        return [json.loads(text) for text in whole]

    def open(
        self, path: str | Path, *, width: int, height: int, phone: bool = False, dark: bool = False
    ) -> Page:
        """Open a file, and wait until its script says that it is ready."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        page.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=phone,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        page.call("Emulation.setEmulatedMedia", features=[scheme])
        page.call("Page.navigate", url=Path(path).resolve().as_uri())
        end = time.monotonic() + SECONDS
        while page.value("document.body?.dataset.ready ?? ''") != "yes":
            if page.errors or time.monotonic() > end:
                raise RuntimeError(f"{path} does not get ready: {page.errors}")
            time.sleep(0.05)
        return page


class Page:
    """An open page."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser, self._session = browser, session

    def call(self, method: str, **given: object) -> dict:
        """A method of the protocol, for this page."""
        return self._browser.call(method, self._session, **given)

    def value(self, script: str) -> object:
        """What a script comes to. Raises RuntimeError if it throws."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"]["exception"]["description"])
        return found["result"].get("value")

    def _events(self, *methods: str) -> list[dict]:
        return [
            one["params"]
            for one in self._browser.events
            if one.get("method") in methods and one.get("sessionId") == self._session
        ]

    @property
    def errors(self) -> list[str]:
        """What the console says that is an error or a warning."""
        thrown = [json.dumps(one) for one in self._events("Runtime.exceptionThrown")]
        said = [json.dumps(one["entry"]) for one in self._events("Log.entryAdded")]
        told = self._events("Runtime.consoleAPICalled")
        loud = [json.dumps(one) for one in told if one["type"] in ("error", "warning", "assert")]
        return thrown + said + loud

    @property
    def requests(self) -> list[str]:
        """What was asked for but the page itself and what is written in it."""
        asked = [one["request"]["url"] for one in self._events("Network.requestWillBeSent")]
        return [url for url in asked if not url.startswith(("data:", "file:", "about:", "blob:"))]

    def picture(self, path: str | Path, most: int = 20_000) -> None:
        """The whole page as a PNG, down to ``most`` pixels."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], most)}
        found = self.call(
            "Page.captureScreenshot", captureBeyondViewport=True, clip={**clip, "scale": 1}
        )
        Path(path).write_bytes(base64.b64decode(found["data"]))

    def pdf(self, path: str | Path) -> None:
        """The page as it is printed."""
        found = self.call("Page.printToPDF", printBackground=True)
        Path(path).write_bytes(base64.b64decode(found["data"]))
