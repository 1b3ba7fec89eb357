"""Values of SQLite as canonical texts, and texts as values. SQLite lets any value stand in any column: what does not
fit the declared type is told apart here and never bent. Knows no connection.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from sync_assets.databases.sqlite.ddl import DECIMAL_DIGITS
from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables.canonical import canonical_text
from sync_assets.engine.tables.shape import ColumnShape

T = ColumnType
_TEXTS = (T.TEXT, T.ENUM, T.SET, T.INTERVAL, T.OTHER)
_INTEGER = re.compile(r"-?\d{1,19}", re.A)
_NUMERIC = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.A)  # what an affinity makes a number of
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.A)
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d)(:\d\d)?(\.\d{1,6})?(Z|[+-]\d\d:\d\d)?)?", re.A)
_TIME = re.compile(r"(-?)(\d{2,3}):([0-5]\d)(?::([0-5]\d)(\.\d{1,6})?)?", re.A)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.A | re.I)


class Unfit(ValueError):
    """A value that its column's declared type does not mean."""


# -- out: values as canonical texts ---------------------------------------------------------------------------------


def text_of(value: Any, type: ColumnType) -> str:
    """The canonical text of a value that is not NULL. Raises `Unfit`."""
    return _OUT.get(type, _plain_text)(value)


def digest_text(value: Any, type: ColumnType) -> str | None:
    """As `text_of`; what does not fit gets a text that no fitting value has."""
    if value is None:
        return None
    try:
        return text_of(value, type)
    except Unfit:
        return f"?{value.__class__.__name__}:{value.hex() if isinstance(value, bytes) else value}"


def _plain_text(value: Any) -> str:
    if not isinstance(value, str):
        raise Unfit
    return value


def _any_text(value: Any) -> str:
    """For columns without a type that means something: numbers are shown, bytes are not texts."""
    if isinstance(value, bytes):
        raise Unfit
    return str(value)


def _bool(value: Any) -> str:
    if value not in (0, 1) or isinstance(value, float):
        raise Unfit
    return str(value)


def _integer(value: Any) -> str:
    if not isinstance(value, int):
        raise Unfit
    return str(value)


def _decimal(value: Any) -> str:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise Unfit
    return canonical_text(Decimal(repr(value)), T.DECIMAL) or ""


def _float(value: Any) -> str:
    if not isinstance(value, int | float):
        raise Unfit
    return canonical_text(value, T.FLOAT) or ""


def _date(value: Any) -> str:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise Unfit
    _made(lambda: date.fromisoformat(value))
    return value


def _datetime(value: Any) -> str:
    """A clock with an offset is counted back to UTC, as SQLite's own functions do."""
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        raise Unfit
    moment: datetime = _made(lambda: datetime.fromisoformat(value))
    if moment.tzinfo is not None:
        moment = _made(lambda: moment.astimezone(UTC).replace(tzinfo=None))
    return moment.isoformat(" ", "microseconds")


def _time(value: Any) -> str:
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise Unfit
    sign, hours, minutes, seconds, fraction = match.groups()
    return f"{sign}{hours}:{minutes}:{seconds or '00'}.{(fraction or '.')[1:]:0<6}"


def _uuid(value: Any) -> str:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise Unfit
    return value.lower()


def _json(value: Any) -> str:
    """Under a numeric affinity SQLite keeps the JSON text of a number as that number."""
    if isinstance(value, int | float):
        return repr(value)
    if not isinstance(value, str):
        raise Unfit
    _made(lambda: json.loads(value))
    return value


def _blob(value: Any) -> str:
    if not isinstance(value, bytes):
        raise Unfit
    return value.hex()


