"""Credentials of the gateway: keys, passwords, tokens; and that whoever has none learns and changes nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest

from sync_assets.gateway.settings import Limits
from sync_assets.gateway.tokens import AUDIENCE, Tokens

if TYPE_CHECKING:
    from sync_assets_tests.fix_gateway import Gateway, Gateways

PASSWORD = "correct horse battery"
MISSING = "/nothing"  # 404 for those who are known


def _login(gateway: Gateway, password: str = PASSWORD, name: str = "mei") -> httpx.Response:
    with gateway.client() as http:
        return http.post("/api/v1/auth/login", json={"name": name, "password": password})


def _refresh(gateway: Gateway, token: str) -> httpx.Response:
    with gateway.client() as http:
        return http.post("/api/v1/auth/refresh", json={"refresh_token": token})


def _known(gateway: Gateway, credential: str) -> bool:
    with gateway.client(key=credential) as http:
        answer = http.get(MISSING)
    assert answer.status_code in (401, 404)
    return answer.status_code == 404


@pytest.fixture
def signed(gateway: Gateway) -> dict[str, Any]:
    gateway.users.add("mei", PASSWORD, ["read"])
    granted: dict[str, Any] = _login(gateway).json()["data"]
    return granted


# -- keys


def test_a_key_is_kept_as_a_digest_of_random_bits(gateway: Gateway):
    key = gateway.key("read")
    assert gateway.rows("select digest from sync_assets.gateway_key") == [(hashlib.sha256(key.encode()).digest(),)]
    assert len(base64.urlsafe_b64decode(key.split("_", 2)[2] + "=")) == 32
    assert key not in str(gateway.rows("select to_jsonb(a) from sync_assets.gateway_audit a"))


def test_a_key_counts_in_both_headers_and_not_in_the_address(gateway: Gateway):
    key = gateway.key("read")
    assert _known(gateway, key)
    with gateway.client() as http:
        assert http.get(MISSING, headers={"X-API-Key": key}).status_code == 404
        assert http.get(f"{MISSING}?key={key}&api_key={key}&access_token={key}").status_code == 401
        both = [("Authorization", f"Bearer {key}"), ("X-API-Key", key)]
        assert http.get(MISSING, headers=both).status_code == 401


def test_keys_that_do_not_count_get_one_answer(gateway: Gateway):
    key, revoked, expired = gateway.key("read"), gateway.key("read"), gateway.key("read", seconds=0.001)
    gateway.keys.revoke(revoked.split("_")[1])
    strange = ["x", key[:-1], key + "A", key.upper(), "sak_" + "0" * 12 + "_" + "A" * 43, revoked, expired,
               key.replace(key[-3:], "AAA"), "sak_%00", key.split("_")[1]]  # fmt: skip
    answers = set()
    for wrong in strange:
        with gateway.client() as http:
            answer = http.get(MISSING, headers={"Authorization": f"Bearer {wrong}"})
            answers.add((answer.status_code, answer.text, answer.headers.get("www-authenticate")))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 401


# -- logins


def test_a_wrong_name_and_a_wrong_password_are_the_same(gateway: Gateway, signed: dict[str, Any]):
    one, other = _login(gateway, "wrong password"), _login(gateway, PASSWORD, "nobody")
    assert (one.status_code, one.text) == (other.status_code, other.text) == (401, other.text)


def test_unknown_names_cost_one_derivation_like_known_ones(gateway: Gateway, monkeypatch: pytest.MonkeyPatch):
    """Counted, not timed: on a busy machine times say nothing."""
    gateway.users.add("mei", PASSWORD, ["read"])
    done: list[int] = []
    real = hashlib.scrypt

    def counted(password: bytes, **cost: Any) -> bytes:
        done.append(cost["n"] * cost["r"] * cost["p"])
        return real(password, **cost)

    monkeypatch.setattr(hashlib, "scrypt", counted)
    costs = []
    for name in ("mei", "nobody", "no/name", "x" * 100):
        done.clear()
        assert _login(gateway, "wrong password", name).status_code == 401
        costs.append(list(done))
    assert costs == [[2**20]] * 4


def test_logins_are_paced_by_name_and_by_address(gateways: Gateways):
    gateway = gateways(Limits(logins=0.01, logins_burst=3))
    gateway.users.add("mei", PASSWORD, ["read"])
    statuses = [_login(gateway, "wrong password").status_code for _ in range(3)]
    blocked = _login(gateway)
    assert statuses == [401, 401, 401]
    assert blocked.status_code == 429 and int(blocked.headers["retry-after"]) > 1
    assert _login(gateway, name="other").status_code == 429  # by address


def test_a_refresh_token_counts_once_and_its_reuse_ends_the_login(gateway: Gateway, signed: dict[str, Any]):
    next_one = _refresh(gateway, signed["refresh_token"]).json()["data"]
    assert _known(gateway, next_one["access_token"])
    assert _refresh(gateway, signed["refresh_token"]).status_code == 401
    assert _refresh(gateway, next_one["refresh_token"]).status_code == 401
    assert not _known(gateway, next_one["access_token"])
    assert not _known(gateway, signed["access_token"])
    assert ("auth.reuse", "ended") in gateway.rows("select action, outcome from sync_assets.gateway_audit")


def test_of_two_that_refresh_at_once_one_goes_on_at_most(gateway: Gateway, signed: dict[str, Any]):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: _refresh(gateway, signed["refresh_token"]).status_code, range(8)))
    assert sorted(answers) == [200] + [401] * 7


def test_a_logout_ends_the_access_too(gateway: Gateway, signed: dict[str, Any]):
    assert _known(gateway, signed["access_token"])
    with gateway.client() as http:
        out = http.post("/api/v1/auth/logout", json={"refresh_token": signed["refresh_token"]})
        assert out.status_code == 200
        again = http.post("/api/v1/auth/logout", json={"refresh_token": "unknown"})
        assert (again.status_code, again.json()) == (200, out.json())
    assert not _known(gateway, signed["access_token"])
    assert _refresh(gateway, signed["refresh_token"]).status_code == 401


def test_a_new_password_ends_all_logins(gateway: Gateway, signed: dict[str, Any]):
    gateway.users.set_password("mei", "another password")
    assert not _known(gateway, signed["access_token"])
    assert _login(gateway).status_code == 401
    assert _login(gateway, "another password").status_code == 200


def test_neither_password_nor_tokens_are_stored(gateway: Gateway, signed: dict[str, Any]):
    kept = json.dumps(gateway.dump()) + str(gateway.rows("select to_jsonb(a) from sync_assets.gateway_audit a"))
    for secret in (PASSWORD, signed["access_token"], signed["refresh_token"]):
        assert secret not in kept


# -- access tokens


def _forged(gateway: Gateway, good: str, how: str) -> str:
    assert gateway.services is not None
    tokens, now = gateway.services.tokens, 1_900_000_000
    claims = jwt.decode(good, options={"verify_signature": False})
    head, body, _ = good.split(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT", "kid": "test"}).encode()).decode()
    at = claims["iat"]
    made = {
        "expired": lambda: Tokens(tokens.ring, tokens.issuer, 10, lambda: at - 3600).issue("mei", claims["sid"]),
        "from the future": lambda: Tokens(tokens.ring, tokens.issuer, 10, lambda: now).issue("mei", claims["sid"]),
        "of another installation": lambda: Tokens(tokens.ring, "other", 600).issue("mei", claims["sid"]),
        "of another user": lambda: tokens.issue("root", claims["sid"]),
        "of another login": lambda: tokens.issue("mei", "0" * 32),
        "unsigned": lambda: f"{none.rstrip('=')}.{body}.",
        "without a signature": lambda: f"{head}.{body}.",
        "signed with nothing": lambda: jwt.encode(claims, "\0" * 32, "HS256", {"kid": "test"}),
        "of an unknown key": lambda: jwt.encode(claims, "\0" * 32, "HS256", {"kid": "other"}),
        "for somebody else": lambda: _resigned(gateway, claims | {"aud": "other"}),
        "without an end": lambda: _resigned(gateway, {k: v for k, v in claims.items() if k != "exp"}),
        "without an id": lambda: _resigned(gateway, {k: v for k, v in claims.items() if k != "jti"}),
        "with an end that is no number": lambda: _resigned(gateway, claims | {"exp": "never"}),
        "with another algorithm": lambda: _resigned(gateway, claims, "HS384"),
    }
    return made[how]()


def _resigned(gateway: Gateway, claims: dict[str, Any], algorithm: str = "HS256") -> str:
    from sync_assets.gateway.tokens import _signing

    assert gateway.services is not None
    key = gateway.services.ring.newest
    return jwt.encode(claims, _signing(key), algorithm, {"kid": key.id})


HOW = ["expired", "from the future", "of another installation", "of another user", "of another login", "unsigned",
       "without a signature", "signed with nothing", "of an unknown key", "for somebody else", "without an end",
       "without an id", "with an end that is no number", "with another algorithm"]  # fmt: skip


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")  # of the forger
def test_tokens_that_do_not_count(gateway: Gateway, signed: dict[str, Any]):
    gateway.users.add("root", PASSWORD, ["admin"])
    assert _known(gateway, signed["access_token"])
    claims = jwt.decode(signed["access_token"], options={"verify_signature": False})
    assert _known(gateway, _resigned(gateway, claims)), "the forger's tools work"
    assert claims["aud"] == AUDIENCE
    good = [how for how in HOW if _known(gateway, _forged(gateway, signed["access_token"], how))]
    assert good == []


# -- browsers


def test_a_cookie_counts_for_changes_only_from_our_own_site(gateway: Gateway, signed: dict[str, Any]):
    cookie = {"Cookie": f"sync_assets_session={signed['access_token']}"}
    own = gateway.url
    with gateway.client() as http:
        assert http.get(MISSING, headers=cookie).status_code == 404

        def post(**headers: str) -> int:
            return http.post(MISSING, headers=cookie | {k.replace("_", "-"): v for k, v in headers.items()}).status_code

        assert post(Origin=own) == post(Sec_Fetch_Site="same-origin") == 404
        assert post() == 403
        assert post(Origin="https://evil.example") == 403
        assert post(Origin="null") == 403
        assert post(Origin=own, Sec_Fetch_Site="cross-site") == 403
        assert post(Sec_Fetch_Site="same-site") == 403


def test_no_other_site_may_read(gateway: Gateway):
    with gateway.client("read") as http:
        asked = http.options("/api/v1/auth/login", headers={
            "Origin": "https://evil.example", "Access-Control-Request-Method": "POST"})  # fmt: skip
        got = http.get(MISSING, headers={"Origin": "https://evil.example"})
    for answer in (asked, got):
        assert not [name for name in answer.headers if name.startswith("access-control")]


# -- figures and headers


def test_figures_are_for_this_machine_and_for_who_may(gateway: Gateway):
    with gateway.client() as http:
        assert http.get("/metrics").status_code == 200
        for header in ("X-Forwarded-For", "Forwarded", "Via"):
            assert http.get("/metrics", headers={header: "1.2.3.4"}).status_code == 401
    with gateway.client("read") as http:
        assert http.get("/metrics").status_code == 403
    with gateway.client("metrics") as http:
        http.get("/hidden/123?secret=1")
        text = http.get("/metrics").text
    assert 'sync_assets_gateway_requests_total{method="GET",route="/metrics",status="401"} 3.0' in text
    assert "hidden" not in text


@pytest.mark.parametrize("path", ["/health", MISSING, "/api/openapi.json"])
def test_every_answer_is_hardened(gateway: Gateway, path: str):
    with gateway.client() as http:
        headers = http.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers
    assert "strict-transport-security" not in headers


def test_a_proxy_is_believed_only_when_it_was_named(gateways: Gateways):
    plain, behind = gateways(), gateways(proxies=("127.0.0.1",))
    said = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
    with plain.client(**said) as one, behind.client(**said) as other:
        assert "strict-transport-security" not in one.get("/health").headers
        assert "strict-transport-security" in other.get("/health").headers
