"""A round over many servers: who is asked when, what is tried again, what is given up, and that nobody is forgotten."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_assets.engine.errors import Retry, Stop, SyncError
from sync_assets.project.fleet.asking import Answer, Pace, Question, Round
from sync_assets.project.fleet.reasons import passes, reason_of

Ask = Callable[[float], str]


class Clock:
    """Time that only passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def broken(answer: Answer[str], error: SyncError) -> Answer[str]:
    return Answer(answer.name, None, error, "other", answer.attempts, answer.seconds)


def asked(
    questions: Sequence[Question[str]],
    pace: Pace | None = None,
    keep: Callable[[Answer[str]], Answer[str]] | None = None,
    clock: Clock | None = None,
) -> dict[str, Answer[str]]:
    clock = clock or Clock()
    keep = keep or (lambda answer: answer)
    round_ = Round(questions, keep, broken, pace or Pace(), clock, clock.sleep, jitter=lambda: 0.0)
    found = list(round_.run())
    assert len({answer.name for answer in found}) == len(found), "nobody comes out twice"
    return {answer.name: answer for answer in found}


def failing(times: int, error: SyncError) -> tuple[Ask, Counter[str]]:
    """Fails `times` times, and is counted."""
    calls: Counter[str] = Counter()

    def ask(left: float) -> str:
        calls["asked"] += 1
        if calls["asked"] <= times:
            raise error
        return "read"

    return ask, calls


REFUSED = Retry("nothing listens", code="refused")


@pytest.mark.parametrize("times", [0, 1, 2])
def test_what_passes_is_tried_again_with_growing_waits(times: int) -> None:
    """D3: a source that fails no more often than it is retried has its reading."""
    ask, calls = failing(times, REFUSED)
    clock = Clock()
    answer = asked([Question("db", "h", ask)], Pace(waits=(1.0, 3.0)), clock=clock)["db"]
    assert (answer.reading, answer.attempts, calls["asked"]) == ("read", times + 1, times + 1)
    assert clock.slept == [1.0, 3.0][:times]


def test_what_fails_too_often_has_its_reason() -> None:
    ask, calls = failing(9, REFUSED)
    answer = asked([Question("db", "h", ask)], Pace(waits=(1.0, 3.0)))["db"]
    assert (answer.error, answer.reason, calls["asked"]) == (REFUSED, "refused", 3)


@pytest.mark.parametrize("code", ["auth", "privilege", "version", "1045", "28P01"])
@pytest.mark.parametrize("kind", [Stop, Retry])
def test_a_refused_login_is_never_tried_again(code: str, kind: type[Stop] | type[Retry]) -> None:
    """D18: accounts are locked for that, so not even where the error says of itself that it passes."""
    ask, calls = failing(9, kind("no", code=code))
    asked([Question("db", "h", ask)])
    assert calls["asked"] == 1


@pytest.mark.parametrize(("readings", "kept"), [(["half", "whole"], "whole"), (["half", "half"], "half")])
def test_what_came_halfway_is_asked_for_once_more_and_then_kept(readings: list[str], kept: str) -> None:
    clock, calls = Clock(), list[str]()

    def ask(left: float) -> str:
        calls.append(readings[len(calls)])
        return calls[-1]

    round_ = Round([Question("db", "h", ask)], lambda answer: answer, broken, Pace(), clock, clock.sleep,
                   halfway=lambda reading: reading == "half")  # fmt: skip
    (answer,) = round_.run()
    assert (answer.reading, answer.error, calls) == (kept, None, readings)


def test_no_attempt_begins_after_the_deadline() -> None:
    ask, calls = failing(9, REFUSED)
    answer = asked([Question("db", "h", ask)], Pace(deadline=10.0, waits=(4.0, 8.0)))["db"]
    assert (calls["asked"], answer.reason) == (2, "refused")


def test_an_attempt_is_told_how_much_time_is_left() -> None:
    left: list[float] = []

    def ask(seconds: float) -> str:
        left.append(seconds)
        raise REFUSED

    asked([Question("db", "h", ask)], Pace(deadline=100.0, waits=(10.0, 30.0)))
    assert left == [100.0, 90.0, 60.0]


def test_between_two_attempts_nobody_else_waits() -> None:
    """One thread and a server that is down: the others are asked while it waits for its next turn."""
    order: list[str] = []

    def ask(name: str) -> Ask:
        def look(left: float) -> str:
            order.append(name)
            if name == "down":
                raise REFUSED
            return name

        return look

    names = ["down", "a", "b", "c"]
    found = asked([Question(n, n, ask(n)) for n in names], Pace(parallel=1, waits=(1.0, 1.0)))
    assert order == ["down", "a", "b", "c", "down", "down"]
    assert {n: f.reading for n, f in found.items()} == {"down": None, "a": "a", "b": "b", "c": "c"}


