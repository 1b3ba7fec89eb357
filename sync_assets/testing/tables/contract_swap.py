# ruff: noqa: S101, S608 (tests)
"""The contract of twin and swap: readers see the old table or the new. Tests over the fixture `lab`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from sync_assets.engine.errors import BadBatch, Stop
from sync_assets.engine.tables.writing import Head
from sync_assets.testing.tables.desk import desk
from sync_assets.testing.tables.lab import TableLab


def _rich(lab: TableLab) -> None:
    lab.make(
        "t", {"id": "big not null", "t": "text default 'd'", "n": "int not null"}, key=["id"],
        extra="constraint n_unique unique (n), constraint n_small check (n < 1000000)",
    )  # fmt: skip
    where = "t" if lab.dialect == "sqlite" else lab.at("t")  # its grammar wants the schema before the index's name
    lab.execute(f"create index t_by_t on {where} (t)")


def test_swap_shows_old_or_new_and_keeps_the_shape(lab: TableLab) -> None:
    if lab.dialect == "sqlite":
        lab.execute("pragma journal_mode = wal")
    _rich(lab)
    lab.fill("t", [(i, "old", i) for i in range(500)])
    seen: set[tuple[int, str | None]] = set()
    errors: list[Exception] = []
    stop = threading.Event()

    def watch() -> None:
        connection = lab.connect()
        cursor = connection.cursor()
        while not stop.is_set():
            try:
                cursor.execute(f"select count(*), min(t) from {lab.at('t')}")
                seen.add(tuple(cursor.fetchone()))
            except Exception as error:
                errors.append(error)
        cursor.close()
        connection.close()

    with desk(lab) as at:
        before = at.target.shapes([lab.name("t")])[lab.name("t")]
        at.writer.keep_plan("{}")
        thread = threading.Thread(target=watch)
        thread.start()
        try:
            for turn in range(3):
                twin = at.writer.twin(lab.name("t"))
                with at.writer.batch(f"fill {turn}") as open:
                    assert open
                    at.load("t", [(str(i), f"new {turn}", str(i)) for i in range(700)], into=twin)
                assert at.writer.swap(twin, lab.name("t"), f"swap {turn}", position=f"p{turn}") is True
                assert at.head() == Head(1, turn + 1, f"p{turn}", None, frozenset())
        finally:
            stop.set()
            thread.join()
        after = at.target.shapes([lab.name("t")])[lab.name("t")]
        assert [e.name.name for e in at.target.tables()] == ["t"]
    assert not errors
    assert seen <= {(500, "old"), *((700, f"new {n}") for n in range(3))}
    assert len(seen) >= 2
    assert lab.count("t") == 700
    _same_shape(before, after)
    for bad in ("(1, 'x', 77777)", "(5000, 'x', 1)", "(5000, 'x', 9999999)"):
        with pytest.raises(_driver_errors(lab)):
            lab.execute(f"insert into {lab.at('t')} values {bad}")
    lab.execute(f"insert into {lab.at('t')} (id, n) values (5000, 77777)")
    assert lab.execute(f"select t from {lab.at('t')} where id = 5000") == [("d",)]


def _same_shape(before: Any, after: Any) -> None:
    assert [c.name for c in before.columns] == [c.name for c in after.columns]
    for a, b in zip(before.columns, after.columns, strict=True):
        assert (a.native, a.nullable, a.default) == (b.native, b.nullable, b.default)
    assert before.key == after.key
    assert set(before.unique) == set(after.unique)
    assert {(i.name, i.columns, i.unique) for i in before.indexes} == {
        (i.name, i.columns, i.unique) for i in after.indexes
    }
    assert len(before.checks) == len(after.checks)


def _driver_errors(lab: TableLab) -> type[Exception]:
    if lab.dialect == "postgres":
        import psycopg

        return psycopg.Error
    if lab.dialect == "mysql":
        import pymysql

        return pymysql.MySQLError
    import sqlite3

    return sqlite3.Error


def _view(lab: TableLab) -> None:
    lab.execute(f"create view {lab.at('v')} as select id from {lab.at('t')}")


def _child(lab: TableLab) -> None:
    extra = f"foreign key (p) references {lab.at('t') if lab.dialect != 'sqlite' else 't'} (id)"
    lab.make("child", {"id": "big not null", "p": "big"}, key=["id"], extra=extra)


@pytest.mark.parametrize("hang", [_view, _child])
def test_a_table_on_which_others_hang_is_not_swapped(lab: TableLab, hang: Callable[[TableLab], None]) -> None:
    _rich(lab)
    lab.fill("t", [(1, "old", 1)])
    hang(lab)
    with desk(lab) as at:
        twin = at.writer.twin(lab.name("t"))
        with at.writer.batch("fill"):
            at.load("t", [("2", "new", "2")], into=twin)
        swapped = at.writer.swap(twin, lab.name("t"), "swap", position="p")
        if swapped:  # a database that binds by name may swap: then what hangs on the table must still work
            _still_hangs(lab, hang)
            return
        assert lab.rows("t") == [(1, "old", 1)]
        assert at.head() == Head(1, 0, None, None, frozenset({"fill"}))
        at.writer.drop(twin)


def _still_hangs(lab: TableLab, hang: Callable[[TableLab], None]) -> None:
    assert lab.rows("t") == [(2, "new", 2)]
    if hang is _view:
        assert lab.rows("v") == [(2,)]
        return
    connection = lab.connect()
    cursor = connection.cursor()
    if lab.dialect == "sqlite":
        cursor.execute("pragma foreign_keys = on")
    cursor.execute(f"insert into {lab.at('child')} values (1, 2)")
    with pytest.raises(_driver_errors(lab)):
        cursor.execute(f"insert into {lab.at('child')} values (2, 1)")
    cursor.close()
    connection.close()


def test_a_swap_that_breaks_a_rule_leaves_everything(lab: TableLab) -> None:
    """Twins have no keys yet: what repeats one is found when they are made."""
    _rich(lab)
    lab.fill("t", [(1, "old", 1)])
    with desk(lab) as at:
        twin = at.writer.twin(lab.name("t"))
        try:
            with at.writer.batch("fill"):
                at.load("t", [("2", "SECRET", "2"), ("2", "SECRET", "3")], into=twin)
            with pytest.raises((Stop, BadBatch)) as caught:
                at.writer.swap(twin, lab.name("t"), "swap")
        except BadBatch:
            return  # twins that keep their keys are well, too
        assert "SECRET" not in str(caught.value)
        assert lab.rows("t") == [(1, "old", 1)]
        assert at.head().epoch == 0