def _made(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except (ValueError, OverflowError, RecursionError):
        raise Unfit from None


_OUT: dict[ColumnType, Callable[[Any], str]] = {
    T.BOOL: _bool, T.INTEGER: _integer, T.BIGINT: _integer, T.DECIMAL: _decimal, T.FLOAT: _float, T.DATE: _date,
    T.DATETIME: _datetime, T.INSTANT: _datetime, T.TIME: _time, T.UUID: _uuid, T.JSON: _json, T.BLOB: _blob,
    T.OTHER: _any_text,
}  # fmt: skip


# -- in: texts as values --------------------------------------------------------------------------------------------


def parser(column: ColumnShape) -> Callable[[str], Any]:
    """From the text of a field to what is stored. Raises `Unfit` for what the declared type does not mean."""
    if column.type is T.FLOAT and column.bits == 32:
        return _single_in
    made = _IN.get(column.type, str)
    if column.type in _SPELLED and affinity(column.native) in ("numeric", "integer", "real"):
        return _no_number(made)
    return made


def _no_number(made: Callable[[str], Any]) -> Callable[[str], Any]:
    """The affinity of the declared type would make a number of a text that looks like one."""

    def parse(text: str) -> Any:
        if _NUMERIC.fullmatch(text):
            raise Unfit
        return made(text)

    return parse


def affinity(native: str) -> str:
    """By SQLite's own rules, in their order."""
    upper = native.upper()
    if "INT" in upper:
        return "integer"
    if any(word in upper for word in ("CHAR", "CLOB", "TEXT")):
        return "text"
    if "BLOB" in upper or not upper:
        return "blob"
    return "real" if any(word in upper for word in ("REAL", "FLOA", "DOUB")) else "numeric"


def _bool_in(text: str) -> int:
    if text not in ("0", "1"):
        raise Unfit
    return int(text)


def _integer_in(text: str) -> int:
    if not _INTEGER.fullmatch(text) or not -(2**63) <= int(text) < 2**63:
        raise Unfit
    return int(text)


def _decimal_in(text: str) -> int | float:
    """A double keeps 15 digits; an integer 64 bits."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise Unfit from None
    if not number.is_finite():
        raise Unfit
    if number == number.to_integral_value() and -(2**63) <= number < 2**63:
        return int(number)
    if len(number.normalize().as_tuple().digits) > DECIMAL_DIGITS and Decimal(repr(float(number))) != number:
        raise Unfit
    return float(number)


def _float_in(text: str) -> float:
    """NULL is what SQLite makes of NaN."""
    number: float = _made(lambda: float(text))
    if math.isnan(number) or "_" in text:
        raise Unfit
    return number


def _single_in(text: str) -> float:
    number = _float_in(text)
    single: float = _made(lambda: struct.unpack("<f", struct.pack("<f", number))[0])
    return single


def _checked(show: Callable[[Any], str]) -> Callable[[str], str]:
    """The text as it came, once it was seen to mean something."""

    def parse(text: str) -> str:
        show(text)
        return text

    return parse


def _blob_in(text: str) -> bytes:
    data: bytes = _made(lambda: bytes.fromhex(text))
    if len(data) * 2 != len(text):  # blanks are let through
        raise Unfit
    return data


_SPELLED = (*_TEXTS, T.DATE, T.DATETIME, T.INSTANT, T.TIME, T.UUID, T.JSON)
_IN: dict[ColumnType, Callable[[str], Any]] = {
    T.BOOL: _bool_in, T.INTEGER: _integer_in, T.BIGINT: _integer_in, T.DECIMAL: _decimal_in, T.FLOAT: _float_in,
    T.DATE: _checked(_date), T.DATETIME: _checked(_datetime), T.INSTANT: _checked(_datetime), T.TIME: _checked(_time),
    T.UUID: _checked(_uuid), T.JSON: _checked(_json), T.BLOB: _blob_in,
}  # fmt: skip


def bound(text: str, column: ColumnShape) -> Any:
    """A canonical text as the value that it is compared with."""
    if column.type is T.DECIMAL:
        number = Decimal(text)
        return int(number) if number == number.to_integral_value() and -(2**63) <= number < 2**63 else float(number)
    if column.type in (T.BOOL, T.INTEGER, T.BIGINT, T.FLOAT, T.BLOB):
        return _IN[column.type](text)
    return text


def spelled_freely(type: ColumnType) -> bool:
    """Whether one value has several spellings in a file, so that only canonical texts can be compared."""
    return type in (T.DATE, T.DATETIME, T.INSTANT, T.TIME, T.UUID)
