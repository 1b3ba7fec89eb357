"""kill -9 at every step of every way into a table; then a run without faults, and both sides are equal.

Two classes, so that two workers can share them.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from sync_assets.engine.faults import TABLE_POINTS
from sync_assets.engine.tables.writing import Head, TableTarget, Writer
from sync_assets.testing.tables.rig import Nursery
from sync_assets_tests.chaos.table_scenes import CHAOS, KILLED, SAID, SERVERS, WAYS, Pair, Scene

MakePair = Callable[..., Pair]
_EARLY = ("after_lease", "after_build", "after_choice", "before_proof")
_SLICED = ("in_slice", "in_slice:3", "in_slice:last", "after_slice", "after_slice:3", "after_slice:last")
SLICED = ("heap", "created", "swapped")
_APPLIED = ("before_apply", "in_apply", "after_apply")
POINTS = {
    "heap": ("in_slice", "in_slice:3", "after_slice", "after_slice:last", "before_end"),
    "created": (*_EARLY, "in_slice:3", "after_slice:last", "before_end"),
    "swapped": ("after_choice", "in_slice:last", "after_slice:3", "before_swap", "after_swap"),
    "merged": ("after_slice:last", *_APPLIED),
    "digest": ("in_slice", "after_slice", *_APPLIED),
    "watermark": ("after_slice", *_APPLIED),
    "family": ("before_apply", "after_apply", "before_apply:last", "in_apply:last", "after_apply:last"),
}
if CHAOS > 1:
    POINTS = {
        way: (*_EARLY, *(_SLICED if way in SLICED else ("in_slice", "after_slice", *_APPLIED)), *points)
        for way, points in POINTS.items()
    }
CASES = list(dict.fromkeys((way, point) for way, points in POINTS.items() for point in points))
_again = itertools.count()
_last: dict[tuple[str, str, str], dict[str, int]] = {}


def scene(make_pair: MakePair, here: str, there: str, way: str, **changes: Any) -> Scene:
    made = Scene(make_pair(here, there, **changes), way)
    made.prepare()
    return made


def source_of(way: str, point: str) -> tuple[str, ...]:
    """Every second case reads from the other server; `make chaos` reads from both."""
    return SERVERS if CHAOS > 1 else (SERVERS[CASES.index((way, point)) % 2],)


def fault_of(make_pair: MakePair, nursery: Nursery, kinds: tuple[str, str], way: str, point: str) -> str:
    """The point with its number; `last` is what a run without faults counts."""
    name, _, nth = point.partition(":")
    return f"{name}:{traced(make_pair, nursery, kinds, way)[name] if nth == 'last' else nth or 1}=kill"


def traced(make_pair: MakePair, nursery: Nursery, kinds: tuple[str, str], way: str) -> dict[str, int]:
    """How often a run without faults passes each point."""
    if (*kinds, way) not in _last:
        here = scene(make_pair, *kinds, way)
        code, told = nursery.start(here.pair.site, here.jobs, "nowhere=kill").wait()
        assert code == 0, told
        assert all(SAID[way] in notes for notes in told["notes"]), told
        _last[*kinds, way] = told["passed"]
        here.judge()
        here.settle()
    return _last[*kinds, way]


def check_a_kill(make_pair: MakePair, nursery: Nursery, kinds: tuple[str, str], way: str, point: str) -> None:
    fault = fault_of(make_pair, nursery, kinds, way, point)
    here = scene(make_pair, *kinds, way)
    earlier = here.pair.head()
    code, _ = nursery.start(here.pair.site, here.jobs, fault).wait()
    assert code == KILLED
    broken = here.pair.head()
    _never_lower(earlier, broken)
    reports = here.run()  # at once: nobody waits 120 s for the dead
    assert all(report.counts.balanced and report.equal is True for report in reports)
    _never_lower(broken, here.pair.head())
    here.judge()
    if way in SLICED and broken.plan is not None:
        _only_the_rest_was_read(here, broken, reports[0].counts.read, reports[0].notes)
    here.settle()


def _never_lower(before: Head, after: Head) -> None:
    assert after.epoch >= before.epoch
    assert before.position is None or (after.position or "") >= before.position


def _only_the_rest_was_read(here: Scene, broken: Head, read: int, notes: tuple[str, ...]) -> None:
    """What was in the ledger was not read again: of the work of the dead, at most the slice in its hands."""
    resumed = re.search(r"resumed: (\d+) of (\d+) slices", " ".join(notes))
    assert resumed is not None, notes
    done, all_slices = int(resumed[1]), int(resumed[2])
    assert done == len(broken.applied)
    rows = len(here.pair.rows("here"))
    assert read <= rows * (all_slices - done) / all_slices * 1.5 + 1


class TestIntoPostgres:
    @pytest.mark.parametrize(("way", "point"), CASES)
    def test_a_killed_run_is_made_good_by_the_next(
        self, make_pair: MakePair, nursery: Nursery, way: str, point: str
    ) -> None:
        for source in source_of(way, point):
            check_a_kill(make_pair, nursery, (source, "postgres"), way, point)


class TestIntoMySQL:
    @pytest.mark.parametrize(("way", "point"), CASES)
    def test_a_killed_run_is_made_good_by_the_next(
        self, make_pair: MakePair, nursery: Nursery, way: str, point: str
    ) -> None:
        for source in source_of(way, point):
            check_a_kill(make_pair, nursery, (source, "mysql"), way, point)


def test_every_point_is_reached_by_some_way() -> None:
    """That each case does reach its point, its kill shows."""
    assert {point.partition(":")[0] for _, point in CASES} == set(TABLE_POINTS)


@pytest.mark.parametrize("there", SERVERS)
@pytest.mark.parametrize("way", ["heap", "created", "swapped", "heap by watermark"])
def test_what_changed_between_the_crash_and_the_next_run_is_there(
    make_pair: MakePair, nursery: Nursery, there: str, way: str
) -> None:
    """In slices that were loaded before the crash: they are of an older moment than the rest."""
    way, _, watermark = way.partition(" by ")
    here = scene(make_pair, "postgres", there, way)
    settings = dict(WAYS[way]) | ({"watermark": "at", "lookback": 60.0} if watermark else {})
    code, _ = nursery.start(here.pair.site, [("items", settings)], "after_slice:4=kill").wait()
    assert code == KILLED
    here.pair.here(
        "update items set name = 'since then', at = '2026-10-05 09:00:00' where id between 1 and 20",
        "update items set at = '2026-10-09 09:00:00' where id = 1200",
        "insert into items (id, name) values (-5, 'new')",
        *(["delete from items where id between 30 and 35"] if settings["mode"] == "clone" else []),
    )
    report = here.pair.run(**settings)
    assert "resumed" in " ".join(report.notes)
    assert report.equal is True
    assert report.counts.balanced
    here.pair.judge()


@pytest.mark.parametrize(("way", "there"), [("heap", "postgres"), ("swapped", "mysql"), ("swapped", "postgres")])
def test_most_rows_changed_between_the_crash_and_the_next_run(
    make_pair: MakePair, nursery: Nursery, there: str, way: str
) -> None:
    """More than is worth naming: then everything is shipped once more."""
    here = scene(make_pair, "mysql", there, way)
    here.pair.insert(10_001, 15_000)
    assert nursery.start(here.pair.site, here.jobs, "after_slice:20=kill").wait()[0] == KILLED
    here.pair.here("update items set name = 'since then'")
    report = here.run()[0]
    assert "resumed" in " ".join(report.notes)
    assert report.equal is True
    here.judge()


class Forgetful:
    """A target whose ledger is not asked: what it says of batches is left out, whether they were applied or not."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def writer(self, sync: str = "", token: int = 0) -> Writer:
        return ForgetfulWriter(self._inner.writer(sync, token))  # type: ignore[return-value]

    def take_over_all(self, tokens: Mapping[str, int]) -> Mapping[str, Head]:
        heads = self._inner.take_over_all(tokens)
        return {sync: replace(head, applied=frozenset()) for sync, head in heads.items()}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class ForgetfulWriter:
    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def serve(self, sync: str, token: int) -> Head:
        return replace(self._inner.serve(sync, token), applied=frozenset())

    @contextmanager
    def batch(self, id: str, **ends: Any) -> Iterator[bool]:
        with self._inner.batch(f"{id} {next(_again)}", **ends) as todo:
            yield todo

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def forgetful(target: TableTarget) -> TableTarget:
    return Forgetful(target)  # type: ignore[return-value]


