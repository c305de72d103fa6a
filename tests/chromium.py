"""A headless Chromium for tests, through chromedriver's own protocol (W3C WebDriver): no package is needed for it."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)
_STARTING_SECONDS = 60.0


def why_missing() -> str:
    """Returns why there is no browser to test with; empty where there is one."""
    missing = [name for name in ("chromedriver",) if shutil.which(name) is None]
    if not any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")):
        missing.append("chromium")
    return f"not installed: {', '.join(missing)} (Debian: apt-get install chromium chromium-driver)" if missing else ""


class Browser:
    """One window.

    Args:
        address: Of chromedriver.
        session: What chromedriver calls it.
    """

    def __init__(self, address: str, session: str) -> None:
        self._base = f"{address}/session/{session}"

    def open(self, page: Path, width: int, height: int = 900, *, dark: bool = False) -> None:
        """Shows a page; returns when it has loaded."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._devtools("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._devtools("Emulation.setEmulatedMedia", {"features": [scheme]})
        self._post("url", {"url": page.resolve().as_uri()})

    def run(self, script: str) -> Any:
        """Returns what a script returns in the page."""
        return self._post("execute/sync", {"script": script, "args": []})

    def log(self, kind: str) -> list[dict[str, Any]]:
        """Returns the lines of a log since the last call: `browser` or `performance`."""
        found: list[dict[str, Any]] = self._post("se/log", {"type": kind})
        return found

    def requests(self) -> list[str]:
        """Returns the addresses that were asked for since the last call, without those of the browser's own pages."""
        messages = [json.loads(line["message"])["message"] for line in self.log("performance")]
        urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        return [url for url in urls if not url.startswith(("chrome:", "about:"))]

    def _devtools(self, command: str, parameters: dict[str, Any]) -> None:
        self._post("goog/cdp/execute", {"cmd": command, "params": parameters})

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        return _call(f"{self._base}/{path}", body)


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Yields a browser with an empty profile; it ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    driver = subprocess.Popen(
        ["chromedriver", f"--port={port}", "--allowed-ips=127.0.0.1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(address)
        options = {
            "goog:chromeOptions": {"args": [*FLAGS, f"--user-data-dir={profile}"]},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        session = _call(f"{address}/session", {"capabilities": {"alwaysMatch": options}})["sessionId"]
        try:
            yield Browser(address, session)
        finally:
            _call(f"{address}/session/{session}", None, method="DELETE")
    finally:
        driver.terminate()
        driver.wait(20)


def _wait(address: str) -> None:
    end = time.monotonic() + _STARTING_SECONDS
    while True:
        try:
            if _call(f"{address}/status", None, method="GET")["ready"]:
                return
        except OSError:
            if time.monotonic() > end:
                raise
        time.sleep(0.05)


def _call(address: str, body: dict[str, Any] | None, method: str = "POST") -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"}, method=method)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # this machine's, whatever a proxy says
    try:
        with direct.open(request, timeout=90) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read().decode(errors="replace")) from error
