"""The census: what a column's values have in common, and what disqualifies them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sync_assets.engine.model import Column, ColumnType
from sync_assets.targets.bitable import cells, strategy
from sync_assets.targets.bitable.census import Census
from sync_assets.targets.bitable.clock import WallClock

COLUMN = Column("c", ColumnType.TEXT, "text")


def field(
    values: list[Any], chosen: str = "intelligence", kind: ColumnType = ColumnType.TEXT, **more: Any
) -> strategy.Wish:
    """The field that these values get."""
    census = Census(WallClock(ZoneInfo("America/New_York")))
    census.add(values)
    wish = strategy.wish(Column("c", kind, **more), chosen, census)
    assert wish is not None
    return wish


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2", "30"], cells.NUMBER),
        (["1", "2", None, ""], cells.NUMBER),
        (["1.5", "2", "3.25"], cells.NUMBER),
        (["12.50", "3.10"], cells.NUMBER),
        (["1", "2", "x"], cells.TEXT),  # two thirds are numbers: every third row would be lost
        (["00123", "00456"], cells.TEXT),  # codes
        (["1", "2", "007"], cells.TEXT),
        (["123456789012345678", "1"], cells.TEXT),  # ids
        (["1.10", "1.9", "1.1"], cells.TEXT),  # versions: 1.10 is not 1.1
        ([" 1", "2"], cells.TEXT),
        (["1,234", "5,678"], cells.TEXT),
        (["１", "２"], cells.TEXT),
        (["1e5", "2e5"], cells.TEXT),
        (["2024-01-15", "2024-02-01"], cells.DATE),
        (["2024-01-15 10:00", "2024-02-01 11:30:20"], cells.DATE),
        (["2024年1月15日", "2024/1/16"], cells.DATE),
        (["01-15", "02-01"], cells.TEXT),  # no year
        (["2024-01-15", "2024-02-30"], cells.TEXT),
        (["2024-01-15 10:00:00.123456", "2024-01-15 10:00:00.5"], cells.TEXT),  # a board keeps milliseconds
        (["2026-03-08 02:30", "2026-03-09 02:30"], cells.TEXT),  # the clock of New York skips the first
        (["20240115", "20240116"], cells.NUMBER),
        (["10%", "25%"], cells.NUMBER),
        (["10%", "25"], cells.TEXT),
        (["是", "否", "是"], cells.CHECKBOX),
        (["yes", "no", None, "yes"], cells.TEXT),  # a checkbox would make NULL a no
        (["yes", "true", "no", "no", "no", "no"], cells.SINGLE),  # yes and true would become one
        (["https://a.cn/1", "http://b.com"], cells.URL),
        (["https://a.cn 看这里", "http://b.com"], cells.TEXT),
        (["红,蓝", "蓝", "红", "红,蓝"], cells.MULTI),
        (["红,红", "蓝", "红", "红,蓝"] * 2, cells.SINGLE),  # 红 twice: a set would drop it
        (["1,2", "2,3", "1,2", "2,3"], cells.SINGLE),
        (["新建", "完成", "新建", "完成"], cells.SINGLE),
        (["新建 ", "完成", "新建 ", "完成"], cells.TEXT),  # blanks around an option are not kept
        (["a", "b", "c"], cells.TEXT),  # none recurs
        ([], cells.TEXT),
        ([None, ""], cells.TEXT),
    ],
)
def test_intelligence_offers_a_type_only_if_every_value_survives(values: list[Any], kind: int) -> None:
    assert field(values).type == kind


@pytest.mark.parametrize(
    ("values", "base", "auto"),
    [
        (["1", "2"], cells.NUMBER, cells.NUMBER),
        (["2024-01-15", "2024-02-01"], cells.DATE, cells.DATE),
        (["新建", "完成"] * 5, cells.TEXT, cells.SINGLE),
        (["a fairly long word of more than twenty"] * 9, cells.TEXT, cells.TEXT),
        (["是", "否"] * 2, cells.TEXT, cells.TEXT),
        (["10%", "25%"], cells.TEXT, cells.TEXT),
        (["https://a.cn", "https://b.cn"], cells.TEXT, cells.TEXT),
    ],
)
def test_base_and_auto_go_less_far(values: list[Any], base: int, auto: int) -> None:
    assert (field(values, "base").type, field(values, "auto").type) == (base, auto)
    assert field(values, "raw").type == cells.TEXT


@pytest.mark.parametrize(
    ("kind", "more", "values", "expected"),
    [
        (ColumnType.BIGINT, {}, [1, 2, 2**53], cells.NUMBER),
        (ColumnType.BIGINT, {}, [1, 730000000000000001], cells.TEXT),
        (ColumnType.BIGINT, {}, [], cells.TEXT),
        (ColumnType.DECIMAL, {"precision": 12, "scale": 2}, [Decimal("1.50")], cells.NUMBER),
        (ColumnType.DECIMAL, {"precision": 28, "scale": 10}, [Decimal("1.50")], cells.NUMBER),
        (
            ColumnType.DECIMAL,
            {"precision": 28, "scale": 10},
            [Decimal("123456789012345678.0123456789")],
            cells.TEXT,
        ),
        (ColumnType.DECIMAL, {}, [Decimal("1.5"), Decimal("NaN")], cells.TEXT),
        (ColumnType.BOOL, {"nullable": False}, [], cells.CHECKBOX),
        (ColumnType.BOOL, {}, [True, False], cells.CHECKBOX),
        (ColumnType.BOOL, {}, [True, False, None], cells.SINGLE),
        (ColumnType.ENUM, {"options": ("a", "b")}, [], cells.SINGLE),
        (ColumnType.SET, {"options": ("a", "b")}, [], cells.MULTI),
        (ColumnType.SET, {}, [["a", "b"], ["b"]], cells.MULTI),
        (ColumnType.SET, {}, [["a", "a"], ["b"]], cells.TEXT),
        (ColumnType.SET, {}, [["a", ""], ["b"]], cells.TEXT),
        (ColumnType.SET, {}, [[" a"], ["b"]], cells.TEXT),
        (ColumnType.OTHER, {}, ["{1,2}", "{1,2}"], cells.TEXT),
        (ColumnType.INTEGER, {}, [], cells.NUMBER),
        (ColumnType.FLOAT, {}, [], cells.NUMBER),
        (ColumnType.DATE, {}, [], cells.DATE),
        (ColumnType.DATETIME, {}, [], cells.DATE),
        (ColumnType.INSTANT, {}, [], cells.DATE),
        (ColumnType.TIME, {}, [], cells.TEXT),
        (ColumnType.INTERVAL, {}, [], cells.TEXT),
        (ColumnType.JSON, {}, [], cells.TEXT),
        (ColumnType.UUID, {}, [], cells.TEXT),
    ],
)
def test_metadata_comes_first(kind: ColumnType, more: dict[str, Any], values: list[Any], expected: int) -> None:
    assert field(values, "base", kind, **more).type == expected


def test_options_are_there_before_the_first_row_each_once() -> None:
    wish = field(["完成", "新建"] * 4)
    assert wish.property == {"options": [{"name": "完成"}, {"name": "新建"}]}
    doubled = field([], kind=ColumnType.ENUM, options=("a", "b", "a", ""))
    assert doubled.property == {"options": [{"name": "a"}, {"name": "b"}]}
    array = field([["x", "y"], ["x"]], kind=ColumnType.SET)
    assert array.property == {"options": [{"name": "x"}, {"name": "y"}]}


def test_formats_show_what_there_is() -> None:
    assert field(["1", "2"]).property == {"formatter": "0"}
    assert field(["1.25", "2.50"]).property == {"formatter": "0.00"}
    assert field(["5%", "10%"]).property == {"formatter": "0%"}
    day, minute = field(["2024-01-15"]), field(["2024-01-15 08:00"])
    assert day.property is not None
    assert minute.property is not None
    assert (day.property["date_formatter"], minute.property["date_formatter"]) == (
        "yyyy/MM/dd",
        "yyyy/MM/dd HH:mm",
    )


def test_bytes_get_no_field() -> None:
    assert strategy.wish(Column("c", ColumnType.BLOB), "base", None) is None


def test_a_census_is_asked_for_only_where_metadata_leaves_a_doubt() -> None:
    sure = [ColumnType.INTEGER, ColumnType.DATE, ColumnType.JSON, ColumnType.OTHER, ColumnType.UUID]
    assert not any(strategy.needs_census(Column("c", kind), "intelligence") for kind in sure)
    assert strategy.needs_census(COLUMN, "base")
    assert not strategy.needs_census(COLUMN, "raw")
    assert not strategy.needs_census(Column("c", ColumnType.DECIMAL, precision=12, scale=2), "base")
    assert not strategy.needs_census(Column("c", ColumnType.BOOL, nullable=False), "base")
