"""Every endpoint there is, by every caller who may not: the right status, nothing changed, nothing told.

The endpoints are taken from the app itself, so that a new one is tested without being named here; what it is sent comes
from its own description. A new endpoint that needs no scope must be named in `FOR_ANYBODY_KNOWN`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from sync_assets.exchange.model import Document, Repository, Task
from sync_assets.gateway.access import OPEN, OPEN_BELOW

if TYPE_CHECKING:
    from sync_assets_tests.fix_gateway import Gateway

FOR_ANYBODY_KNOWN = {"/api/openapi.json", "/api/sync/ping", "/api/sync/target-list"}
TITLE = "canary-title-7f3a"
NOTHING = ([], {"packs": []})  # lists show what is the caller's; batches judge each part by itself
_WORDS = {"target_server": "https://peer.example/api/sync", "name": "x", "url": "https://x.example"}


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    body: Any = None

    def send(self, http: httpx.Client) -> httpx.Response:
        given = {"json": self.body} if self.body is not None else {}
        return http.request(self.method, self.path, **given)

    @property
    def route(self) -> str:
        return self.path.partition("?")[0]


def _sample(schema: dict[str, Any], whole: dict[str, Any], name: str = "") -> Any:
    """A value that the schema takes, with ids that exist."""
    if "$ref" in schema:
        return _sample(whole["components"]["schemas"][schema["$ref"].rpartition("/")[2]], whole, name)
    if name == "export":
        return None
    if "anyOf" in schema:
        return _sample(schema["anyOf"][0], whole, name)
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    kind = schema.get("type")
    if kind == "object":
        needed, fields = schema.get("required", []), schema.get("properties", {})
        return {key: _sample(fields[key], whole, key) for key in fields if key in needed or key == "repository_id"}
    if kind == "array":
        one = _sample(schema["items"], whole, name)
        return [one] if one == 1 or schema.get("minItems") else []
    return {"integer": 1, "number": 1, "boolean": True}.get(str(kind), _WORDS.get(name, "x"))


def _calls(gateway: Gateway) -> Iterator[Call]:
    """Described endpoints with what they want, then those that are not described (pages)."""
    with gateway.client("admin") as http:
        whole = http.get("/api/openapi.json").json()
    for path, item in whole["paths"].items():
        for method, operation in item.items():
            yield _call(method.upper(), path, operation, whole)
    for route, methods in _undescribed(gateway, set(whole["paths"])):
        yield from (Call(method, route) for method in sorted(methods))


def _call(method: str, path: str, operation: dict[str, Any], whole: dict[str, Any]) -> Call:
    parameters = {(p["in"], p["name"]): p for p in operation.get("parameters", []) if p["required"]}
    for (place, name), parameter in parameters.items():
        if place == "path":
            path = path.replace(f"{{{name}}}", str(_sample(parameter["schema"], whole, name)))
    query = "&".join(f"{n}={_sample(p['schema'], whole, n)}" for (w, n), p in parameters.items() if w == "query")
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    return Call(method, f"{path}?{query}" if query else path, _sample(content["schema"], whole) if content else None)


def _undescribed(gateway: Gateway, described: set[str]) -> Iterator[tuple[str, set[str]]]:
    from fastapi.routing import APIRoute, iter_route_contexts

    assert gateway.services is not None
    for context in iter_route_contexts(gateway.app.routes):
        route = context.route
        path = str(getattr(context, "path", getattr(route, "path", "")))
        if isinstance(route, APIRoute) and path not in described:
            yield path.replace("{", "").replace("}", ""), set(route.methods or ())


@pytest.fixture
def filled(gateway: Gateway) -> Gateway:
    """Repository 1, task 1 and document 1 are somebody's."""
    assert gateway.services is not None
    library, at = gateway.services.library, datetime(2026, 10, 1, tzinfo=UTC)
    library.put_repository("other", Repository(1, TITLE, description=TITLE, created_at=at, updated_at=at))
    library.put_task("other", Task(1, 1, title=TITLE, created_at=at, updated_at=at))
    library.put_document("other", Document(1, 1, 1, title=TITLE, content=TITLE, created_at=at, updated_at=at))
    return gateway


def _is_open(call: Call) -> bool:
    return call.route in (*OPEN, "/metrics") or call.route.startswith(OPEN_BELOW)


def test_there_are_endpoints_to_try(filled: Gateway):
    calls = list(_calls(filled))
    routes = {call.route for call in calls}
    assert {"/api/sync", "/api/sync/pull", "/api/sync/repository-clear", "/api/sync/packs", "/api/sync/ping"} <= routes
    assert any(route.startswith("/pages") for route in routes)
    assert len(calls) > 20


def test_whoever_is_not_known_gets_one_answer_and_changes_nothing(filled: Gateway):
    wrong, revoked, expired = "sak_" + "0" * 12 + "_" + "A" * 43, filled.key("admin"), filled.key("admin", seconds=0.01)
    filled.keys.revoke(revoked.split("_")[1])
    calls = [call for call in _calls(filled) if not _is_open(call)]
    before, faults = filled.dump(), []
    clients = [filled.client(key=key) for key in ("", wrong, revoked, expired)]
    for http in (*clients, *(filled.signer(key=key) for key in (wrong, revoked, expired))):
        with http:
            answers = [(call, call.send(http)) for call in calls]
        faults += [(call, a.status_code, a.text) for call, a in answers if (a.status_code, a.text) != _stranger()]
    assert faults == []
    assert filled.dump() == before


