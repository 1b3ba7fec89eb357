"""Signed calls: each counts once, as it was signed, in time, for whoever holds the key; and the key is never sent."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from sync_assets.engine.errors import Stop, SyncError, Unclear
from sync_assets.exchange import signing
from sync_assets.exchange.signing import Head
from sync_assets.gateway.settings import Limits
from sync_assets.project.exchange.calls import Call, Line, encoded
from sync_assets.project.exchange.network import internal
from sync_assets_tests.fix_gateway import running, signature

if TYPE_CHECKING:
    from sync_assets_tests.fix_gateway import Gateway, Gateways

STRANGER = {"error": "credentials are missing or do not count"}
PATH = "/api/sync/repository-upsert"
BODY = json.dumps({"repository_id": 5, "name": "five"}).encode()
TOLD = {"X-Sync-Origin": "berlin", "X-Sync-Id": "s-1", "Idempotency-Key": "i-1", "Content-Type": "application/json"}
HERE = internal(["127.0.0.0/8"])


@dataclass
class Request:
    """A signed call as it goes over the wire; any part may be altered after it was signed."""

    method: str = "POST"
    path: str = PATH
    body: bytes = BODY
    headers: dict[str, str] = field(default_factory=lambda: dict(TOLD))

    def signed(self, key: str, at: float | None = None) -> Request:
        request = httpx.Request(self.method, f"http://x{self.path}", content=self.body, headers=self.headers)
        self.headers["Authorization"] = signature(key, request, at)
        return self

    def sign_as(self, old: str, new: str) -> None:
        """Alter the header of the signature."""
        header = self.headers["Authorization"]
        assert re.search(old, header)
        self.headers["Authorization"] = re.sub(old, new, header)

    def send(self, gateway: Gateway) -> httpx.Response:
        return httpx.request(
            self.method, f"{gateway.url}{self.path}", content=self.body, headers=self.headers, timeout=30,
            trust_env=False,
        )  # fmt: skip


def _refused(answer: httpx.Response) -> bool:
    return answer.status_code == 401 and answer.json() == STRANGER


def _repositories(gateway: Gateway) -> int:
    return int(gateway.rows("select count(*) from sync_assets.exchange_repository")[0][0])


# -- what counts


@pytest.mark.parametrize("packed", [False, True])
def test_a_signed_call_counts_whatever_its_body_is_packed_in(gateway: Gateway, packed: bool) -> None:
    request = Request().signed(gateway.key("write"))
    if packed:
        request.body = gzip.compress(request.body)
        request.headers["Content-Encoding"] = "gzip"
    answer = request.send(gateway)
    assert answer.status_code == 200, answer.text
    assert _repositories(gateway) == 1
    assert gateway.rows("select last_used_at is not null from sync_assets.gateway_key") == [(True,)]


def test_calls_without_a_body_and_with_a_large_one_count(gateway: Gateway) -> None:
    key = gateway.key("read", "write")
    headers = {"Content-Type": "application/json"}
    assert Request("GET", "/api/sync/ping", b"", {}).signed(key).send(gateway).status_code == 200
    large = b" " * 300_000 + BODY
    assert Request(body=large, headers=headers).signed(key).send(gateway).status_code == 200
    other = Request(body=large, headers=headers).signed(key)
    other.body = large[1:]
    assert other.send(gateway).status_code == 401


def test_other_endpoints_take_signed_calls_too(gateway: Gateway) -> None:
    key = gateway.key("metrics")
    for path in ("/api/openapi.json", "/metrics"):
        assert Request("GET", path, b"", {}).signed(key).send(gateway).status_code == 200


def test_the_server_keeps_what_proves_and_nothing_that_signs(gateway: Gateway) -> None:
    key = gateway.key("read")
    ((row, public),) = gateway.rows("select to_jsonb(k)::text, verifier from sync_assets.gateway_key k")
    assert bytes(public) == signing.verifier(key)
    seed = hashlib.sha256(b"sync_assets: signed calls\0" + key.encode())
    assert seed.hexdigest() not in row and key.split("_", 2)[2] not in row


def test_a_key_from_before_signatures_counts_as_it_is_and_signs_nothing(gateway: Gateway) -> None:
    key = gateway.key("read")
    gateway.rows("update sync_assets.gateway_key set verifier = null returning 1")
    with gateway.client(key=key) as bearer, gateway.signer(key=key) as signer:
        assert bearer.get("/api/sync/ping").status_code == 200
        assert _refused(signer.get("/api/sync/ping"))


# -- what was altered


def _alter(name: str, value: str) -> Callable[[Request], None]:
    def change(request: Request) -> None:
        request.headers[name] = value

    return change


def _part(name: str, value: Any) -> Callable[[Request], None]:
    return lambda request: setattr(request, name, value)


def _sign_as(old: str, new: str) -> Callable[[Request], None]:
    return lambda request: request.sign_as(old, new)


def _without(name: str) -> Callable[[Request], None]:
    return lambda request: request.headers.__delitem__(name)


ALTERED: dict[str, Callable[[Request], None]] = {
    "method": _part("method", "PUT"),
    "path": _part("path", "/api/sync/repository-clear"),
    "path, written otherwise": _part("path", "/api/sync/repository%2Dupsert"),
    "query": _part("path", f"{PATH}?x=1"),
    "origin": _alter("X-Sync-Origin", "hamburg"),
    "no origin": _without("X-Sync-Origin"),
    "sync id": _alter("X-Sync-Id", "s-2"),
    "no sync id": _without("X-Sync-Id"),
    "idempotency key": _alter("Idempotency-Key", "i-2"),
    "no idempotency key": _without("Idempotency-Key"),
    "nonce": _sign_as(r'nonce="[^"]*"', f'nonce="{"A" * 22}"'),
    "time": _sign_as(r'time="\d*\d"', f'time="{int(time.time()) + 30}"'),
    "digest": _sign_as(r'digest="[^"]*"', f'digest="{"0" * 64}"'),
    "signature": _sign_as(r'signature="[^"]*"', f'signature="{"A" * 86}"'),
    "another id": _sign_as(r'key="[^"]*"', 'key="000000000000"'),
}


@pytest.mark.parametrize("what", list(ALTERED))
def test_a_call_that_was_altered_is_refused_and_changes_nothing(gateway: Gateway, what: str) -> None:
    request = Request().signed(gateway.key("write", "clear"))
    good = Request(headers=dict(request.headers))
    before = gateway.dump()
    ALTERED[what](request)
    assert _refused(request.send(gateway))
    assert gateway.dump() == before
    assert gateway.rows("select count(*) from sync_assets.gateway_nonce") == [(0,)]
    assert good.send(gateway).status_code == 200, "what was refused has used nothing up"


def test_another_body_is_refused_before_anybody_reads_it(gateway: Gateway) -> None:
    request = Request().signed(gateway.key("write"))
    request.body = BODY.replace(b"five", b"six!")
    before = gateway.dump()
    answer = request.send(gateway)
    assert (answer.status_code, "signed" in answer.json()["error"]) == (401, True)
    assert gateway.dump() == before
    assert gateway.rows("select count(*) from sync_assets.gateway_audit where action like '%upsert'") == [(0,)]


def test_a_header_that_comes_twice_is_refused(gateway: Gateway) -> None:
    for name in ("X-Sync-Origin", "X-Sync-Id", "Idempotency-Key", "Authorization"):
        request = Request().signed(gateway.key("write"))
        headers = [*request.headers.items(), (name, request.headers[name])]
        answer = httpx.post(f"{gateway.url}{PATH}", content=BODY, headers=headers, trust_env=False)
        assert _refused(answer), name
    assert _repositories(gateway) == 0


@pytest.mark.parametrize("parts", [("ber", "lin"), ("berlin", ""), ("", "berlin"), ("",)])
def test_a_header_in_parts_is_refused_though_they_make_the_signed_text(
    gateway: Gateway, parts: tuple[str, ...]
) -> None:
    told = {"X-Sync-Origin": "berlin"} if any(parts) else {}
    request = Request(headers={**told, "Content-Type": "application/json"}).signed(gateway.key("write"))
    request.headers.pop("X-Sync-Origin", None)
    headers = [*request.headers.items(), *(("X-Sync-Origin", part) for part in parts)]
    assert _refused(httpx.post(f"{gateway.url}{PATH}", content=BODY, headers=headers, trust_env=False))
    assert _repositories(gateway) == 0


def test_a_signature_of_another_key_is_refused(gateway: Gateway) -> None:
    mine, theirs = gateway.key("read"), gateway.key("admin")
    request = Request().signed(mine)
    request.sign_as(r'key="[^"]*"', f'key="{theirs.split("_")[1]}"')
    assert _refused(request.send(gateway))
    # signed for the other's id, with a key of one's own
    head = Head("POST", PATH, "berlin", "s-1", "i-1")
    posing = f"sak_{theirs.split('_')[1]}_{mine.split('_', 2)[2]}"
    digest = hashlib.sha256(BODY).hexdigest()
    request.headers["Authorization"] = signing.sign(posing, head, digest=digest, time=int(time.time()))
    assert _refused(request.send(gateway))


def test_a_key_that_was_revoked_or_has_expired_signs_nothing(gateway: Gateway) -> None:
    revoked, expired = gateway.key("write"), gateway.key("write", seconds=0.5)
    assert Request("GET", "/api/sync/ping", b"", {}).signed(revoked).send(gateway).status_code == 200
    gateway.keys.revoke(revoked.split("_")[1])
    time.sleep(0.6)
    for key in (revoked, expired):
        assert _refused(Request().signed(key).send(gateway))
    assert _repositories(gateway) == 0


@pytest.mark.parametrize("header", ["Sync", "SYNC x", "sync x", 'Sync key="0"', "Sync " + "x" * 20_000])
def test_what_is_no_signature_gets_the_answer_of_strangers(gateway: Gateway, header: str) -> None:
    assert _refused(Request(headers={"Authorization": header}).send(gateway))


# -- once


def test_a_call_counts_once(gateway: Gateway) -> None:
    request = Request().signed(gateway.key("write"))
    assert request.send(gateway).status_code == 200
    before = gateway.dump()
    again = request.send(gateway)
    assert (again.status_code, again.json()["code"]) == (401, "replayed")
    assert gateway.dump() == before


def test_of_many_at_once_to_two_gateways_of_one_database_one_counts(gateway: Gateway) -> None:
    key = gateway.key("write")
    with running(gateway.address) as other, ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            request = Request().signed(key)
            answers = pool.map(lambda number, r=request: r.send((gateway, other)[number % 2]).status_code, range(8))
            assert sorted(answers) == [200] + [401] * 7


def test_a_call_that_counted_at_one_gateway_does_not_count_at_another(gateway: Gateway) -> None:
    request = Request().signed(gateway.key("write"))
    with running(gateway.address) as other:
        assert request.send(gateway).status_code == 200
        assert request.send(other).json()["code"] == "replayed"


def test_what_was_seen_is_kept_as_long_as_it_could_count(gateway: Gateway) -> None:
    key = gateway.key("read")
    minutes = (
        "insert into sync_assets.gateway_nonce select key_id, '{0}', now() - interval '{0} minutes' from k returning 1"
    )
    for age in (9, 11, 16, 60):
        gateway.rows("with k as (select key_id from sync_assets.gateway_key) " + minutes.format(age))
    assert Request("GET", "/api/sync/ping", b"", {}).signed(key).send(gateway).status_code == 200
    kept = {nonce for (nonce,) in gateway.rows("select nonce from sync_assets.gateway_nonce")}
    assert {"9", "11"} < kept and not kept & {"16", "60"}
    assert 2 * signing.WINDOW <= 15 * 60


def test_only_that_a_call_was_seen_need_not_wait_for_the_disk(gateway: Gateway) -> None:
    """The setting ends with its transaction: the changes of the call, on the same connection, wait."""
    assert gateway.services is not None
    key, head, setting = gateway.key("read"), Head("GET", "/x"), "select current_setting('synchronous_commit')"
    sessions, during = gateway.store.sessions, []
    proof = signing.read(signing.sign(key, head, digest=signing.NOTHING, time=int(time.time())))
    assert proof is not None
    real = sessions.run

    def watched(work: Callable[[Any], Any]) -> Any:
        def both(cursor: Any) -> Any:
            done = work(cursor)
            during.append(cursor.execute(setting).fetchone()[0])
            return done

        return real(both)

    sessions.run = watched  # type: ignore[method-assign, assignment]
    signer = gateway.services.signed.signer(proof, head)
    sessions.run = real  # type: ignore[method-assign]
    assert signer is not None and not signer.again
    assert (during, real(lambda cursor: cursor.execute(setting).fetchone())) == (["off"], ("on",))


# -- in time


@pytest.mark.parametrize("off", [-signing.WINDOW + 5, signing.WINDOW - 5])
def test_clocks_may_differ_a_little(gateway: Gateway, off: int) -> None:
    assert Request().signed(gateway.key("write"), time.time() + off).send(gateway).status_code == 200


@pytest.mark.parametrize(("off", "word"), [(-signing.WINDOW - 60, "behind"), (signing.WINDOW + 60, "ahead of")])
def test_whoever_can_sign_is_told_how_far_the_clock_is_off(gateway: Gateway, off: int, word: str) -> None:
    before = gateway.dump()
    answer = Request().signed(gateway.key("write"), time.time() + off).send(gateway)
    said = answer.json()
    assert (answer.status_code, said["code"]) == (401, "clock")
    assert abs(said["seconds"] - off) <= 5
    assert re.search(rf"3[56]\d s {word} the time here", said["error"])
    assert {**gateway.dump(), "gateway_key": 0} == {**before, "gateway_key": 0}


def test_whoever_cannot_sign_is_told_nothing_of_clocks(gateway: Gateway) -> None:
    request = Request().signed(gateway.key("write"), time.time() - 9999)
    request.headers["X-Sync-Id"] = "s-2"
    assert _refused(request.send(gateway))


# -- how often


def test_wrong_signatures_are_limited_and_right_ones_from_the_same_address_are_not(gateways: Gateways) -> None:
    gateway = gateways(Limits(calls=1000, burst=1000, strangers=0.01, strangers_burst=3))
    key, looked = gateway.key("read"), _looks(gateway)

    def ping() -> Request:
        return Request("GET", "/api/sync/ping", b"", {}).signed(key)

    assert ping().send(gateway).status_code == 200
    forged = []
    for _ in range(5):
        request = ping()
        request.sign_as(r'signature="..', 'signature="AA')
        forged.append(request.send(gateway).status_code)
    assert forged == [401, 401, 401, 429, 429], "a known id is no way round the limit"
    assert len(looked) == 1 + 3, "beyond it the database is not asked"
    assert [ping().send(gateway).status_code for _ in range(5)] == [200] * 5
    unknown = gateway.key("read")
    assert Request("GET", "/api/sync/ping", b"", {}).signed(unknown).send(gateway).status_code == 429


def _looks(gateway: Gateway) -> list[object]:
    """Grows with every call whose signer is looked up in the database."""
    assert gateway.services is not None
    signed, looked = gateway.services.signed, []
    real = signed.signer

    def counted(proof: signing.Proof, call: Head) -> Any:
        looked.append(proof)
        return real(proof, call)

    signed.signer = counted  # type: ignore[method-assign]
    return looked


# -- signed only


def test_where_calls_must_be_signed_no_key_is_taken_and_people_log_in(gateways: Gateways) -> None:
    gateway = gateways(signed_only=True)
    gateway.users.add("mei", "correct horse battery", ["read"])
    good, wrong = gateway.key("read"), "sak_" + "0" * 12 + "_" + "A" * 43
    told = set()
    for key in (good, wrong):
        for headers in ({"Authorization": f"Bearer {key}"}, {"X-API-Key": key}):
            answer = httpx.get(f"{gateway.sync_url}/ping", headers=headers, trust_env=False)
            told.add((answer.status_code, answer.text))
    ((status, text),) = told  # the same for a key that counts and one that is none
    assert status == 401 and "signed" in text and "docs/how-to/gateway.md" in text
    with gateway.signer(key=good) as http:
        assert http.get("/api/sync/repository-list").status_code == 200
    with gateway.client() as http:
        login = http.post("/api/v1/auth/login", json={"name": "mei", "password": "correct horse battery"}).json()
        token = login["data"]["access_token"]
        assert http.get("/api/sync/ping", headers={"Cookie": f"sync_assets_session={token}"}).status_code == 200
        page = http.get("/pages", headers={"Cookie": f"sync_assets_session={token}", "Accept": "text/html"})
        assert (page.status_code, http.get("/pages/login").status_code) == (200, 200)
        shown = http.get("/pages", headers={"Cookie": f"sync_assets_session={good}", "Accept": "application/json"})
        assert shown.status_code == 401, "a key is none in a cookie either"


# -- the installation that calls


@contextmanager
def _listening(answer: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers always the same; its address, and every byte that it got."""
    seen: list[bytes] = []
    ending = threading.Event()

    def serve() -> None:
        while not ending.is_set():
            try:
                line, _ = listener.accept()
            except TimeoutError:
                continue
            with line:
                seen.append(_whole_request(line))
                line.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/proxy/api/sync", seen
        finally:
            ending.set()
            thread.join()


