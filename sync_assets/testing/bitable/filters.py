"""The filter grammar of search: one level of nesting, dates by the day of the base. Knows no HTTP."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sync_assets.testing.bitable.answers import Refusal
from sync_assets.testing.bitable.values import AUTO, CHECKBOX, CREATED, DATE, FORMULA, LOOKUP, MODIFIED, NUMBER, SINGLE
from sync_assets.testing.bitable.world import Field, Record, Table

Accepts = Callable[[Record], bool]
Get = Callable[[Record], Any]
ORDERED = ("isGreater", "isGreaterEqual", "isLess", "isLessEqual")
OPERATORS = ("is", "isNot", "contains", "doesNotContain", "isEmpty", "isNotEmpty", *ORDERED)
DATE_OPERATORS = ("is", "isEmpty", "isNotEmpty", "isGreater", "isLess")
DATES = (DATE, CREATED, MODIFIED)


def wanted(given: Any, table: Table, time_zone: str, now: float) -> Accepts:
    """A test for records, from the `filter` of a search. Raises Refusal 1254018, or 1254045 on an unknown name."""
    zone = ZoneInfo(time_zone)
    today = datetime.fromtimestamp(now, zone).date()
    if not isinstance(given, dict):
        raise Refusal(1254018)
    children = given.get("children") or []
    if not isinstance(children, list) or any(not isinstance(c, dict) or c.get("children") for c in children):
        raise Refusal(1254018, "one level of children")
    groups = [given, *children]
    if sum(len(g.get("conditions") or []) for g in groups) > 50:
        raise Refusal(1254018, "at most 50 conditions")
    own = [_condition(c, table, zone, today) for c in given.get("conditions") or []]
    nested = [
        _joined(c.get("conjunction"), [_condition(x, table, zone, today) for x in c.get("conditions") or []])
        for c in children
    ]
    return _joined(given.get("conjunction"), own + nested)


def _joined(conjunction: Any, parts: list[Accepts]) -> Accepts:
    if conjunction not in ("and", "or"):
        raise Refusal(1254018, "conjunction is and or or")
    if not parts:
        return lambda record: True
    if conjunction == "and":
        return lambda record: all(p(record) for p in parts)
    return lambda record: any(p(record) for p in parts)


def _condition(given: Any, table: Table, zone: ZoneInfo, today: date) -> Accepts:
    if not isinstance(given, dict):
        raise Refusal(1254018)
    field = table.named().get(str(given.get("field_name")))
    if field is None:
        raise Refusal(1254045, field=str(given.get("field_name")))
    operator, values = given.get("operator"), given.get("value")
    values = [] if values is None else values
    if operator not in OPERATORS or not isinstance(values, list) or len(values) > 10:
        raise Refusal(1254018, field=field.name)
    if field.type in (LOOKUP, FORMULA) or not all(isinstance(v, str) for v in values):
        raise Refusal(1254018, field=field.name)
    if (operator in ("isEmpty", "isNotEmpty")) == bool(values):
        raise Refusal(1254018, "isEmpty and isNotEmpty take no value, the others take one", field=field.name)
    return _test(field, operator, values, zone, today)


def _test(field: Field, operator: str, values: list[str], zone: ZoneInfo, today: date) -> Accepts:
    get = cell(field)
    if operator == "isEmpty":
        return lambda record: get(record) is None
    if operator == "isNotEmpty":
        return lambda record: get(record) is not None
    if field.type in DATES:
        return _date_test(get, field, operator, values, zone, today)
    if field.type == NUMBER:
        return _number_test(get, field, operator, values)
    if operator in ORDERED:
        raise Refusal(1254018, "the field has no order", field=field.name)
    return _text_test(get, field, operator, values)


def cell(field: Field) -> Get:
    """How to get the value that a field is filtered and sorted by."""
    if field.type == CREATED:
        return lambda r: r.created
    if field.type == MODIFIED:
        return lambda r: r.modified
    if field.type == AUTO:
        return lambda r: r.number
    return lambda r: r.cells.get(field.id)


# -- numbers and texts ------------------------------------------------------------------------------------------


def _number_test(get: Get, field: Field, operator: str, values: list[str]) -> Accepts:
    try:
        bound = float(values[0])
    except ValueError:
        raise Refusal(1254018, "not a number", field=field.name) from None
    compare: dict[str, Callable[[float], bool]] = {
        "is": lambda n: n == bound,
        "isNot": lambda n: n != bound,
        "isGreater": lambda n: n > bound,
        "isGreaterEqual": lambda n: n >= bound,
        "isLess": lambda n: n < bound,
        "isLessEqual": lambda n: n <= bound,
    }
    if operator not in compare:
        raise Refusal(1254018, "not an operator for numbers", field=field.name)
    test, when_empty = compare[operator], operator == "isNot"
    return lambda record: when_empty if (n := get(record)) is None else test(n)


def _texts(value: Any) -> list[str]:
    """A cell as the texts that a filter compares with."""
    if value is None:
        return []
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, dict):
        return [value.get("text", "")]
    if isinstance(value, list):
        return [v["id"] if isinstance(v, dict) else v for v in value]
    return [str(value)]


def _text_test(get: Get, field: Field, operator: str, values: list[str]) -> Accepts:
    asked = [v.lower() for v in values] if field.type == CHECKBOX else values
    unset = ["false"] if field.type == CHECKBOX else []  # a checkbox never touched is not ticked

    def equal(record: Record) -> bool:
        return sorted(_texts(get(record)) or unset) == sorted(asked)

    def contained(record: Record) -> bool:
        has = _texts(get(record))
        if field.type == SINGLE or isinstance(get(record), list):
            return any(v in has for v in asked)
        return any(v in text for v in asked for text in has)

    test = equal if operator in ("is", "isNot") else contained
    if operator in ("isNot", "doesNotContain"):
        return lambda record: not test(record)
    return test


# -- dates ------------------------------------------------------------------------------------------------------


def _date_test(get: Get, field: Field, operator: str, values: list[str], zone: ZoneInfo, today: date) -> Accepts:
    if operator not in DATE_OPERATORS:
        raise Refusal(1254018, "not an operator for dates", field=field.name)
    first, last = _span(values, field, zone, today)

    def day(record: Record) -> date | None:
        value = get(record)
        return None if value is None else datetime.fromtimestamp(value / 1000, zone).date()

    if operator == "is":
        return lambda record: (d := day(record)) is not None and first <= d <= last
    if operator == "isGreater":
        return lambda record: (d := day(record)) is not None and d > last
    return lambda record: (d := day(record)) is not None and d < first


def _span(values: list[str], field: Field, zone: ZoneInfo, today: date) -> tuple[date, date]:
    """First and last day of what the value says; an exact date is rounded to its day in the base's time zone."""
    word = values[0]
    if word == "ExactDate" and len(values) == 2 and values[1].lstrip("-").isdigit():
        exact = datetime.fromtimestamp(int(values[1]) / 1000, zone).date()
        return exact, exact
    spans = _named_spans(today)
    if word not in spans or len(values) != 1:
        raise Refusal(1254018, "not a date", field=field.name)
    return spans[word]


