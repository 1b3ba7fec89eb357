"""What is tried again, how long, on whose account: the client's own logic, on a scripted transport."""

from __future__ import annotations

import json
import logging

import httpx
import pytest

from sync_assets.engine.errors import BadBatch, Retry, Stop, TooLarge, Unclear
from sync_assets.feishu.client import Endpoint, FeishuClient
from sync_assets.feishu.pacing import Rate
from sync_assets.feishu.token import PATH, TokenSource
from sync_assets.feishu.wire import checked_host, encode

SECRET = "s3cr/et@#%'\" x"
READ = Endpoint("search", "POST", Rate(1000))
WRITE = Endpoint("batch create", "POST", Rate(1000), write=True)
ONCE = Endpoint("table create", "POST", Rate(1000), write=True, repeatable=False)


class Clock:
    def __init__(self) -> None:
        self.now, self.slept = 1000.0, []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Server:
    """Plays the listed answers in order, then succeeds. A step is (status, code), an exception or a response."""

    def __init__(self, clock, *script, life=7200, token_script=()) -> None:
        self.clock, self.script, self.token_script, self.life = clock, list(script), list(token_script), life
        self.calls, self.tokens = [], 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == PATH:
            self.tokens += 1
            if self.token_script:
                return self.play(self.token_script.pop(0), request)
            flat = {"code": 0, "msg": "ok", "tenant_access_token": f"t-{self.tokens}", "expire": self.life}
            return httpx.Response(200, json=flat)
        self.calls.append((self.clock.now, request.headers["Authorization"], request.content))
        if self.script:
            return self.play(self.script.pop(0), request)
        return httpx.Response(200, json={"code": 0, "msg": "success", "data": {"n": len(self.calls)}})

    def play(self, step, request):
        if isinstance(step, Exception):
            raise step
        if isinstance(step, httpx.Response):
            return step
        status, code = step
        return httpx.Response(status, json={"code": code, "msg": "Trouble"}, headers={"X-Tt-Logid": "LOG1"})


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def serve(clock):
    clients = []

    def make(*script, life=7200, token_script=(), **options):
        server = Server(clock, *script, life=life, token_script=token_script)
        client = FeishuClient(
            "cli_app",
            lambda: SECRET,
            clock=clock,
            sleep=clock.sleep,
            jitter=lambda: 1.0,
            transport=httpx.MockTransport(server),
            **options,
        )
        clients.append(client)
        return client, server

    yield make
    for client in clients:
        client.close()


LOST = httpx.ReadError("gone")
NOT_SENT = httpx.ConnectError("refused")


# -- token ------------------------------------------------------------------------------------------------------


def test_one_token_for_many_calls(serve):
    client, server = serve()
    for _ in range(5):
        client.call(READ, "/x")
    assert server.tokens == 1
    assert {bearer for _, bearer, _ in server.calls} == {"Bearer t-1"}


@pytest.mark.parametrize(("life", "margin"), [(7200, 300), (100, 50)])
def test_the_token_is_renewed_before_it_ends(serve, clock, life, margin):
    client, server = serve(life=life)
    client.call(READ, "/x")
    clock.now += life - margin - 1
    client.call(READ, "/x")
    assert server.tokens == 1
    clock.now += 2
    client.call(READ, "/x")
    assert server.tokens == 2


@pytest.mark.parametrize("code", [99991661, 99991663, 99991664, 99991668, 99991677])
@pytest.mark.parametrize("endpoint", [READ, WRITE, ONCE])
def test_a_refused_token_is_renewed_once(serve, code, endpoint):
    client, server = serve((400, code))
    assert client.call(endpoint, "/x") == {"n": 2}
    assert server.tokens == 2
    assert [bearer for _, bearer, _ in server.calls] == ["Bearer t-1", "Bearer t-2"]


def test_a_token_refused_twice_stops(serve):
    client, server = serve((400, 99991663), (400, 99991663))
    with pytest.raises(Stop) as caught:
        client.call(READ, "/x")
    assert caught.value.code == "99991663"
    assert (server.tokens, len(server.calls)) == (2, 2)


@pytest.mark.parametrize("code", [10003, 10012, 10014, 10015])
def test_a_wrong_secret_is_sent_once_and_never_again(serve, code):
    client, server = serve(token_script=[(200, code)] * 9)
    for _ in range(3):
        with pytest.raises(Stop) as caught:
            client.call(READ, "/x")
        assert caught.value.code == str(code)
    assert (server.tokens, server.calls) == (1, [])


