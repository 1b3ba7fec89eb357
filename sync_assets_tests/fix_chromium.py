"""A real headless Chromium, driven by its own protocol over a pipe: no driver and no library in between.

    def test_x(browser: Browser):
        browser.go(url)
        browser.press("Tab"); browser.type("text"); browser.until("document.title === 'there'")

Everything that the console says of errors and of refused contents is in `complaints`.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions", "--disable-dev-shm-usage",
    "--remote-debugging-pipe", "--window-size=1400,1200",
)  # fmt: skip
_KEYS = {"Tab": 9, "Enter": 13, " ": 32}
_TROUBLE = ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")


@dataclass
class Browser:
    """One tab. `seconds` is how long anything may take."""

    to: int
    back: int
    session: str = ""
    seconds: float = 30.0
    complaints: list[str] = field(default_factory=list)
    _number: int = 0
    _rest: bytes = b""

    def call(self, method: str, **values: Any) -> dict[str, Any]:
        self._number += 1
        sent = {"id": self._number, "method": method, "params": values}
        if self.session:
            sent["sessionId"] = self.session
        os.write(self.to, json.dumps(sent).encode() + b"\0")
        while True:
            told = self._told()
            if told.get("id") == self._number:
                assert "error" not in told, told
                return dict(told["result"])
            if told.get("method") in _TROUBLE:
                self._complain(told)

    def _told(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            piece = os.read(self.back, 1 << 16)
            assert piece, "the browser ended"
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(line))

    def _complain(self, told: dict[str, Any]) -> None:
        entry = told["params"].get("entry", {})
        if told["method"] == "Log.entryAdded" and entry.get("level") not in ("error", "warning"):
            return
        self.complaints.append(json.dumps(told["params"])[:500])

    def evaluate(self, script: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def go(self, url: str) -> None:
        self.evaluate("window.left_behind = true")
        self.call("Page.navigate", url=url)
        self.until("!window.left_behind && document.readyState === 'complete'")

    def until(self, condition: str) -> None:
        """What cannot be asked yet, because the page is still coming in, is not true yet."""
        asked = f"(() => {{ try {{ return Boolean({condition}); }} catch {{ return false; }} }})()"
        end = time.monotonic() + self.seconds
        while self.evaluate(asked) is not True:
            assert time.monotonic() < end, f"never came true: {condition}; at {self.evaluate('location.href')}"
            time.sleep(0.05)

    def press(self, key: str, shift: bool = False) -> None:
        """A key as a person presses it."""
        code = {"key": key, "code": key, "windowsVirtualKeyCode": _KEYS[key], "modifiers": 8 if shift else 0}
        text = {"Enter": "\r", " ": " "}.get(key)
        self.call("Input.dispatchKeyEvent", type="keyDown", **code, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **code)

    def type(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        """With the mouse, in its middle: what lies over it is hit instead."""
        asked = json.dumps(selector)
        self.until(f"document.readyState === 'complete' && document.querySelector({asked})")
        x, y = self.evaluate(
            f"(() => {{ const it = document.querySelector({asked}); it.scrollIntoView({{block: 'center'}});"
            "const box = it.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def dark(self, on: bool) -> None:
        value = "dark" if on else "light"
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": value}])

    def shot(self, file: Path) -> None:
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
        file.write_bytes(base64.b64decode(data))


@contextmanager
def chromium(language: str = "en-US", script: bool = True) -> Iterator[Browser]:
    """A new Chromium with nothing in it; ended and removed afterwards."""
    assert CHROMIUM is not None
    folder = tempfile.mkdtemp(prefix="sa-chromium-")
    mine_to, theirs_from = os.pipe()[::-1]
    mine_from, theirs_to = os.pipe()
    command = [CHROMIUM, *_FLAGS, f"--accept-lang={language}", f"--user-data-dir={folder}", "about:blank"]
    wired = ["bash", "-c", f'exec "$@" 3<&{theirs_from} 4>&{theirs_to}', "chromium", *command]
    process = subprocess.Popen(
        wired, pass_fds=(theirs_from, theirs_to), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env={**os.environ, "HOME": folder}, start_new_session=True,
    )  # fmt: skip
    os.close(theirs_from)
    os.close(theirs_to)
    try:
        yield _opened(Browser(mine_to, mine_from), script)
    finally:
        os.close(mine_to)
        os.close(mine_from)
        process.kill()
        process.wait(30)
        _remove(folder)


def _opened(browser: Browser, script: bool) -> Browser:
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    browser.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Page", "Runtime", "Log"):
        browser.call(f"{domain}.enable")
    browser.call("Emulation.setScriptExecutionDisabled", value=not script)
    return browser


def _remove(folder: str, sleep: float = 0.2) -> None:
    """Its children may still write for a moment."""
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        if not Path(folder).exists():
            return
        time.sleep(sleep)


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A Chromium that speaks English."""
    with chromium() as made:
        yield made
