"""History: every run that began has an end, also the one whose process could not say it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sync_assets.engine.errors import Stop
from sync_assets.engine.holder import holder_name
from sync_assets.engine.model import Counts, Delivery, Mode, Report
from sync_assets.project.history import SILENT, reconcile, recorded
from sync_assets.testing.memory import MemoryStore


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 10, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def report(sync: str) -> Report:
    counts = Counts(read=3, created=3)
    return Report(sync, Mode.FULL, Delivery.LEDGER, counts=counts, partitions={"": counts})


def outcomes(store: MemoryStore) -> dict[str, str]:
    return {run.sync: run.outcome for run in store.runs()}


def test_each_sync_of_a_run_has_its_own_line() -> None:
    store = MemoryStore()
    with recorded(store, "r1", ["a", "b"], "me", lambda sync: "p1" if sync == "a" else "") as record:
        assert outcomes(store) == {"a": "running", "b": "running"}
        record.finished("a", report("a"))
        record.failed("b", Stop("no right", hint="grant it"))
    lines = {run.sync: (run.outcome, run.partition) for run in store.runs()}
    assert lines == {"a": ("finished", "p1"), "b": ("failed", "")}
    assert store.runs("b")[0].report == {"error": "no right -> grant it"}


@pytest.mark.parametrize("error", [Stop("refused"), ValueError("hunter2"), KeyboardInterrupt()])
def test_what_was_not_told_has_failed_when_the_run_breaks(error: BaseException) -> None:
    store = MemoryStore()
    with pytest.raises(type(error)), recorded(store, "r1", ["a", "b"], "me", lambda sync: "") as record:
        record.finished("a", report("a"))
        raise error
    assert outcomes(store) == {"a": "finished", "b": "failed"}
    assert "hunter2" not in str(store.runs("b")[0].report), "an unexpected error may quote a row"


def test_a_run_whose_process_is_gone_is_lost() -> None:
    store = MemoryStore()
    store.start_run("r1", "alive", "", holder_name())
    store.start_run("r2", "dead", "", "dead")
    assert reconcile(store, gone=lambda holder: holder == "dead", here=lambda holder: True) == 1
    assert outcomes(store) == {"alive": "running", "dead": "lost"}
    assert reconcile(store) == 0


def test_a_run_of_another_machine_is_lost_when_it_holds_no_lease_for_long() -> None:
    clock = Clock()
    store = MemoryStore(clock)
    for name in ("silent", "writing"):
        store.start_run("r1", name, "", name)
    lease = store.acquire_lease("table", "writing", 120)
    assert reconcile(store) == 0
    clock.now += timedelta(seconds=SILENT + 1)
    store.renew_lease(lease)
    assert reconcile(store) == 1
    assert outcomes(store) == {"silent": "lost", "writing": "running"}


def test_the_next_run_finds_what_the_last_one_left() -> None:
    clock = Clock()
    store = MemoryStore(clock)
    store.start_run("r1", "a", "", "far away")
    clock.now += timedelta(seconds=SILENT + 1)
    with recorded(store, "r2", ["a"], "me", lambda sync: "") as record:
        record.finished("a", report("a"))
    assert [run.outcome for run in store.runs("a")] == ["finished", "lost"]
