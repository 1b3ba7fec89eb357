"""The webhook of a custom group bot: signature, keyword, size and pace. Messages are kept for the tests to read."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

from sync_assets.testing.bitable.answers import Refusal, dumps
from sync_assets.testing.bitable.call import Call
from sync_assets.testing.bitable.world import Bot, Message

BODY_BYTES = 20 * 1024
HOUR = 3600.0
CONTENT = {"text": "content", "post": "content", "image": "content", "share_chat": "content", "interactive": "card"}
DONE = dumps({"code": 0, "msg": "success", "data": {}, "StatusCode": 0, "StatusMessage": "success"}).encode()


def signature(timestamp: str, secret: str) -> str:
    """The vendor's way round: the text is the key, and the message is empty."""
    key = f"{timestamp}\n{secret}".encode()
    return base64.b64encode(hmac.new(key, b"", hashlib.sha256).digest()).decode()


def receive(call: Call) -> bytes:
    world, bot = call.world, call.world.bots.get(call.path["hook"])
    if bot is None:
        raise Refusal(19001)
    if len(call.raw) > BODY_BYTES:
        raise Refusal(9499)
    part = call.body.get(CONTENT.get(str(call.body.get("msg_type")), ""))
    if not isinstance(part, dict):
        raise Refusal(19002)
    if call.body["msg_type"] == "text" and not isinstance(part.get("text"), str):
        raise Refusal(19002)
    _signed(bot, call.body, world.now())
    if bot.keywords and not any(k in dumps(part) for k in bot.keywords):
        raise Refusal(19024)
    if world.config.rate_factor:
        _paced(bot, world.clock())
    world.messages.append(Message(bot.id, world.now(), call.body))
    return DONE


def _signed(bot: Bot, body: dict[str, Any], now: float) -> None:
    if not bot.secret:
        return
    moment = str(body.get("timestamp"))
    if not moment.isdigit() or abs(now - int(moment)) > HOUR:
        raise Refusal(19021)
    if not hmac.compare_digest(signature(moment, bot.secret), str(body.get("sign"))):
        raise Refusal(19021)


def _paced(bot: Bot, now: float) -> None:
    """5 a second and 100 a minute; a refused one does not count."""
    recent = [t for t in bot.times if now - t < 60]
    if len(recent) >= 100 or sum(now - t < 1 for t in recent) >= 5:
        raise Refusal(11232)
    bot.times.append(now)
