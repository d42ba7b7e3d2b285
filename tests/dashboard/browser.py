"""Drives Debian's chromium over WebDriver (W3C) and Chrome's own commands."""

import base64
import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from testing.processes import answers, free_port, program
from testing.waiting import wait_until

_OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    """One window. A selector is one of CSS."""

    def __init__(self, url: str) -> None:
        self._url = url

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if method != "POST" else json.dumps(body or {}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from error

    def open(self, url: str) -> None:
        self._call("POST", "/url", {"url": url})

    @property
    def address(self) -> str:
        return str(self._call("GET", "/url"))

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a script, which may be a promise."""
        return self._call("POST", "/execute/sync", {"script": script, "args": arguments})

    def click(self, selector: str) -> None:
        self._call("POST", f"/element/{self._find(selector)}/click")

    def write(self, selector: str, text: str) -> None:
        self._call("POST", f"/element/{self._find(selector)}/value", {"text": text})

    def press(self, *keys: str) -> None:
        """Keys that go to what has the focus."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        body = {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]}
        self._call("POST", "/actions", body)

    def text(self, selector: str) -> str:
        """What is seen of it; empty where there is no such element."""
        script = "return document.querySelector(arguments[0])?.innerText ?? ''"
        return str(self.run(script, selector))

    def wait_for(self, selector: str, text: str, timeout_s: float = 20) -> None:
        try:
            wait_until(lambda: text in self.text(selector), timeout_s, every_s=0.1)
        except AssertionError:
            shown = self.text(selector) or self.text("body")
            raise AssertionError(f"{selector} never said {text!r}, but:\n{shown}") from None

    def show_as(self, width: int, height: int, scheme: str = "light") -> None:
        """The size of the window, and the colours that the system prefers."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.command("Emulation.setDeviceMetricsOverride", size)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.command("Emulation.setEmulatedMedia", {"features": [feature]})

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """Of all of the page, or of what is seen of it."""
        told = self.command(
            "Page.captureScreenshot", {"format": "png", "captureBeyondViewport": whole}
        )
        path.write_bytes(base64.b64decode(told["data"]))

    def command(self, name: str, parameters: Any) -> Any:
        """One of Chrome's own (DevTools protocol)."""
        return self._call("POST", "/goog/cdp/execute", {"cmd": name, "params": parameters})

    def complaints(self) -> list[str]:
        """What the page has written to its console since the last call."""
        found = self._call("POST", "/se/log", {"type": "browser"})
        return [each["message"] for each in found if each["level"] == "SEVERE"]

    def _find(self, selector: str) -> str:
        found = self._call("POST", "/element", {"using": "css selector", "value": selector})
        return str(found[_ELEMENT])


@contextmanager
def browser(log: Path) -> Iterator[Browser]:
    """A fresh one, whose driver writes to `log`."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with program(["chromedriver", f"--port={port}", "--allowed-ips="], log):
        wait_until(lambda: answers(f"{url}/status"), 30)
        options = {"args": list(_OPTIONS)}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        driver = Browser(url)
        session = driver._call(
            "POST",
            "/session",
            {"capabilities": {"alwaysMatch": {"browserName": "chrome"} | wanted}},
        )
        window = Browser(f"{url}/session/{session['sessionId']}")
        try:
            yield window
        finally:
            window._call("DELETE", "")
