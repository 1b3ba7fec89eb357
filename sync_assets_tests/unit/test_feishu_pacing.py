"""Limits, reset times and gaps, on a clock that only sleeping moves."""

from __future__ import annotations

import threading
import time

import pytest

from sync_assets.feishu.pacing import Pacer, Rate

RATE = Rate(20)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pacer(clock):
    return Pacer(clock, clock.sleep)


def go(pacer, clock, name="search", lane="base", write=False):
    with pacer.turn(name, RATE, lane, write=write):
        return clock.now


def test_a_rested_endpoint_lets_a_few_calls_through_at_once(pacer, clock):
    assert [go(pacer, clock) for _ in range(3)] == [1000.0, 1000.0, pytest.approx(1000 + 1 / 18)]


def test_no_second_holds_more_calls_than_the_limit(pacer, clock):
    times = [go(pacer, clock) for _ in range(200)]
    assert max(sum(t <= u < t + 1 for u in times) for t in times) <= 20
    assert times[-1] - times[0] <= 11.5


def test_endpoints_have_limits_of_their_own(pacer, clock):
    for _ in range(2):
        go(pacer, clock, "search")
    assert go(pacer, clock, "fields") == 1000.0


def test_no_call_of_that_endpoint_before_the_reset(pacer, clock):
    pacer.throttled("search", "base", 7.0)
    assert go(pacer, clock, "fields", lane="other") == 1000.0
    assert go(pacer, clock, "search") >= 1007.0


def test_a_shorter_reset_does_not_end_a_longer_one(pacer, clock):
    pacer.throttled("search", "base", 7.0)
    pacer.throttled("search", "base", 1.0)
    assert go(pacer, clock, "search") >= 1007.0


def test_writes_have_no_gap_until_the_server_is_busy(pacer, clock):
    assert go(pacer, clock, write=True) == go(pacer, clock, write=True)
    pacer.throttled("other", "base", 0.0)
    assert pacer.gap("base") == 0.5
    assert go(pacer, clock, write=True) == 1000.5
    assert go(pacer, clock, write=True) == 1001.0
    assert go(pacer, clock, write=True, lane="another base") == 1001.0


def test_the_gap_doubles_to_a_second_and_recovers_slowly(pacer):
    for expected in (0.5, 1.0, 1.0):
        pacer.throttled("x", "base", 0.0)
        assert pacer.gap("base") == expected
    pacer.eased("base")
    assert 0.85 < pacer.gap("base") < 1.0
    for _ in range(40):
        pacer.eased("base")
    assert pacer.gap("base") == 0.0


def test_the_gap_begins_when_the_write_has_ended(pacer, clock):
    pacer.throttled("x", "base", 0.0)
    with pacer.turn("batch create", RATE, "base", write=True):
        clock.now += 3.0
    assert go(pacer, clock, write=True) == pytest.approx(1003.5)


def test_writes_of_threads_to_one_base_take_turns():
    pacer = Pacer(time.monotonic, time.sleep, factor=0)
    inside, most = [], []

    def write():
        with pacer.turn("batch create", RATE, "base", write=True):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.01)
            inside.pop()

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 8


def test_factor_zero_leaves_the_limits_to_the_server(clock):
    pacer = Pacer(clock, clock.sleep, factor=0)
    assert [go(pacer, clock) for _ in range(100)] == [1000.0] * 100
