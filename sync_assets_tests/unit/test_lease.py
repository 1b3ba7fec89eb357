"""Holding a lease by an injected clock; taking it from the dead, and from nobody else."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from sync_assets.engine.control import ControlStore, LeaseHeld, SyncState
from sync_assets.engine.errors import Fenced, Retry
from sync_assets.engine.holder import holder_name, is_gone
from sync_assets.engine.lease import holding, steady
from sync_assets.engine.model import Rejected
from sync_assets.testing.memory import MemoryStore
from sync_assets_tests.fix_store import TwinClock

Twin = tuple[ControlStore, TwinClock]


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


class Counting(MemoryStore):
    renewals = 0

    def renew_lease(self, lease: object) -> None:
        self.renewals += 1
        super().renew_lease(lease)  # type: ignore[arg-type]


def test_a_young_lease_costs_nothing_and_one_of_a_third_is_renewed() -> None:
    store, clock = Counting(), Clock()
    with holding(store, "board", "me", seconds=30, clock=clock) as held:
        for now, renewals in ((105, 0), (110, 0), (110.1, 1), (120, 1), (120.2, 2), (500, 3)):
            clock.now = now
            held.ensure()
            assert store.renewals == renewals, now


def test_whoever_lost_it_learns_it() -> None:
    store, clock = MemoryStore(), Clock()
    with pytest.raises(Fenced), holding(store, "board", "me", seconds=30, clock=clock) as held:
        store.acquire_lease("board", "other", 30, over=held.lease.token)
        clock.now += 5
        held.ensure()  # young: not asked
        clock.now += 6
        held.ensure()


def test_it_is_given_back_whatever_happens() -> None:
    store = MemoryStore()
    with pytest.raises(ZeroDivisionError), holding(store, "board", "me"):
        raise ZeroDivisionError
    assert store.acquire_lease("board", "other", 30).owner == "other"


def test_giving_back_does_not_hide_the_trouble() -> None:
    class Broken(MemoryStore):
        def release_lease(self, lease: object) -> None:
            raise Retry("the control database is away")

    with pytest.raises(ZeroDivisionError), holding(Broken(), "board", "me"):
        raise ZeroDivisionError


@pytest.mark.parametrize("gone", [True, False])
def test_only_a_holder_that_is_gone_is_replaced(gone: bool) -> None:
    store = MemoryStore()
    crashed = store.acquire_lease("board", "crashed", 120)
    asked: list[str] = []

    def is_it(holder: str) -> bool:
        asked.append(holder)
        return gone

    def take() -> int:
        with holding(store, "board", "me", gone=is_it) as held:
            return held.lease.token

    if gone:
        assert take() > crashed.token
    else:
        with pytest.raises(LeaseHeld):
            take()
    assert asked == ["crashed"]


def test_two_heirs_do_not_both_inherit(twin: Twin) -> None:
    """Both saw the same dead holder; the second comes too late."""
    store, _ = twin
    dead = store.acquire_lease("board", "dead", 120)
    heir = store.acquire_lease("board", "first heir", 120, over=dead.token)
    assert heir.token > dead.token
    with pytest.raises(LeaseHeld) as refused:
        store.acquire_lease("board", "second heir", 120, over=dead.token)
    assert (refused.value.holder, refused.value.token) == ("first heir", heir.token)
    with pytest.raises(Fenced):
        store.renew_lease(dead)


def test_rows_that_are_to_be_sent_again_are_to_be_read_again(twin: Twin) -> None:
    store, _ = twin
    lease = store.acquire_lease("board", "me", 120)
    store.save_rejects("orders", [Rejected("1", "d", "f", "c", "r"), Rejected("2", "d", "f", "c", "r")], [])
    store.save_state(lease, "orders", "", SyncState("2026-10-01", 10, "s"))
    store.save_rejects("orders", [], ["1"])  # written by a run: the position stands
    assert store.state("orders").position == "2026-10-01"
    assert store.forget_rejects("orders", ["nobody"]) == 0
    assert store.state("orders").position == "2026-10-01"
    assert store.forget_rejects("orders", ["2"]) == 1
    state = store.state("orders")
    assert (state.position, state.rows, state.digest) == (None, 10, "s")


# -- who is gone


def child(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


NAME = "from sync_assets.engine.holder import holder_name; print(holder_name('r'), flush=True)"


def test_a_process_that_lives_is_not_gone() -> None:
    assert not is_gone(holder_name("run 1"))


def test_a_stopped_process_is_not_gone_a_zombie_and_a_dead_one_are() -> None:
    with child(NAME + "; import time; time.sleep(60)") as process:
        assert process.stdout is not None
        name = process.stdout.readline().rstrip("\n")
        assert not is_gone(name)
        process.send_signal(signal.SIGSTOP)
        assert not is_gone(name)
        process.send_signal(signal.SIGKILL)
        wait_for(lambda: is_gone(name))  # a zombie: nobody has waited for it yet
        assert process.returncode is None
    assert is_gone(name)


def wait_for(seen: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not seen():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_another_process_under_the_same_pid_is_another_one() -> None:
    mine = holder_name("r")
    assert mine.count(f":{os.getpid()}:") == 2
    earlier = re.sub(r"\d+$", lambda started: str(int(started[0]) - 1), mine)
    assert is_gone(earlier)


@pytest.mark.parametrize("name", ["", "host:17:run", "host:999999:run #0123456789abcdef:999999:17", "x #:::"])
def test_of_other_machines_nothing_is_known(name: str) -> None:
    assert not is_gone(name)


def test_people_are_not_shown_the_mark() -> None:
    store = MemoryStore()
    store.acquire_lease("board", holder_name("run 1"), 120)
    with pytest.raises(LeaseHeld) as held:
        store.acquire_lease("board", "me", 120)
    assert "#" not in str(held.value)
    assert f":{os.getpid()}:run 1" in str(held.value)


def test_the_clock_goes_on_while_the_machine_sleeps() -> None:
    before = steady()
    assert steady() >= before
    if hasattr(time, "CLOCK_BOOTTIME"):
        assert abs(steady() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 5
