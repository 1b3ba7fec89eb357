"""Cells: from a source value to its canonical form, and between that form and what Feishu writes and reads.

One canonical form per field type, so that both sides of a comparison are brought to the same ground (facts:
bitable.md 2). Values that a field cannot hold without loss are refused with a reason, never bent: the reason names
the field and the rule, not the value.

    type                 canonical                     written as            read as
    text, email          str                           text                  list of segments
    number               float                         number                number
    single select        str                           name                  name
    multi select         sorted tuple of str           list of names         list of names
    date and time        int, ms since 1970 UTC        ms                    ms
    checkbox             True or None                  true/false            true, or absent
    person, link         sorted tuple of ids           [{id}], [id]          [{id, name, ...}], {link_record_ids}
    url                  (text, link)                  {text, link}          {text, link}
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from datetime import tzinfo as Zone
from decimal import Decimal
from typing import Any

from sync_assets.engine.errors import RejectRow
from sync_assets.engine.model import Canonical, Canonise
from sync_assets.targets.bitable.clock import NoSuchTime, WallClock, milliseconds

TEXT, NUMBER, SINGLE, MULTI, DATE, CHECKBOX = 1, 2, 3, 4, 5, 7
PERSON, PHONE, URL, ATTACHMENT, LINK, DUPLEX, LOCATION, GROUP = 11, 13, 15, 17, 18, 21, 22, 23
WRITABLE = (TEXT, NUMBER, SINGLE, MULTI, DATE, CHECKBOX, PERSON, PHONE, URL, LINK, DUPLEX, LOCATION, GROUP)

MAX_TEXT = 100_000  # characters in a text cell (bitable.md 1.6)
EXACT = 2**53  # a JSON number is a double on Feishu's side

_PLAIN_NUMBER = re.compile(r"[+-]?(0|[1-9][0-9]*)(\.[0-9]+)?")
_DATE_TEXT = re.compile(
    r"(\d{4})[-/年.](\d{1,2})[-/月.](\d{1,2})日?"
    r"(?:[ T](\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?(Z|[+-]\d{2}:?\d{2})?)?",
    re.ASCII,
)
_PHONE = re.compile(r"\+?[0-9]{1,63}")
_SEPARATOR = re.compile(r"[,;|，；、]")
_TRUE = {"true", "yes", "y", "on", "1", "是", "真", "对", "✓"}
_FALSE = {"false", "no", "n", "off", "0", "否", "假", "错", "✗"}


@dataclass(frozen=True, slots=True)
class Codec:
    """The three directions of one field. `read` takes both the search shape and the echo of a write."""

    canonise: Canonise
    write: Callable[[Any], Any]
    read: Callable[[Any], Canonical]


def codec(kind: int, field: str, clock: WallClock, *, percent: bool = False) -> Codec:
    """How the field named `field` of type `kind` is written and read. Times without a zone are those of `clock`."""
    zone = clock.zone
    makers: dict[int, Callable[[], Codec]] = {
        TEXT: lambda: Codec(_texts(field, zone), same, read_text),
        NUMBER: lambda: Codec(_numbers(field, percent), same, same),
        SINGLE: lambda: Codec(_texts(field, zone), same, read_text),
        MULTI: lambda: Codec(_lists(field, zone), list, _read_names),
        DATE: lambda: Codec(_instants(field, clock), same, same),
        CHECKBOX: lambda: Codec(_checks(field), bool, _read_check),
        PERSON: lambda: Codec(_lists(field, zone), _write_ids, _read_ids),
        GROUP: lambda: Codec(_lists(field, zone), _write_ids, _read_ids),
        PHONE: lambda: Codec(_phones(field), same, read_text),
        URL: lambda: Codec(_urls(field), _write_url, _read_url),
        LINK: lambda: Codec(_lists(field, zone), list, _read_links),
        DUPLEX: lambda: Codec(_lists(field, zone), list, _read_links),
        LOCATION: lambda: Codec(_texts(field, zone), same, _read_location),
    }
    return makers[kind]()


# -- source value -> canonical --------------------------------------------------------------------------------------


def plain_text(value: Any, zone: Zone) -> str:
    """Any source value as the text that a person expects: no ``1.0`` for a whole number, no exponent, no ``T``."""
    maker = _AS_TEXT.get(type(value))
    if maker is not None:
        return maker(value)
    if isinstance(value, datetime):
        return _clock_text(value, zone)
    if isinstance(value, list | tuple | set | frozenset):
        return ",".join(plain_text(v, zone) for v in value)
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return str(value)


def _clock_text(value: datetime, zone: Zone) -> str:
    """As the wall clock shows it; with the offset in the one hour a year that comes twice, the second time."""
    if value.tzinfo is None:
        return value.isoformat(" ")
    local = value.astimezone(zone)
    return (local if local.fold else local.replace(tzinfo=None)).isoformat(" ")


def _float_text(value: float) -> str:
    if value.is_integer() and abs(value) < EXACT:
        return str(int(value))
    text = repr(value)
    return format(Decimal(text), "f") if "e" in text else text


def _span(value: timedelta) -> str:
    sign = "-" if value < timedelta(0) else ""
    seconds, micros = divmod(abs(value) // timedelta(microseconds=1), 1_000_000)
    text = f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{micros:06}" if micros else text


_AS_TEXT: Mapping[type, Callable[[Any], str]] = {
    str: str,
    bool: lambda v: "true" if v else "false",
    int: str,
    float: _float_text,
    Decimal: lambda v: format(v, "f"),
    date: lambda v: str(v.isoformat()),
    time: lambda v: str(v.isoformat()),
    timedelta: _span,
    bytes: lambda v: _bytes_text(v),
}


def _bytes_text(value: bytes) -> str:
    """Bytes that were asked for as text: UTF-8 if they are that, else hexadecimal as both databases print it."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return "\\x" + value.hex()


