"""Whole columns: the quick way must do exactly what the careful one does, refusals included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sync_assets.engine.errors import RejectRow
from sync_assets.targets.bitable import cells, columns
from sync_assets.targets.bitable.clock import WallClock

ZONE = ZoneInfo("America/New_York")
KINDS = (cells.TEXT, cells.SINGLE, cells.NUMBER, cells.CHECKBOX, cells.DATE, cells.MULTI)

ONE_TYPE = st.sampled_from(
    [
        st.booleans(), st.integers(), st.integers(-(2**54), 2**54), st.floats(), st.text(), st.dates(), st.datetimes(),
        st.datetimes(timezones=st.just(UTC)), st.decimals(),
        st.decimals(min_value=Decimal(-(10**12)), max_value=Decimal(10**12), places=2),
    ]
).flatmap(lambda values: st.lists(st.one_of(st.none(), values)))  # fmt: skip
MIXED = st.lists(st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.floats(), st.dates()))


def outcome(work: Callable[[], Sequence[Any]]) -> object:
    try:
        return [(type(v), repr(v)) for v in work()]
    except RejectRow as refused:
        return refused.code


@given(st.sampled_from(KINDS), st.one_of(ONE_TYPE, MIXED))
@example(cells.NUMBER, [Decimal("sNaN")])
def test_a_column_becomes_what_its_values_become(kind: int, values: list[Any]) -> None:
    made = columns.codec(kind, "f", WallClock(ZONE))
    assert outcome(lambda: made.canonise(values)) == outcome(lambda: [made.one.canonise(v) for v in values])


SEGMENT = st.fixed_dictionaries({"text": st.text(), "type": st.just("text")})
SHOWN = {
    cells.TEXT: st.one_of(st.lists(SEGMENT, max_size=3), st.text()),
    cells.NUMBER: st.one_of(st.integers(), st.floats(allow_nan=False)),
    cells.DATE: st.integers(),
    cells.CHECKBOX: st.booleans(),
    cells.SINGLE: st.text(min_size=1),
    cells.MULTI: st.lists(st.text()),
}


@given(st.data(), st.sampled_from(KINDS))
def test_a_column_is_read_as_its_cells_are(data: st.DataObject, kind: int) -> None:
    values = data.draw(st.lists(st.one_of(st.none(), SHOWN[kind])))
    made = columns.codec(kind, "f", WallClock(ZONE))
    held = [{} if v is None else {"f": v} for v in values]
    assert list(made.read(held, "f")) == [made.one.read(v) for v in values]
    assert list(made.read([{"f": v} for v in values], "f")) == [made.one.read(v) for v in values]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (cells.NUMBER, [1, 2**53 + 1]),
        (cells.NUMBER, [1.5, float("nan")]),
        (cells.NUMBER, [Decimal("1.5"), Decimal("9007199254740993")]),
        (cells.TEXT, ["a", "x" * 100_001]),
        (cells.CHECKBOX, [True, 2]),
        (cells.NUMBER, [1, "00123"]),
    ],
)
def test_no_shortcut_lets_through_what_is_refused(kind: int, values: list[Any]) -> None:
    made = columns.codec(kind, "f", WallClock(ZONE))
    with pytest.raises(RejectRow):
        made.canonise(values)
