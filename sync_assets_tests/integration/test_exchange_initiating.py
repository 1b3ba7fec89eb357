"""Syncs begun over HTTP: who may, with whom, what is told, and how many at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from sync_assets.engine.holder import holder_name
from sync_assets.exchange.work import Direction, Order
from sync_assets.gateway import exchanging
from sync_assets.gateway.exchanging import Exchanging
from sync_assets.project.exchange.placed import peers
from sync_assets.project.load import load_project
from sync_assets.store.exchange.library import PostgresLibrary
from sync_assets.store.exchange.syncs import PostgresSyncs
from sync_assets_tests.fix_exchange import Installation
from sync_assets_tests.fix_gateway import Gateway, Gateways
from sync_assets_tests.integration.exchange_scenes import own_repository, shape

YAML = """\
type: sync_assets.components.RepositoryExchange
attributes:
  name: exchange
  peers:
    - name: other
      title: The other one
      url: {url}
      api_key: env:OTHER_KEY
      network: {{internal: [127.0.0.0/8]}}
    - name: shut
      url: http://127.0.0.1:9/api/sync
      network: {{internal: [127.0.0.0/8]}}
      ways: [push]
"""


@dataclass
class Two:
    """A gateway that is asked, and the one it has for a peer."""

    asked: Gateway
    other: Gateway
    repository: int

    def of(self, gateway: Gateway) -> Installation:
        return Installation("x", gateway.address, gateway.store, PostgresLibrary(gateway.store.sessions))

    @property
    def syncs(self) -> PostgresSyncs:
        return PostgresSyncs(self.asked.store)


@pytest.fixture
def two(gateways: Gateways, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Two:
    asked, other = gateways(), gateways()
    monkeypatch.setenv("OTHER_KEY", other.key("read:*", "write:*", "clear:*"))
    (tmp_path / "defs.yaml").write_text(YAML.format(url=other.sync_url), encoding="utf-8")
    assert asked.services is not None
    asked.services.peers = lambda: peers(load_project(tmp_path))
    made = Two(asked, other, 0)
    made.repository = own_repository(made.of(asked), 5)
    return made


def ended(http: httpx.Client, sync_id: str) -> dict[str, Any]:
    for _ in range(200):
        said = http.get(f"/api/sync/status/{sync_id}", params={"tasks": True}).json()["data"]
        if said["status"] != "in_progress":
            return dict(said)
        time.sleep(0.05)
    raise AssertionError("it does not end")


def begin(http: httpx.Client, **body: Any) -> httpx.Response:
    path = "/api/sync/pull" if "clear_local" in body else "/api/sync"
    return http.post(path, json=body)


def test_push_then_pull_back_over_http(two: Two) -> None:
    with two.asked.client("read:*", "write:*") as http:
        begun = begin(http, target_server="other", repository_id=two.repository)
        assert begun.status_code == 200, begun.text
        data = begun.json()["data"]
        assert (data["repository_id"], data["status"]) == (two.repository, "in_progress")
        said = ended(http, data["sync_id"])
        assert (said["status"], said["total_tasks"], said["completed_tasks"]) == ("completed", 5, 5)
        assert [len(task["documents"]) for task in said["tasks"]] == [2] * 5
        there, here = two.of(two.other), two.of(two.asked)
        assert shape(there) == shape(here)
        theirs = there.library.repositories()[0].repository_id
        pulled = begin(http, target_server=two.other.sync_url + "/", repository_id=theirs, clear_local=False)
        assert ended(http, pulled.json()["data"]["sync_id"])["status"] == "completed"
        assert shape(there) == shape(here)
        events = http.get("/api/sync/event-list", params={"mode": "push"}).json()["data"]
        assert {(e["type"], e["success"], e["target_server"]) for e in events} == {("DocPushed", True, "other")}
        assert len(events) == 10 and len(http.get("/api/sync/event-list").json()["data"]) == 20
        targets = http.get("/api/sync/target-list").json()["data"]
        assert [(t["name"], t["used_at"] is not None) for t in targets] == [("other", True), ("shut", False)]
    acts = "select action, outcome from sync_assets.gateway_audit where action not like 'keys%' order by number"
    assert two.asked.rows(acts) == [
        (f"POST /api/sync{way}", outcome) for way in ("", "/pull") for outcome in ("begun", "200")
    ], "what goes on after the answer is not of the call"


@pytest.mark.parametrize(
    "target", ["nobody", "http://169.254.169.254/api/sync", "http://127.0.0.1:1/api/sync", "Other", " other"]
)
def test_nobody_else_is_dialled(two: Two, target: str) -> None:
    with two.asked.client("admin") as http:
        answer = begin(http, target_server=target, repository_id=two.repository)
        assert answer.status_code == 400 and "169.254" not in answer.text
        assert begin(http, target_server="shut", repository_id=1, clear_local=False).status_code == 400
    assert list(two.syncs.recent()) == []


@pytest.mark.parametrize(
    ("scopes", "body", "status"),
    [
        (("read:*",), {}, 403),
        (("write:*",), {}, 404),
        (("read:*", "write:999"), {}, 404),
        (("read:*", "write:*"), {"clear_target": True}, 403 + 1),
        (("read:*", "write:*"), {"clear_local": False, "target_server": "shut"}, 400),
        (("read:*", "write:1"), {"clear_local": False}, 403),
        (("read:*", "write:*"), {"clear_local": True}, 403),
        (("read:*", "write:*", "clear:*"), {"clear_target": True, "document_ids": [1]}, 400),
        (("admin",), {"repository_id": 999}, 404),
        (("admin",), {"document_ids": [0]}, 400),
        (("admin",), {"document_ids": [987654]}, 400),
        (("admin",), {"repository_id": 0}, 400),
    ],
)
def test_who_may_not_begins_nothing(two: Two, scopes: tuple[str, ...], body: dict[str, Any], status: int) -> None:
    with two.asked.client(*scopes) as http:
        answer = begin(http, **{"target_server": "other", "repository_id": two.repository, **body})
    assert answer.status_code == status, answer.text
    assert list(two.syncs.recent()) == []


def test_a_sync_is_told_to_those_who_may_read_its_repository(two: Two) -> None:
    own = (f"read:{two.repository}", f"write:{two.repository}")
    with two.asked.client(*own) as http:
        sync_id = begin(http, target_server="other", repository_id=two.repository).json()["data"]["sync_id"]
        assert ended(http, sync_id)["status"] == "completed"
    for scopes, status, events in (((f"read:{two.repository}",), 200, 10), (("read:999", "write:999"), 404, 0)):
        with two.asked.client(*scopes) as http:
            answer = http.get(f"/api/sync/status/{sync_id}")
            assert answer.status_code == status
            unknown = http.get("/api/sync/status/unknown")
            assert unknown.status_code == 404 and (status == 200 or unknown.json() == answer.json())
            assert len(http.get("/api/sync/event-list").json()["data"]) == events


def test_a_second_one_is_answered_with_the_first(two: Two) -> None:
    state = two.syncs.start(Order(Direction.PUSH, "other", two.repository), holder_name("test"))
    with two.asked.client("admin") as http:
        answer = begin(http, target_server="other", repository_id=two.repository)
    assert (answer.status_code, answer.json()["sync_id"]) == (409, state.sync_id)


def test_a_peer_that_is_shut_is_told_in_the_status(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    assert two.asked.services is not None
    monkeypatch.setattr(two.asked.services.exchanging, "_pause", lambda seconds: None)
    monkeypatch.setattr("sync_assets.project.exchange.calls.ATTEMPTS", 1)
    with two.asked.client("admin") as http:
        sync_id = begin(http, target_server="shut", repository_id=two.repository).json()["data"]["sync_id"]
        said = ended(http, sync_id)
    assert said["status"] == "failed" and "no connection" in said["error"]


def test_no_more_at_once_than_there_is_room_for(two: Two) -> None:
    services = two.asked.services
    assert services is not None
    full = Exchanging(services, at_once=0)
    services.__dict__["exchanging"] = full
    with two.asked.client("admin") as http:
        answer = begin(http, target_server="other", repository_id=two.repository)
    assert answer.status_code == 503 and answer.headers["Retry-After"] == "10"
    assert list(two.syncs.recent()) == []


def test_what_a_dead_process_left_is_taken_up(two: Two) -> None:
    """Also a sync with a peer that is no longer configured: it ends, and is not left for ever."""
    dead = PostgresSyncs(two.asked.store)
    holder = "elsewhere:1:x"  # of another machine: its silence tells
    good = dead.start(Order(Direction.PUSH, "other", two.repository), holder)
    gone = dead.start(Order(Direction.PUSH, "removed", two.repository), holder)
    services = two.asked.services
    assert services is not None
    services.__dict__["syncs"] = PostgresSyncs(two.asked.store, gone=lambda name: name == holder)
    here = Exchanging(services, look=0.05)
    here.begin()
    try:
        with two.asked.client("admin") as http:
            assert ended(http, good.sync_id)["status"] == "completed"
            said = ended(http, gone.sync_id)
    finally:
        here.end()
    assert said["status"] == "failed" and "no such peer" in said["error"]
    assert shape(two.of(two.other)) == shape(two.of(two.asked))


@pytest.fixture(autouse=True)
def _no_sync_thread_left() -> Iterator[None]:
    yield
    for thread in threading.enumerate():
        if thread.name.startswith("sync-"):
            thread.join(10)
            assert not thread.is_alive()


def test_the_yaml_of_the_deployment_names_the_peers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "defs.yaml").write_text(YAML.format(url="http://10.0.0.1/api/sync"), encoding="utf-8")
    monkeypatch.setenv("SYNC_ASSETS_DEFS", str(tmp_path))
    assert list(exchanging.configured_peers()) == ["other", "shut"]