def _texts(field: str, zone: Zone) -> Canonise:
    def canonise(value: Any) -> Canonical:
        text = value if value.__class__ is str else None if value is None else plain_text(value, zone)
        if text and len(text) > MAX_TEXT:
            raise RejectRow(f"{field}: a text cell holds at most {MAX_TEXT:,} characters", field=field, code="too_long")
        return text or None

    return canonise


def _numbers(field: str, percent: bool) -> Canonise:
    def refuse(why: str) -> RejectRow:
        return RejectRow(f"{field}: {why}", field=field, code="number")

    def canonise(value: Any) -> Canonical:
        kind = value.__class__
        if kind is float:
            if value - value != 0:
                raise refuse("a number field holds no NaN and no infinity")
            return value  # type: ignore[no-any-return]
        if kind is int and -EXACT <= value <= EXACT:
            return value  # type: ignore[no-any-return]
        if value is None or value == "":
            return None
        if kind is bool:
            return int(value)
        exact = Decimal(value) if isinstance(value, int | Decimal) else _parsed(value, percent, refuse)
        return _number_of(exact, refuse)

    return canonise


def _parsed(value: Any, percent: bool, refuse: Callable[[str], RejectRow]) -> Decimal:
    text = value.strip() if isinstance(value, str) else ""
    if percent and text.endswith("%") and _PLAIN_NUMBER.fullmatch(text[:-1]):
        return Decimal(text[:-1]) / 100
    if not _PLAIN_NUMBER.fullmatch(text):
        raise refuse("the value is not a plain number; make the field a text")
    return Decimal(text)


def _number_of(value: Decimal, refuse: Callable[[str], RejectRow]) -> float:
    if not value.is_finite():
        raise refuse("a number field holds no NaN and no infinity")
    number = float(value)
    if not math.isfinite(number) or Decimal(repr(number)) != value:
        raise refuse("the number has more digits than a number field keeps; make the field a text")
    return number


def _instants(field: str, clock: WallClock) -> Canonise:
    def refuse(why: str) -> RejectRow:
        return RejectRow(f"{field}: {why}", field=field, code="date")

    def moment(value: datetime) -> int:
        try:
            return milliseconds(value) if value.tzinfo else clock.at(value)
        except NoSuchTime:
            raise refuse(f"no clock in {clock.zone} shows this time: it is skipped on that day") from None

    def canonise(value: Any) -> Canonical:
        kind = value.__class__
        if kind is datetime:
            return moment(value)
        if value is None or value == "":
            return None
        if kind is date:
            return clock.midnight(value)
        parsed = parse_date(value) if isinstance(value, str) else None
        if parsed is None:
            raise refuse("the value is not a date with year, month and day")
        return moment(parsed)

    return canonise


