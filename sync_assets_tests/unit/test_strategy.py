"""The rule of decision 003, by property: whatever field is chosen, every value of the column survives in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sync_assets.engine.model import Column, ColumnType
from sync_assets.targets.bitable import cells, columns, strategy
from sync_assets.targets.bitable.census import NO, YES, Census
from sync_assets.targets.bitable.clock import WallClock, milliseconds
from sync_assets.targets.bitable.strategy import FieldWords

ZONE = ZoneInfo("America/New_York")
STRATEGIES = ("raw", "base", "auto", "intelligence")
WORD = st.sampled_from([*sorted(YES | NO), "新建", "完成", "a", "b", "TRUE", " yes"])
NUMERAL = st.one_of(
    st.from_regex(r"\A-?[0-9]{1,20}(\.[0-9]{1,4})?%?\Z"),
    st.integers().map(str),
    st.decimals(-10, 10, places=2).map(str),
)
DAY = st.one_of(
    st.dates().map(str), st.datetimes().map(str), st.datetimes(timezones=st.just(ZONE)).map(str),
    st.dates().map(lambda d: f"{d.year:04}年{d.month}月{d.day}日"), st.dates().map(lambda d: f"{d.month}-{d.day}"),
)  # fmt: skip
LIST = st.lists(st.sampled_from(["红", "蓝", "", "x y", "[1]"]), min_size=1, max_size=3).map(",".join)
LINK = st.sampled_from(["https://a.cn/x?y=1", "http://b.com", "https://c.cn z", "me@example.com", "you@example.com"])
TEXTS = st.sampled_from([WORD, NUMERAL, DAY, LIST, LINK, st.text(max_size=5)]).flatmap(
    lambda one: st.lists(st.one_of(st.none(), one), max_size=12)
)


def survives(given: Any, held: Any, kind: int, shown: Callable[[Any], Any]) -> bool:
    """Whether a reader of the board gets the source's value back: its meaning, not the spelling of a number."""
    if given is None or given == "":
        return held is None
    if kind == cells.NUMBER:
        text = str(given)
        exact = Decimal(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        return Decimal(repr(held)) == exact
    if kind == cells.DATE:
        moment = given if isinstance(given, datetime) else cells.parse_date(str(given))
        assert moment is not None
        return bool(held == shown(moment))
    if kind == cells.CHECKBOX:
        return (str(given).lower() in YES | {"true"}) is bool(held)
    if kind == cells.MULTI:
        words = given if isinstance(given, list) else cells.words_of(given)
        return sorted(held or ()) == sorted(str(w).strip() for w in words)
    if kind == cells.URL:
        return bool(held == (given, given))
    return bool(held == cells.plain_text(given, ZONE))


def check(column: Column, values: list[Any], chosen: str) -> int:
    census = Census(WallClock(ZONE))
    census.add(values)
    wish = strategy.wish(column, chosen, census)
    assert wish is not None
    made = columns.codec(wish.type, "f", WallClock(ZONE), percent=wish.percent)
    clock = WallClock(ZONE)

    def instant(moment: datetime) -> int:
        return clock.at(moment) if moment.tzinfo is None else milliseconds(moment)

    for value, held in zip(values, made.canonise(values), strict=True):
        assert survives(value, held, wish.type, instant), (chosen, wish.type, value, held)
    options = [o["name"] for o in (wish.property or {}).get("options", [])]
    assert len(options) == len(set(options))
    if options:
        held_words = [h if isinstance(h, tuple) else (h,) for h in made.canonise(values) if h is not None]
        assert {w for words in held_words for w in words} <= set(options), "an option would be made on the way"
    return wish.type


@given(TEXTS, st.sampled_from(STRATEGIES))
@example(["1.10", "1.1", "1.9"], "base")
@example(["yes", "true", "no"], "intelligence")
@example(["2026-03-08 02:30"], "base")
@example(["红,红", "蓝,红", "红", "蓝"], "intelligence")
def test_no_text_is_lost_in_the_field_that_a_census_chooses(values: list[Any], chosen: str) -> None:
    check(Column("c", ColumnType.TEXT), values, chosen)


NUMBERS = (
    (ColumnType.BIGINT, st.integers(-(2**63), 2**63 - 1)),
    (ColumnType.BIGINT, st.integers(-(2**54), 2**54)),
    (
        ColumnType.DECIMAL,
        st.decimals(allow_nan=False, allow_infinity=False, places=10, min_value=-(10**18), max_value=10**18),
    ),
    (ColumnType.DECIMAL, st.decimals(places=2, min_value=-(10**9), max_value=10**9)),
    (ColumnType.BOOL, st.booleans()),
    (ColumnType.SET, st.lists(st.sampled_from(["a", "b,c", "", " d"]))),
    (ColumnType.DATE, st.dates()),
)


@given(st.data(), st.sampled_from(NUMBERS), st.sampled_from(STRATEGIES[1:]))
def test_no_number_flag_or_list_is_lost(
    data: st.DataObject, kind: tuple[ColumnType, st.SearchStrategy[Any]], chosen: str
) -> None:
    values = data.draw(st.lists(st.one_of(st.none(), kind[1]), max_size=8))
    column = Column("c", kind[0])
    census = Census()
    census.add(values)
    wish = strategy.wish(column, chosen, census)
    assert wish is not None
    held = list(columns.codec(wish.type, "f", WallClock(ZONE)).canonise(values))
    if kind[0] is ColumnType.BOOL:
        assert len(set(held)) == len(set(values)) or not set(values) - {None, False}
    elif kind[0] is ColumnType.DATE:
        pairs = [(v, h) for v, h in zip(values, held, strict=True) if _plain(h)]
        assert all(v == (None if h is None else _shown(h).date()) for v, h in pairs)
    elif kind[0] is ColumnType.SET and wish.type == cells.MULTI:
        assert held == [tuple(sorted(v)) or None if v is not None else None for v in values]
    elif wish.type == cells.NUMBER:
        assert [None if h is None else Decimal(repr(h)) for h in held] == [
            None if v is None else Decimal(v) for v in values
        ]


def _shown(held: Any) -> datetime:
    return datetime.fromtimestamp(held / 1000, ZONE)


def _plain(held: Any) -> bool:
    """Within what Python's own clock functions can show."""
    return held is None or abs(held) < 6e13


# -- what the user says -------------------------------------------------------------------------------------------

ORDERED: list[tuple[str, int, str, dict[str, Any] | None]] = [
    ("text", 1, "Text", None),
    ("email", 1, "Email", None),
    ("barcode", 1, "Barcode", None),
    ("number", 2, "Number", {"formatter": "0.00"}),
    ("currency", 2, "Currency", {"formatter": "0.00", "currency_code": "CNY"}),
    ("progress", 2, "Progress", {"formatter": "0%", "min": 0, "max": 1}),
    ("rating", 2, "Rating", {"formatter": "0", "min": 0, "max": 5, "rating": {"symbol": "star"}}),
    ("single_select", 3, "SingleSelect", {"options": []}),
    ("multi_select", 4, "MultiSelect", {"options": []}),
    ("date", 5, "DateTime", {"date_formatter": "yyyy/MM/dd", "auto_fill": False}),
    ("datetime", 5, "DateTime", {"date_formatter": "yyyy/MM/dd HH:mm", "auto_fill": False}),
    ("checkbox", 7, "Checkbox", None),
    ("person", 11, "User", {"multiple": True}),
    ("phone", 13, "Phone", None),
    ("url", 15, "Url", None),
    ("link", 18, "SingleLink", None),
]


@pytest.mark.parametrize(("word", "kind", "ui_type", "rules"), ORDERED)
def test_a_word_of_the_user_decides(word: str, kind: int, ui_type: str, rules: object) -> None:
    wish = strategy.ordered(Column("c", ColumnType.TEXT), FieldWords(type=word))
    assert (wish.type, wish.ui_type, wish.property) == (kind, ui_type, rules)


def test_every_word_of_the_vocabulary_is_known() -> None:
    from typing import get_args

    from sync_assets.project.spec import FieldType

    assert {word for word, *_ in ORDERED} == set(get_args(FieldType))


def test_options_formats_and_currencies_of_the_user() -> None:
    column = Column("c", ColumnType.ENUM, options=("a", "b"))
    options = strategy.ordered(column, FieldWords(type="single_select", options=("b", "c"))).property
    assert options == {"options": [{"name": "b"}, {"name": "c"}]}
    assert strategy.ordered(column, FieldWords(type="multi_select")).property == {
        "options": [{"name": "a"}, {"name": "b"}]
    }
    dollars = strategy.ordered(Column("c", ColumnType.DECIMAL, scale=4), FieldWords(type="currency", currency="USD"))
    assert dollars.property == {"formatter": "0.0000", "currency_code": "USD"}
    percent = strategy.ordered(column, FieldWords(type="number", format="0.0%"))
    assert percent.percent


def test_dates_keep_their_day() -> None:
    made = columns.codec(cells.DATE, "f", WallClock(ZONE))
    days = [date(2026, 3, 8), date(2026, 11, 1), date(2026, 12, 31)]
    assert [_shown(h).date() for h in made.canonise(days)] == days