def test_another_secret_is_tried(clock):
    secrets = ["wrong", "wrong", "right"]
    source, sent = TokenSource("cli_app", lambda: secrets.pop(0), clock), []

    def exchange(credentials):
        sent.append(credentials["app_secret"])
        if credentials["app_secret"] == "wrong":
            raise Stop("the app secret is wrong", code="10015")
        return {"tenant_access_token": "t-1", "expire": 7200}

    for _ in range(2):
        with pytest.raises(Stop):
            source.get(exchange)
    assert source.get(exchange) == "t-1"
    assert sent == ["wrong", "right"]


def test_a_token_call_that_fails_in_passing_is_tried_again_and_leaves_no_write_unclear(serve):
    client, server = serve(token_script=[LOST, (500, 2200), NOT_SENT])
    assert client.call(ONCE, "/x") == {"n": 1}
    assert server.tokens == 4


# -- trying again -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["x-ogw-ratelimit-reset", "Retry-After"])
@pytest.mark.parametrize("status", [429, 400])
def test_no_call_before_the_reset_time(serve, clock, header, status):
    slow = httpx.Response(status, json={"code": 99991400, "msg": "x"}, headers={header: "7"})
    client, server = serve(slow)
    client.call(READ, "/x")
    (first, *_), (second, *_) = server.calls
    assert second - first >= 7.0


def test_a_reset_holds_back_other_clients_calls_of_that_endpoint_too(serve, clock):
    slow = httpx.Response(429, json={"code": 99991400, "msg": "x"}, headers={"x-ogw-ratelimit-reset": "7"})
    client, server = serve(slow, attempts=1)
    with pytest.raises(Retry) as caught:
        client.call(READ, "/x")
    assert caught.value.after == 7.0
    client.call(WRITE, "/x")
    client.call(READ, "/x")
    times = [t - server.calls[0][0] for t, *_ in server.calls]
    assert times[1] < 7.0 <= times[2]


@pytest.mark.parametrize("trouble", [LOST, (200, 1255001), (504, 1255040), (500, 2200), httpx.Response(502)])
def test_an_unclear_write_that_may_be_repeated_is_sent_again_byte_for_byte(serve, trouble):
    client, server = serve(trouble, trouble)
    body = '{"records": [ {"fields":{"名":"值"}} ] }'.encode()
    assert client.call(WRITE, "/x", body=body) == {"n": 3}
    assert [content for *_, content in server.calls] == [body] * 3
    assert client.stats.retries == 2


@pytest.mark.parametrize("trouble", [LOST, (200, 1255001), httpx.Response(502)])
def test_an_unclear_write_that_may_not_be_repeated_is_not(serve, trouble):
    client, server = serve(trouble)
    with pytest.raises(Unclear):
        client.call(ONCE, "/x")
    assert len(server.calls) == 1


@pytest.mark.parametrize("trouble", [NOT_SENT, (200, 1254291), (429, 99991400)])
def test_a_write_that_surely_was_not_carried_out_may_always_be_repeated(serve, trouble):
    client, _server = serve(trouble)
    assert client.call(ONCE, "/x") == {"n": 2}


def test_once_unclear_stays_unclear_when_later_tries_fail_plainly(serve):
    client, _ = serve(LOST, *[(200, 1254291)] * 20, attempts=4)
    with pytest.raises(Unclear) as caught:
        client.call(WRITE, "/x")
    assert caught.value.code == "1254291"


def test_a_read_without_an_answer_is_not_unclear(serve):
    client, _ = serve(*[LOST] * 20, attempts=4)
    with pytest.raises(Retry) as caught:
        client.call(READ, "/x")
    assert not isinstance(caught.value, Unclear)


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [((200, 91403), Stop), ((200, 1254061), BadBatch), ((200, 1254104), TooLarge), (httpx.Response(413), TooLarge)],
)
def test_what_a_repeat_cannot_mend_is_not_repeated(serve, trouble, kind):
    client, server = serve(trouble)
    with pytest.raises(kind):
        client.call(WRITE, "/x")
    assert len(server.calls) == 1


@pytest.mark.parametrize(("code", "tries"), [(1254002, 3), (1254607, 4), (1255006, 1), (1254291, 16)])
def test_each_code_has_its_number_of_tries(serve, code, tries):
    client, server = serve(*[(200, code)] * 99)
    with pytest.raises(Retry):
        client.call(WRITE, "/x")
    assert len(server.calls) == tries


