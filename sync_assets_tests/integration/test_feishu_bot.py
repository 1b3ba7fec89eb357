"""The bot's messages as the emulated group receives them."""

from __future__ import annotations

import pytest

from sync_assets.engine.errors import Stop
from sync_assets.feishu.bot import Alert, Bot, Level

ALERT = Alert("同步 orders 失败", ("自 09:00 起", "去做: 添加文档应用"), "https://dagster.example/runs/1")


@pytest.mark.parametrize("style", ["card", "text"])
def test_a_signed_message_arrives(bitable, style):
    hook = bitable.make_bot(secret="签名 secret")
    Bot(lambda: hook, lambda: "签名 secret", style).send(ALERT)
    [message] = bitable.messages()
    assert "同步 orders 失败" in str(message["body"])


@pytest.mark.parametrize("secret", [None, "another"])
def test_an_unsigned_or_wrongly_signed_one_does_not(bitable, secret):
    hook = bitable.make_bot(secret="s")
    with pytest.raises(Stop) as caught:
        Bot(lambda: hook, (lambda: secret) if secret else None).send(ALERT)
    assert caught.value.code == "19021"
    assert hook.rsplit("/", 1)[1] not in str(caught.value)
    assert bitable.messages() == []


def test_a_clock_that_is_hours_off_is_told(bitable):
    hook = bitable.make_bot(secret="s")
    with pytest.raises(Stop, match="clock"):
        Bot(lambda: hook, lambda: "s", clock=lambda: 1_600_000_000.0).send(ALERT)


def test_a_keyword_that_is_missing_is_told(bitable):
    hook = bitable.make_bot(keywords=["告警"])
    with pytest.raises(Stop) as caught:
        Bot(lambda: hook).send(ALERT)
    assert caught.value.code == "19024"


def test_trouble_on_the_way_is_overcome(bitable):
    hook = bitable.make_bot(secret="s")
    bitable.fault("code", "webhook", code=11232)
    bitable.fault("http", "webhook", status=502)
    bitable.fault("reset", "webhook")
    Bot(lambda: hook, lambda: "s", sleep=lambda _: None).send(ALERT)
    assert len(bitable.messages()) == 1


@pytest.mark.parametrize("style", ["card", "text"])
def test_a_long_message_fits(bitable, style):
    hook = bitable.make_bot()
    Bot(lambda: hook, style=style).send(Alert("t", ("字" * 100_000,), "https://d/1", Level.WARNING))
    assert len(bitable.messages()) == 1


def test_limits_are_kept(bitable):
    bitable.reset(rate_factor=1)
    hook = bitable.make_bot()
    sender = Bot(lambda: hook)
    for _ in range(8):
        sender.send(ALERT)
    assert len(bitable.messages()) == 8
