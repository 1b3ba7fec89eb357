"""Drift: what fits what, and which differences are safe. Property-based over shapes of every type."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables.drift import Kind, Native, compare, fits
from sync_assets.engine.tables.shape import ColumnShape, TableName, TableShape

T = ColumnType
WORDS = ("new", "paid", "gone")


def shape(type: ColumnType, name: str = "c", **measures: object) -> ColumnShape:
    return replace(ColumnShape(name, type, str(type)), **measures)  # type: ignore[arg-type]


def _lengths() -> st.SearchStrategy[int | None]:
    return st.none() | st.integers(1, 60)


@st.composite
def shapes(draw: st.DrawFn) -> ColumnShape:
    type = draw(st.sampled_from(list(T)))
    if type in (T.INTEGER, T.BIGINT):
        bits = draw(st.sampled_from([8, 16, 24, 32] if type is T.INTEGER else [64]))
        return shape(type, bits=bits, unsigned=draw(st.booleans()))
    if type is T.DECIMAL:
        precision = draw(st.none() | st.integers(1, 25))
        scale = None if precision is None else draw(st.integers(0, precision))
        return shape(type, precision=precision, scale=scale)
    if type is T.FLOAT:
        return shape(type, bits=draw(st.sampled_from([32, 64])))
    if type in (T.TEXT, T.BLOB):
        length = draw(_lengths())
        return shape(type, length=length, fixed=length is not None and draw(st.booleans()))
    if type in (T.TIME, T.DATETIME, T.INSTANT):
        zone = type is T.TIME and draw(st.booleans())
        return shape(type, precision=draw(st.none() | st.integers(0, 6)), with_zone=zone)
    if type is T.ENUM:
        return shape(type, options=tuple(draw(st.lists(st.sampled_from(WORDS), min_size=1, unique=True))))
    return shape(type)


def _native(column: ColumnShape) -> Native:
    return Native(column.native, column)


def _table(*columns: ColumnShape, key: tuple[str, ...] = ()) -> TableShape:
    return TableShape(TableName("s", "t"), columns, key=key)


@given(shapes())
def test_a_column_fits_itself(column):
    assert fits(column, column)


@given(st.lists(shapes(), min_size=12, max_size=20))
def test_what_fits_what_fits_fits(many):
    for a, b, c in itertools.product(many, repeat=3):
        if fits(a, b) and fits(b, c):
            assert fits(a, c), (a, b, c)


def _values(column: ColumnShape) -> list[int]:
    """The edges of a whole-number column, by arithmetic of the test's own."""
    if column.type is T.BOOL:
        return [0, 1]
    bits = column.bits or 64
    return [0, (1 << bits) - 1] if column.unsigned else [-(1 << (bits - 1)), (1 << (bits - 1)) - 1]


WHOLE = shapes().filter(lambda s: s.type in (T.BOOL, T.INTEGER, T.BIGINT))


@given(st.lists(WHOLE, min_size=1, max_size=5), st.lists(shapes(), min_size=10, max_size=20))
def test_a_number_that_fits_survives(numbers, places):
    for a, b in itertools.product(numbers, places):
        if fits(a, b):
            _survives(a, b)


def _survives(a: ColumnShape, b: ColumnShape) -> None:
    for value in _values(a):
        if b.type in (T.INTEGER, T.BIGINT):
            low, high = _values(b)
            assert low <= value <= high
        elif b.type is T.DECIMAL and b.precision is not None:
            assert len(str(abs(value))) <= b.precision - (b.scale or 0)
        elif b.type is T.FLOAT:
            assert int(float(value)) == value
        elif b.type is T.TEXT and b.length is not None:
            assert len(str(value)) <= b.length


@given(shapes(), shapes())
def test_differences_are_those_that_do_not_fit(wanted, here):
    found = compare([_native(wanted)], (), _table(here))
    assert bool(found) == (not fits(wanted, here))
    for difference in found:
        if difference.safe:  # widening: what is there stays as it is, and what comes fits then
            assert fits(here, wanted)
            assert compare([_native(wanted)], (), _table(wanted)) == []