def _stranger() -> tuple[int, str]:
    return 401, json.dumps({"error": "credentials are missing or do not count"}, separators=(",", ":"))


@pytest.mark.parametrize("way", ["client", "signer"])
@pytest.mark.parametrize(
    "scopes",
    [("metrics",), ("read:999", "write:999", "clear:999"), ("read:10", "write:11", "clear:12")],
    ids=["nothing", "another", "neighbours"],
)
def test_a_narrower_key_gets_nothing_and_changes_nothing(filled: Gateway, scopes: tuple[str, ...], way: str):
    calls = [call for call in _calls(filled) if not _is_open(call)]
    key = filled.key(*scopes, name="narrow")
    before, faults = filled.dump(), []
    with getattr(filled, way)(key=key, X_Sync_Origin="other") as http:
        for call in calls:
            answer = call.send(http)
            if TITLE in answer.text or not _is_fine(call, answer):
                faults.append((call, answer.status_code, answer.text[:200]))
    assert faults == []
    assert filled.dump() == before


def _is_fine(call: Call, answer: httpx.Response) -> bool:
    """Denied, or, for what shows only what is the caller's, empty. Pages deny forms without their token by 400."""
    if answer.status_code in (403, 404) or call.route in FOR_ANYBODY_KNOWN:
        return True
    if call.route.startswith("/api/"):
        return answer.status_code == 200 and answer.json()["data"] in NOTHING
    return call.route in ("/", "/pages") or answer.status_code in (400, 200)


def test_what_is_not_yours_and_what_is_not_there_look_the_same(filled: Gateway):
    """For each id that can be asked for: 1 is somebody else's, 77 nobody's."""
    faults = []
    with filled.client("read:999", "write:999", "clear:999", X_Sync_Origin="other") as http:
        for call in _calls(filled):
            if _is_open(call) or call.route in FOR_ANYBODY_KNOWN:
                continue
            other = Call(call.method, call.path.replace("=1", "=77"), _with_77(call.body))
            one, two = call.send(http), other.send(http)
            if other != call and (one.status_code, one.text) != (two.status_code, two.text):
                faults.append((call, one.status_code, one.text[:200], two.status_code, two.text[:200]))
    assert faults == []


def _with_77(body: Any) -> Any:
    if isinstance(body, dict):
        return {k: _with_77(v) for k, v in body.items()}
    return [_with_77(one) for one in body] if isinstance(body, list) else 77 if body == 1 else body


def test_each_scope_opens_its_own_endpoints_only(filled: Gateway):
    """Who may read everything changes nothing; who may write everything clears nothing and reads nothing."""
    calls = [call for call in _calls(filled) if not _is_open(call) and call.route.startswith("/api/")]
    before = filled.dump()
    with filled.client("read", X_Sync_Origin="other") as http:
        for call in calls:
            call.send(http)
    reading = ("exchange_export", "exchange_export_pack", "exchange_export_page", "gateway_key")
    after = filled.dump()
    assert {n: r for n, r in after.items() if n not in reading} == {n: r for n, r in before.items() if n not in reading}
    with filled.client("write", X_Sync_Origin="other") as http:
        told = [call for call in calls if TITLE in call.send(http).text]
        assert http.post("/api/sync/repository-clear", json={"repository_id": 1}).status_code == 403
        assert http.get("/api/sync/repository-list").status_code == 403
    assert told == []


def test_changes_leave_audit_rows_and_denials_do_too(filled: Gateway):
    with filled.client("read", "write") as http:
        http.headers["X-Sync-Origin"] = "other"
        http.post(
            "/api/sync/repository-upsert", json={"repository_id": 5, "name": "five"}, headers={"X-Request-Id": "r" * 12}
        )
        http.post("/api/sync/repository-clear", json={"repository_id": 1})
        http.get("/api/sync/repository-list")
    rows = filled.rows("select action, outcome, request_id from sync_assets.gateway_audit where who like 'key:%'")
    assert ("POST /api/sync/repository-upsert", "200", "r" * 12) in rows
    assert [(a, o) for a, o, _ in rows if "clear" in a] == [("POST /api/sync/repository-clear", "403")]
    assert not [a for a, _, _ in rows if a.startswith("GET")]


def test_whatever_changes_anything_has_a_row_that_was_there_with_the_change(filled: Gateway):
    """A new endpoint is held to it without being named: it needs do nothing for it."""
    begun = "select count(*) from sync_assets.gateway_audit where outcome = 'begun'"
    silent, changed = [], set()
    with filled.client("admin", X_Sync_Origin="other") as http:
        for call in (call for call in _calls(filled) if not _is_open(call) and call.method != "GET"):
            before, rows = filled.dump(), filled.rows(begun)
            call.send(http)
            if filled.dump() != before:
                changed.add(call.route)
                silent += [call] if filled.rows(begun) == rows else []
    assert silent == []
    assert {f"/api/sync/{name}" for name in ("repository-upsert", "task-create", "repository-clear")} <= changed
