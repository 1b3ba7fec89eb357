"""Tables under any history: batches delivered again and out of order, and a model beside two real databases.

Reliability tests 8 (duplicate delivery), 9 (reordering) and 18 (model-based). A failure is shrunk and
printed as steps; `--hypothesis-seed=N` repeats a whole run.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sync_assets.engine.errors import Retry, Stop
from sync_assets.engine.guard import DeleteLimit
from sync_assets.engine.model import Mode
from sync_assets.engine.tables.job import Changes, Pace, TableJob
from sync_assets.engine.tables.run import TablesRun
from sync_assets.engine.tables.writing import Merge
from sync_assets.testing.memory import MemoryStore
from sync_assets.testing.tables.desk import Desk, Texts, desk
from sync_assets.testing.tables.kinds import NASTY
from sync_assets.testing.tables.lab import TableLab
from sync_assets.testing.tables.oracle import raw_rows
from sync_assets_tests.fix_tables import Labs

SERVERS = ("postgres", "mysql")
QUIET = settings(
    max_examples=250, deadline=None, suppress_health_check=list(HealthCheck), database=None, print_blob=True
)
_numbers = itertools.count(1)


@contextmanager
def ready(lab: TableLab) -> Iterator[Desk]:
    """An empty table `t` (key, version, text) and a writer, for many examples."""
    lab.execute(f"drop table if exists {lab.at('t')}")
    lab.make("t", {"id": "big not null", "n": "int", "t": "text"}, key=["id"])
    with desk(lab) as at:
        yield at


def begin(at: Desk) -> None:
    """The next example: an empty table, and a sync of its own."""
    at.lab.execute(f"delete from {at.lab.at('t')}")
    at.writer.serve(f"example {next(_numbers)}", 1)


# -- 8: delivered again

batch_rows = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 9)), min_size=1, max_size=6, unique_by=lambda r: r[0]
)


@pytest.mark.parametrize("kind", SERVERS)
def test_batches_delivered_again_take_effect_once(labs: Labs, kind: str) -> None:
    """Keyless loads: a repeat that took effect would show as more rows. 250 examples on each server."""
    lab = labs(kind, "again")
    lab.execute(f"drop table if exists {lab.at('plain')}")
    lab.make("plain", {"id": "big", "n": "int", "t": "text"})
    with desk(lab) as at:

        @QUIET
        @given(st.lists(batch_rows, min_size=1, max_size=4), st.data())
        def attempt(batches: list[list[tuple[int, int]]], data: st.DataObject) -> None:
            lab.execute(f"delete from {lab.at('plain')}")
            sync = f"again {next(_numbers)}"
            at.writer.serve(sync, 1)
            first = list(range(len(batches)))
            again = data.draw(st.lists(st.sampled_from(first), max_size=4 * len(batches)))
            taken = 0
            for number in [*first, *again]:
                with at.writer.batch(f"b{number}", position=str(number)) as open:
                    taken += open
                    if open:
                        at.load("plain", [(str(i), str(n), f"b{number}") for i, n in batches[number]])
            wanted = sorted((i, n, f"b{b}") for b, rows in enumerate(batches) for i, n in rows)
            assert sorted(lab.rows("plain")) == wanted
            assert taken == len(batches) == len(at.head(sync).applied)

        attempt()


# -- 9: older after newer


@pytest.mark.parametrize("kind", SERVERS)
def test_no_older_value_wins_and_no_deleted_row_returns(labs: Labs, kind: str) -> None:
    """250 examples on each server."""
    with ready(labs(kind, "order")) as at:

        @QUIET
        @given(st.lists(batch_rows, min_size=1, max_size=4), st.data())
        def attempt(batches: list[list[tuple[int, int]]], data: st.DataObject) -> None:
            begin(at)
            order = data.draw(st.permutations(range(len(batches))))
            for number in order:
                _merge(at, batches[number], number)
            newest: dict[int, int] = {}
            for i, n in (row for rows in batches for row in rows):
                newest[i] = max(n, newest.get(i, n))
            assert [(i, n) for i, n, _ in at.lab.rows("t")] == sorted(newest.items())
            gone = data.draw(st.lists(st.sampled_from(sorted(newest)), unique=True))
            with at.writer.batch("delete"):
                at.writer.delete(at.lab.name("t"), at.columns("t")[:1], [(str(i),) for i in gone])
            for number in data.draw(st.permutations(range(len(batches)))):
                _merge(at, batches[number], number)
            assert [(i, n) for i, n, _ in at.lab.rows("t")] == sorted(
                (i, n) for i, n in newest.items() if i not in gone
            )

        attempt()


def _merge(at: Desk, rows: list[tuple[int, int]], number: int) -> None:
    texts: list[Texts] = [(str(i), str(n), f"b{number}") for i, n in rows]
    stage = at.writer.stage(at.lab.name("t"), at.columns("t"))
    with at.writer.batch(f"b{number}") as open:
        if open:
            at.load("t", texts, into=stage)
            at.writer.merge(stage, at.lab.name("t"), Merge(("id",), at.columns("t"), newer="n"))


# -- 18: a model beside two databases

TEXT = st.none() | st.sampled_from([t for t in NASTY if len(t) <= 20]) | st.text("abcXYZ\\\t'é中😀 ", max_size=8)
IDS = st.integers(-20, 60) | st.sampled_from([-(2**63), 2**63 - 1, 100, 200, 9999])


def machine(here: TableLab, there: TableLab) -> type[RuleBasedStateMachine]:
    """A machine over one table of the pair. After each run that says it succeeded the target is the model."""

    class Tables(RuleBasedStateMachine):
        @initialize()
        def start(self) -> None:
            self.table = f"m{next(_numbers)}"
            here.make(self.table, {"id": "big not null", "t": "name", "n": "int"}, key=["id"])
            self.columns = ["t", "n"]
            self.model: dict[int, dict[str, Any]] = {}
            self.store = MemoryStore()
            self.quiet = False

        @rule(
            ids=st.lists(IDS, min_size=1, max_size=30), text=TEXT, number=st.none() | st.integers(-(2**31), 2**31 - 1)
        )
        def put(self, ids: list[int], text: str | None, number: int | None) -> None:
            for id in ids:
                self._put(id, {"t": text, "n": number})

        @rule(id=IDS, column=st.integers(0, 9), text=TEXT)
        def change(self, id: int, column: int, text: str | None) -> None:
            name = self.columns[column % len(self.columns)]
            if id in self.model and name != "n":
                self._put(id, {**self.model[id], name: text})

        @rule(low=IDS, count=st.integers(0, 30))
        def delete(self, low: int, count: int) -> None:
            high = min(low + count, 2**63 - 1)
            here.execute(f"delete from {here.at(self.table)} where id between {low} and {high}")
            self.model = {i: row for i, row in self.model.items() if not low <= i <= high}
            self.quiet = False

        @rule()
        def many(self) -> None:
            for id in range(1000, 1400):
                self.model[id] = {c: ("many" if c != "n" else id) for c in self.columns}
            names = ", ".join(["id", *self.columns])
            rows = ", ".join(
                f"({i}, {', '.join(str(i) if c == 'n' else chr(39) + 'many' + chr(39) for c in self.columns)})"
                for i in range(1000, 1400)
            )
            here.execute(f"delete from {here.at(self.table)} where id between 1000 and 1399")
            here.execute(f"insert into {here.at(self.table)} ({names}) values {rows}")
            self.quiet = False

        @precondition(lambda self: len(self.columns) < 5)
        @rule()
        def add_column(self) -> None:
            name = f"c{len(self.columns)}"
            here.execute(f"alter table {here.at(self.table)} add column {name} varchar(40)")
            self.columns.append(name)
            for row in self.model.values():
                row[name] = None
            self.quiet = False

        @rule(size=st.integers(210, 400))
        def widen(self, size: int) -> None:
            self.widest = max(size, getattr(self, "widest", 200))
            verb = "alter column t type" if here.dialect == "postgres" else "modify t"
            here.execute(f"alter table {here.at(self.table)} {verb} varchar({self.widest})")

        @rule(
            changes=st.sampled_from([Changes.AUTO, Changes.WHOLE, Changes.HASH]),
            slice_bytes=st.sampled_from([2000, 10**7]),
        )
        def run(self, changes: Changes, slice_bytes: int) -> None:
            self._run(changes, slice_bytes)
            self.quiet = True

        @rule(
            changes=st.sampled_from([Changes.WHOLE, Changes.HASH]), slice_bytes=st.sampled_from([2000, 10**7]),
            delay=st.floats(0, 0.15), times=st.integers(1, 4),
        )  # fmt: skip
        def run_and_kill(self, changes: Changes, slice_bytes: int, delay: float, times: int) -> None:
            """Our connections to the target are killed meanwhile. The run may end well, or say that it did not."""
            with killing(there, delay, times), suppress(Retry, Stop):
                self._run(changes, slice_bytes)
                self.quiet = True

        @invariant()
        def target_is_model(self) -> None:
            if getattr(self, "quiet", False):
                assert self._held(there) == self._wanted()

        def teardown(self) -> None:
            if hasattr(self, "store"):
                self._run(Changes.AUTO, 10**7)
                assert self._held(there) == self._wanted()

        def _put(self, id: int, values: dict[str, Any]) -> None:
            row = {c: values.get(c) for c in self.columns}
            here.execute(f"delete from {here.at(self.table)} where id = {id}")
            marks = ", ".join([here.mark] * (len(row) + 1))
            names = ", ".join(["id", *row])
            here.execute(f"insert into {here.at(self.table)} ({names}) values ({marks})", (id, *row.values()))
            self.model[id] = row
            self.quiet = False

        def _run(self, changes: Changes, slice_bytes: int) -> None:
            job = TableJob(
                self.table, there.name(self.table), here.name(self.table), mode=Mode.CLONE, changes=changes,
                delete_limit=DeleteLimit(1.0, 10**9), allow_empty_source=True,
            )  # fmt: skip
            pace = Pace(streams=2, slice_bytes=slice_bytes)
            with closing(here.open()) as source, closing(there.open()) as target:
                run = TablesRun([job], source, target, self.store, owner="model", pace=pace)
                outcome = run.execute()[self.table]
            if outcome.error is not None:
                raise outcome.error
            assert outcome.report is not None
            assert outcome.report.counts.balanced, outcome.report.counts

        def _wanted(self) -> dict[str, tuple[Any, ...]]:
            return {str(i): tuple(_text(row[c]) for c in self.columns) for i, row in self.model.items()}

        def _held(self, lab: TableLab) -> dict[str, tuple[Any, ...]]:
            rows = raw_rows(lab, self.table, self.columns)
            return {id: tuple(_text(v) for v in row) for id, row in rows.items()}

    return Tables


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


@contextmanager
def killing(lab: TableLab, delay: float, times: int, sleep: Callable[[float], None] = time.sleep) -> Iterator[None]:
    """Kill all other sessions in the database, `times` times, `delay` seconds apart."""

    def kill() -> None:
        for _ in range(times):
            sleep(delay)
            for session in lab.sessions():
                lab.kill(session)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        thread.join()


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("here", "there"), [("postgres", "postgres"), ("postgres", "mysql"), ("mysql", "postgres"),
                                             ("mysql", "mysql")])  # fmt: skip
def test_the_target_is_the_model(labs: Labs, here: str, there: str) -> None:
    bounds = settings(QUIET, max_examples=10, stateful_step_count=25)
    run_state_machine_as_test(machine(labs(here, "model here"), labs(there, "model there")), settings=bounds)
