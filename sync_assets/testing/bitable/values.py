"""What a cell takes and what a reader gets back, per field type. Knows no HTTP and no table beside the one given.

A stored value is in the shape that was written, with numbers as doubles and empty values as None.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sync_assets.testing.bitable.answers import Refusal
from sync_assets.testing.bitable.world import Base, Cells, Field, Table

TEXT, NUMBER, SINGLE, MULTI, DATE, CHECKBOX = 1, 2, 3, 4, 5, 7
USER, PHONE, URL, FILE, LINK, LOOKUP, FORMULA, DUPLEX = 11, 13, 15, 17, 18, 19, 20, 21
LOCATION, GROUP, CREATED, MODIFIED, CREATOR, MODIFIER, AUTO = 22, 23, 1001, 1002, 1003, 1004, 1005

TEXT_CHARS = 100_000
PHONE_TEXT = re.compile(r"\+?\d{0,63}")
PLACE_TEXT = re.compile(r"-?\d+(\.\d+)?,-?\d+(\.\d+)?")
USER_PREFIX = {"open_id": "ou_", "union_id": "on_", "user_id": ""}


@dataclass(slots=True)
class Writing:
    """One write under way: where it goes, and the options that it will add when all of it is accepted."""

    base: Base
    table: Table
    user_id_type: str = "open_id"
    new_options: list[tuple[Field, str]] = field(default_factory=list)
    new_names: set[tuple[str, str]] = field(default_factory=set)


def _text(value: Any, into: Field, writing: Writing) -> Any:
    if not isinstance(value, str):
        raise Refusal(1254060, field=into.name)
    if len(value) > TEXT_CHARS:
        raise Refusal(1254130, field=into.name)
    return value or None


def as_double(value: int | float) -> int | float:
    """The number as the service keeps it: a double, shown without a fraction where it has none."""
    number = float(value)
    return int(number) if number.is_integer() and abs(number) < 1e21 else number


def _number(value: Any, into: Field, writing: Writing) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refusal(1254061, field=into.name)
    try:
        number = as_double(value)
    except OverflowError:
        raise Refusal(1254061, field=into.name) from None
    if not math.isfinite(number) or not _in_range(number, into):
        raise Refusal(1254061, field=into.name)
    return number


def _in_range(number: float, into: Field) -> bool:
    if into.ui_type not in ("Progress", "Rating"):
        return True
    rules = into.property or {}
    low, high = rules.get("min", 0), rules.get("max", 5 if into.ui_type == "Rating" else 1)
    return bool(low <= number <= high) and (into.ui_type == "Progress" or number == int(number))


def _note_option(name: str, into: Field, writing: Writing) -> None:
    """An unknown option will be made. Only names known before this cell are known: the real service makes two
    options of a new name that stands twice in one multi-select cell."""
    if name not in writing.table.known_options(into) and (into.id, name) not in writing.new_names:
        writing.new_options.append((into, name))


def _single(value: Any, into: Field, writing: Writing) -> Any:
    if not isinstance(value, str):
        raise Refusal(1254062, field=into.name)
    if not value:
        return None
    _note_option(value, into, writing)
    writing.new_names.add((into.id, value))
    return value


def _multi(value: Any, into: Field, writing: Writing) -> Any:
    if not isinstance(value, list) or not all(isinstance(v, str) and v for v in value):
        raise Refusal(1254063, field=into.name)
    if len(value) > 1000:
        raise Refusal(1254130, field=into.name)
    for name in value:
        _note_option(name, into, writing)
    writing.new_names.update((into.id, name) for name in value)
    return value or None


def _date(value: Any, into: Field, writing: Writing) -> Any:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 8.64e15:
        raise Refusal(1254064, field=into.name)
    return value


def _checkbox(value: Any, into: Field, writing: Writing) -> Any:
    if not isinstance(value, bool):
        raise Refusal(1254065, field=into.name)
    return value


def _id_objects(value: Any, prefix: str) -> bool:
    return isinstance(value, list) and all(
        isinstance(v, dict) and isinstance(v.get("id"), str) and v["id"] and v["id"].startswith(prefix) for v in value
    )


def _user(value: Any, into: Field, writing: Writing) -> Any:
    several = (into.property or {}).get("multiple", True)
    if not _id_objects(value, USER_PREFIX[writing.user_id_type]) or len(value) > (1000 if several else 1):
        raise Refusal(1254066, field=into.name)
    return [{"id": v["id"]} for v in value] or None


def _group(value: Any, into: Field, writing: Writing) -> Any:
    if not _id_objects(value, "oc_"):
        raise Refusal(1254015, field=into.name)
    return [{"id": v["id"]} for v in value] or None


def _phone(value: Any, into: Field, writing: Writing) -> Any:
    if not isinstance(value, str) or not PHONE_TEXT.fullmatch(value):
        raise Refusal(1254072, field=into.name)
    return value or None


def _url(value: Any, into: Field, writing: Writing) -> Any:
    if not isinstance(value, dict) or not isinstance(value.get("link"), str):
        raise Refusal(1254068, field=into.name)
    text = value.get("text", value["link"])
    if not isinstance(text, str):
        raise Refusal(1254068, field=into.name)
    return {"text": text or value["link"], "link": value["link"]} if value["link"] else None


def _file(value: Any, into: Field, writing: Writing) -> Any:
    if not isinstance(value, list) or not all(isinstance(v, dict) and "file_token" in v for v in value):
        raise Refusal(1254069, field=into.name)
    if value:  # no upload is emulated, so no file was ever uploaded to this base
        raise Refusal(1254303, field=into.name)
    return None


def _link(value: Any, into: Field, writing: Writing) -> Any:
    code = 1254067 if into.type == LINK else 1254074
    other = writing.base.tables.get((into.property or {}).get("table_id", ""))
    if not isinstance(value, list) or len(value) > 500 or other is None:
        raise Refusal(code, field=into.name)
    if not all(isinstance(v, str) and v in other.records for v in value):
        raise Refusal(code, field=into.name)
    return value or None


def _place(value: Any, into: Field, writing: Writing) -> Any:
    if not isinstance(value, str) or not PLACE_TEXT.fullmatch(value):
        raise Refusal(1254015, field=into.name)
    return value


Check = Callable[[Any, Field, Writing], Any]
CHECKS: Mapping[int, Check] = {
    TEXT: _text,
    NUMBER: _number,
    SINGLE: _single,
    MULTI: _multi,
    DATE: _date,
    CHECKBOX: _checkbox,
    USER: _user,
    PHONE: _phone,
    URL: _url,
    FILE: _file,
    LINK: _link,
    DUPLEX: _link,
    LOCATION: _place,
    GROUP: _group,
}


def checked(fields: Any, named: Mapping[str, Field], writing: Writing) -> Cells:
    """The cells to store for the `fields` of one record, None for a cell to clear.

    Raises Refusal on the first that does not fit, naming the field; nothing was changed then.
    """
    if not isinstance(fields, dict):
        raise Refusal(1254001, "fields must be an object")
    cells: Cells = {}
    for name, value in fields.items():
        into = named.get(name)
        if into is None:
            raise Refusal(1254045, field=name)
        check = CHECKS.get(into.type)
        if check is None:
            raise Refusal(1254015, "the field is read-only", field=name)
        cells[into.id] = None if value is None else check(value, into, writing)
    return cells


# -- reading ----------------------------------------------------------------------------------------------------

PALETTE = 55  # option colours are 0 to 54


def read_text(value: Any) -> Any:
    return [{"text": value, "type": "text"}]


def read_email(value: Any) -> Any:
    return [{"link": f"mailto:{value}", "text": value, "type": "url"}]


def read_users(value: Any) -> Any:
    return [
        {"id": v["id"], "name": v["id"], "en_name": v["id"], "email": "", "avatar_url": "https://example.com/a.png"}
        for v in value
    ]


def read_groups(value: Any) -> Any:
    return [{"id": v["id"], "name": v["id"], "avatar_url": "https://example.com/g.png"} for v in value]


def read_links(value: Any) -> Any:
    return {"link_record_ids": value}


def read_place(value: Any) -> Any:
    return {"location": value, "pname": "", "cityname": "", "adname": "", "address": "", "name": "", "full_address": ""}


READERS: Mapping[int, Callable[[Any], Any]] = {
    TEXT: read_text,
    USER: read_users,
    LINK: read_links,
    DUPLEX: read_links,
    LOCATION: read_place,
    GROUP: read_groups,
}


def reader(of: Field, *, plain_text: bool = False) -> Callable[[Any], Any] | None:
    """How a stored value is shown by search (or, with `plain_text`, by the older calls). None: as it is."""
    if of.type == TEXT:
        if plain_text:
            return None
        return read_email if of.ui_type == "Email" else read_text
    return READERS.get(of.type)