def _named_spans(today: date) -> dict[str, tuple[date, date]]:
    def days(count: int) -> date:
        return today + timedelta(days=count)

    monday = days(-today.weekday())
    first = today.replace(day=1)
    next_first = (first + timedelta(days=32)).replace(day=1)
    last_first = (first - timedelta(days=1)).replace(day=1)
    return {
        "Today": (today, today),
        "Yesterday": (days(-1), days(-1)),
        "Tomorrow": (days(1), days(1)),
        "CurrentWeek": (monday, monday + timedelta(days=6)),
        "LastWeek": (monday - timedelta(days=7), monday - timedelta(days=1)),
        "CurrentMonth": (first, next_first - timedelta(days=1)),
        "LastMonth": (last_first, first - timedelta(days=1)),
        "TheLastWeek": (days(-7), today),
        "TheNextWeek": (today, days(7)),
        "TheLastMonth": (days(-30), today),
        "TheNextMonth": (today, days(30)),
    }


def sort_key(field: Field, descending: bool) -> Callable[[Record], Any]:
    """Empty cells come last both ways."""
    get = cell(field)

    def key(record: Record) -> Any:
        value = get(record)
        there = value is not None
        rank = there if descending else not there
        if isinstance(value, int | float):
            return rank, value, ""
        return rank, 0, "\0".join(_texts(value))

    return key
