"""A service that is mostly ill: refusals, broken answers, resets; and one that never gets well. On our own clock."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

from sync_assets.engine.errors import Retry, Stop
from sync_assets.testing.rig import Hands
from sync_assets.testing.wiretap import Wiretap
from sync_assets_tests.fix_boards import Rig

MakeRig = Callable[..., Rig]
SEEDS = (1, 2, 3)


class Clock:
    """Time that passes only while somebody sleeps. The lease has the real clock: its time is the database's."""

    def __init__(self) -> None:
        self.now, self.slept = 1000.0, 0.0
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.now += seconds
            self.slept += seconds


def hands(clock: Clock, seed: int = 1) -> tuple[Hands, Wiretap]:
    tap = Wiretap(clock)
    client: dict[str, Any] = {"clock": clock, "sleep": clock.sleep, "jitter": random.Random(seed).random}
    return Hands(client=client, transport=tap), tap


def loaded(make_rig: MakeRig) -> Rig:
    """1,000 rows are on the board; half of them have changed since, and 1,000 more came: 150 writes to do."""
    rig = make_rig(batch_rows=10)
    rig.insert(1, 1000)
    rig.run(hands=hands(Clock())[0])
    rig.sql("update {orders} set amount = amount + 5 where id <= 500")
    rig.insert(1001, 2000)
    return rig


def storm(rig: Rig) -> None:
    """30 % of all calls are told to slow down, 20 % meet a broken server, 5 % a reset; half of these were applied."""
    rig.emulator.fault("code", code=99991400, seconds=2, probability=0.3, times=None)
    for status in (500, 502, 503, 504):
        applied = status in (500, 504)
        rig.emulator.fault("http", status=status, applied=applied, probability=0.05, times=None)
    for applied in (False, True):
        rig.emulator.fault("reset", applied=applied, probability=0.025, times=None)


def test_a_storm_is_weathered(make_any_rig: MakeRig, bitable: Any) -> None:
    least = calls = 0
    for seed in SEEDS:
        bitable.reset(seed=seed)
        rig = loaded(make_any_rig)
        clock = Clock()
        with_tap, tap = hands(clock, seed)
        storm(rig)
        report = rig.run(hands=with_tap)
        struck = rig.emulator.struck()
        rig.emulator.clear_faults()
        assert rig.verdict().equal, f"seed {seed}: {rig.verdict()}"
        assert (report.counts.created, report.counts.updated) == (1000, 500)
        assert report.equal
        assert tap.early() == [], "no call goes out before the time that the server named"
        assert min(struck) > 0
        assert 0.45 < sum(struck) / len(tap.heard) < 0.65, f"seed {seed}: {struck}"
        calls += len(tap.heard)
        least += 1 + 1 + 2 + 50 + 100  # token, fields, 2 pages, updates, creates
    assert calls <= 2.5 * least


@pytest.mark.parametrize("endpoint", ["*", "batch_create", "search"])
def test_a_service_that_stays_ill_is_given_up_within_the_budget(make_rig: MakeRig, endpoint: str) -> None:
    rig, settings = _with_position(make_rig)
    clock = Clock()
    with_tap, tap = hands(clock)
    rig.emulator.fault("http", endpoint, status=503, times=None)
    with pytest.raises(Retry) as gave_up:
        rig.run(hands=with_tap, **settings)
    assert "given up" in str(gave_up.value)
    assert clock.slept <= 600 + 15
    assert len(tap.heard) <= 30
    rig.emulator.clear_faults()
    assert rig.store.state(rig.sync).position == "2026-10-01T08:59:00"
    assert rig.lease()[0] is None, "given back"
    rig.run(**settings)
    assert rig.verdict().equal, str(rig.verdict())


def test_a_refusal_is_not_tried_again(make_rig: MakeRig) -> None:
    rig, settings = _with_position(make_rig)
    clock = Clock()
    with_tap, tap = hands(clock)
    rig.emulator.fault("code", "batch_create", code=1254302, status=403, times=None)
    with pytest.raises(Stop):
        rig.run(hands=with_tap, **settings)
    assert sum(h.path.endswith("batch_create") for h in tap.heard) == 1
    assert rig.store.state(rig.sync).position == "2026-10-01T08:59:00"
    rig.emulator.clear_faults()
    rig.run(**settings)
    assert rig.verdict().equal, str(rig.verdict())


def test_no_right_at_all_costs_two_calls(make_rig: MakeRig) -> None:
    rig, settings = _with_position(make_rig)
    with_tap, tap = hands(Clock())
    rig.emulator.fault("code", code=91403, status=403, times=None)
    with pytest.raises(Stop):
        rig.run(hands=with_tap, **settings)
    assert len(tap.heard) <= 2


def _with_position(make_rig: MakeRig) -> tuple[Rig, dict[str, Any]]:
    rig = make_rig(batch_rows=50)
    settings: dict[str, Any] = {"mode": "incremental", "watermark": "at", "spec_digest": "s"}
    rig.insert(1, 100)
    rig.run(**settings)
    rig.insert(101, 200, at="'2026-10-02 08:00:00'")
    return rig, settings