def test_waits_grow_and_are_bounded(serve, clock):
    client, _server = serve(*[httpx.Response(503)] * 8)
    client.call(READ, "/x")
    assert clock.slept == [0.5, 1, 2, 4, 8, 15, 15, 15]
    assert client.stats.waited == sum(clock.slept)


def test_one_budget_for_all_calls(serve, clock):
    client, server = serve(*[httpx.Response(503)] * 999, budget=40.0)
    for _ in range(5):
        with pytest.raises(Retry):
            client.call(READ, "/x")
    assert sum(clock.slept) <= 40.0
    assert len(server.calls) < 20


def test_a_wait_longer_than_the_budget_is_not_begun(serve, clock):
    client, _ = serve(httpx.Response(429, headers={"Retry-After": "86400"}))
    with pytest.raises(Retry) as caught:
        client.call(READ, "/x")
    assert caught.value.after == 86400
    assert clock.slept == []


def test_conflicts_widen_the_gap_between_writes(serve, clock):
    client, _server = serve((200, 1254291))
    client.call(WRITE, "/x", lane="base")
    assert client.pacer.gap("base") == pytest.approx(0.45)
    before = clock.now
    client.call(WRITE, "/x", lane="base")
    assert clock.now - before == pytest.approx(0.45)


@pytest.mark.parametrize(("settling", "calls"), [(True, 3), (False, 1)])
def test_what_was_just_created_is_looked_for_again(serve, settling, calls):
    client, server = serve((200, 1254041), (200, 1254045))
    if settling:
        assert client.call(READ, "/x", settling=True) == {"n": 3}
    else:
        with pytest.raises(Stop):
            client.call(READ, "/x")
    assert len(server.calls) == calls


def test_statistics_count_bodies_and_calls(serve):
    client, _ = serve()
    client.call(WRITE, "/x", json={"a": "中"})
    token_body = encode({"app_id": "cli_app", "app_secret": SECRET})
    assert client.stats.requests == 2
    assert client.stats.bytes_sent == len(token_body) + len('{"a":"中"}'.encode())
    assert client.stats.bytes_received > 50


# -- what must not be sent, or said -----------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["\ud800", float("nan"), float("inf")])
def test_what_json_cannot_hold_is_a_bad_batch_and_not_quoted(value):
    with pytest.raises(BadBatch) as caught:
        encode({"records": [{"fields": {"a": value}}]})
    assert "\\ud800" not in repr(caught.value)


@pytest.mark.parametrize(
    "host",
    ["http://open.feishu.cn", "open.feishu.cn", "", "https://", "ftp://127.0.0.1", "https://u@x.cn", "https://x.cn/p", "http://127.0.0.1.evil.cn"],
)  # fmt: skip
def test_hosts_without_tls_are_refused(host):
    with pytest.raises(Stop):
        checked_host(host)


@pytest.mark.parametrize(
    "host", ["https://open.larksuite.com", "http://127.0.0.1:80", "http://localhost:8", "http://[::1]:9"]
)
def test_hosts_that_may_be(host):
    assert checked_host(host + "/") == host


@pytest.mark.parametrize("trouble", [LOST, (200, 91403), (200, 1254061), httpx.Response(502), (400, 10015)])
def test_secrets_and_values_are_nowhere_to_be_read(serve, caplog, trouble):
    caplog.set_level(logging.DEBUG)
    client, _ = serve(*[trouble] * 99, token_script=[(500, 2200)])
    caplog.set_level(logging.DEBUG, logger="httpx")
    body = {"records": [{"fields": {"a": "VALUE-OF-A-ROW"}}]}
    with pytest.raises((Retry, Stop, BadBatch)) as caught:
        client.call(WRITE, "/x", json=body)
    told = "\n".join([str(caught.value), repr(caught.value), repr(client), str(vars(caught.value)), caplog.text])
    told += repr(caught.value.__cause__) + repr(client._line)
    for hidden in (SECRET, json.dumps(SECRET), "t-1", "VALUE-OF-A-ROW"):
        assert hidden not in told


def test_requests_are_not_logged_at_info(serve, caplog):
    caplog.set_level(logging.INFO)
    client, _ = serve()
    client.call(READ, "/x")
    assert caplog.text == ""
