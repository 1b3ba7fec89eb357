# ruff: noqa: S101, S608 (tests)
"""The contract of loading rows. Tests over the fixture `lab` (a `TableLab`)."""

from __future__ import annotations

import pytest

from sync_assets.engine.errors import BadBatch
from sync_assets.engine.tables.reading import Condition, Form
from sync_assets.engine.tables.writing import Head, Merge
from sync_assets.testing.tables.contract_reading import hostile_names
from sync_assets.testing.tables.desk import Desk, desk, found
from sync_assets.testing.tables.lab import TableLab
from sync_assets.testing.tables.lines import lines


def test_hostile_names_are_written(lab: TableLab) -> None:
    names = hostile_names(lab)
    for name in names:
        lab.make(name, {"id": "big not null", name if name != "id" else "x": "text"}, key=["id"])
    with desk(lab) as at:
        for name in names:
            table, columns = lab.name(name), at.columns(name)
            stage = at.staged(name, [("1", "new"), ("2", name)], batch=f"stage {name}")
            with at.writer.batch(f"merge {name}"):
                at.load(name, [("1", "old"), ("3", "gone")])
                counts = at.writer.merge(stage, table, Merge(("id",), columns, delete_missing=True))
                assert (counts.created, counts.updated, counts.deleted) == (1, 1, 1)
            assert lab.rows(name) == [(1, "new"), (2, name)]
            with at.writer.batch(f"delete {name}"):
                assert at.writer.delete(table, columns[1:], [(name,)]) == 1
                assert at.writer.clear(table, (Condition(columns[1].name, "=", "new"),)) == 1
            assert lab.count(name) == 0
            at.writer.drop(stage)


AWKWARD = ["", " ", "a ", "\t", "\n", "\r", "\r\n", "\\", "\\N", "\\.", "NULL", '"', "'", "\v\f\b\a\x1b\x7f\x01", "😀",
           "中文", "e\u0301", "\ufeff", "\u2028", "\x85", "%s", "a\\tb", None]  # fmt: skip


def test_texts_are_stored_as_they_are(at: Desk) -> None:
    rows = [(str(i), t, None) for i, t in enumerate(AWKWARD)]
    with at.writer.batch("b"):
        assert at.load("t", rows) == len(AWKWARD)
    assert [(i, t) for i, t, _ in found(at)] == list(enumerate(AWKWARD))


def test_some_columns_in_another_order(at: Desk) -> None:
    id, _, n = at.columns("t")
    with at.writer.batch("b"):
        at.writer.load(at.lab.name("t"), (n, id), Form.LINES, [b"7\t1\n", b"", b"8\t2\n"])
    assert found(at) == [(1, None, 7), (2, None, 8)]


def test_nothing_to_load(at: Desk) -> None:
    with at.writer.batch("b"):
        assert at.load("t", []) == 0
        assert at.writer.load(at.lab.name("t"), at.columns("t"), Form.LINES, []) == 0
    assert found(at) == []


def test_many_blocks(at: Desk) -> None:
    blocks = [lines((str(i), "x" * 150, str(i)) for i in range(at, at + 100)) for at in range(0, 5000, 100)]
    with at.writer.batch("b"):
        assert at.writer.load(at.lab.name("t"), at.columns("t"), Form.LINES, iter(blocks)) == 5000
    assert at.lab.count("t") == 5000
    assert at.writer.moved.bytes >= 750_000
    assert at.writer.moved.rows == 5000


BAD = {
    "not a number": ("9", "x", "SECRET"), "out of range": ("9", "x", "99999999999999"),
    "key twice": ("1", "SECRET", "0"),    "null key": (None, "SECRET", "0"), "half a number": ("9", "x", "12SECRET"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_a_row_that_does_not_fit_is_a_bad_batch(at: Desk, kind: str) -> None:
    if at.lab.dialect == "sqlite" and kind == "out of range":
        pytest.skip("SQLite's integers have 64 bits whatever their name")
    with at.writer.batch("b0"):
        at.load("t", [("1", "a", "1")])
    with pytest.raises(BadBatch) as caught, at.writer.batch("b1", position="p"):
        at.load("t", [("2", "b", "2"), BAD[kind]])
    assert "SECRET" not in str(caught.value)
    assert found(at) == [(1, "a", 1)]
    assert at.head() == Head(1, 0, None, None, frozenset({"b0"}))
    with at.writer.batch("b1") as open:
        assert open
        at.load("t", [("2", "b", "2")])
    assert len(found(at)) == 2


@pytest.mark.parametrize("kind", BAD)
def test_a_tried_row_leaves_the_batch_usable(at: Desk, kind: str) -> None:
    if at.lab.dialect == "sqlite" and kind == "out of range":
        pytest.skip("SQLite's integers have 64 bits whatever their name")
    table, columns = at.lab.name("t"), at.columns("t")
    with at.writer.batch("b"):
        at.writer.try_load(table, columns, [lines([("1", "a", "1")]), lines([("2", "b", "2")])])
        with pytest.raises(BadBatch):
            at.writer.try_load(table, columns, [lines([("3", "c", "3")]), lines([BAD[kind]])])
        at.writer.try_load(table, columns, [lines([("4", "d", "4")])])
    assert [r[0] for r in found(at)] == [1, 2, 4]
    assert at.head().applied == {"b"}


def test_a_savepoint_is_undone_alone(at: Desk) -> None:
    with at.writer.batch("b"):
        at.load("t", [("1", "a", "1")])
        with pytest.raises(ZeroDivisionError), at.writer.savepoint():
            at.load("t", [("2", "b", "2")])
            raise ZeroDivisionError
        with pytest.raises(BadBatch), at.writer.savepoint():
            at.load("t", [("1", "again", "1")])
        with at.writer.savepoint():
            at.load("t", [("3", "c", "3")])
    assert [r[0] for r in found(at)] == [1, 3]


def test_too_long_a_text_is_refused_and_never_cut(lab: TableLab) -> None:
    if lab.dialect == "sqlite":
        pytest.skip("SQLite has no lengths")
    lab.make("t", {"id": "big not null", "s": "short"}, key=["id"])
    with desk(lab) as at:
        with pytest.raises(BadBatch), at.writer.batch("b"):
            at.load("t", [("1", "abcdef")])
        with at.writer.batch("b"):
            at.load("t", [("1", "一二三四五"), ("2", "😀😀😀😀😀")])
        assert found(at) == [(1, "一二三四五"), (2, "😀😀😀😀😀")]


def test_a_broken_foreign_key_is_a_bad_batch(lab: TableLab) -> None:
    if lab.dialect == "sqlite":
        pytest.skip("SQLite does not enforce foreign keys unless asked")
    lab.make("parent", {"id": "big not null"}, key=["id"])
    extra = f"foreign key (p) references {lab.at('parent')} (id)"
    lab.make("child", {"id": "big not null", "p": "big"}, key=["id"], extra=extra)
    with desk(lab) as at:
        with pytest.raises(BadBatch), at.writer.batch("b"):
            at.load("child", [("1", "77")])
        assert lab.count("child") == 0


def test_one_large_cell(lab: TableLab) -> None:
    lab.make("t", {"id": "big not null", "s": "long"}, key=["id"])
    with desk(lab) as at:
        with at.writer.batch("b"):
            assert at.load("t", [("1", "中" * 2_000_000), ("2", "x")]) == 2
        length = "octet_length" if lab.dialect == "postgres" else "length"
        assert lab.execute(f"select {length}(s) from {lab.at('t')} order by id")[0][0] in (6_000_000, 2_000_000)
