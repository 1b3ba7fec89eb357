"""kill -9 of a sync at every step, of the gateway that receives, and of the one that carries out: then it goes on, and
both installations are equal, all is counted, nothing is there twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import pytest

from sync_assets.engine.faults import EXCHANGE_POINTS
from sync_assets.engine.holder import holder_name
from sync_assets.exchange import engine
from sync_assets.exchange.model import PackReceived
from sync_assets.exchange.work import Direction, Order, SyncState, SyncStatus
from sync_assets.project.exchange.network import internal
from sync_assets.project.exchange.peer import HttpPeer
from sync_assets.store.exchange.library import PostgresLibrary
from sync_assets.store.exchange.syncs import PostgresSyncs
from sync_assets.testing import exchange_rig
from sync_assets_tests.fix_exchange import Installation, a_pack, a_repository
from sync_assets_tests.fix_gateway import Gateway, GatewayProcess
from sync_assets_tests.integration.exchange_scenes import shape

KILLED = -9
TASKS = 230  # three pages, three calls
_ONCE = ("started", "ping", "export", "repository", "before_clear", "after_clear", "before_finish", "finished",
         "before_link", "after_link")  # fmt: skip
PASSED = {f"exchange_{name}": 1 for name in _ONCE} | {"exchange_planned": 5} | {
    f"exchange_{name}": 3 for name in ("before_send", "after_send", "noted")
}  # fmt: skip
CASES = [
    pytest.param(point, nth, id=f"{point.removeprefix('exchange_')}-{nth}")
    for point, times in PASSED.items()
    for nth in sorted({1, (times + 1) // 2, times})
]


@dataclass
class Scene:
    """The source has a repository of three pages; the target has an older one of the same, with a task too many."""

    here: Installation
    there: Installation
    gateway: Gateway
    direction: Direction
    repository: int = 0

    @property
    def source(self) -> Installation:
        return self.here if self.direction is Direction.PUSH else self.there

    @property
    def syncs(self) -> PostgresSyncs:
        return PostgresSyncs(self.here.store)

    @cached_property
    def key(self) -> str:
        """One: none but its first key speaks for an installation."""
        return self.gateway.key("read:*", "write:*", "clear:*")

    def prepare(self) -> None:
        self.repository = self.source.library.put_repository("seed", a_repository(1)).id
        self.put(range(1, 4))
        peer = self.peer()
        engine.run(self.order(), self.here.library, peer, self.syncs, holder=holder_name("before"))
        peer.close()
        self.source.rows("delete from sync_assets.exchange_task where title = 'task 3' returning 1")
        self.put([1, 2, *range(4, TASKS + 2)])

    def put(self, numbers: Any) -> None:
        packs = [a_pack(n, [n * 10], run_after=n % TASKS + 1) for n in numbers]
        assert all(isinstance(o, PackReceived) for o in self.source.library.put_packs("seed", packs))
        self.source.library.link("seed", 1)

    def order(self, **facts: Any) -> Order:
        return Order(self.direction, "other", self.repository, **facts)

    def peer(self) -> HttpPeer:
        origin = self.syncs.deployment_id()
        key = self.key
        return HttpPeer("other", self.gateway.sync_url, lambda: key, internal(["127.0.0.0/8"]), origin=origin)

    def child(self, fault: str) -> tuple[int, dict[str, Any]]:
        place = exchange_rig.place_of(
            self.here.address, self.gateway.sync_url, self.key, self.direction, self.repository, replace=True
        )  # fmt: skip
        return exchange_rig.child(place, fault)

    def resume(self, sync_id: str) -> SyncState:
        peer = self.peer()
        try:
            return engine.resume(sync_id, self.here.library, peer, self.syncs, holder=holder_name("again"))
        finally:
            peer.close()

    def judge(self, state: SyncState) -> None:
        assert (state.status, state.total, state.succeeded) == (SyncStatus.COMPLETED, TASKS, TASKS), state
        assert shape(self.here) == shape(self.there)
        assert len(shape(self.here)) == TASKS
        assert [u.number for u in self.syncs.units(state.sync_id)] == list(range(1, TASKS + 1))
        assert list(self.syncs.abandoned()) == []


@pytest.fixture(params=list(Direction))
def scene(request: pytest.FixtureRequest, here: Installation, gateway: Gateway) -> Scene:
    there = Installation("there", gateway.address, gateway.store, PostgresLibrary(gateway.store.sessions))
    made = Scene(here, there, gateway, request.param)
    made.prepare()
    return made


def test_the_table_of_points_is_true(scene: Scene) -> None:
    code, said = scene.child("nowhere=kill")
    assert (code, said) == (0, {"outcome": "completed", "passed": PASSED})
    scene.judge(scene.syncs.recent()[0])
    assert set(PASSED) == set(EXCHANGE_POINTS)


@pytest.mark.parametrize(("point", "nth"), CASES)
def test_a_sync_that_is_killed_goes_on(scene: Scene, point: str, nth: int) -> None:
    code, said = scene.child(f"{point}:{nth}=kill")
    assert code == KILLED, said
    state = scene.syncs.recent()[0]
    if point == "exchange_finished":
        return scene.judge(state)
    assert state.status is SyncStatus.IN_PROGRESS
    assert state.total == state.succeeded + state.failed + state.skipped + state.pending
    assert scene.syncs.abandoned() == [state.sync_id]
    done = {u.task_id for u in scene.syncs.units(state.sync_id) if u.attempts}
    ended = scene.resume(state.sync_id)
    scene.judge(ended)
    assert {u.attempts for u in scene.syncs.units(state.sync_id) if u.task_id in done} <= {1}, "sent again"
    assert len(scene.syncs.recent()) == 2
    return None


def test_who_does_not_resume_starts_anew_at_once(scene: Scene) -> None:
    assert scene.child("exchange_after_send:2=kill")[0] == KILLED
    left = scene.syncs.recent()[0]
    code, said = scene.child("")
    assert (code, said["outcome"]) == (0, "completed")
    scene.judge(scene.syncs.recent()[0])
    state = scene.syncs.state(left.sync_id)
    assert state is not None and (state.status, state.pending) == (SyncStatus.FAILED, 0)
    assert state.total == state.succeeded + state.failed


def test_killed_twice(scene: Scene) -> None:
    assert scene.child("exchange_after_send:2=kill")[0] == KILLED
    first = scene.syncs.recent()[0].sync_id
    assert scene.child("exchange_before_clear=kill")[0] == KILLED
    second = scene.syncs.recent()[0].sync_id
    assert second != first
    scene.judge(scene.resume(second))


# -- the gateway that receives


@pytest.mark.parametrize("direction", list(Direction))
def test_a_gateway_that_is_killed_between_calls_is_called_again(
    here: Installation, gateway_process: GatewayProcess, direction: Direction
) -> None:
    gateway = gateway_process.gateway
    there = Installation("there", gateway.address, gateway.store, PostgresLibrary(gateway.store.sessions))
    scene = Scene(here, there, gateway, direction)
    scene.prepare()
    killed: list[int] = []

    def kill(state: SyncState) -> None:
        if state.status is SyncStatus.IN_PROGRESS and state.succeeded < TASKS:
            gateway_process.kill()
            gateway_process.start()
            killed.append(state.succeeded)

    peer = scene.peer()
    state = engine.run(
        scene.order(replace=True), here.library, peer, scene.syncs, holder=holder_name("x"), progress=kill
    )  # fmt: skip
    peer.close()
    assert len(killed) == 2
    scene.judge(state)


# -- the gateway that carries out


@dataclass
class Initiator:
    """A gateway in a process of its own, with one peer in its YAML."""

    process: GatewayProcess
    scene: Scene
    key: str

    def call(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        answer = httpx.request(
            method, f"{self.process.gateway.sync_url}{path}", headers={"Authorization": f"Bearer {self.key}"},
            timeout=30, trust_env=False, **more,
        )  # fmt: skip
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["data"])

    def start(self) -> str:
        push = self.scene.direction is Direction.PUSH
        body = {"target_server": "other", "repository_id": self.scene.repository,
                "clear_target" if push else "clear_local": True}  # fmt: skip
        return str(self.call("POST", "" if push else "/pull", json=body)["sync_id"])

    def wait(self, sync_id: str) -> dict[str, Any]:
        for _ in range(300):
            said = self.call("GET", f"/status/{sync_id}")
            if said["status"] != "in_progress":
                return said
            time.sleep(0.1)
        raise AssertionError("it does not end")


YAML = """\
type: sync_assets.components.RepositoryExchange
attributes:
  name: exchange
  peers:
    - name: other
      url: {url}
      api_key: env:OTHER_KEY
      network: {{internal: [127.0.0.0/8]}}
