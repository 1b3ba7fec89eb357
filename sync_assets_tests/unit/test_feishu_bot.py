"""Messages of the group bot: shape, size, signature, limits, and no address told."""

from __future__ import annotations

import json
import logging

import httpx
import pytest

from sync_assets.engine.errors import Retry, Stop
from sync_assets.feishu.bot import MOST_BYTES, Alert, Bot, Level, signature

HOOK = "https://open.feishu.cn/open-apis/bot/v2/hook/SECRET-HOOK-ID"
ALERT = Alert("Sync orders failed", ("since 09:00", "what to do: add the app"), "https://dagster.example/runs/1")


class Group:
    def __init__(self, *script) -> None:
        self.now, self.slept, self.script, self.bodies, self.times = 1_700_000_000.0, [], list(script), [], []

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds

    def __call__(self, request):
        self.bodies.append(request.content)
        self.times.append(self.now)
        step = self.script.pop(0) if self.script else (200, 0)
        if isinstance(step, Exception):
            raise step
        return httpx.Response(step[0], json={"code": step[1], "msg": "text"})


def bot(group, webhook=HOOK, secret="sec", style="card"):
    return Bot(
        lambda: webhook,
        (lambda: secret) if secret else None,
        style,
        clock=group.clock,
        sleep=group.sleep,
        jitter=lambda: 1.0,
        transport=httpx.MockTransport(group),
    )


def test_the_signature_is_that_of_the_documentation():
    # openssl dgst -sha256 -hmac $'1599360473\nsec' -binary </dev/null | base64
    assert signature("1599360473", "sec") == "3z0brDRut3Cc2hyOIFoi6JwTNci+/xxAJmhEcPOGYiE="


def test_a_card_has_head_lines_and_button():
    group = Group()
    bot(group).send(Alert("恢复", ("好",), "https://d/1", Level.GOOD))
    body = json.loads(group.bodies[0])
    assert body["msg_type"] == "interactive"
    assert body["card"]["header"] == {"title": {"tag": "plain_text", "content": "恢复"}, "template": "green"}
    assert body["card"]["elements"][0] == {"tag": "div", "text": {"tag": "plain_text", "content": "好"}}
    assert body["card"]["elements"][1]["actions"][0]["url"] == "https://d/1"
    assert body["sign"] == signature(body["timestamp"], "sec")


def test_a_text_calls_nobody():
    group = Group()
    bot(group, style="text", secret=None).send(Alert("x", ('<at user_id="all">all</at>',), "https://d/1"))
    body = json.loads(group.bodies[0])
    assert "<at" not in body["content"]["text"] and body["content"]["text"].endswith("https://d/1")
    assert "sign" not in body


@pytest.mark.parametrize("style", ["card", "text"])
@pytest.mark.parametrize("lines", [("字" * 50_000,), tuple(f"line {i} " + "x" * 300 for i in range(300))])
def test_long_messages_are_cut_with_a_note(style, lines):
    group = Group()
    bot(group, style=style).send(Alert("t", lines, "https://d/1"))
    assert len(group.bodies[0]) <= MOST_BYTES
    text = group.bodies[0].decode()
    assert "shortened" in text and "https://d/1" in text


def test_a_monstrous_title_is_cut_too():
    group = Group()
    bot(group).send(Alert("字" * 50_000))
    assert len(group.bodies[0]) <= MOST_BYTES


def test_five_a_second_and_a_hundred_a_minute():
    group = Group()
    sender = bot(group)
    for _ in range(130):
        sender.send(ALERT)
    for seconds, most in ((1.0, 5), (60.0, 100)):
        assert max(sum(t <= u < t + seconds for u in group.times) for t in group.times) <= most


@pytest.mark.parametrize("trouble", [(200, 11232), (429, 1), (500, 1), httpx.ReadError("x"), httpx.ConnectError("x")])
def test_passing_trouble_is_tried_again_a_few_times(trouble):
    group = Group(trouble)
    bot(group).send(ALERT)
    assert len(group.bodies) == 2
    group = Group(*[trouble] * 99)
    with pytest.raises(Retry):
        bot(group).send(ALERT)
    assert len(group.bodies) == 5


@pytest.mark.parametrize("code", [19001, 19002, 19021, 19022, 19024, 9499])
@pytest.mark.parametrize("status", [200, 400, 500])
def test_refusals_stop_at_once_whatever_the_status(code, status):
    group = Group((status, code))
    with pytest.raises(Stop) as caught:
        bot(group).send(ALERT)
    assert caught.value.code == str(code) and caught.value.hint
    assert len(group.bodies) == 1


@pytest.mark.parametrize(
    "webhook",
    ["", "SECRET-HOOK-ID", "https://open.feishu.cn/SECRET-HOOK-ID", "http://open.feishu.cn/open-apis/bot/v2/hook/SECRET-HOOK-ID",
     "https://open.feishu.cn/open-apis/bot/v2/hook/"],
)  # fmt: skip
def test_a_wrong_address_stops_and_is_not_repeated(webhook):
    group = Group()
    with pytest.raises(Stop) as caught:
        bot(group, webhook).send(ALERT)
    assert "SECRET" not in str(caught.value) + repr(caught.value.__cause__)
    assert group.bodies == []


@pytest.mark.parametrize("trouble", [(200, 0), (200, 19021), httpx.ReadError(HOOK), (404, 5)])
def test_the_address_is_never_told(caplog, trouble):
    caplog.set_level(logging.DEBUG)
    group = Group(*[trouble] * 9)
    sender, told = bot(group), ""
    caplog.set_level(logging.DEBUG, logger="httpx")
    try:
        sender.send(ALERT)
    except (Retry, Stop) as error:
        told = str(error) + repr(error) + repr(error.__cause__)
    assert group.bodies
    assert "SECRET-HOOK-ID" not in told + repr(sender) + caplog.text
