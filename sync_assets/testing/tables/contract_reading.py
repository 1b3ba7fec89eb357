# ruff: noqa: S101, S608, S311 (tests)
"""The contract of `engine.tables.reading`, as tests over the fixture `lab` (a `TableLab`).

Small tables with awkward content; what must come out is written by hand or read through the plain driver.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest

from sync_assets.engine.tables.reading import Condition, Form, Reader, Selection, TableSource
from sync_assets.engine.tables.shape import ColumnShape, TableName, TableShape
from sync_assets.testing.tables.lab import TableLab
from sync_assets.testing.tables.lines import Cells, parsed

BIG = 2**63 - 1
HOSTILE = (
    "plain", "Mixed Case", "select", "it's", "it''s", 'dou"ble', "back`tick", "订单表", "x" * 63, "表" * 21, "with.dot",
    "per%cent", "%s", "%(a)s", "semi;colon", "-- dash", "back\\slash", " lead", "{brace}", ":colon", "$1", "$$", "?",
    "new\nline", "tab\there", "a,b", "(round)", "*", "@v", "#hash", "/* x */", "é", "ÄÖ",
)  # fmt: skip
EMOJI = ("emoji😀", "👨‍👩‍👧")  # MySQL's names have no room for them


def hostile_names(lab: TableLab) -> tuple[str, ...]:
    return HOSTILE if lab.dialect == "mysql" else (*HOSTILE, *EMOJI)


@contextmanager
def opened(lab: TableLab) -> Iterator[TableSource]:
    source = lab.open()
    try:
        yield source
    finally:
        source.close()


@contextmanager
def reading(source: TableSource, *names: TableName) -> Iterator[Reader]:
    with source.snapshot(names, 1) as snapshot:
        reader = snapshot.reader()
        try:
            yield reader
        finally:
            reader.close()


def shape_of(source: TableSource, name: TableName) -> TableShape:
    return source.shapes([name])[name]


def whole(shape: TableShape, **more: Any) -> Selection:
    return Selection(shape.name, shape.columns, **more)


def read(reader: Reader, selection: Selection, dialect: str, into: Sequence[ColumnShape] = ()) -> list[Cells]:
    return parsed(reader.rows(selection, Form.LINES, into or selection.columns, dialect))


def read_all(source: TableSource, name: TableName, **more: Any) -> list[Cells]:
    with reading(source, name) as reader:
        return read(reader, whole(shape_of(source, name), **more), source.dialect)


def test_hostile_names_are_listed_described_and_read(lab: TableLab) -> None:
    names = hostile_names(lab)
    for at, name in enumerate(names):
        lab.make(name, {"id": "big not null", name + "c" if len(name) < 60 else name: "text"}, key=["id"])
        lab.fill(name, [(at, name)])
    with opened(lab) as source:
        listed = [entry.name.name for entry in source.tables()]
        assert sorted(listed) == sorted(names)
        shapes = source.shapes([lab.name(n) for n in names])
        for at, name in enumerate(names):
            shape = shapes[lab.name(name)]
            assert shape.key == ("id",)
            with reading(source, shape.name) as reader:
                assert read(reader, whole(shape), source.dialect) == [(str(at), name)]
                text = Condition(shape.columns[1].name, "=", name)
                assert reader.count(whole(shape, conditions=(text,))) == 1
                assert reader.count(whole(shape, key=("id",), keys=((str(at),), ("99999",)))) == 1
                assert reader.newest(whole(shape), shape.columns[1].name) == name


def test_a_written_name_is_understood(lab: TableLab) -> None:
    with opened(lab) as source:
        assert source.name_of("orders") == lab.name("orders")
        assert source.name_of("other.orders") == TableName("other", "orders")
        assert source.name_of('"a.b"."c""d"') == TableName("a.b", 'c"d')


def test_the_address_names_the_database_and_no_secret(lab: TableLab) -> None:
    with opened(lab) as source:
        assert source.dialect == lab.dialect
        assert source.place and source.address
        if lab.server is not None:
            assert lab.server.password not in source.address + source.place


def test_a_missing_table_is_missing_in_the_answer(lab: TableLab) -> None:
    name = lab.make("there", {"id": "big"})
    with opened(lab) as source:
        assert set(source.shapes([name, lab.name("missing")])) == {name}
        assert source.shapes([]) == {}


def test_an_empty_table(lab: TableLab) -> None:
    name = lab.make("nothing", {"id": "big not null", "t": "text"}, key=["id"])
    with opened(lab) as source, source.snapshot([name], 2) as snapshot:
        shape = shape_of(source, name)
        both = source.hashing(source, shape.columns, shape.columns, shape.key, 0)
        pieces = snapshot.slices(whole(shape), 1024)
        reader = snapshot.reader()
        assert pieces
        for piece in pieces:
            assert read(reader, piece, source.dialect) == []
        assert reader.count(whole(shape)) == 0
        assert reader.empty(whole(shape))
        assert reader.newest(whole(shape), "id") is None
        assert both is not None
        assert list(reader.buckets(whole(shape), both[0])) == []
        reader.close()


def test_texts_arrive_as_they_are(lab: TableLab) -> None:
    texts = ["", " ", "  trailing  ", "\t", "\n", "\r", "\r\n", "\\", "\\N", "\\n", "\\.", "NULL", "null", '"', "'",
             "\v\f\b\a\x1b\x7f\x01", "😀👨‍👩‍👧", "中文", "é", "e\u0301", "\ufeff", "\u2028", "a\tb\\tc", "\\\\", "%s",
             "''", "\x85", None, "0", "\ufffd", "x" * 200]  # fmt: skip
    name = lab.make("texts", {"id": "big not null", "t": "text"}, key=["id"])
    lab.fill("texts", list(enumerate(texts)))
    with opened(lab) as source:
        for dialect in ("postgres", "mysql", "sqlite"):
            shape = shape_of(source, name)
            with reading(source, name) as reader:
                raw = list(reader.rows(whole(shape), Form.LINES, shape.columns, dialect))
            if source.dialect == "postgres" and dialect == "postgres":
                continue  # PostgreSQL to itself may use its own escapes
            assert sorted(parsed(raw), key=lambda r: int(r[0] or 0)) == [(str(i), t) for i, t in enumerate(texts)]


def test_which_rows(lab: TableLab) -> None:
    name = lab.make("some", {"a": "big not null", "b": "name not null", "n": "int", "m": "moment"}, key=["a", "b"])
    moments = ["2024-01-01 00:00:00", "2024-01-01 00:00:00.000001", "2024-06-01 12:30:00", None]
    lab.fill("some", [(i, f"k{i % 3}", i % 5 or None, moments[i % 4]) for i in range(20)])
    with opened(lab) as source:
        shape = shape_of(source, name)

        def ids(**more: Any) -> list[int]:
            return sorted(int(r[0] or -1) for r in read_all(source, name, **more))

        assert ids() == list(range(20))
        assert ids(conditions=(Condition("a", ">=", "5"), Condition("a", "<", "8"))) == [5, 6, 7]
        assert ids(conditions=(Condition("n", "<=", "1"),)) == [1, 6, 11, 16]
        assert ids(conditions=(Condition("b", "=", "k1"),)) == [i for i in range(20) if i % 3 == 1]
        later = Condition("m", ">", "2024-01-01 00:00:00.000000")
        assert ids(conditions=(later,)) == [i for i in range(20) if i % 4 in (1, 2)]
        assert ids(where="a > 17 or a < 1") == [0, 18, 19]
        assert ids(where="a > 17 or a < 1", conditions=(Condition("a", "<", "19"),)) == [0, 18]
        assert ids(key=("a", "b"), keys=(("3", "k0"), ("4", "k0"), ("5", "k2"))) == [3, 5]
        assert ids(key=("a", "b"), keys=()) == []
        with reading(source, name) as reader:
            assert reader.count(whole(shape, where="a < 3")) == 3
            assert not reader.empty(whole(shape, where="a < 3"))
            assert reader.empty(whole(shape, where="a < 0"))
            assert reader.newest(whole(shape), "m") == "2024-06-01 12:30:00.000000"
            assert reader.newest(whole(shape, where="a < 7"), "a") == "6"
            assert reader.newest(whole(shape, where="a < 0"), "a") is None


def test_columns_in_the_order_asked_for(lab: TableLab) -> None:
    name = lab.make("wide", {"a": "big not null", "b": "text", "c": "int"}, key=["a"])
    lab.fill("wide", [(1, "x", 2)])
    with opened(lab) as source, reading(source, name) as reader:
        a, b, c = shape_of(source, name).columns
        assert read(reader, Selection(name, (c, a)), source.dialect) == [("2", "1")]
        assert read(reader, Selection(name, (b,)), source.dialect) == [("x",)]


def test_a_query_is_read_as_a_table_is(lab: TableLab) -> None:
    lab.make("base", {"a": "big not null", "b": "text"}, key=["a"])
    lab.fill("base", [(i, f"t{i}") for i in range(5)])
    query = f"select a, a * 2 as twice, b from {lab.at('base')} where a > 1"
    with opened(lab) as source:
        columns = source.query_columns(query)
        assert [c.name for c in columns] == ["a", "twice", "b"]
        with reading(source, lab.name("base")) as reader:
            selection = Selection(None, columns, query=query)
            rows = sorted(read(reader, selection, source.dialect))
            assert rows == [("2", "4", "t2"), ("3", "6", "t3"), ("4", "8", "t4")]
            assert reader.count(selection.having(Condition("a", ">", "3"))) == 1


def test_moved_counts_what_went_over_the_wire(lab: TableLab) -> None:
    name = lab.make("moved", {"a": "big not null", "b": "text"}, key=["a"])
    lab.fill("moved", [(i, "x" * 100) for i in range(100)])
    with opened(lab) as source, reading(source, name) as reader:
        blocks = list(reader.rows(whole(shape_of(source, name)), Form.LINES, shape_of(source, name).columns, "mysql"))
        assert reader.moved.bytes >= sum(map(len, blocks)) > 10_000


# -- slices


def _spread(chance: random.Random) -> list[tuple[Any, ...]]:
    numbers = {-BIG - 1, BIG, 0, -1, *(chance.randrange(-(2**62), 2**62) for _ in range(500)), *range(-700, 700, 2)}
    return [(n, "p" * 150) for n in numbers]


def _text(chance: random.Random) -> list[tuple[Any, ...]]:
    odd = ["", "a", "ä", "z", "Z", "中", "'", "\\", "%", "_", "\t", "😀"]
    return [(k, "p" * 150) for k in {*odd, *(f"{chance.choice(odd)}{chance.randrange(10**9)}" for _ in range(1500))}]


def _uuid(chance: random.Random) -> list[tuple[Any, ...]]:
    return [(str(UUID(int=chance.getrandbits(128))), "p" * 150) for _ in range(1500)]


def _nullable(chance: random.Random) -> list[tuple[Any, ...]]:
    return [(chance.choice([None, chance.randrange(-1000, 1000)]), "p" * 150) for _ in range(1500)]


SLICED: dict[str, tuple[str, bool, Callable[[random.Random], list[tuple[Any, ...]]]]] = {
    "spread bigint": ("big not null", True, _spread), "text": ("name not null", True, _text),
    "uuid": ("uuid not null", True, _uuid), "no key, nullable": ("big", False, _nullable),
}  # fmt: skip


@pytest.mark.parametrize("kind", SLICED)
@pytest.mark.parametrize("size", [1, 20_000, 10**9])
def test_slices_hold_every_row_once(lab: TableLab, kind: str, size: int) -> None:
    type, keyed, make = SLICED[kind]
    binary = " collate utf8mb4_nopad_bin" if lab.dialect == "mysql" and "name" in type else ""
    if binary:
        type = f"name{binary} not null"
    name = lab.make("sliced", {"k": type, "p": "text"}, key=["k"] if keyed else [])
    rows = make(random.Random(7))
    lab.fill("sliced", rows)
    _hold_once(lab, name, ["k"] if keyed else [], size, rows)


def test_slices_of_a_composite_key(lab: TableLab) -> None:
    name = lab.make("sliced", {"a": "int not null", "b": "name not null", "p": "text"}, key=["a", "b"])
    rows = [(i // 40, f"b{i % 40}", "p" * 150) for i in range(1500)]
    lab.fill("sliced", rows)
    _hold_once(lab, name, ["a", "b"], 20_000, rows)


def test_slices_of_a_part_of_a_table(lab: TableLab) -> None:
    name = lab.make("sliced", {"k": "big not null", "p": "text"}, key=["k"])
    rows = [(i, "p" * 150) for i in range(-1000, 1000)]
    lab.fill("sliced", rows)
    with opened(lab) as source, source.snapshot([name], 1) as snapshot:
        some = whole(shape_of(source, name), where="k % 2 = 0", conditions=(Condition("k", ">", "-500"),))
        pieces = snapshot.slices(some, 10_000)
        reader = snapshot.reader()
        found = Counter(r[0] for p in pieces for r in read(reader, p, lab.dialect))
        reader.close()
    assert found == Counter(str(k) for k, _ in rows if k % 2 == 0 and k > -500)


def _hold_once(lab: TableLab, name: TableName, key: Sequence[str], size: int, rows: Sequence[tuple[Any, ...]]) -> None:
    with opened(lab) as source, source.snapshot([name], 1) as snapshot:
        pieces = snapshot.slices(whole(shape_of(source, name), key=tuple(key)), size)
        reader = snapshot.reader()
        found = Counter(r for p in pieces for r in read(reader, p, "mysql"))
        reader.close()
    wanted = Counter(tuple(None if v is None else str(v) for v in row) for row in rows)
    assert not wanted - found, "lost"
    assert not found - wanted, "doubled"
    if size == 10**9:
        assert len(pieces) == 1


# -- one moment


def test_a_snapshot_sees_one_moment(lab: TableLab) -> None:
    """SQLite's writers wait or fail while we read without a write-ahead log; with one they go on, as servers do."""
    if lab.dialect == "sqlite":
        lab.execute("pragma journal_mode = wal")
    one = lab.make("one", {"id": "big not null", "n": "int"}, key=["id"])
    two = lab.make("two", {"id": "big not null", "n": "int"}, key=["id"])
    for table in ("one", "two"):
        lab.fill(table, [(i, 100) for i in range(50)])
    with opened(lab) as source:
        shapes = source.shapes([one, two])
        with source.snapshot([one, two], 2) as snapshot:
            lab.execute(f"insert into {lab.at('one')} values (1000, 1)")
            lab.execute(f"delete from {lab.at('two')} where id < 10")
            first = snapshot.reader()
            assert first.count(whole(shapes[one])) == 50
            lab.execute(f"update {lab.at('two')} set n = 7")
            second = snapshot.reader() if snapshot.streams > 1 else first
            assert sorted(read(second, whole(shapes[two]), "mysql")) == sorted((str(i), "100") for i in range(50))
            first.close()
            if second is not first:
                second.close()
        assert len(read_all(source, two)) == 40


