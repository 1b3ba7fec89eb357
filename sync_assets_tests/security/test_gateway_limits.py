"""What the gateway bears: bodies by header, by count and by what they inflate to, depth, time, pace, answers."""

from __future__ import annotations

import gzip
import json
import socket
import time
import zlib
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import APIRouter, Request

from sync_assets.gateway import app as gateway_app
from sync_assets.gateway.limits import Buckets
from sync_assets.gateway.refusal import Refused
from sync_assets.gateway.settings import Limits

if TYPE_CHECKING:
    from sync_assets_tests.fix_gateway import Gateway, Gateways

KIB = 1024


@pytest.fixture
def echo(gateways: Gateways, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    """A gateway with small limits, and with endpoints that say what reached them."""
    real = gateway_app._include

    def more(app: Any, services: Any, meters: Any) -> None:
        real(app, services, meters)
        routes = APIRouter(prefix="/test")

        @routes.post("/size")
        async def size(request: Request) -> dict[str, object]:
            body = await request.body()
            return {"bytes": len(body), "encoding": request.headers.get("content-encoding")}

        @routes.post("/json")
        def parsed(body: Any = None) -> dict[str, object]:
            return {"ok": True}

        @routes.get("/large")
        def large(count: int) -> dict[str, str]:
            return {"text": "x" * count}

        @routes.get("/broken")
        def broken() -> None:
            raise ValueError("secret-row-value")

        app.include_router(routes)

    monkeypatch.setattr(gateway_app, "_include", more)
    sizes = {"body": 64 * KIB, "small_body": KIB, "bodies_together": 100 * KIB, "answer": 128 * KIB}
    return gateways(Limits(**sizes, idle=1.0, total=3.0, calls=10_000, burst=10_000))


def _post(gateway: Gateway, body: Any, **headers: str) -> httpx.Response:
    with gateway.client("read") as http:
        return http.post("/test/size", content=body, headers={k.replace("_", "-"): v for k, v in headers.items()})


def test_a_body_within_the_limit_passes_whole(echo: Gateway):
    assert _post(echo, b"x" * 64 * KIB).json() == {"bytes": 64 * KIB, "encoding": None}
    assert _post(echo, b"").json()["bytes"] == 0


def test_a_body_that_says_it_is_too_large_is_refused_unread(echo: Gateway):
    host, port = echo.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as line:
        key = echo.key("read")
        head = f"POST /test/size HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: 99999999\r\n\r\n"
        line.sendall(head.encode())
        assert line.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_body_without_a_length_is_counted(echo: Gateway):
    def pieces(count: int) -> Any:
        for _ in range(count):
            yield b"x" * KIB

    assert _post(echo, pieces(64)).json()["bytes"] == 64 * KIB
    assert _post(echo, pieces(65)).status_code == 413


def test_a_zipped_body_is_inflated_within_the_limit(echo: Gateway):
    assert _post(echo, gzip.compress(b"x" * 64 * KIB), Content_Encoding="gzip").json() == {
        "bytes": 64 * KIB, "encoding": None}  # fmt: skip
    bomb = gzip.compress(b"\0" * 50_000_000)
    assert len(bomb) < 64 * KIB
    assert _post(echo, bomb, Content_Encoding="gzip").status_code == 413
    assert _post(echo, gzip.compress(b"x" * (64 * KIB + 1)), Content_Encoding="gzip").status_code == 413


@pytest.mark.parametrize(
    "body",
    [b"not zipped", gzip.compress(b"abc" * 1000)[:-9], gzip.compress(b"abc") + b"more", b"", zlib.compress(b"x")],
    ids=["plain", "cut", "more", "empty", "zlib"],
)
def test_what_is_not_gzip_is_refused(echo: Gateway, body: bytes):
    assert _post(echo, body, Content_Encoding="gzip").status_code == 400


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zstd"])
def test_other_encodings_are_refused(echo: Gateway, encoding: str):
    assert _post(echo, b"x", Content_Encoding=encoding).status_code == 415


def test_deep_nesting_is_refused_and_brackets_in_texts_are_not(echo: Gateway):
    with echo.client("read") as http:

        def post(text: str) -> int:
            headers = {"Content-Type": "application/json"}
            return http.post("/test/json", content=text, headers=headers).status_code

        assert post("[" * 32 + "]" * 32) == 200
        assert post("[" * 33 + "]" * 33) == 400
        assert post('{"a":' * 33 + "1" + "}" * 33) == 400
        assert post("[" * 30_000) == 400
        assert post(json.dumps({"text": '[{"\\' * 5000})) == 200
        assert post("[" + ",".join(["[]"] * 5000) + "]") == 200


def _begun(gateway: Gateway, length: int = 100) -> bytes:
    """The head of a request whose body is to come."""
    key = gateway.key("read")
    head = f"POST /nothing HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: {length}\r\n\r\n"
    return head.encode()


def test_a_body_that_stalls_ends(gateways: Gateways):
    gateway = gateways(Limits(idle=0.5, total=3600.0))
    host, port = gateway.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 20) as line:
        line.sendall(_begun(gateway) + b"x")
        assert line.recv(4096).startswith(b"HTTP/1.1 408 ")


