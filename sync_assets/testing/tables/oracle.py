# ruff: noqa: S608 (names are quoted by hand)
"""Do two tables hold the same? By the drivers' raw values and by rules of its own: shares no code with the engine.

`raw_rows` gives the values as the server spells them; `meaning` makes of a value of a family what two databases agree
on, or keeps it as it is. Between two databases of one kind nothing is interpreted: the spellings must be equal.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from sync_assets.testing.tables.lab import TableLab

Raw = Mapping[str, Any]  # the value of each row, by the row's id as text


@dataclass(frozen=True)
class Difference:
    """Ids of rows: only on the one side, only on the other, with another value."""

    lost: tuple[str, ...] = ()
    strange: tuple[str, ...] = ()
    changed: tuple[tuple[str, Any, Any], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.lost or self.strange or self.changed)


def raw_rows(lab: TableLab, table: str, columns: Sequence[str], key: str = "id") -> dict[str, tuple[Any, ...]]:
    """All rows by `key`, each value as its server spells it, in UTC."""
    names = ", ".join(_spelled(lab, c) for c in (key, *columns))
    query = f"select {names} from {lab.at(table)}"
    with contextlib.closing(lab.connect()) as connection:
        rows = {"postgres": _postgres, "mysql": _mysql, "sqlite": _sqlite}[lab.dialect](connection, query)
    return {str(row[0]): tuple(row[1:]) for row in rows}


def raw(lab: TableLab, table: str, column: str) -> dict[str, Any]:
    return {id: row[0] for id, row in raw_rows(lab, table, [column]).items()}


def _spelled(lab: TableLab, column: str) -> str:
    """MySQL prints a FLOAT with six digits only; as a double it shows all of it."""
    if lab.dialect == "mysql" and column.startswith("single"):
        return f"{lab.quote(column)} + 0e0"
    return lab.quote(column)


def _postgres(connection: Any, query: str) -> list[list[Any]]:
    cursor = connection.cursor()
    for setting in ("timezone = 'UTC'", "datestyle = 'ISO'", "intervalstyle = 'iso_8601'", "extra_float_digits = 1"):
        cursor.execute(f"set {setting}")
    result = cursor.execute(query).pgresult
    cells = [[result.get_value(i, j) for j in range(result.nfields)] for i in range(result.ntuples)]
    return [[None if c is None else c.decode() for c in row] for row in cells]


def _mysql(connection: Any, query: str) -> list[list[Any]]:
    connection.decoders = {}  # texts as str, bytes as bytes, nothing made of them
    cursor = connection.cursor()
    cursor.execute("set time_zone = '+00:00'")
    cursor.execute(query)
    return [list(row) for row in cursor.fetchall()]


def _sqlite(connection: Any, query: str) -> list[list[Any]]:
    return [list(row) for row in connection.execute(query).fetchall()]


def compare(
    one: Mapping[str, Any], other: Mapping[str, Any], same: Callable[[Any, Any], bool] = lambda a, b: a == b
) -> Difference:
    """Row by row, by id."""
    return Difference(
        tuple(i for i in one if i not in other),
        tuple(i for i in other if i not in one),
        tuple((i, one[i], other[i]) for i in one if i in other and not same(one[i], other[i])),
    )


def same_meaning(family: str) -> Callable[[Any, Any], bool]:
    def same(one: Any, other: Any) -> bool:
        return bool(meaning(family, one) == meaning(family, other))

    return same


def meaning(family: str, value: Any) -> Any:
    """What a raw value of any database means, as something that can be compared. None stays None."""
    if value is None:
        return None
    rule = _RULES.get(family)
    return rule(value) if rule else _text(value)


def _text(value: Any) -> Any:
    """A number in a column of texts is another thing than its digits; bytes are read as UTF-8, if they are."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value
    return value


def _number(value: Any) -> Any:
    if isinstance(value, bytes):
        return _text(value)
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return value
    return str(number) if not number.is_finite() else number


def _bits(value: Any) -> Any:
    if isinstance(value, bytes):
        return int.from_bytes(value, "big")
    text = str(value)
    return {"t": 1, "f": 0}.get(text) if text in "tf" else int(text, 2 if set(text) <= {"0", "1"} else 10)


