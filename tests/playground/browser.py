"""Chromium without a window, driven over the WebDriver protocol (W3C) by plain HTTP.

Needs ``chromium`` and ``chromedriver``; on Debian: apt-get install chromium-driver.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver"
)
KEYS = {"control": "\ue009", "enter": "\ue007", "right": "\ue014", "tab": "\ue004"}


class Browser:
    """One browser with one page, for ``with Browser() as browser:``."""

    def __enter__(self) -> Browser:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._driver = subprocess.Popen(
            [str(DRIVER), f"--port={port}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._url = f"http://127.0.0.1:{port}"
        options = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage"]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            options.append("--no-sandbox")
        asked = {"goog:chromeOptions": {"binary": CHROMIUM, "args": options}}
        asked["goog:loggingPrefs"] = {"browser": "ALL"}
        try:
            self._wait_for_driver()
            made = self._ask(
                "POST", "/session", {"capabilities": {"alwaysMatch": asked}}
            )
        except BaseException:
            self._driver.kill()
            raise
        self._url += f"/session/{made['sessionId']}"
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._ask("DELETE", "", None)
        self._driver.terminate()
        self._driver.wait(10)

    def open(self, url: str) -> None:
        self._ask("POST", "/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns."""
        body = {"script": script, "args": list(arguments)}
        return self._ask("POST", "/execute/sync", body)

    def until(self, script: str, *arguments: Any, seconds: float = 30) -> Any:
        """What a script returns as soon as that is true."""
        end = time.monotonic() + seconds
        while not (value := self.run(script, *arguments)):
            assert time.monotonic() < end, f"never true: {script}"
            time.sleep(0.05)
        return value

    def click(self, selector: str) -> None:
        self._ask("POST", f"/element/{self._find(selector)}/click", {})

    def type(self, selector: str, text: str) -> None:
        self._ask("POST", f"/element/{self._find(selector)}/value", {"text": text})

    def text(self, selector: str) -> str:
        said: str = self._ask("GET", f"/element/{self._find(selector)}/text", None)
        return said

    def command(self, name: str, **parameters: Any) -> Any:
        """A command of the DevTools protocol."""
        body = {"cmd": name, "params": parameters}
        return self._ask("POST", "/goog/cdp/execute", body)

    def size(self, width: int, height: int) -> None:
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    def colours(self, scheme: str) -> None:
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.command("Emulation.setEmulatedMedia", features=[feature])

    def shot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._ask("GET", "/screenshot", None)))

    def log(self) -> list[str]:
        """What the console and the security policy have complained about."""
        rows = self._ask("POST", "/se/log", {"type": "browser"})
        return [row["message"] for row in rows if row["level"] in ("SEVERE", "WARNING")]

    def _find(self, selector: str) -> str:
        using = {"using": "css selector", "value": selector}
        (id,) = self._ask("POST", "/element", using).values()
        return str(id)

    def _wait_for_driver(self) -> None:
        end = time.monotonic() + 30
        while True:
            try:
                if self._ask("GET", "/status", None)["ready"]:
                    return
            except OSError:
                assert time.monotonic() < end, "chromedriver does not answer"
            time.sleep(0.05)

    def _ask(self, method: str, path: str, body: Any) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            said = json.load(error)["value"]
            raise AssertionError(f"{said['error']}: {said['message'][:500]}") from None