def test_a_body_that_drips_ends(gateways: Gateways):
    gateway = gateways(Limits(idle=3600.0, total=1.0))
    host, port = gateway.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 0.25) as line:
        line.sendall(_begun(gateway))
        said = b""
        for _ in range(60):
            line.sendall(b"x")
            try:
                said = line.recv(4096)
                break
            except TimeoutError:
                continue
        assert said.startswith(b"HTTP/1.1 408 ")


def test_strangers_may_send_less(echo: Gateway):
    with echo.client() as http:
        large = http.post("/api/v1/auth/login", content=b" " * (KIB + 1))
        assert large.status_code == 413
        assert http.post("/test/size", content=b"x" * 99_999).status_code == 401  # nothing is read of it


def test_a_connection_that_ends_early_leaves_no_room_taken(echo: Gateway):
    host, port = echo.url.removeprefix("http://").split(":")
    key = echo.key("read")
    head = (
        f"POST /test/size HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: 60000\r\n\r\n".encode()
    )
    for _ in range(5):
        with socket.create_connection((host, int(port)), 10) as line:
            line.sendall(head + b"x" * 50_000)
    deadline = time.monotonic() + 20
    while (status := _post(echo, b"x" * 60_000).status_code) == 503:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert status == 200
    assert [_post(echo, b"x" * 60_000).status_code for _ in range(5)] == [200] * 5
    assert [_post(echo, b"x" * 65 * KIB).status_code for _ in range(3)] == [413] * 3
    assert _post(echo, b"x" * 60_000).status_code == 200


def test_all_bodies_together_are_bounded(echo: Gateway):
    host, port = echo.url.removeprefix("http://").split(":")
    key = echo.key("read")
    head = (
        f"POST /test/size HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: 64000\r\n\r\n".encode()
    )
    with socket.create_connection((host, int(port)), 10) as line:
        line.sendall(head + b"x" * 63_000)  # and waits
        deadline = time.monotonic() + 0.9
        answers = []
        while time.monotonic() < deadline and 503 not in answers:
            answers.append(_post(echo, b"x" * 60_000).status_code)
        assert 503 in answers


def test_an_answer_that_is_too_large_is_refused(echo: Gateway):
    with echo.client("read") as http:
        assert http.get("/test/large?count=1000").status_code == 200
        answer = http.get(f"/test/large?count={128 * KIB}")
        assert answer.status_code == 413
        assert "ask for less" in answer.json()["error"]


def test_what_is_unexpected_tells_nothing(echo: Gateway, caplog: pytest.LogCaptureFixture):
    with echo.client("read") as http:
        answer = http.get("/test/broken", headers={"X-Request-Id": "0123456789"})
    assert answer.status_code == 500
    assert answer.json() == {"error": "something unexpected happened; request 0123456789"}
    assert "ValueError at" in caplog.text and "secret-row-value" not in caplog.text


def test_callers_are_paced_each_by_itself(gateways: Gateways):
    gateway = gateways(Limits(calls=0.5, burst=3))
    with gateway.client("read") as one, gateway.client("read") as other:
        assert [one.get("/nothing").status_code for _ in range(4)] == [404, 404, 404, 429]
        assert one.get("/nothing").headers["retry-after"] in ("1", "2")
        assert other.get("/nothing").status_code == 404


def test_guessing_is_paced_by_address(gateways: Gateways):
    gateway = gateways(Limits(strangers=0.01, strangers_burst=3))
    key, late = gateway.key("read"), gateway.key("read")
    with gateway.client(key=key) as http:
        assert http.get("/nothing").status_code == 404
    wrong = "sak_" + "0" * 12 + "_" + "A" * 43
    with gateway.client(key=wrong) as guesser:
        assert [guesser.get("/nothing").status_code for _ in range(4)] == [401, 401, 401, 429]
        assert int(guesser.get("/nothing").headers["retry-after"]) > 1
    with gateway.client(key=late) as http:
        assert http.get("/nothing").status_code == 429  # from the same address
    with gateway.client(key=key) as http:
        assert http.get("/nothing").status_code == 404  # it counted before
        gateway.keys.revoke(key.split("_")[1])
        assert http.get("/nothing").status_code == 429


def test_a_bucket_fills_with_time_and_not_above_its_brim():
    now = [0.0]
    bucket = Buckets(2.0, 3, lambda: now[0])

    def taken() -> int:
        count = 0
        while True:
            try:
                bucket.take("x", "slowly")
            except Refused:
                return count
            count += 1

    assert taken() == 3
    now[0] = 0.4
    assert taken() == 0
    now[0] = 1.0
    assert taken() == 2
    now[0] = 1000.0
    assert taken() == 3


def test_a_limit_of_strangers_is_smaller_than_that_of_callers():
    limits = Limits()
    assert limits.small_body < limits.body <= limits.bodies_together