"""


@pytest.fixture(params=list(Direction))
def initiator(
    request: pytest.FixtureRequest, gateway_process: GatewayProcess, gateway: Gateway, tmp_path: Path
) -> Iterator[Initiator]:
    mine = gateway_process.gateway
    here = Installation("here", mine.address, mine.store, PostgresLibrary(mine.store.sessions))
    there = Installation("there", gateway.address, gateway.store, PostgresLibrary(gateway.store.sessions))
    scene = Scene(here, there, gateway, request.param)
    scene.prepare()
    defs = tmp_path / "defs" / "exchange"
    defs.mkdir(parents=True)
    (defs / "defs.yaml").write_text(YAML.format(url=gateway.sync_url), encoding="utf-8")
    gateway_process.stop()
    more = {"SYNC_ASSETS_DEFS": str(tmp_path / "defs"), "OTHER_KEY": scene.key}
    gateway_process.environment = {**gateway_process.environment, **more}
    yield Initiator(gateway_process, scene, mine.key("read:*", "write:*", "clear:*"))


@pytest.mark.parametrize("point", [p for p in EXCHANGE_POINTS if p not in ("exchange_started", "exchange_finished")])
def test_a_gateway_that_dies_at_a_sync_goes_on_with_it_after_its_restart(initiator: Initiator, point: str) -> None:
    process = initiator.process
    process.start(SYNC_ASSETS_FAULT=f"{point}=kill")
    sync_id = initiator.start()
    assert process.process is not None and process.process.wait(60) == KILLED
    process.kill()
    process.start()
    said = initiator.wait(sync_id)
    assert (said["status"], said["total_tasks"], said["completed_tasks"]) == ("completed", TASKS, TASKS)
    state = initiator.scene.syncs.state(sync_id)
    assert state is not None
    initiator.scene.judge(state)


def test_a_gateway_that_is_told_to_end_leaves_the_sync_for_the_next(initiator: Initiator) -> None:
    process = initiator.process
    process.start()
    sync_id = initiator.start()
    process.stop()
    state = initiator.scene.syncs.state(sync_id)
    assert state is not None and state.status in (SyncStatus.IN_PROGRESS, SyncStatus.COMPLETED)
    process.start()
    assert initiator.wait(sync_id)["status"] == "completed"
