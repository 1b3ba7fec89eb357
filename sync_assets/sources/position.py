"""Positions: watermarks as text that may be kept, and back as a value that the column can be compared with."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sync_assets.engine.errors import Stop
from sync_assets.engine.model import Column, ColumnType

_NUMBERS = {ColumnType.INTEGER: int, ColumnType.BIGINT: int, ColumnType.FLOAT: float, ColumnType.DECIMAL: Decimal}
_TRUE, _FALSE = {"true", "t", "1", "yes"}, {"false", "f", "0", "no"}


def as_text(value: Any) -> str | None:
    """A watermark as ISO text; instants in UTC, so that equal ones have equal texts."""
    if value is None:
        return None
    if isinstance(value, datetime):
        return (value.astimezone(UTC) if value.tzinfo else value).isoformat(sep=" ")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)


def as_value(text: object, column: Column, zone: ZoneInfo) -> Any:
    """`text` as a value of the column's type. Raises `Stop` when it is none."""
    try:
        return _value(text, column.type, zone)
    except (ValueError, ArithmeticError):
        raise Stop(
            f"a position or partition value does not fit column {column.name!r} ({column.native or column.type})",
            hint="reset the position, or correct the partition's values",
        ) from None


def _value(text: object, type_: ColumnType, zone: ZoneInfo) -> Any:
    if type_ in (ColumnType.DATETIME, ColumnType.INSTANT, ColumnType.DATE):
        return moment(text, type_, zone)
    if not isinstance(text, str):
        return text
    if type_ in _NUMBERS:
        return _NUMBERS[type_](text)
    if type_ is ColumnType.BOOL:
        if text.lower() not in _TRUE | _FALSE:
            raise ValueError
        return text.lower() in _TRUE
    return text


def moment(value: object, type_: ColumnType, zone: ZoneInfo) -> datetime:
    """An instant (in UTC) for an INSTANT column; for the others the wall clock of `zone`, without a zone."""
    if isinstance(value, datetime):
        found = value
    elif isinstance(value, date):
        found = datetime.combine(value, time())
    else:
        found = datetime.fromisoformat(str(value))
    if type_ is ColumnType.INSTANT:
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    return found.astimezone(zone).replace(tzinfo=None) if found.tzinfo else found


def earlier(position: str, seconds: float) -> str:
    """The position `seconds` before, if it is a time; any other kind stays as it is."""
    try:
        return (datetime.fromisoformat(position) - timedelta(seconds=seconds)).isoformat(sep=" ")
    except (ValueError, OverflowError):
        return position
