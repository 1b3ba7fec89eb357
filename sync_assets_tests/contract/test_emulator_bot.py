"""The webhook of a group bot: what it takes, what it refuses, what the tests can read back."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import Any

import httpx
import pytest

from sync_assets.testing.bitable import Emulator

TEXT: dict[str, Any] = {"msg_type": "text", "content": {"text": "同步失败"}}
CARD: dict[str, Any] = {"msg_type": "interactive", "card": {"elements": [{"tag": "markdown", "content": "**a**"}]}}


def _signed(secret: str, moment: float) -> dict[str, Any]:
    stamp = str(int(moment))
    digest = hmac.new(f"{stamp}\n{secret}".encode(), b"", hashlib.sha256).digest()
    return TEXT | {"timestamp": stamp, "sign": base64.b64encode(digest).decode()}


@pytest.mark.parametrize("body", [TEXT, CARD, {"msg_type": "post", "content": {"post": {}}}])
def test_messages_are_kept_in_order(bitable: Emulator, body: dict[str, Any]) -> None:
    hook = bitable.make_bot()
    told = httpx.post(hook, json=body).json()
    assert told == {"code": 0, "msg": "success", "data": {}, "StatusCode": 0, "StatusMessage": "success"}
    assert [m["body"] for m in bitable.messages()] == [body]
    assert hook.endswith(bitable.messages()[0]["bot"])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 19002),
        ({"msg_type": "song", "content": {}}, 19002),
        ({"msg_type": "text", "content": {}}, 19002),
        ({"msg_type": "interactive", "content": {}}, 19002),
        ({"msg_type": "text", "content": {"text": "x" * 20_481}}, 9499),
    ],
)
def test_bad_messages(bitable: Emulator, body: dict[str, Any], code: int) -> None:
    assert httpx.post(bitable.make_bot(), json=body).json()["code"] == code
    assert bitable.messages() == []


def test_signature(bitable: Emulator) -> None:
    hook, now = bitable.make_bot(secret="s3"), time.time()
    sent = {
        "right": _signed("s3", now),
        "wrong secret": _signed("s4", now),
        "old": _signed("s3", now - 3700),
        "none": TEXT,
    }
    codes = {name: httpx.post(hook, json=body).json()["code"] for name, body in sent.items()}
    assert codes == {"right": 0, "wrong secret": 19021, "old": 19021, "none": 19021}


def test_keyword_and_unknown_hook(bitable: Emulator) -> None:
    hook = bitable.make_bot(keywords=["告警"])
    assert httpx.post(hook, json=TEXT).json()["code"] == 19024
    assert httpx.post(hook, json={"msg_type": "text", "content": {"text": "告警: a"}}).json()["code"] == 0
    assert httpx.post(hook + "x", json=TEXT).json()["code"] == 19001


def test_five_a_second(bitable: Emulator) -> None:
    bitable.reset(rate_factor=1)
    hook = bitable.make_bot()
    with httpx.Client() as http:
        codes = [http.post(hook, json=TEXT).json()["code"] for _ in range(6)]
    assert codes == [0] * 5 + [11232]