def test_readers_agree_while_money_moves(server_lab: TableLab) -> None:
    """Transfers keep the sum: any reader of any slice in another moment would break it."""
    lab = server_lab
    name = lab.make("accounts", {"id": "big not null", "n": "int", "p": "text"}, key=["id"])
    lab.fill("accounts", [(i, 1000, "p" * 150) for i in range(600)])
    stop, moved = threading.Event(), [0]

    def move() -> None:
        chance, connection = random.Random(3), lab.connect()
        connection.autocommit = True if lab.dialect == "postgres" else connection.autocommit
        cursor = connection.cursor()
        while not stop.is_set():
            a, b = chance.sample(range(600), 2)
            cursor.execute(f"update {lab.at('accounts')} set n = n + case id when {a} then -7 else 7 end "
                           f"where id in ({a}, {b})")  # fmt: skip
            moved[0] += 1
        connection.close()

    thread = threading.Thread(target=move)
    thread.start()
    try:
        with opened(lab) as source:
            for _ in range(3):
                with source.snapshot([name], 3) as snapshot:
                    shape = shape_of(source, name)
                    assert snapshot.streams == 3
                    readers = [snapshot.reader() for _ in range(3)]
                    pieces = snapshot.slices(whole(shape, key=shape.key), 10_000)
                    rows = [r for i, p in enumerate(pieces) for r in read(readers[i % 3], p, "mysql")]
                    assert len(rows) == 600
                    assert sum(int(r[1] or 0) for r in rows) == 600_000
                    for reader in readers:
                        reader.close()
    finally:
        stop.set()
        thread.join()
    assert moved[0] > 10