@pytest.mark.parametrize(
    ("wanted", "here", "kind"),
    [
        (shape(T.INTEGER, bits=32), shape(T.BIGINT, bits=64), None),
        (shape(T.BIGINT, bits=64), shape(T.INTEGER, bits=32), Kind.WIDENED),
        (shape(T.TEXT, length=40), shape(T.TEXT), None),
        (shape(T.TEXT, length=80), shape(T.TEXT, length=40), Kind.WIDENED),
        (shape(T.TEXT), shape(T.TEXT, length=4294967295), None),
        (shape(T.TEXT, length=8), shape(T.TEXT, length=8, fixed=True), Kind.WIDENED),
        (shape(T.DECIMAL, precision=14, scale=2), shape(T.DECIMAL, precision=12, scale=2), Kind.WIDENED),
        (shape(T.DECIMAL, precision=12, scale=2), shape(T.DECIMAL, precision=12, scale=4), Kind.NARROWED),
        (shape(T.DATETIME), shape(T.DATETIME, precision=0), Kind.WIDENED),
        (shape(T.INTEGER, bits=32), shape(T.TEXT), None),
        (shape(T.TEXT), shape(T.INTEGER, bits=32), Kind.RETYPED),
        (shape(T.DATETIME), shape(T.INSTANT), Kind.RETYPED),
        (shape(T.FLOAT, bits=64), shape(T.DECIMAL, precision=10, scale=2), Kind.RETYPED),
        (shape(T.ENUM, options=("a", "b", "c")), shape(T.ENUM, options=("a", "b")), Kind.WIDENED),
        (shape(T.UUID), shape(T.TEXT, length=36, fixed=True), None),
        (shape(T.BLOB), shape(T.TEXT), Kind.RETYPED),
        (shape(T.DECIMAL, precision=20, scale=0), shape(T.BIGINT, bits=64), Kind.WIDENED),
    ],
)
def test_kinds(wanted, here, kind):
    found = compare([_native(wanted)], (), _table(here))
    assert [d.kind for d in found] == ([kind] if kind else [])
    assert all(d.safe == (kind is Kind.WIDENED) for d in found)


def test_added_dropped_and_the_key():
    here = _table(
        shape(T.INTEGER, "id", nullable=False), shape(T.TEXT, "old"), shape(T.TEXT, "must", nullable=False), key=("id",)
    )
    wanted = [_native(shape(T.INTEGER, "id", nullable=False)), _native(shape(T.TEXT, "new", nullable=False))]
    found = {(d.kind, d.column): d.safe for d in compare(wanted, ("id",), here)}
    assert found == {(Kind.ADDED, "new"): True, (Kind.DROPPED, "old"): True, (Kind.DROPPED, "must"): False}
    no_key = compare(wanted, ("id", "new"), here)
    assert (Kind.ADDED, False) in [(d.kind, d.safe) for d in no_key]


def test_null_in_a_key_column_is_no_mending():
    here = _table(shape(T.INTEGER, "id", nullable=False), shape(T.TEXT, "x", nullable=False), key=("id",))
    wanted = [_native(shape(T.INTEGER, "id")), _native(shape(T.TEXT, "x"))]
    assert [(d.kind, d.column, d.safe) for d in compare(wanted, (), here)] == [
        (Kind.NULLABILITY, "id", False), (Kind.NULLABILITY, "x", True),
    ]  # fmt: skip


def test_a_key_that_refuses_right_rows_is_told():
    here = _table(shape(T.INTEGER, "a", nullable=False), shape(T.INTEGER, "b", nullable=False), key=("a",))
    wanted = [_native(shape(T.INTEGER, n, nullable=False)) for n in ("a", "b")]
    assert [d.kind for d in compare(wanted, ("a", "b"), here)] == [Kind.KEY]
    assert compare(wanted, ("a",), _table(*here.columns, key=("a", "b"))) == []


def test_a_rename_is_known_by_the_number_only():
    here = _table(shape(T.TEXT, "name"))
    wanted = [_native(shape(T.TEXT, "title", number=2))]
    assert [d.kind for d in compare(wanted, (), here)] == [Kind.ADDED, Kind.DROPPED]
    renamed = compare(wanted, (), here, numbers={2: "name"})
    assert [(d.kind, d.safe, d.was and d.was.name) for d in renamed] == [(Kind.RENAMED, True, "name")]


def test_another_spelling_is_no_new_column_where_case_does_not_count():
    here = _table(shape(T.TEXT, "Name"))
    wanted = [_native(shape(T.TEXT, "name"))]
    assert [(d.kind, d.safe) for d in compare(wanted, (), here, folded=True)] == [(Kind.RENAMED, False)]
    assert [d.kind for d in compare(wanted, (), here)] == [Kind.ADDED, Kind.DROPPED]


def test_a_computed_column_of_the_target_is_left_alone():
    here = _table(shape(T.INTEGER, "c", generated="a + b", nullable=False))
    assert compare([_native(shape(T.TEXT))], (), here) == []