def parse_date(text: str) -> datetime | None:
    """A full date, perhaps with a time, in the forms that cannot be read in two ways; None for anything else."""
    found = _DATE_TEXT.fullmatch(text.strip())
    if not found:
        return None
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    iso = f"{year}-{month:0>2}-{day:0>2}T{hour or 0:0>2}:{minute or 0:0>2}:{second or 0:0>2}"
    iso += f".{fraction:0<6}" if fraction else ""
    try:
        return datetime.fromisoformat(iso + (offset or ""))
    except ValueError:
        return None


def _checks(field: str) -> Canonise:
    def canonise(value: Any) -> Canonical:
        if value is None or value is False or value == "":
            return None
        if value is True:
            return True
        word = plain_text(value, UTC).strip().lower()
        if word in _TRUE or word in _FALSE:
            return True if word in _TRUE else None
        raise RejectRow(f"{field}: the value is neither yes nor no", field=field, code="checkbox")

    return canonise


def _lists(field: str, zone: Zone) -> Canonise:
    def canonise(value: Any) -> Canonical:
        if value is None:
            return None
        if isinstance(value, str):
            value = words_of(value)
        elif not isinstance(value, list | tuple | set | frozenset):
            value = [value]
        names = {plain_text(v, zone).strip() for v in value if v is not None}
        return tuple(sorted(names - {""})) or None

    return canonise


def words_of(text: str) -> list[Any]:
    """The items of a text that lists some: a JSON list, or words between commas and the like."""
    found = _json_list(text)
    return _SEPARATOR.split(text) if found is None else found


def separated(text: str) -> bool:
    """Whether the text lists more than one word."""
    return _SEPARATOR.search(text) is not None


def _json_list(text: str) -> list[Any] | None:
    if not text.startswith("["):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, list) else None


def _phones(field: str) -> Canonise:
    def canonise(value: Any) -> Canonical:
        if value is None or value == "":
            return None
        digits = re.sub(r"[\s()（）-]", "", str(value))
        if not _PHONE.fullmatch(digits):
            raise RejectRow(f"{field}: a phone number is + and up to 63 digits", field=field, code="phone")
        return digits

    return canonise


def _urls(field: str) -> Canonise:
    def canonise(value: Any) -> Canonical:
        if value is None or value == "":
            return None
        given = value
        if isinstance(value, str) and value.startswith("{"):
            try:
                given = json.loads(value)
            except ValueError:
                given = value
        if isinstance(given, dict):
            link = str(given.get("link") or "")
            return (str(given.get("text") or link), link) if link else None
        text = str(given).strip()
        return (text, text) if text else None

    return canonise


# -- canonical -> written -------------------------------------------------------------------------------------------


def same(value: Any) -> Any:
    """As it is."""
    return value


def _write_ids(value: tuple[str, ...]) -> list[dict[str, str]]:
    return [{"id": v} for v in value]


def _write_url(value: tuple[str, str]) -> dict[str, str]:
    return {"text": value[0], "link": value[1]}


# -- read -> canonical ----------------------------------------------------------------------------------------------


def read_text(value: Any) -> Canonical:
    """Text: a list of segments from search, a plain text from the echo of a write."""
    if value.__class__ is list:
        if len(value) == 1:
            return value[0].get("text") or None
        return "".join(s.get("text", "") for s in value) or None
    return value or None


def _read_check(value: Any) -> Canonical:
    return True if value else None


def _read_names(value: Any) -> Canonical:
    return tuple(sorted(set(value))) if value else None


def _read_ids(value: Any) -> Canonical:
    return tuple(sorted(v["id"] for v in value)) if value else None


def _read_links(value: Any) -> Canonical:
    ids = value.get("link_record_ids") if isinstance(value, dict) else value
    return tuple(sorted(ids)) if ids else None


def _read_url(value: Any) -> Canonical:
    return (value.get("text") or value.get("link") or "", value.get("link") or "") if value else None


def _read_location(value: Any) -> Canonical:
    return (value.get("location") if isinstance(value, dict) else value) or None
