"""The write was applied and its answer lost: in one process a hundred times, and over a crash with the answer late."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from sync_assets.engine.control import JournalEntry
from sync_assets.testing.bitable.faults import Kind
from sync_assets.testing.rig import Hands
from sync_assets.testing.wiretap import Wiretap
from sync_assets_tests.fix_boards import Rig

MakeRig = Callable[..., Rig]
CLONE: dict[str, Any] = {"mode": "clone", "delete_limit": (1.0, 1000)}
FAST: dict[str, Any] = {
    "jitter": lambda: 0.0,
    "rate_factor": 0.0,
}  # no waiting: the real service is not at the other end


@pytest.mark.parametrize("how", ["cut", "reset"])
def test_every_second_answer_lost_after_the_write(make_any_rig: MakeRig, how: Kind) -> None:
    """150 batches of creates, updates and deletes; more than 100 were applied and not answered."""
    rig = make_any_rig(batch_rows=10)
    rig.insert(1, 1000)
    rig.run()
    rig.sql("update {orders} set amount = amount + 5 where id <= 500", "delete from {orders} where id > 500")
    rig.insert(1001, 1500)
    for endpoint in ("batch_create", "batch_update", "batch_delete"):
        rig.emulator.fault(how, endpoint, applied=True, times=None, probability=0.5)
    tap = Wiretap()
    report = rig.run(hands=Hands(client=FAST, transport=tap), **CLONE)
    assert tap.errors >= 100, "client errors really seen"
    assert (report.counts.created, report.counts.updated, report.counts.deleted) == (500, 500, 500)
    assert report.equal
    assert rig.verdict().equal, str(rig.verdict())
    assert len(tap.heard) <= 450, "a batch that is gone is asked for, not searched record by record"


@pytest.mark.parametrize("applied", [True, False], ids=["applied", "not-applied"])
def test_an_answer_too_large_is_looked_into(make_rig: MakeRig, applied: bool) -> None:
    """Feishu says that its answer would be too large; whether the records are there, only a look tells."""
    rig = make_rig()
    rig.insert(1, 400)
    rig.emulator.fault("code", "batch_create", code=1254030, status=200, applied=applied, times=1)
    report = rig.run(hands=Hands(client=FAST))
    assert rig.emulator.struck()
    assert report.counts.created == 400
    assert rig.verdict().equal, str(rig.verdict())


class Forgetful:
    """The control database with the journal of creates switched off for whoever reads it."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def journal_open(self, target: str) -> Sequence[JournalEntry]:
        return ()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest.mark.parametrize("journal", [True, False], ids=["journal", "no-journal"])
def test_a_create_that_arrives_after_the_crash(make_rig: MakeRig, journal: bool) -> None:
    """The request is on its way when its sender dies; the next run looks before it arrives.

    Only the journal knows of it then. Without the journal its rows are doubled: the protection seen to be needed.
    """
    rig = make_rig(batch_rows=50)
    rig.insert(1, 10)
    rig.run()
    rig.insert(11, 60)
    rig.emulator.fault("latency", "batch_create", seconds=3.0)
    child = rig.start("")
    board = f"bitable:{rig.place.feishu}/{rig.place.table_id}"
    wait_for(lambda: rig.store.journal_open(board))
    wait_for(lambda: sum(rig.emulator.struck()))
    child.kill()
    child.communicate(timeout=10)
    rig.run(hands=Hands(store=rig.store if journal else Forgetful(rig.store)))
    calls = rig.emulator.count("batch_create")
    wait_for(lambda: rig.emulator.count("batch_create") > calls or calls >= 4)  # the late one arrives
    verdict = rig.verdict()
    assert verdict.equal if journal else len(verdict.doubled) == 50, str(verdict)


def wait_for(seen: Callable[[], object], seconds: float = 20.0) -> None:
    """Look until something is seen; fail the test after `seconds`."""
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end, "not seen in time"
        time.sleep(0.02)