def _whole_request(line: socket.socket) -> bytes:
    got = b""
    while b"\r\n\r\n" not in got:
        got += line.recv(65536)
    head, _, body = got.partition(b"\r\n\r\n")
    length = int((re.search(rb"(?i)content-length: (\d+)", head) or [b"", b"0"])[1])
    while len(body) < length:
        body += line.recv(65536)
    return head + b"\r\n\r\n" + body


def _http(status: int, said: object, *headers: str) -> bytes:
    body = json.dumps(said).encode()
    lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _line(url: str, key: str, **more: Any) -> Line:
    return Line("other", url, HERE, lambda: key, time.monotonic, lambda s: None, **more)


KEY = "sak_0123456789ab_" + "Zz0" * 14 + "Q"
ANSWERS = {
    "good": _http(200, {"code": "OK", "data": {}}),
    "a stranger": _http(401, STRANGER, 'WWW-Authenticate: Bearer realm="x"'),
    "no clock": _http(401, {"error": "x", "code": "clock", "seconds": 4000}),
    "replayed": _http(401, {"error": "x", "code": "replayed"}),
    "forbidden": _http(403, {}),
    "broken": _http(500, {}),
    "led elsewhere": _http(307, {}, "Location: /elsewhere"),
}


@pytest.mark.parametrize("what", list(ANSWERS))
def test_a_key_of_ours_is_never_sent_whatever_is_answered(what: str) -> None:
    secret = KEY.split("_", 2)[2]
    with _listening(ANSWERS[what]) as (url, seen):
        line = _line(url, KEY, origin="berlin")
        packs = Call("POST", "packs", encoded({"packs": ["x" * 5000]}), "i-1", "s-1", packed=True)
        for call in (Call("GET", "ping"), packs):
            with pytest.raises(SyncError) if what != "good" else _nothing():
                line.data(call)
        line.close()
    assert len(seen) >= 2
    for raw in seen:
        assert b"authorization: Sync key=" in raw.replace(b"Authorization", b"authorization")
        assert secret.encode() not in raw and secret[:12].encode() not in raw and b"earer" not in raw
        assert hashlib.sha256(KEY.encode()).hexdigest().encode() not in raw


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def test_each_attempt_is_signed_anew_and_keeps_its_idempotency_key() -> None:
    times = iter(range(1_790_000_000, 1_790_000_100))
    with _listening(ANSWERS["broken"]) as (url, seen):
        line = _line(url, KEY, origin="berlin", now=lambda: float(next(times)))
        with pytest.raises(SyncError):
            line.data(Call("POST", "packs?x=1", encoded({"packs": []}), "i-1", "s-1"))
        line.close()
    heads = [dict(re.findall(rb"(?m)^([\w-]+): (.*?)\r$", raw)) for raw in seen]
    heads = [{name.lower(): value.decode() for name, value in head.items()} for head in heads]
    proofs = [signing.read(head[b"authorization"]) for head in heads]
    assert len(proofs) == 4 and {head[b"idempotency-key"] for head in heads} == {"i-1"}
    assert len({proof.nonce for proof in proofs if proof}) == len({proof.time for proof in proofs if proof}) == 4
    public, head = signing.verifier(KEY), Head("POST", "/api/sync/packs?x=1", "berlin", "s-1", "i-1")
    assert all(proof and signing.holds(public, proof, head) for proof in proofs), "without what stands before /api/sync"


def test_another_kind_of_key_is_sent_as_ever() -> None:
    with _listening(ANSWERS["good"]) as (url, seen):
        line = _line(url, "original-key")
        line.data(Call("GET", "ping"))
        line.close()
    assert b"Bearer original-key" in seen[0]


@pytest.mark.parametrize(("off", "words"), [(-400, "behind"), (400, "ahead of")])
def test_a_wrong_clock_stops_a_sync_by_name(gateway: Gateway, off: int, words: str) -> None:
    line = _line(gateway.sync_url, gateway.key("read"), now=lambda: time.time() + off)
    with pytest.raises(Stop, match=rf"peer other, ping: HTTP 401, our clock is (39|40)\d s {words} the peer's") as told:
        line.data(Call("GET", "ping"))
    line.close()
    assert told.value.code == "clock" and "NTP" in told.value.hint


def test_a_proxy_that_sends_twice_leaves_a_write_unclear_not_refused() -> None:
    with _listening(ANSWERS["replayed"]) as (url, seen):
        line = _line(url, KEY)
        with pytest.raises(Unclear, match="twice"):
            line.data(Call("POST", "packs", encoded({}), "i-1"))
        line.close()
    assert len(seen) == 4
