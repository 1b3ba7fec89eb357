"""Whether a table still can hold what is wanted: differences between columns, and which of them are safe to mend.

Both sides are in the target's words (`databases/<name>/ddl.py` translates). Knows no SQL and no database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables.shape import ColumnShape, TableShape

_UNLIMITED = 2**30  # a longtext says 4294967295 and means: as much as there is
_INTEGERS = (ColumnType.INTEGER, ColumnType.BIGINT)
_NUMBERS = (*_INTEGERS, ColumnType.DECIMAL)
_WIDTHS = {ColumnType.BOOL: 1, ColumnType.DATE: 10, ColumnType.DATETIME: 26, ColumnType.INSTANT: 26,
           ColumnType.TIME: 23, ColumnType.UUID: 36, ColumnType.FLOAT: 32}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Native:
    """A column as the target would have it: its type there, the shape it then has, and what is lost on the way."""

    text: str
    shape: ColumnShape
    loss: str = ""


class Kind(StrEnum):
    ADDED = "added"  # the source has it, the target does not
    DROPPED = "dropped"  # the other way round
    RENAMED = "renamed"
    WIDENED = "widened"  # the target's type takes a part of the values, and can grow
    NARROWED = "narrowed"  # each side takes values that the other does not
    RETYPED = "retyped"
    NULLABILITY = "nullability"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference, in words. `safe`: mending it loses nothing and cannot fail on rows that are there.

    `native` is what is wanted (where the column is wanted), `was` the column as it is (where it is).
    """

    kind: Kind
    column: str
    safe: bool
    words: str
    native: Native | None = None
    was: ColumnShape | None = None


def compare(
    wanted: Sequence[Native],
    key: Sequence[str],
    existing: TableShape,
    *,
    numbers: Mapping[int, str] | None = None,
    folded: bool = False,
) -> list[Difference]:
    """What keeps `existing` from holding the columns `wanted` under the key `key`.

    `numbers` says under which name each of the source's columns (`ColumnShape.number`) was known before: only with it
    can a rename be told from a drop and an addition. `folded`: names that differ by case only are one name there.
    """
    found = list(_columns(wanted, key, existing, numbers or {}, folded))
    renamed = {d.was.name for d in found if d.kind is Kind.RENAMED and d.was}
    found += _dropped(existing, {n.shape.name for n in wanted} | renamed, folded)
    return found + list(_key(key, existing))


def _columns(
    wanted: Sequence[Native], key: Sequence[str], existing: TableShape, numbers: Mapping[int, str], folded: bool
) -> Iterator[Difference]:
    names = {n.shape.name for n in wanted}
    for native in wanted:
        here = existing.column(native.shape.name)
        if here is not None:
            yield from _column(native, here, existing.key)
            continue
        old = existing.column(numbers.get(native.shape.number, "")) if native.shape.number else None
        if old is not None and old.name not in names:
            yield _renamed(native, old)
            yield from _column(native, old, existing.key)
        else:
            yield _added(native, key, _other_spelling(native.shape.name, existing) if folded else None)


def _other_spelling(name: str, existing: TableShape) -> ColumnShape | None:
    return next((c for c in existing.columns if c.name.casefold() == name.casefold()), None)


def _renamed(native: Native, old: ColumnShape) -> Difference:
    name = native.shape.name
    return Difference(Kind.RENAMED, name, True, f"column {old.name} is called {name} in the source now", native, old)


def _added(native: Native, key: Sequence[str], spelled: ColumnShape | None) -> Difference:
    name = native.shape.name
    if spelled is not None:
        return Difference(Kind.RENAMED, name, False, f"column {name} is spelled {spelled.name} here", native, spelled)
    if name in key:
        return Difference(Kind.ADDED, name, False, f"column {name}, of the key, is missing", native)
    empty = not native.shape.nullable and native.shape.default is None
    words = f"column {name} ({native.text}) is missing"
    return Difference(
        Kind.ADDED, name, True, words + (": added as nullable, rows may be there" if empty else ""), native
    )


def _column(native: Native, here: ColumnShape, key: Sequence[str]) -> Iterator[Difference]:
    if here.generated is not None:
        return  # computed there: never written
    name, wanted = native.shape.name, native.shape
    if not fits(wanted, here):
        words = f"column {name} is {here.native} here and {native.text} in the source"
        if _family(wanted) != _family(here):
            yield Difference(Kind.RETYPED, name, False, words, native, here)
        elif fits(here, wanted):
            yield Difference(Kind.WIDENED, name, True, words, native, here)
        else:
            yield Difference(Kind.NARROWED, name, False, words + ", and neither takes all values of the other",
                             native, here)  # fmt: skip
    if wanted.nullable and not here.nullable:
        words = f"column {name} may be NULL in the source and must not here"
        yield Difference(Kind.NULLABILITY, name, here.name not in key, words, native, here)


def _dropped(existing: TableShape, wanted: set[str], folded: bool) -> Iterator[Difference]:
    known = {n.casefold() for n in wanted} if folded else wanted
    for column in existing.columns:
        if (column.name.casefold() if folded else column.name) in known:
            continue
        fills = column.nullable or column.default is not None or column.generated is not None or column.identity
        words = f"column {column.name} is only here"
        words += ": kept" if fills else ", takes no NULL and has no default"
        yield Difference(Kind.DROPPED, column.name, bool(fills), words, None, column)


