"""Whole runs on a board and a control database in memory: partitions, positions, guards, dry runs, settling."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_assets.engine.ahead import Ahead
from sync_assets.engine.control import JournalEntry
from sync_assets.engine.errors import Retry, Stop, Unclear
from sync_assets.engine.guard import DeleteLimit
from sync_assets.engine.job import Job
from sync_assets.engine.model import Mode, Partition, Progress, Report, silent
from sync_assets.engine.run import Run
from sync_assets.testing.board import REFUSED, ListSource, MemoryBoard
from sync_assets.testing.memory import MemoryStore

COLUMNS = ("k", "a", "w")
WIDE = DeleteLimit(1.0, 1000)


class Bench:
    """A source, a board, a store; `run` runs once."""

    def __init__(self, **board: Any) -> None:
        self.board, self.store = MemoryBoard(**board), MemoryStore()
        self.source = ListSource(COLUMNS, {"": []}, watermark=2)

    def run(
        self,
        mode: Mode = Mode.FULL,
        *,
        parts: tuple[Partition, ...] = (),
        dry: bool = False,
        progress: Progress = silent,
        **job: Any,
    ) -> Report:
        settled: dict[str, Any] = {"key": ("k",), "delete_limit": WIDE} | job
        return Run(
            Job("orders", mode, **settled), self.source, self.board, self.store, parts, "me", progress, dry=dry
        ).execute()

    def rows(self) -> dict[float, Any]:
        """What the board holds in `a`, by key."""
        return {r["k"]: r.get("a") for r in self.board.records.values()}

    def put(self, *rows: dict[str, Any]) -> None:
        self.board.records |= {f"mine{len(self.board.records) + n}": row for n, row in enumerate(rows)}


# -- partitions (by value of w)

NORTH, SOUTH, WEST = (Partition(name, value=name) for name in ("north", "south", "west"))
ALL = (NORTH, SOUTH, WEST)


def regions() -> Bench:
    bench = Bench()
    bench.source.parts = {p.key: [(10 * n + i, "x", p.key) for i in range(3)] for n, p in enumerate(ALL)}
    bench.run(parts=ALL, partition_column="w")
    bench.put({"k": 999.0, "w": "south", "a": "gone from the source"}, {"k": 998.0, "w": "east"}, {"k": 997.0})
    return bench


@pytest.mark.parametrize("when", ["at once", "half-way"])
def test_a_partition_that_fails_holds_up_no_other_and_loses_nothing(when: str) -> None:
    bench = regions()
    broken = Retry("the server went away")
    bench.source.parts["south"] = (
        broken if when == "at once" else [(10, "new", "south"), (12, REFUSED, "south"), broken]
    )
    bench.source.parts["north"] = [(0, "new", "north")]
    before = dict(bench.board.records)
    report = bench.run(Mode.CLONE, parts=ALL, partition_column="w")
    assert set(report.failed) == {"south"}
    assert report.failed["south"].kind == "retry"
    assert set(report.partitions) == {"north", "west"}
    assert (report.partitions["north"].updated, report.partitions["north"].deleted) == (1, 2)
    assert report.counts.balanced
    assert report.rejected == ()
    for i, row in before.items():
        if row.get("w") != "north":
            assert bench.board.records[i] == row, "other partitions, and records of none, stay as they were"


def test_when_all_partitions_fail_the_run_does() -> None:
    bench = regions()
    bench.source.parts = {p.key: Retry("away") for p in ALL}
    before = dict(bench.board.records)
    with pytest.raises(Retry):
        bench.run(Mode.CLONE, parts=ALL, partition_column="w")
    assert bench.board.records == before


def test_known_rejects_of_a_failed_partition_are_kept() -> None:
    bench = regions()
    bench.source.parts["south"] = [(10, REFUSED, "south")]
    bench.run(parts=ALL, partition_column="w")
    bench.source.parts["south"] = Retry("away")
    bench.run(parts=ALL, partition_column="w")
    assert [r.key for r in bench.store.rejects("orders")] == ["10"]
    bench.source.parts["south"] = [(10, "well", "south")]
    bench.run(parts=(NORTH,), partition_column="w")
    assert [r.key for r in bench.store.rejects("orders")] == ["10"], "not of this run"
    bench.run(parts=(SOUTH,), partition_column="w")
    assert bench.store.rejects("orders") == []


def test_clone_of_a_partition_leaves_the_others() -> None:
    bench = regions()
    bench.source.parts["south"] = []
    report = bench.run(Mode.CLONE, parts=(SOUTH,), partition_column="w")
    assert report.counts.deleted == 4
    assert {r.get("w") for r in bench.board.records.values()} == {"north", "west", "east", None}


def test_a_row_that_moved_is_not_lost_whichever_partition_runs_first() -> None:
    for first, second in ((NORTH, SOUTH), (SOUTH, NORTH)):
        bench = regions()
        bench.board.records = {i: r for i, r in bench.board.records.items() if r["k"] < 900}
        ids = {r["k"]: i for i, r in bench.board.records.items()}
        bench.source.parts["north"] = [(1, "x", "north"), (2, "x", "north")]
        bench.source.parts["south"] = [*bench.source.parts["south"], (0, "x", "south")]  # type: ignore[misc]
        bench.run(Mode.CLONE, parts=(first,), partition_column="w")
        bench.run(Mode.CLONE, parts=(second,), partition_column="w")
        moved = [r for r in bench.board.records.values() if r["k"] == 0.0]
        assert moved == [{"k": 0.0, "a": "x", "w": "south"}]
        assert len(bench.board.records) == 9
        if first is SOUTH:
            assert bench.board.records[ids[0.0]]["w"] == "south", "and keeps its record"


# -- positions

TZ = ZoneInfo("Asia/Shanghai")


def at(minute: int) -> str:
    return (datetime(2026, 10, 1, 8, tzinfo=UTC) + timedelta(minutes=minute)).isoformat()


INCREMENTAL: dict[str, Any] = {"watermark": "w", "lookback": 600.0, "spec_digest": "s"}


def test_an_incremental_run_reads_on_and_finds_late_rows() -> None:
    bench = Bench()
    bench.source.parts[""] = [(1, "x", at(0)), (2, "x", at(30))]
    bench.run(Mode.INCREMENTAL, **INCREMENTAL)
    late, too_late = (3, "x", at(21)), (4, "x", at(19))
    bench.source.parts[""] += [late, too_late, (5, "x", at(40))]  # type: ignore[operator]
    report = bench.run(Mode.INCREMENTAL, **INCREMENTAL)
    assert bench.source.asked == [None, at(20)]
    assert set(bench.rows()) == {1.0, 2.0, 3.0, 5.0}, "a row later than the look-back is lost, as is said"
    assert report.counts.read == 3
    assert bench.store.state("orders").position == at(40)


def test_an_incremental_run_never_goes_over_something_newer() -> None:
    bench = Bench()
    bench.source.parts[""] = [(1, "ours", at(10)), (2, "ours", at(10)), (3, "ours", at(10))]
    bench.put({"k": 1.0, "a": "newer", "w": at(11)}, {"k": 2.0, "a": "as new", "w": at(10)}, {"k": 3.0, "a": "older"})
    bench.run(Mode.INCREMENTAL, **INCREMENTAL)
    assert bench.rows() == {1.0: "newer", 2.0: "as new", 3.0: "ours"}


def test_a_changed_spec_reads_from_the_start() -> None:
    bench = Bench()
    bench.source.parts[""] = [(1, "x", at(0)), (2, "x", at(60))]
    bench.run(Mode.INCREMENTAL, **INCREMENTAL)
    bench.run(Mode.INCREMENTAL, **INCREMENTAL | {"spec_digest": "other"})
    assert bench.source.asked == [None, None]


def test_a_run_that_failed_leaves_the_position() -> None:
    bench = Bench()
    bench.source.parts[""] = [(1, "x", at(0))]
    bench.run(Mode.INCREMENTAL, **INCREMENTAL)
    bench.source.parts[""] = [(2, "x", at(10)), Retry("away")]
    with pytest.raises(Retry):
        bench.run(Mode.INCREMENTAL, **INCREMENTAL)
    assert bench.store.state("orders").position == at(0)
    assert set(bench.rows()) == {1.0}


# -- guards


def test_guards_stop_before_anything_is_written() -> None:
    bench = Bench()
    bench.source.parts[""] = [(n, "x", None) for n in range(100)]
    bench.run()
    whole = dict(bench.board.records)
    bench.source.parts[""] = [(n, "new", None) for n in range(50)]
    guarded = DeleteLimit()
    with pytest.raises(Stop, match="delete_guard"):
        bench.run(Mode.CLONE, delete_limit=guarded)
    bench.source.parts[""] = []
    with pytest.raises(Stop, match="empty_source"):
        bench.run(Mode.CLONE)
    bench.source.parts[""] = [(n, "new", None) for n in range(100)]
    bench.board.records = {}
    with pytest.raises(Stop, match="target_shrunken"):
        bench.run()
    assert bench.board.records == {}
    bench.board.records = whole
    assert set(bench.rows().values()) == {"x"}, "the guards were there first"
    bench.source.parts[""] = [(n, "new", None) for n in range(50)]
    bench.run(Mode.CLONE)  # with the guard opened the harm would have been done
    assert len(bench.board.records) == 50


def test_deletes_of_doubles_are_guarded_as_well() -> None:
    bench = Bench()
    bench.source.parts[""] = [(1, "x", None)]
    bench.put(*({"k": 1.0, "a": "x"} for _ in range(100)))
    with pytest.raises(Stop, match="delete_guard"):
        bench.run(target_duplicates="delete", delete_limit=DeleteLimit())
    assert len(bench.board.records) == 100


def test_a_dry_run_writes_nothing_and_shows_what_would_stop() -> None:
    bench = Bench()
    bench.source.parts[""] = [(n, "x", None) for n in range(100)]
    bench.run()
    before = dict(bench.board.records)
    bench.board.calls.clear()
    bench.source.parts[""] = [(n, "new" if n else REFUSED, None) for n in range(11)]
    report = bench.run(Mode.CLONE, dry=True, delete_limit=DeleteLimit(), reject_limit=0)
    assert (report.counts.updated, report.counts.rejected, report.counts.deleted) == (10, 1, 89)
    stops = [n for n in report.notes if "would stop" in n]
    assert ["reject_limit" in n for n in stops] == [True, False]
    assert "delete_guard" in stops[1]
    assert (bench.board.records, bench.board.calls) == (before, [])
    assert bench.store.acquire_lease(bench.board.lease_name, "me", 1), "and holds no lease"


def test_a_key_that_is_not_on_the_board_stops() -> None:
    bench = Bench(unmapped=frozenset({"k"}))
    bench.source.parts[""] = [(1, "x", None)]
    with pytest.raises(Stop, match="unmapped_key"):
        bench.run()


# -- settling what an earlier run left unclear


def entry(bench: Bench, sync: str = "orders", keys: tuple[str, ...] = ("1",)) -> JournalEntry:
    payload = b'[{"k":1.0,"a":"x"}]'
    made = JournalEntry("t1", bench.board.lease_name, sync, keys, payload, datetime.now(UTC))
    lease = bench.store.acquire_lease(bench.board.lease_name, "dead", 1)
    bench.store.journal(lease, made)
    bench.store.release_lease(lease)
    return made


@pytest.mark.parametrize("silent_echo", [False, True])
@pytest.mark.parametrize("arrived", [False, True])
def test_an_unclear_create_ends_up_once(silent_echo: bool, arrived: bool) -> None:
    """arrived: it had its effect, though the scan does not show it yet."""
    bench = Bench(silent=silent_echo)
    bench.source.parts[""] = [(1, "x", None), (2, "x", None)]
    noted = entry(bench)
    if arrived:
        bench.board.open(bench.source.describe())
        bench.board.shape([], dry=False)
        bench.board.create(noted.payload, noted.client_token)
        hidden, bench.board.records = bench.board.records, {}
        scan = bench.board.scan
        bench.board.scan = lambda **how: _then(scan(**how), bench.board, hidden)  # type: ignore[method-assign]
    report = bench.run()
    assert sorted(bench.rows()) == [1.0, 2.0]
    assert len(bench.board.records) == 2
    assert report.counts.balanced
    assert bench.store.journal_open(bench.board.lease_name) == []


def _then(pages: Any, board: MemoryBoard, hidden: dict[str, Any]) -> Any:
    yield from pages
    board.records |= hidden


def test_another_syncs_unclear_create_is_its_own_to_settle() -> None:
    """Its keys are of other columns: taken for ours, they would be sent again although they arrived."""
    bench = Bench()
    bench.source.parts[""] = [(2, "x", None)]
    noted = entry(bench, sync="other", keys=("a key of another kind",))
    bench.put({"k": 1.0, "a": "x"})
    bench.run()
    assert [e.client_token for e in bench.store.journal_open(bench.board.lease_name)] == [noted.client_token]
    assert len(bench.board.records) == 2


def test_a_record_deleted_during_the_run_is_created_again() -> None:
    bench = Bench()
    bench.source.parts[""] = [(1, "x", None), (2, "x", None)]
    bench.run()
    bench.source.parts[""] = [(1, "y", None), (2, "y", None)]

    def progress(stage: str, done: int, total: int | None) -> None:
        if stage == "compare":
            bench.board.records.pop(next(iter(bench.board.records)))

    report = bench.run(progress=_once(progress))
    assert bench.rows() == {1.0: "y", 2.0: "y"}
    assert (report.counts.updated, report.counts.created) == (1, 1)


def _once(progress: Any) -> Progress:
    left = [progress]

    def call(stage: str, done: int, total: int | None) -> None:
        if left and stage == "compare":
            left.pop()(stage, done, total)

    return call


def test_a_second_look_tells_what_somebody_changed_meanwhile() -> None:
    bench = Bench(bad=lambda cells: cells.get("a") == "bad")
    bench.source.parts[""] = [(1, "x", None), (2, "bad", None)]
    assert bench.run(rescan=True).equal is True, "a rejected row is reported as that, not as a difference"

    def meddle(stage: str, done: int, total: int | None) -> None:
        if stage == "create":
            next(iter(bench.board.records.values()))["a"] = "meddled"

    bench.source.parts[""] += [(3, "x", None)]  # type: ignore[operator]
    report = bench.run(rescan=True, progress=meddle)
    assert report.equal is False
    assert report.differences == ("1 records differ",)


# -- all of it at once


class Flaky(MemoryBoard):
    """Now and then a write has its effect, or none, and the run dies of it."""

    dice: Any = None

    def _begin(self, kind: str, rows: Any) -> None:
        super()._begin(kind, rows)
        if self.dice and self.dice("before"):
            raise Retry("no connection")

    def create(self, payload: bytes, token: str) -> Any:
        made = super().create(payload, token)
        if self.dice and self.dice("after"):
            raise Unclear("no answer")
        return made


row = st.tuples(st.integers(0, 9), st.sampled_from(["x", "y", "z"]), st.none())
tables = st.lists(row, max_size=10, unique_by=lambda r: r[0])


@settings(max_examples=150, deadline=None)
@given(
    history=st.lists(st.tuples(tables, st.booleans()), min_size=1, max_size=5),
    mode=st.sampled_from([Mode.FULL, Mode.OVERWRITE, Mode.CLONE]),
    keyed=st.booleans(),
    data=st.data(),
)
def test_whatever_breaks_the_next_whole_run_puts_right(
    history: list[tuple[list[Any], bool]], mode: Mode, keyed: bool, data: st.DataObject
) -> None:
    """The source goes on changing, runs break at any write, the server forgets its tokens or not."""
    mode = mode if keyed else Mode.CLONE
    key = ("k",) if keyed else ()
    bench = Bench()
    board = bench.board = Flaky(page_rows=2)
    board.limits = replace(board.limits, create_rows=2, update_rows=2, delete_rows=2)
    board.dice = lambda where: data.draw(st.integers(0, 5), label=where) == 0
    wanted: dict[Any, Any] = {}
    job: dict[str, Any] = {"key": key, "accept_shrunken": True, "allow_empty_source": True}
    for table, forget in history:
        bench.source.parts[""] = list(table)
        try:
            bench.run(mode, **job)
        except Retry:
            if forget:
                board.tokens.clear()
    board.dice = None
    report = bench.run(mode, **job)
    found = [(r["k"], r.get("a")) for r in board.records.values()]
    assert len(found) == len(set(found)), "nothing doubled"
    last = {float(k): a for k, a, _ in history[-1][0]}
    wanted = dict(found) | last if mode is not Mode.CLONE else last
    assert dict(found) == wanted
    assert report.counts.balanced
    again = bench.run(mode, **job).counts
    assert (again.created, again.updated, again.deleted) == (0, 0, 0)


# -- reading ahead


def test_reading_ahead_stops_when_nobody_wants_more() -> None:
    fetched: list[int] = []

    def endless() -> Any:
        while True:
            fetched.append(len(fetched))
            yield fetched[-1]

    pages = Ahead(endless(), depth=3)
    assert [next(pages), next(pages)] == [0, 1]
    pages.close()
    end = time.monotonic() + 5
    while any(t.name == "read-ahead" and t.is_alive() for t in threading.enumerate()):
        assert time.monotonic() < end, "the thread goes on"
        time.sleep(0.02)
    assert len(fetched) <= 8


def test_a_run_that_fails_while_reading_leaves_no_thread() -> None:
    """The scan has begun by then, and is longer than what is read ahead."""
    bench = Bench(page_rows=1)
    bench.put(*({"k": float(n)} for n in range(50)))
    bench.source.parts[""] = [(1, "x", None), Stop("no right to read")]
    with pytest.raises(Stop):
        bench.run()
    end = time.monotonic() + 5
    while any(t.name == "read-ahead" and t.is_alive() for t in threading.enumerate()):
        assert time.monotonic() < end, "the thread goes on"
        time.sleep(0.02)


def test_an_error_comes_at_its_place() -> None:
    def broken() -> Any:
        yield 1
        raise Retry("away")

    pages = Ahead(broken())
    assert next(pages) == 1
    with pytest.raises(Retry):
        next(pages)
    assert list(pages) == []