def _double(value: Any) -> Any:
    try:
        number = float(value)
    except (ValueError, TypeError):
        return value
    return "NaN" if math.isnan(number) else number + 0.0


def _single(value: Any) -> Any:
    number = _double(value)
    if not isinstance(number, float) or math.isinf(number):
        return number
    return struct.unpack("f", struct.pack("f", number))[0]


def _bool(value: Any) -> Any:
    return {"t": 1, "f": 0, "1": 1, "0": 0}.get(str(value), value)


def _bytes(value: Any) -> Any:
    """Text is no bytes, besides PostgreSQL's hex."""
    if isinstance(value, bytes):
        return value
    text = str(value)
    return bytes.fromhex(text[2:]) if text.startswith("\\x") else text


_MOMENT = re.compile(r"(\d+-\d\d-\d\d)(?:[ T](\d\d:\d\d:\d\d)(\.\d+)?)?(\+00)?( BC)?$")
_CLOCK = re.compile(r"(\d\d:\d\d:\d\d)(\.\d+)?(?:([+-]\d\d)(:\d\d)?(:\d\d)?)?$")


def _moment(value: Any) -> Any:
    found = _MOMENT.match(str(value))
    if not found:
        return value
    day, clock, fraction, _, era = found.groups()
    return f"{day} {clock or '00:00:00'}.{(fraction or '.')[1:]:0<6}{era or ''}"


def _clock(value: Any) -> Any:
    found = _CLOCK.match(str(value))
    if not found:
        return value
    clock, fraction, hours, minutes, _ = found.groups()
    zone = "" if hours is None else hours + (minutes or ":00")
    return f"{clock}.{(fraction or '.')[1:]:0<6}{zone}"


_PLAIN_SPAN = re.compile(r"(-?)(\d+):(\d\d):(\d\d)(?:\.(\d+))?$")
_ISO_SPAN = re.compile(r"PT(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?\d*)(?:\.(\d+))?S)?$")


def _span(value: Any) -> Any:
    """A length of time in microseconds, from ``-838:59:59.5`` or ``PT-838H-59M-59.5S``."""
    text = str(value)
    if plain := _PLAIN_SPAN.match(text):
        sign, hours, minutes, seconds, fraction = plain.groups()
        whole = (int(hours) * 60 + int(minutes)) * 60 + int(seconds)
        return (whole * 10**6 + int(f"{fraction or '':0<6}")) * (-1 if sign else 1)
    if iso := _ISO_SPAN.match(text):
        hours, minutes, seconds, fraction = iso.groups()
        micros = int(f"{fraction or '':0<6}") * (-1 if (seconds or "").startswith("-") else 1)
        whole = (int(hours or 0) * 60 + int(minutes or 0)) * 60 + int(seconds if seconds not in (None, "-") else 0)
        return whole * 10**6 + micros
    return value


def _date(value: Any) -> Any:
    return str(value).removesuffix(" 00:00:00")


def _set(value: Any) -> Any:
    """MySQL's ``a,b``, a JSON array, or PostgreSQL's ``{a,"b c"}``."""
    text = str(value)
    if text.startswith("["):
        return json.loads(text)
    return array(text) if text.startswith("{") else text.split(",") if text else []


def array(text: str) -> list[Any]:
    """The elements of an array of one dimension as PostgreSQL writes it."""
    found = re.findall(r'"((?:[^"\\]|\\.)*)"|([^,{}]+)', text[1:-1], re.S)
    return [
        None if plain == "NULL" else plain if plain else re.sub(r"\\(.)", r"\1", quoted, flags=re.S)
        for quoted, plain in found
    ]


_RULES: dict[str, Callable[[Any], Any]] = {
    "number": _number,
    "bits": _bits,
    "float": _double,
    "single": _single,
    "bool": _bool,
    "bytes": _bytes,
    "moment": _moment,
    "date": _date,
    "clock": _clock,
    "zoned clock": _clock,
    "span": _span,
    "padded": lambda v: str(v).rstrip(" "),
    "uuid": lambda v: str(v).lower(),
    "set": _set,
    "json": lambda v: v if isinstance(v, str | bytes) else repr(v),  # SQLite may keep the text of a number as one
}
