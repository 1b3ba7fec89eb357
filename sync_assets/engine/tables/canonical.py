"""Canonical text: the one form in which values of different databases are compared, shipped and named.

Each database renders it in SQL; this module says what it is, and renders it in Python for databases that cannot, and
for tests. Equal values have equal texts in every database:

=========  ==========================================================================================================
BOOL       1, 0
INTEGER    digits with a leading ``-``; BIGINT too
DECIMAL    plain digits, no exponent, no zeros at the end of the fraction, no ``-0``; NaN, Infinity, -Infinity
FLOAT      the fewest digits that give the same double; plain (``-123.45``, ``7``) where its size is in [1e-4, 1e15),
           as all databases write those; else ``-1.2345e-10``, ``7e23``; 0, NaN, Infinity, -Infinity. Singles as doubles
TEXT       as it is; char(n) without the padding. ENUM, JSON kept as text, INTERVAL (ISO 8601), OTHER too
SET        the elements as a JSON array of texts
DATE       YYYY-MM-DD
TIME       [-]HH:MM:SS.ffffff, hours up to 838 in MySQL; with a zone ``+HH:MM`` after it
DATETIME   YYYY-MM-DD HH:MM:SS.ffffff
INSTANT    the same in UTC
UUID       lower case with hyphens
BLOB       lower-case hex
=========  ==========================================================================================================

The canonical text of a row, which the portable hash is taken of, is that of its columns in order: NULL is ``~``; texts
(TEXT, ENUM, SET, JSON, INTERVAL, OTHER) are ``LENGTH:TEXT`` with the length in bytes of UTF-8, everything else is
``TEXT;``. The hash is the first 15 hex digits of the MD5 of that, as a number: 60 bits are positive in every database.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from math import isinf, isnan
from typing import Any
from uuid import UUID

from sync_assets.engine.model import ColumnType

TEXTS = frozenset(
    {ColumnType.TEXT, ColumnType.ENUM, ColumnType.SET, ColumnType.JSON, ColumnType.INTERVAL, ColumnType.OTHER}
)
NULL = "~"
PLAIN = (1e-4, 1e15)  # sizes of doubles that no database writes with an exponent
_WHOLE = frozenset({ColumnType.BOOL, ColumnType.INTEGER, ColumnType.BIGINT, ColumnType.DECIMAL})
_CLOCKS = frozenset({ColumnType.DATETIME, ColumnType.INSTANT})


def common(mine: ColumnType, theirs: ColumnType) -> ColumnType | None:
    """The type that a column of each side is framed as, so that equal values hash alike; None: not comparable.

    A text that holds another type's values holds their canonical texts (a uuid in char(36), a SET as JSON array).
    Symmetric, so both sides choose alike. The texts themselves are those of each side's own type.
    """
    if mine is theirs:
        return mine
    pair = {mine, theirs}
    if pair <= _WHOLE:
        return ColumnType.DECIMAL
    if pair <= _CLOCKS:
        return ColumnType.DATETIME
    apart = pair & {ColumnType.FLOAT, ColumnType.BLOB} or pair == {ColumnType.TIME, ColumnType.INTERVAL}
    return ColumnType.TEXT if pair & TEXTS and not apart else None


def canonical_text(value: Any, type: ColumnType) -> str | None:
    """The canonical text of a Python value of a column of `type`; None for None. Wall clocks stay as they are."""
    if value is None:
        return None
    made = _MAKERS.get(type)
    return made(value) if made else str(value)


def row_text(texts: Sequence[str | None], types: Sequence[ColumnType]) -> str:
    """The canonical text of a row, from those of its columns."""
    return "".join(_framed(text, type) for text, type in zip(texts, types, strict=True))


def portable_hash(text: str) -> int:
    """60 bits of the MD5 of a canonical text."""
    return int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:15], 16)


def _framed(text: str | None, type: ColumnType) -> str:
    if text is None:
        return NULL
    return f"{len(text.encode())}:{text}" if type in TEXTS else f"{text};"


def _decimal(value: Any) -> str:
    number = value if isinstance(value, Decimal) else Decimal(str(value))
    if not number.is_finite():
        return "NaN" if number.is_nan() else "-Infinity" if number < 0 else "Infinity"
    text = f"{number:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def _float(value: Any) -> str:
    number = float(value)
    if isnan(number) or isinf(number):
        return "NaN" if isnan(number) else "-Infinity" if number < 0 else "Infinity"
    if number == 0:
        return "0"
    if PLAIN[0] <= abs(number) < PLAIN[1]:
        return repr(number).removesuffix(".0")
    sign, digits, exponent = Decimal(repr(number)).as_tuple()
    text = "".join(map(str, digits))
    assert isinstance(exponent, int)  # noqa: S101 (finite)
    rest = text[1:].rstrip("0")
    return f"{'-' if sign else ''}{text[0]}{'.' if rest else ''}{rest}e{exponent + len(text) - 1}"


def _time(value: Any) -> str:
    if isinstance(value, timedelta):
        micros = value // timedelta(microseconds=1)
        rest, fraction = divmod(abs(micros), 1_000_000)
        return f"{'-' if micros < 0 else ''}{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}.{fraction:06}"
    if isinstance(value, time):
        return value.isoformat("microseconds")
    return str(value)


def _instant(value: Any) -> str:
    if not isinstance(value, datetime):
        return str(value)
    return _datetime(value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value)


def _datetime(value: Any) -> str:
    return value.isoformat(" ", "microseconds") if isinstance(value, datetime) else str(value)


def _date(value: Any) -> str:
    return value.date().isoformat() if isinstance(value, datetime) else (
        value.isoformat() if isinstance(value, date) else str(value))  # fmt: skip


def _set(value: Any) -> str:
    return json.dumps([str(v) for v in value], ensure_ascii=False, separators=(",", ":"))


def _blob(value: Any) -> str:
    return bytes(value).hex()


_MAKERS = {
    ColumnType.BOOL: lambda v: "1" if v else "0",
    ColumnType.INTEGER: lambda v: str(int(v)),
    ColumnType.BIGINT: lambda v: str(int(v)),
    ColumnType.DECIMAL: _decimal,
    ColumnType.FLOAT: _float,
    ColumnType.DATE: _date,
    ColumnType.TIME: _time,
    ColumnType.DATETIME: _datetime,
    ColumnType.INSTANT: _instant,
    ColumnType.UUID: lambda v: str(v if isinstance(v, UUID) else UUID(str(v))),
    ColumnType.BLOB: _blob,
    ColumnType.SET: _set,
}