class Crowd:
    """Counts how many are at it at once, in all and by host."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    def ask(self, host: str) -> Ask:
        def look(left: float) -> str:
            with self.lock:
                for key in (host, "all"):
                    self.now[key] += 1
                    self.most[key] = max(self.most[key], self.now[key])
            time.sleep(0.05)
            with self.lock:
                for key in (host, "all"):
                    self.now[key] -= 1
            return host

        return look


def test_so_many_at_once_and_so_many_on_a_host_and_all_in_the_end() -> None:
    crowd = Crowd()
    hosts = ["one"] * 20 + [f"h{n}" for n in range(20)]
    questions = [Question(f"{host} {n}", host, crowd.ask(host)) for n, host in enumerate(hosts)]
    round_: Round[str, str] = Round(
        questions, lambda a: a.name, lambda a, e: a.name, Pace(8, 3, start_within=0.0), time.monotonic, time.sleep
    )
    assert sorted(round_.run()) == sorted(q.name for q in questions)
    assert 4 < crowd.most["all"] <= 8
    assert 1 < crowd.most["one"] <= 3


def test_a_server_that_hangs_is_given_up_and_what_it_says_later_is_not_kept() -> None:
    over, kept = threading.Event(), list[str]()

    def hangs(left: float) -> str:
        over.wait(20)
        return "late"

    clock = Clock()

    def other(left: float) -> str:
        clock.now += 500.0  # the deadline of the other one is over
        return "read"

    def keep(answer: Answer[str]) -> Answer[str]:
        kept.append(f"{answer.name}: {answer.reading}")
        if answer.name == "hangs":  # now that it was given up, it answers
            over.set()
            time.sleep(0.2)
        return answer

    found = asked([Question("hangs", "h", hangs), Question("other", "o", other)], Pace(deadline=60.0), keep, clock)
    assert (found["hangs"].reason, found["hangs"].reading, found["other"].reading) == ("timeout", None, "read")
    assert sorted(kept) == ["hangs: None", "other: read"]


@pytest.mark.parametrize("where", ["ask", "keep"])
def test_what_nobody_foresaw_is_one_servers_failure_and_shows_no_value(where: str) -> None:
    def ask(left: float) -> str:
        if where == "ask":
            raise KeyError("hunter2")
        return "read"

    def keep(answer: Answer[str]) -> Answer[str]:
        if answer.name == "bad" and where == "keep":
            raise ValueError("hunter2")
        return answer

    found = asked([Question("bad", "h", ask), Question("good", "h", lambda left: "read")], keep=keep)
    error = found["bad"].error
    assert found["good"].reading == "read"
    assert error is not None
    assert error.code == "unexpected"
    assert "hunter2" not in str(error)
    assert "test_fleet_runs_asking.py:" in str(error)


def test_who_stops_listening_leaves_no_thread_behind() -> None:
    before = set(threading.enumerate())
    crowd = Crowd()
    questions = [Question(str(n), str(n), crowd.ask("h")) for n in range(30)]
    round_: Round[str, str] = Round(
        questions, lambda a: a.name, lambda a, e: a.name, Pace(4), time.monotonic, time.sleep
    )
    some = round_.run()
    next(some)
    some.close()
    deadline = time.monotonic() + 5
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not set(threading.enumerate()) - before


@given(
    outcomes=st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from(["refused", "timeout", "auth", "dns"])), max_size=25
    ),
    parallel=st.integers(1, 6),
    hosts=st.integers(1, 4),
)
@settings(max_examples=60, deadline=None)
def test_everybody_comes_out_exactly_once(outcomes: list[tuple[int, str]], parallel: int, hosts: int) -> None:
    """D5: as many results as questions, and each with a reading or a reason."""
    questions = []
    for n, (times, code) in enumerate(outcomes):
        ask, _ = failing(times, Retry("no", code=code))
        questions.append(Question(str(n), str(n % hosts), ask))
    found = asked(questions, Pace(parallel, 2, waits=(1.0, 2.0)))
    assert set(found) == {q.name for q in questions}
    for n, (times, code) in enumerate(outcomes):
        good = times == 0 or (times <= 2 and code != "auth")
        assert (found[str(n)].reading, found[str(n)].reason) == (("read", None) if good else (None, code))


@pytest.mark.parametrize(
    ("error", "reason", "again"),
    [
        (Retry("x", code="dns"), "dns", True),
        (Retry("x", code="2003"), "refused", True),
        (Retry("x"), "other", True),
        (Stop("x", code="refused"), "refused", False),
        (Stop("x", code="1045"), "auth", False),
        (Stop("x", code="28000"), "auth", False),
        (Stop("x", code="42501"), "privilege", False),
        (Stop("x", code="unexpected"), "other", False),
    ],
)
def test_reasons(error: SyncError, reason: str, again: bool) -> None:
    assert (reason_of(error), passes(error)) == (reason, again)