def _key(key: Sequence[str], existing: TableShape) -> Iterator[Difference]:
    """A primary key that the wanted key does not determine refuses rows that are right."""
    if key and existing.key and not set(key) <= set(existing.key):
        words = f"the primary key is ({', '.join(existing.key)}) here and ({', '.join(key)}) in the source"
        yield Difference(Kind.KEY, ", ".join(key), False, words)


# -- which values a column takes -----------------------------------------------------------------------------------


def fits(value: ColumnShape, place: ColumnShape) -> bool:
    """Whether every value of a column like `value` is kept exactly by a column like `place`."""
    if place.type is ColumnType.TEXT and value.type is not ColumnType.TEXT:
        return _text_takes(value, place)
    if value.type in (ColumnType.BOOL, *_NUMBERS) and place.type in (*_NUMBERS, ColumnType.FLOAT):
        return _number_takes(value, place)
    if value.type is ColumnType.TIME and place.type is ColumnType.INTERVAL:
        return not value.with_zone
    if value.type is not place.type:
        return False
    rule = _SAME.get(value.type)
    return rule is None or rule(value, place)


def _text_takes(value: ColumnShape, place: ColumnShape) -> bool:
    """As its canonical text. Bytes are none."""
    if value.type is ColumnType.BLOB:
        return False
    room, width = _length(place), _width(value)
    if place.fixed and any(o.endswith(" ") for o in value.options):
        return False
    return room is None or (width is not None and width <= room)


def _width(value: ColumnShape) -> int | None:
    if value.type in _INTEGERS:
        low, high = _range(value)
        return max(len(str(low)), len(str(high)))
    if value.type is ColumnType.DECIMAL:
        return None if value.precision is None else value.precision + 3
    if value.type is ColumnType.ENUM:
        return max((len(o) for o in value.options), default=None)
    return _WIDTHS.get(value.type)


def _number_takes(value: ColumnShape, place: ColumnShape) -> bool:
    if place.type is ColumnType.DECIMAL:
        return _decimal_takes(value, place)
    inner = _bounds(value)
    if inner is None:
        return False
    if place.type is ColumnType.FLOAT:
        return max(map(abs, inner)) <= 1 << _mantissa(place)
    low, high = _range(place)
    return low <= inner[0] and inner[1] <= high


def _bounds(value: ColumnShape) -> tuple[int, int] | None:
    """The smallest and the largest value of whole numbers; None for others."""
    if value.type is not ColumnType.DECIMAL:
        return _range(value)
    if value.precision is None or (value.scale or 0) > 0:
        return None
    most = 10 ** (value.precision - (value.scale or 0)) - 1
    return (0 if value.unsigned else -most), most


def _decimal_takes(value: ColumnShape, place: ColumnShape) -> bool:
    if value.unsigned < place.unsigned and value.type is not ColumnType.BOOL:
        return False
    if place.precision is None:
        return True
    room = place.precision - (place.scale or 0)
    if value.type is not ColumnType.DECIMAL:
        return max(len(str(abs(edge))) for edge in _range(value)) <= room
    if value.precision is None:
        return False
    scale = value.scale or 0
    return value.precision - scale <= room and scale <= (place.scale or 0)


def _range(column: ColumnShape) -> tuple[int, int]:
    if column.type is ColumnType.BOOL:
        return 0, 1
    bits = column.bits or (64 if column.type is ColumnType.BIGINT else 32)
    return (0, 2**bits - 1) if column.unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _mantissa(column: ColumnShape) -> int:
    return 24 if column.bits == 32 else 53


def _length(column: ColumnShape) -> int | None:
    return None if column.length is None or column.length >= _UNLIMITED else column.length


def _same_text(value: ColumnShape, place: ColumnShape) -> bool:
    """Padding eats blanks at the end, so a fixed width takes only what has one itself."""
    if place.fixed and not value.fixed:
        return False
    room, width = _length(place), _length(value)
    return room is None or (width is not None and width <= room)


def _same_blob(value: ColumnShape, place: ColumnShape) -> bool:
    if place.fixed:
        return value.fixed and value.length == place.length
    return _same_text(value, place)


def _same_options(value: ColumnShape, place: ColumnShape) -> bool:
    return set(value.options) <= set(place.options)


def _same_set(value: ColumnShape, place: ColumnShape) -> bool:
    """An array of texts has no options, and takes any."""
    return not place.options or (bool(value.options) and _same_options(value, place))


def _same_clock(value: ColumnShape, place: ColumnShape) -> bool:
    if value.with_zone != place.with_zone:
        return False
    return (6 if value.precision is None else value.precision) <= (6 if place.precision is None else place.precision)


_SAME: Mapping[ColumnType, Callable[[ColumnShape, ColumnShape], bool]] = {
    ColumnType.TEXT: _same_text,
    ColumnType.BLOB: _same_blob,
    ColumnType.ENUM: _same_options,
    ColumnType.SET: _same_set,
    ColumnType.TIME: _same_clock,
    ColumnType.DATETIME: _same_clock,
    ColumnType.INSTANT: _same_clock,
    ColumnType.FLOAT: lambda value, place: _mantissa(value) <= _mantissa(place),
    ColumnType.OTHER: lambda value, place: value.native.casefold() == place.native.casefold(),
}  # fmt: skip


def _family(column: ColumnShape) -> str:
    """Types that a database converts into each other without losing a value that fits."""
    return "number" if column.type in _NUMBERS else str(column.type)