@pytest.mark.parametrize("there", SERVERS)
def test_without_the_ledger_rows_are_doubled(make_pair: MakePair, nursery: Nursery, there: str) -> None:
    """The protection seen to be needed."""
    here = scene(make_pair, "postgres", there, "heap")
    assert nursery.start(here.pair.site, here.jobs, "after_slice:4=kill").wait()[0] == KILLED
    rows = len(here.pair.rows())
    assert 0 < rows < 1200
    try:
        here.run(target=forgetful)
    finally:
        assert len(here.pair.verdict().doubled) == rows


class Planless(ForgetfulWriter):
    """A writer that keeps no plan."""

    def serve(self, sync: str, token: int) -> Head:
        return self._inner.serve(sync, token)  # type: ignore[no-any-return]

    @contextmanager
    def batch(self, id: str, **ends: Any) -> Iterator[bool]:
        with self._inner.batch(id, **ends) as todo:
            yield todo

    def keep_plan(self, plan: str) -> None:
        """Not kept."""


@pytest.mark.parametrize("plan", [True, False], ids=["plan", "no-plan"])
@pytest.mark.parametrize("there", SERVERS)
def test_without_the_plan_everything_is_read_again(make_pair: MakePair, there: str, plan: bool) -> None:
    """An end in mid-load, in this process; only what was kept in the head row tells the next run of it."""
    here = scene(make_pair, "postgres", there, "swapped")
    with pytest.raises(BreaksOff):
        here.run(target=lambda target: breaking_off(target, 4, plan))
    report = here.run()[0]
    here.judge()
    assert ("resumed: 4 of" in " ".join(report.notes)) is plan
    assert (report.counts.read == len(here.pair.rows("here"))) is not plan


class BreaksOff(Exception):
    """The run ends here, as a bug would end it."""


def breaking_off(target: TableTarget, loads: int, plan: bool) -> TableTarget:
    left = [loads]

    class Breaking(Planless):
        def load(self, *given: Any) -> int:
            left[0] -= 1
            if left[0] < 0:
                raise BreaksOff
            return self._inner.load(*given)  # type: ignore[no-any-return]

        def keep_plan(self, text: str) -> None:
            if plan:
                self._inner.keep_plan(text)

    class Wrapped(Forgetful):
        def take_over_all(self, tokens: Mapping[str, int]) -> Mapping[str, Head]:
            return self._inner.take_over_all(tokens)  # type: ignore[no-any-return]

        def writer(self, sync: str = "", token: int = 0) -> Writer:
            return Breaking(self._inner.writer(sync, token))  # type: ignore[return-value]

    return Wrapped(target)  # type: ignore[return-value]
