"""Others at the same board: a stranger's writes, a token that runs out, a second run, a run that slept too long."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sync_assets.engine.control import LeaseHeld
from sync_assets.engine.errors import Fenced
from sync_assets.feishu.board import Board
from sync_assets.feishu.client import FeishuClient
from sync_assets.testing.rig import Hands
from sync_assets_tests.chaos.scenes import MODES, Scene
from sync_assets_tests.chaos.test_kill import KILLED
from sync_assets_tests.chaos.test_lost_answers import FAST, wait_for
from sync_assets_tests.fix_boards import Rig

MakeRig = Callable[..., Rig]
WRITES = ("batch_create", "batch_update", "batch_delete")


@contextmanager
def stranger(rig: Rig) -> Iterator[list[str]]:
    """Another program, with an app of its own, that writes to the board all the time; yields its records."""
    app, secret = rig.emulator.make_app()
    made: list[str] = []
    stop = threading.Event()

    def work() -> None:
        with FeishuClient(app, lambda: secret, rig.place.feishu, rate_factor=0, jitter=lambda: 0.1) as client:
            board = Board(client, rig.place.app_token, rig.place.table_id)
            while not stop.wait(0.02):
                said = board.batch_create(b'{"records":[{"fields":{"remark":"stranger"}}]}', str(uuid.uuid4()))
                made.extend(r["record_id"] for r in said)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield made
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()


def test_a_competing_writer(make_any_rig: MakeRig) -> None:
    rig = make_any_rig(batch_rows=20)
    rig.insert(1, 200)
    rig.run()
    rig.sql("update {orders} set amount = amount + 5 where id <= 100", "delete from {orders} where id > 190")
    rig.insert(201, 400)
    rig.emulator.configure(write_seconds=0.01)
    with stranger(rig) as made:
        wait_for(lambda: made)
        rig.emulator.reset_calls()
        report = rig.run(hands=Hands(client={"jitter": lambda: 0.1}))
        conflicts = sum(rig.emulator.calls()[e]["codes"].get("1254291", 0) for e in ("batch_create", "batch_update"))
    assert conflicts > 0, "they did get into each other's way"
    assert (report.counts.created, report.counts.updated) == (200, 100)
    records = rig.records()
    assert all(records[i] == {"remark": "stranger"} for i in made), "nobody's record is harmed"
    ours = [r for r in rig.board() if "id" in r and r["id"] not in range(191, 201)]
    assert len(ours) == 390
    wanted = {r["id"]: r for r in rig.rows()}
    assert all(wanted[r["id"]] == r for r in ours)


@pytest.mark.parametrize("wanted", ["compare", "update", "create", "delete"])
def test_tokens_that_run_out_in_mid_run(make_rig: MakeRig, wanted: str) -> None:
    here = Scene(make_rig(batch_rows=8), "clone")
    here.prepare()
    struck: list[str] = []

    def progress(stage: str, done: int, total: int | None) -> None:
        if stage == wanted and not struck:
            struck.append(stage)
            here.rig.emulator.expire_tokens()

    here.rig.emulator.reset_calls()
    report = here.rig.run(hands=Hands(progress=progress, client=FAST), **here.settings)
    assert report.counts.balanced
    assert here.rig.emulator.count("token") <= 2
    codes = [c["codes"].get("99991663", 0) for c in here.rig.emulator.calls().values()]
    assert sum(codes) == 1, "one call learns it, the token is renewed, the call goes out again"
    here.judge()


@contextmanager
def stopped(rig: Rig, fault: str, settings: dict[str, Any]) -> Iterator[subprocess.Popen[str]]:
    """A child that has stopped itself (SIGSTOP) at a fault point."""
    child = rig.start(f"{fault}=stop", **settings)
    try:
        wait_for(lambda: _state(child.pid) == "T")
        yield child
    finally:
        child.kill()
        child.wait(10)
        if child.stdout:
            child.stdout.close()


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_second_run_waits_while_the_first_lives(make_rig: MakeRig) -> None:
    here = Scene(make_rig(batch_rows=8), "clone")
    here.prepare()
    with stopped(here.rig, "after_create:2", here.settings) as child:
        before = here.rig.records()
        with pytest.raises(LeaseHeld) as held:
            here.rig.run(**here.settings)
        assert 60 < held.value.after <= 120
        assert str(child.pid) in str(held.value)
        assert here.rig.records() == before
        os.kill(child.pid, signal.SIGCONT)
        assert child.wait(30) == 0
    here.judge()
    here.settle()


POINTS = (
    "after_scan", "after_plan", "before_update:2", "after_update:2", "after_journal:2", "after_create:2",
    "before_delete:1", "after_delete:1", "before_state",
)  # fmt: skip


@pytest.mark.parametrize("point", POINTS)
def test_a_run_that_slept_past_its_lease_writes_no_more(make_rig: MakeRig, point: str) -> None:
    """Stopped with the next write in its hands; another run takes over; awake, it must notice before it writes."""
    here = Scene(make_rig(batch_rows=8, lease_seconds=1.5), "clone")
    here.prepare()
    with stopped(here.rig, point, here.settings) as child:
        time.sleep(1.6)
        here.rig.sql("update {orders} set amount = amount + 7 where id <= 70")
        here.rig.run(**here.settings)
        before, position = here.rig.records(), here.rig.store.state(here.rig.sync)
        here.rig.emulator.reset_calls()
        os.kill(child.pid, signal.SIGCONT)
        said, _ = child.communicate(timeout=30)
    assert child.returncode == 1
    assert "Fenced" in said
    assert here.rig.emulator.count(*WRITES) == 0, "not one write by the old token"
    assert here.rig.records() == before
    assert here.rig.store.state(here.rig.sync) == position
    here.judge()
    here.settle()


@pytest.mark.parametrize("fence", [True, False], ids=["fence", "no-fence"])
def test_without_the_fence_old_values_come_back(make_rig: MakeRig, fence: bool) -> None:
    """The same within one process: a run whose clock stands still believes that its lease is young."""
    rig = make_rig(batch_rows=50, lease_seconds=0.2)
    rig.insert(1, 50)
    rig.run()
    rig.sql("update {orders} set amount = 1")
    overtaken: list[str] = []

    def progress(stage: str, done: int, total: int | None) -> None:
        if stage == "compare" and not overtaken:
            overtaken.append(stage)
            time.sleep(0.3)
            rig.sql("update {orders} set amount = 2")
            rig.run()

    old = Hands(progress=progress, clock=None if fence else lambda: 0.0)
    with pytest.raises(Fenced):  # without the fence by the control database, at the end, when the harm is done
        rig.run(hands=old)
    assert rig.verdict().equal is fence, str(rig.verdict())


def test_a_lease_of_the_dead_is_taken_only_where_death_is_certain(make_rig: MakeRig) -> None:
    """The same crash, seen from another machine: there the time must pass."""
    here = Scene(make_rig(batch_rows=8, lease_seconds=1.0), "full")
    here.prepare()
    assert here.rig.child("after_plan=kill", **MODES["full"])[0] == KILLED
    name = f"bitable:{here.rig.place.feishu}/{here.rig.place.table_id}"
    far = here.rig.store.acquire_lease(name, "far:17:run #0123456789abcdef:17:99", 1.0, over=here.rig.lease()[1])
    with pytest.raises(LeaseHeld):
        here.rig.run(**here.settings)
    time.sleep(1.1)
    here.rig.run(**here.settings)
    with pytest.raises(Fenced):
        here.rig.store.renew_lease(far)
    here.judge()
