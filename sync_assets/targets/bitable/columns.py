"""Cells of one field, a whole column at a time: the same results as `cells`, at a fraction of the time.

A column nearly always holds one Python type. Then one look at the types and the extremes tells that every value may
pass, and the values are taken over by C code. Any other column goes value by value through `cells`, which alone
knows the rules and the reasons of refusal: a shortcut here must never accept what it would refuse.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from itertools import repeat
from typing import Any

from sync_assets.engine.model import Canonical, Canonise, CanoniseColumn
from sync_assets.targets.bitable import cells
from sync_assets.targets.bitable.clock import EPOCH, MILLISECOND, NoSuchTime, WallClock

Values = Sequence[Any]
Held = Sequence[dict[str, Any]]  # the fields of records, as search shows them: empty cells are absent
ReadColumn = Callable[[Held, str], Sequence[Canonical]]

_NONE = type(None)
SHORT = 15  # characters of a decimal that a double surely holds: at most as many digits


@dataclass(frozen=True, slots=True)
class FieldCodec:
    """A field's codec, and its two hot directions for whole columns."""

    one: cells.Codec
    canonise: CanoniseColumn
    read: ReadColumn

    @property
    def write(self) -> Callable[[Any], Any]:
        """Canonical value -> what the API takes."""
        return self.one.write


def codec(kind: int, field: str, clock: WallClock, *, percent: bool = False) -> FieldCodec:
    """How the field named `field` of type `kind` is written and read."""
    one = cells.codec(kind, field, clock, percent=percent)
    return FieldCodec(one, canoniser(kind, one.canonise, clock), reader(kind, one.read))


def canoniser(kind: int, canonise: Canonise, clock: WallClock) -> CanoniseColumn:
    """How a column of source values becomes canonical. Raises `RejectRow` if any of them is refused."""
    shortcuts: dict[int, Callable[[Values], Sequence[Canonical] | None]] = {
        cells.TEXT: _texts,
        cells.SINGLE: _texts,
        cells.NUMBER: _numbers,
        cells.CHECKBOX: _checks,
        cells.DATE: partial(_instants, clock),
    }
    shortcut = shortcuts.get(kind)

    def column(values: Values) -> Sequence[Canonical]:
        found = shortcut(values) if shortcut else None
        return list(map(canonise, values)) if found is None else found

    return column


def _texts(values: Values) -> Sequence[Canonical] | None:
    kinds = set(map(type, values)) - {_NONE}
    if kinds == {int}:
        return [None if v is None else str(v) for v in values]
    if not kinds <= {str}:
        return None
    if max(map(len, filter(None, values)), default=0) > cells.MAX_TEXT:
        return None
    return [v or None for v in values]


def _numbers(values: Values) -> Sequence[Canonical] | None:
    kinds = set(map(type, values)) - {_NONE}
    filled = [v for v in values if v is not None]
    if kinds <= {int}:
        return values if not filled or -cells.EXACT <= min(filled) <= max(filled) <= cells.EXACT else None
    if kinds <= {float}:
        return values if math.isfinite(sum(filled)) else None
    if kinds <= {Decimal}:
        return _decimals(values)
    return None


def _decimals(values: Values) -> Sequence[Canonical] | None:
    texts = [None if v is None else str(v) for v in values]
    if max(map(len, filter(None, texts))) > SHORT:
        return None
    try:
        found = [None if t is None else float(t) for t in texts]
    except ValueError:  # a signalling NaN
        return None
    return found if math.isfinite(sum(filter(None, found))) else None


def _checks(values: Values) -> Sequence[Canonical] | None:
    return [v or None for v in values] if set(map(type, values)) <= {bool, _NONE} else None


def _instants(clock: WallClock, values: Values) -> Sequence[Canonical] | None:
    kinds = set(map(type, values)) - {_NONE}
    if kinds <= {date}:
        day = clock.midnight
        return [None if v is None else day(v) for v in values]
    if not kinds <= {datetime}:
        return None
    at, epoch, unit = clock.at, EPOCH, MILLISECOND
    try:
        return [None if v is None else at(v) if v.tzinfo is None else (v - epoch) // unit for v in values]
    except NoSuchTime:
        return None  # value by value, to find the one and say why


_NO_TEXT = [{"text": None}]


def reader(kind: int, read: Callable[[Any], Canonical]) -> ReadColumn:
    """How a field becomes canonical, record by record."""
    shortcuts: dict[int, ReadColumn] = {
        cells.TEXT: _read_texts,
        cells.NUMBER: _cells,
        cells.DATE: _cells,
        cells.CHECKBOX: lambda held, name: [True if v else None for v in _cells(held, name)],
    }
    return shortcuts.get(kind) or (lambda held, name: list(map(read, _cells(held, name))))


def _cells(held: Held, name: str) -> list[Any]:
    return list(map(dict.get, held, repeat(name)))


def _read_texts(held: Held, name: str) -> Sequence[Canonical]:
    """Nearly every text is one plain segment. What else there is says so by its shape."""
    try:
        return [part["text"] or None for [part] in map(dict.get, held, repeat(name), repeat(_NO_TEXT))]
    except (TypeError, KeyError, ValueError):
        return list(map(cells.read_text, _cells(held, name)))
