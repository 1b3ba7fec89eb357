"""SQLite's declared types in our words, by its own rules of affinity and common habits. Knows no connection."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from sync_assets.databases.values import canonical_json
from sync_assets.engine.model import Column, ColumnType

Converter = Callable[[Any], Any]

_WORDS = (
    ("BOOL", ColumnType.BOOL), ("BIGINT", ColumnType.BIGINT), ("INT", ColumnType.BIGINT), ("UUID", ColumnType.UUID),
    ("JSON", ColumnType.JSON), ("CHAR", ColumnType.TEXT), ("CLOB", ColumnType.TEXT), ("TEXT", ColumnType.TEXT),
    ("BLOB", ColumnType.BLOB), ("BINARY", ColumnType.BLOB), ("REAL", ColumnType.FLOAT), ("FLOA", ColumnType.FLOAT),
    ("DOUB", ColumnType.FLOAT), ("DEC", ColumnType.DECIMAL), ("NUMERIC", ColumnType.DECIMAL),
    ("MONEY", ColumnType.DECIMAL), ("DATETIME", ColumnType.DATETIME), ("TIMESTAMP", ColumnType.DATETIME),
    ("DATE", ColumnType.DATE), ("TIME", ColumnType.TIME),
)  # fmt: skip


def column(name: str, declared: str, nullable: bool) -> Column:
    """INTEGER may hold 64 bits here, so it is BIGINT; a type nobody knows is shown as its text."""
    upper = declared.upper()
    found = next((type_ for word, type_ in _WORDS if word in upper), ColumnType.OTHER)
    numbers = [int(n) for n in re.findall(r"\d+", declared)] if "(" in declared else []
    precision = numbers[0] if numbers else None
    scale = numbers[1] if len(numbers) > 1 else None
    return Column(name, found, declared.lower(), precision, scale, nullable=nullable)


def guessed(name: str, kinds: set[str], nullable: bool) -> Column:
    """For a column without a declared type, by what `typeof` says of its first values."""
    kinds = kinds - {"null"}
    if kinds and kinds <= {"integer"}:
        return Column(name, ColumnType.BIGINT, "integer", nullable=nullable)
    if kinds and kinds <= {"integer", "real"}:
        return Column(name, ColumnType.FLOAT, "real", nullable=nullable)
    if kinds == {"blob"}:
        return Column(name, ColumnType.BLOB, "blob", nullable=nullable)
    return Column(name, ColumnType.TEXT, "text", nullable=nullable)


def converter(type_: ColumnType) -> Converter | None:
    """A value that does not fit its declared type stays what it is: SQLite allows that."""
    return _CONVERTERS.get(type_)


def _guarded(function: Converter) -> Converter:
    def convert(value: Any) -> Any:
        try:
            return function(value)
        except (ValueError, TypeError, ArithmeticError):
            return value

    return convert


def _bool(value: Any) -> Any:
    return bool(value) if isinstance(value, int) else value


def _decimal(value: Any) -> Any:
    return Decimal(str(value)) if isinstance(value, int | float) else Decimal(value)


_CONVERTERS: dict[ColumnType, Converter] = {
    ColumnType.BOOL: _bool,
    ColumnType.DECIMAL: _guarded(_decimal),
    ColumnType.DATE: _guarded(date.fromisoformat),
    ColumnType.DATETIME: _guarded(datetime.fromisoformat),
    ColumnType.TIME: _guarded(time.fromisoformat),
    ColumnType.JSON: _guarded(canonical_json),
    ColumnType.OTHER: _guarded(str),
}
