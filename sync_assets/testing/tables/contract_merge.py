# ruff: noqa: S101 (tests)
"""The contract of stage, merge, delete and clear. Tests over the fixture `lab` (a `TableLab`)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from sync_assets.engine.errors import Stop, SyncError
from sync_assets.engine.tables.reading import Condition
from sync_assets.engine.tables.writing import Merge
from sync_assets.testing.tables.desk import Desk, Texts, desk, found
from sync_assets.testing.tables.lab import TableLab


def merged(at: Desk, rows: Sequence[Texts], **how: Any) -> tuple[int, int, int, int]:
    """Stage and merge; created, updated, unchanged, deleted."""
    number = next(_numbers)
    stage = at.staged("t", rows, batch=f"stage {number}")
    with at.writer.batch(f"merge {number}"):
        counts = at.writer.merge(stage, at.lab.name("t"), Merge(("id",), at.columns("t"), **how))
    assert counts.read == len(rows)
    assert counts.balanced, counts
    return counts.created, counts.updated, counts.unchanged, counts.deleted


_numbers = itertools.count(1)
HELD = [("1", "abc", "1"), ("2", "", None), ("3", None, "3"), ("4", "café", "4"), ("5", "a", "5"), ("6", "ss", "6"),
        ("7", "é", "7"), ("8", "0", "0"), ("-9", "same", None)]  # fmt: skip
CHANGED = [("1", "ABC", "1"), ("2", None, None), ("3", "", "3"), ("4", "cafe", "4"), ("5", "a ", "5"), ("6", "ß", "6"),
           ("7", "e\u0301", "7"), ("8", "0", None), ("10", None, None), ("-9", "same", None)]  # fmt: skip


def test_merge_counts_and_writes_exactly_what_differs(at: Desk) -> None:
    with at.writer.batch("held"):
        at.load("t", HELD)
    assert merged(at, HELD) == (0, 0, 9, 0)
    assert merged(at, CHANGED) == (1, 8, 1, 0)
    wanted = sorted((int(i or 0), t, None if n is None else int(n)) for i, t, n in CHANGED)
    assert found(at) == wanted
    assert merged(at, CHANGED) == (0, 0, 10, 0)
    assert merged(at, CHANGED[:3], delete_missing=True) == (0, 0, 3, 7)
    assert found(at) == [w for w in wanted if w[0] in (1, 2, 3)]


def test_merge_does_not_touch_unchanged_rows(at: Desk) -> None:
    if at.lab.dialect != "postgres":
        pytest.skip("only PostgreSQL shows which transaction wrote a row")
    with at.writer.batch("held"):
        at.load("t", HELD)
    before = at.lab.execute("select xmin, ctid from t order by id")
    merged(at, HELD)
    assert at.lab.execute("select xmin, ctid from t order by id") == before


def test_merge_that_only_adds(at: Desk) -> None:
    with at.writer.batch("held"):
        at.load("t", [("1", "old", "1")])
    created, updated, _, deleted = merged(at, [("1", "new", "1"), ("2", "b", "2")], replace=False)
    assert (created, updated, deleted) == (1, 0, 0)
    assert found(at) == [(1, "old", 1), (2, "b", 2)]


def test_merge_never_puts_older_over_newer(at: Desk) -> None:
    with at.writer.batch("held"):
        at.load("t", [("1", "old", "5"), ("2", "old", "5"), ("3", "old", "5"), ("4", "old", None)])
    created, updated, _, _ = merged(
        at, [("1", "late", "4"), ("2", "same", "5"), ("3", "new", "6"), ("5", "b", "1")], newer="n"
    )
    assert (created, updated) == (1, 1)
    assert found(at) == [(1, "old", 5), (2, "old", 5), (3, "new", 6), (4, "old", None), (5, "b", 1)]


def test_merge_deletes_only_within_its_scope(at: Desk) -> None:
    with at.writer.batch("held"):
        at.load("t", [(str(i), "x", str(i % 3) if i % 4 else None) for i in range(12)])
    scope = (Condition("n", "=", "1"),)
    stay = [("1", "x", "1")]
    assert merged(at, stay, delete_missing=True, scope=scope) == (0, 0, 1, 2)
    assert [r[0] for r in found(at)] == [0, 1, 2, 3, 4, 5, 6, 8, 9, 11]


def test_merge_that_only_deletes(at: Desk) -> None:
    with at.writer.batch("held"):
        at.load("t", [(str(i), "x", str(i)) for i in range(5)])
    stage = at.staged("t", [("1", "other", "1"), ("9", "new", "9")])
    with at.writer.batch("merge"):
        counts = at.writer.merge(
            stage, at.lab.name("t"), Merge(("id",), at.columns("t"), delete_missing=True, add=False)
        )
    assert (counts.created, counts.updated, counts.deleted) == (0, 0, 4)
    assert found(at) == [(1, "x", 1)]


def test_merge_of_nothing_with_deletion_empties_the_scope(at: Desk) -> None:
    with at.writer.batch("held"):
        at.load("t", [(str(i), "x", str(i)) for i in range(5)])
    scope = (Condition("n", ">=", "3"),)
    assert merged(at, [], delete_missing=True, scope=scope) == (0, 0, 0, 2)
    assert len(found(at)) == 3


@pytest.mark.parametrize("keyed", [True, False])
def test_a_key_that_is_not_unique_stops(lab: TableLab, keyed: bool) -> None:
    """Also where no index of the table would notice."""
    lab.make("t", {"id": "big not null", "t": "text", "n": "int"}, key=["id"] if keyed else [])
    with desk(lab) as at:
        stage = at.staged("t", [("1", "SECRET", "1"), ("1", "b", "2"), ("2", "c", "3")])
        with pytest.raises(Stop) as caught, at.writer.batch("merge"):
            at.writer.merge(stage, lab.name("t"), Merge(("id",), at.columns("t")))
        assert "SECRET" not in str(caught.value)
        assert found(at) == []


def test_merge_by_a_key_without_an_index(lab: TableLab) -> None:
    lab.make("t", {"id": "big", "t": "text", "n": "int"})
    with desk(lab) as at:
        with at.writer.batch("held"):
            at.load("t", HELD)
        assert merged(at, CHANGED, delete_missing=True) == (1, 8, 1, 0)
        assert merged(at, CHANGED[:4], delete_missing=True) == (0, 0, 4, 6)


def test_merge_by_a_text_key_tells_close_texts_apart(lab: TableLab) -> None:
    binary = " collate utf8mb4_nopad_bin" if lab.dialect == "mysql" else ""
    lab.make("t", {"id": f"name{binary} not null", "t": "text", "n": "int"}, key=["id"])
    keys = ["a", "A", "a ", "á", "", " ", "ss", "ß"]
    with desk(lab) as at:
        assert merged(at, [(k, "x", None) for k in keys]) == (8, 0, 0, 0)
        assert merged(at, [(k, "x" if k != "A" else "y", None) for k in keys]) == (0, 1, 7, 0)
        assert merged(at, [(k, "x" if k != "A" else "y", None) for k in keys[1:]], delete_missing=True) == (0, 0, 7, 1)
        with at.writer.batch("delete"):
            assert at.writer.delete(lab.name("t"), at.columns("t")[:1], [("ß",), ("A",), ("nothing",)]) == 2
        assert {r[0] for r in found(at)} == {"a ", "á", "", " ", "ss"}


def test_merge_by_several_columns(lab: TableLab) -> None:
    lab.make("t", {"a": "int not null", "id": "name not null", "n": "int"}, key=["a", "id"])
    with desk(lab) as at:
        columns, table = at.columns("t"), lab.name("t")

        def merge(rows: Sequence[Texts], batch: str) -> tuple[int, int, int]:
            stage = at.staged("t", rows, batch=f"stage {batch}")
            with at.writer.batch(batch):
                counts = at.writer.merge(stage, table, Merge(("a", "id"), columns, delete_missing=True))
            return counts.created, counts.updated, counts.deleted

        assert merge([("1", "x", "1"), ("1", "y", "1"), ("2", "x", "1")], "m1") == (3, 0, 0)
        assert merge([("1", "x", "1"), ("1", "y", "2"), ("2", "y", "1")], "m2") == (1, 1, 1)
        with at.writer.batch("delete"):
            keys = [("1", "y"), ("2", "x"), ("3", "x")]
            assert at.writer.delete(table, columns[:2], keys) == 1
            assert at.writer.delete(table, columns[:2], []) == 0
        assert found(at) == [(1, "x", 1), (2, "y", 1)]


def test_rows_without_a_key_are_added_as_they_are(lab: TableLab) -> None:
    lab.make("t", {"id": "big", "t": "text", "n": "int"})
    with desk(lab) as at:
        for turn in range(2):
            stage = at.staged("t", [("1", "a", None), ("1", "a", None)], batch=f"stage {turn}")
            with at.writer.batch(f"merge {turn}"):
                assert at.writer.merge(stage, lab.name("t"), Merge((), at.columns("t"))).created == 2
        assert found(at) == [(1, "a", None)] * 4


def test_a_table_of_keys_only(lab: TableLab) -> None:
    lab.make("t", {"id": "big not null"}, key=["id"])
    with desk(lab) as at:
        assert merged(at, [("1",), ("2",)]) == (2, 0, 0, 0)
        assert merged(at, [("2",), ("3",)], delete_missing=True) == (1, 0, 1, 1)


def test_a_stage_is_empty_each_time(at: Desk) -> None:
    first = at.staged("t", [("1", "a", None)], batch="one")
    again = at.staged("t", [("2", "b", None)], batch="two")
    assert first == again
    with at.writer.batch("merge"):
        assert at.writer.merge(again, at.lab.name("t"), Merge(("id",), at.columns("t"))).created == 1
    at.writer.serve("other", 1)
    assert at.writer.stage(at.lab.name("t"), at.columns("t")) != again, "two syncs share a stage"


def test_clear(at: Desk) -> None:
    with at.writer.batch("held"):
        at.load("t", [(str(i), "x", str(i)) for i in range(10)])
    with at.writer.batch("some"):
        assert at.writer.clear(at.lab.name("t"), (Condition("n", ">=", "8"), Condition("n", "<", "9"))) == 1
    with pytest.raises(ZeroDivisionError), at.writer.batch("undone"):
        at.writer.clear(at.lab.name("t"))
        raise ZeroDivisionError
    assert at.lab.count("t") == 9
    with at.writer.batch("all"):
        assert at.writer.clear(at.lab.name("t")) == 9
        assert at.lab.dialect == "sqlite" or at.lab.count("t") == 9, "readers see the rows go before the commit"
    assert at.lab.count("t") == 0


def test_only_our_own_tables_are_dropped(at: Desk) -> None:
    with pytest.raises(SyncError):
        at.writer.drop(at.lab.name("t"))
    assert at.lab.count("t") == 0
    stage = at.writer.stage(at.lab.name("t"), at.columns("t"))
    at.writer.drop(stage)
    at.writer.drop(stage)
    assert stage not in at.target.shapes([stage])
