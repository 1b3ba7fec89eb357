"""Alerts to a Feishu group through a custom bot: signed, within its limits, never naming its address.

The webhook's URL is a secret: who has it can post. It is opened for each message and is in no error, repr or log.
Whether an alert is due (once per incident) is decided elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from sync_assets.engine.errors import Stop, SyncError
from sync_assets.feishu.tries import Budget, Plan, Tries
from sync_assets.feishu.wire import Ask, Stats, Wire, checked_host, encode

if TYPE_CHECKING:
    import httpx

MOST_BYTES = 20_000  # of a message's body
LIMITS = ((5, 1.0), (100, 60.0))  # calls, seconds; per bot
TRIES = 5
BUDGET = 90.0  # seconds of waiting per message: an alert must not hold a run up
_CUT = "... (shortened)"
_HOOK = "/open-apis/bot/v2/hook/"
_PLACE = "Feishu bot"

log = logging.getLogger("sync_assets.feishu")


class Level(StrEnum):
    """How grave; the colour of the card's head."""

    INFO = "blue"
    GOOD = "green"
    WARNING = "orange"
    FAILURE = "red"


@dataclass(frozen=True, slots=True)
class Alert:
    """One message: what failed or recovered, since when, what to do, and a link to the run."""

    title: str
    lines: tuple[str, ...] = ()
    link: str = ""
    level: Level = Level.FAILURE
    link_text: str = "Open the run"


class Bot:
    """One custom bot. `style` is card or text; without a secret messages go unsigned. Safe for threads."""

    def __init__(
        self,
        open_webhook: Callable[[], str],
        open_secret: Callable[[], str] | None = None,
        style: Literal["card", "text"] = "card",
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
        timeout: float = 10.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._open_webhook, self._open_secret, self._style = open_webhook, open_secret, style
        self._clock, self._sleep, self._jitter = clock, sleep, jitter
        self._timeout, self._transport = timeout, transport
        self._sent: deque[float] = deque(maxlen=max(count for count, _ in LIMITS))
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Bot(style={self._style!r}, signed={self._open_secret is not None})"

    def send(self, alert: Alert) -> None:
        """Send one message. A message whose answer was lost is sent again: twice is better than never.

        Raises `Stop` for a wrong address, signature or keyword, `Retry` when Feishu stays busy or away.
        """
        host, path = _address(self._open_webhook())
        wire = Wire(host, self._timeout, self._transport)
        plan = Plan(Budget(BUDGET), self._jitter, lambda _: None, TRIES)
        tries = Tries(plan, repeatable=True)
        try:
            while not self._sent_once(wire, path, alert, tries):
                pass
        finally:
            wire.close()

    def _sent_once(self, wire: Wire, path: str, alert: Alert, tries: Tries) -> bool:
        self._await_turn()
        ask = Ask("POST", path, _PLACE, body=self._body(alert))
        try:
            wire.exchange(ask, "", Stats())
        except SyncError as error:
            wait = tries.wait_after(error)
            log.info("%s; next try in %.1f s", error, wait)
            self._sleep(wait)
            return False
        return True

    def _await_turn(self) -> None:
        """Sleep until the bot's limits allow one message more, counted over sliding windows."""
        with self._lock:
            while (left := _until_free(self._sent, self._clock())) > 0:
                self._sleep(left)
            self._sent.append(self._clock())

    def _body(self, alert: Alert) -> bytes:
        """The signed body; the signature is fresh for each try. Lines are cut from the end to fit."""
        sign = self._signature()
        body = encode(sign | _message(alert, self._style))
        while len(body) > MOST_BYTES:
            alert = _shorter(alert)
            body = encode(sign | _message(alert, self._style))
        return body

    def _signature(self) -> dict[str, str]:
        if self._open_secret is None:
            return {}
        stamp = str(int(self._clock()))
        return {"timestamp": stamp, "sign": signature(stamp, self._open_secret())}


def signature(stamp: str, secret: str) -> str:
    """Base64 of HMAC-SHA256 over an empty message, keyed by stamp, newline and secret: Feishu's own scheme."""
    return base64.b64encode(hmac.new(f"{stamp}\n{secret}".encode(), b"", hashlib.sha256).digest()).decode()


def _address(webhook: str) -> tuple[str, str]:
    parts = urlsplit(webhook.strip())
    if _HOOK not in parts.path or parts.path.endswith("/") or parts.query:
        raise Stop(
            f"{_PLACE}: the webhook is no address of a custom bot",
            hint="copy it from the group: 设置 -> 群机器人 -> 自定义机器人; it looks like https://open.feishu.cn/open-apis/bot/v2/hook/...",
            code="webhook",
        )
    try:
        return checked_host(f"{parts.scheme}://{parts.netloc}"), parts.path
    except Stop:
        raise Stop(
            f"{_PLACE}: the webhook must begin with https://",
            hint="http is for the emulator on this machine only",
            code="webhook",
        ) from None


def _until_free(sent: deque[float], now: float) -> float:
    left = 0.0
    for count, seconds in LIMITS:
        if len(sent) >= count:
            left = max(left, min(seconds, sent[-count] + seconds - now))
    return left


def _shorter(alert: Alert) -> Alert:
    """Half of the longest line goes, or the last line when all are short, or half of the title."""
    lines = [line for line in alert.lines if line != _CUT]
    if not lines:
        return replace(alert, title=alert.title[: len(alert.title) // 2], lines=(_CUT,), link="")
    longest = max(range(len(lines)), key=lambda i: len(lines[i]))
    if len(lines[longest]) > 400:
        lines[longest] = lines[longest][: len(lines[longest]) // 2]
    else:
        lines.pop()
    return replace(alert, lines=(*lines, _CUT))


def _message(alert: Alert, style: str) -> dict[str, Any]:
    return _card(alert) if style == "card" else _plain(alert)


def _plain(alert: Alert) -> dict[str, Any]:
    text = "\n".join((alert.title, *alert.lines, *((alert.link,) if alert.link else ())))
    return {"msg_type": "text", "content": {"text": text.replace("<at", "< at")}}  # nobody is to be called by a value


def _card(alert: Alert) -> dict[str, Any]:
    """Plain text elements only: what comes from an error message must not be read as markup."""
    elements: list[dict[str, Any]] = [{"tag": "div", "text": _words(line)} for line in alert.lines]
    if alert.link:
        button = {"tag": "button", "type": "primary", "text": _words(alert.link_text), "url": alert.link}
        elements.append({"tag": "action", "actions": [button]})
    head = {"title": _words(alert.title), "template": alert.level.value}
    return {
        "msg_type": "interactive",
        "card": {"config": {"wide_screen_mode": True}, "header": head, "elements": elements},
    }


def _words(text: str) -> dict[str, str]:
    return {"tag": "plain_text", "content": text}
