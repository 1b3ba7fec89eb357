"""Which rows: a `Selection` as SQL. Names are quoted; values are bound, never pasted. Knows no connection.

A value that has several spellings in a file (a clock with or without a fraction) is compared by its canonical text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sync_assets.databases.quoting import qualified, quoted
from sync_assets.databases.sqlite.tables.values import Unfit, bound, spelled_freely
from sync_assets.engine.errors import Stop
from sync_assets.engine.tables.reading import Condition, Key, Selection
from sync_assets.engine.tables.shape import ColumnShape, TableName

PARAMETERS = 30_000  # SQLite takes 32,766 in one statement
Columns = Mapping[str, ColumnShape]


class Part(NamedTuple):
    """What stands after SELECT ... : FROM and WHERE, with the values."""

    sql: str
    values: list[Any]


def parts(selection: Selection, columns: Columns) -> Iterator[Part]:
    """The selection as one statement, or as several where it names many keys. `columns` knows the conditions' types."""
    inside = f"({selection.query}\n)" if selection.query else qualified(_table(selection))
    tests, values = conditions(selection.conditions, columns)
    if selection.where:
        tests.append(f"({selection.where})")
    if selection.keys is None:
        yield Part(_after(inside, tests), values)
        return
    over = [columns[name] for name in selection.key]
    for some in _batches(selection.keys, len(over)):
        test, keys = among(over, some)
        yield Part(_after(inside, [*tests, test]), [*values, *keys])


def _table(selection: Selection) -> TableName:
    if selection.table is None:
        raise Stop("a selection names neither a table nor a query")
    return selection.table


def _after(inside: str, tests: Sequence[str]) -> str:
    return f" from {inside}" + (f" where {' and '.join(tests)}" if tests else "")


def conditions(given: Sequence[Condition], columns: Columns) -> tuple[list[str], list[Any]]:
    tests = [f"{comparable(columns[c.column])} {c.operator} ?" for c in given]
    return tests, [value_of(c.value, columns[c.column]) for c in given]


def value_of(text: str, column: ColumnShape) -> Any:
    try:
        return bound(text, column)
    except Unfit:
        raise Stop(f"a value for column {column.name} does not fit {column.native}", hint="check the sync") from None


def comparable(column: ColumnShape, alias: str = "") -> str:
    """The column as an expression that compares as its canonical texts do; bytes, not letters."""
    name = f"{alias}.{quoted(column.name)}" if alias else quoted(column.name)
    if spelled_freely(column.type):
        return f"sync_assets_text({name}, '{column.type}')"
    return f"{name} collate binary"


def among(key: Sequence[ColumnShape], keys: Sequence[Key]) -> tuple[str, list[Any]]:
    """A test for these keys. NULL is in none."""
    row = f"({', '.join('?' * len(key))})"
    names = ", ".join(comparable(c) for c in key)
    test = f"({names}) in (values {', '.join([row] * len(keys))})" if keys else "0"
    return test, [value_of(text, column) for one in keys for text, column in zip(one, key, strict=True)]


def _batches(keys: Sequence[Key], width: int) -> Iterator[Sequence[Key]]:
    size = max(1, min(PARAMETERS // max(width, 1), 400))  # SQLite compiles a VALUES of 500 rows as so many SELECTs
    if not keys:
        yield keys
    for at in range(0, len(keys), size):
        yield keys[at : at + size]


def names(columns: Sequence[ColumnShape]) -> str:
    return ", ".join(quoted(c.name) for c in columns)
