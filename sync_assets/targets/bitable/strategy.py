"""Field strategies: which field a source column should have on a board.

`raw` makes everything a text. The others ask the source's metadata first, since a database knows its types; only
texts (and columns without a type) are judged by a census of their values, and only as far as the strategy goes:

    base          numbers and dates
    auto          ... and single or multi select, where few short values recur
    intelligence  ... and yes/no, url, e-mail, percent; select by distinct values alone

Shares and limits follow bitable.md 3.4; the rule that no value may be lost comes first (docs/decisions/003).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sync_assets.engine.model import Column, ColumnType
from sync_assets.targets.bitable import cells
from sync_assets.targets.bitable.census import Census

DAY, MINUTE = "yyyy/MM/dd", "yyyy/MM/dd HH:mm"
MAX_OPTIONS = 20_000


@dataclass(frozen=True, slots=True)
class FieldWords:
    """What the user said of one column; everything may be left open."""

    field: str | None = None
    type: str | None = None
    format: str | None = None
    currency: str | None = None
    options: tuple[str, ...] = ()
    skip: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """A field that a column should have. `property` is Feishu's, absent where Feishu wants it absent."""

    type: int
    ui_type: str = ""
    property: dict[str, Any] | None = None
    why: str = ""
    percent: bool = field(default=False)


TEXT = Wish(cells.TEXT, "Text")


def number(scale: int, why: str = "") -> Wish:
    """A number field that shows `scale` digits after the point (Feishu knows up to 4)."""
    formatter = "0" if scale <= 0 else "0." + "0" * min(scale, 4)
    return Wish(cells.NUMBER, "Number", {"formatter": formatter}, why)


def date(with_time: bool, why: str = "") -> Wish:
    """A date field, shown with or without the time of day."""
    return Wish(cells.DATE, "DateTime", {"date_formatter": MINUTE if with_time else DAY, "auto_fill": False}, why)


def select(kind: int, options: list[str] | tuple[str, ...] = (), why: str = "") -> Wish:
    """A single or multi select with its options ready."""
    ui = "SingleSelect" if kind == cells.SINGLE else "MultiSelect"
    names = [{"name": o} for o in dict.fromkeys(options) if o]
    return Wish(kind, ui, {"options": names[:MAX_OPTIONS]}, why)


def wish(column: Column, strategy: str, census: Census | None) -> Wish | None:
    """The field for `column`, or None when it is left out (bytes). `census` is None when no values were read."""
    if column.type is ColumnType.BLOB:
        return None
    if strategy == "raw":
        return TEXT
    by_metadata = _by_metadata(column, census)
    if by_metadata is not None:
        return by_metadata
    return _by_census(strategy, census) if census and census.filled else TEXT


def needs_census(column: Column, strategy: str) -> bool:
    """True when metadata alone cannot tell the field of `column`."""
    unsure = (ColumnType.TEXT, ColumnType.OTHER, ColumnType.BIGINT, ColumnType.DECIMAL)
    return strategy != "raw" and column.type in unsure


def _by_metadata(column: Column, census: Census | None) -> Wish | None:
    kind = column.type
    if kind in (ColumnType.BIGINT, ColumnType.DECIMAL):
        return _exact(column, census)
    simple = {
        ColumnType.BOOL: Wish(cells.CHECKBOX, "Checkbox"),
        ColumnType.INTEGER: number(0),
        ColumnType.FLOAT: number(2),
        ColumnType.DATE: date(False),
        ColumnType.DATETIME: date(True),
        ColumnType.INSTANT: date(True),
        ColumnType.TIME: TEXT,
        ColumnType.INTERVAL: TEXT,
        ColumnType.JSON: TEXT,
        ColumnType.UUID: TEXT,
    }
    if kind is ColumnType.ENUM:
        return select(cells.SINGLE, column.options)
    if kind is ColumnType.SET:
        return select(cells.MULTI, column.options)
    return simple.get(kind)


def _exact(column: Column, census: Census | None) -> Wish:
    """bigint and decimal: a number while a double holds every value; otherwise, or when nothing is known, a text."""
    scale = column.scale or 0
    if column.type is ColumnType.DECIMAL and column.precision and column.precision <= 15:
        return number(scale)
    if census and census.all(census.numbers) and not census.big:
        return number(max(scale, census.scale), "every value fits a double exactly")
    return Wish(cells.TEXT, "Text", None, "a number field would lose digits")


def _by_census(strategy: str, c: Census) -> Wish:
    if c.all(c.numbers) and not c.big:
        return number(c.scale, "every value is a plain number")
    if c.all(c.dates):
        return date(c.times > 0, "every value is a full date")
    if c.all(c.booleans) and not c.empty:
        return Wish(cells.CHECKBOX, "Checkbox", None, "every value is true or false")
    if strategy == "intelligence":
        return _intelligent(c)
    if strategy == "auto" and _recurs(c, 15, 0.4) and c.longest <= 20:
        return select(cells.SINGLE, sorted(c.distinct), "few short values recur")
    return TEXT


def _intelligent(c: Census) -> Wish:
    if c.all(c.percents):
        formatter = "0.00%" if c.scale else "0%"
        return Wish(cells.NUMBER, "Number", {"formatter": formatter}, "every value is a percentage", percent=True)
    if c.all(c.words) and not c.empty and len(c.distinct) <= 3:
        return Wish(cells.CHECKBOX, "Checkbox", None, "every value is yes or no")
    if c.all(c.urls):
        return Wish(cells.URL, "Url", None, "every value is a link")
    if c.all(c.emails):
        return Wish(cells.TEXT, "Email", None, "every value is an e-mail address")
    if c.separated and len(c.parts) <= 20 and len(c.parts) <= c.part_count / 2 and max(map(len, c.parts)) <= 20:
        return select(cells.MULTI, sorted(c.parts), "few short words recur, separated")
    if _recurs(c, 20, 0.5) and c.longest <= 50:
        return select(cells.SINGLE, sorted(c.distinct), "few values recur")
    return TEXT


def _recurs(c: Census, most: int, share: float) -> bool:
    return 0 < len(c.distinct) <= most and len(c.distinct) <= share * c.filled


# -- explicit overrides ---------------------------------------------------------------------------------------------


def ordered(column: Column, words: FieldWords) -> Wish:
    """The field that the user asked for by name."""
    simple = {
        "text": TEXT,
        "email": Wish(cells.TEXT, "Email"),
        "barcode": Wish(cells.TEXT, "Barcode"),
        "progress": Wish(cells.NUMBER, "Progress", {"formatter": words.format or "0%", "min": 0, "max": 1}),
        "rating": Wish(cells.NUMBER, "Rating", {"formatter": "0", "min": 0, "max": 5, "rating": {"symbol": "star"}}),
        "checkbox": Wish(cells.CHECKBOX, "Checkbox"),
        "person": Wish(cells.PERSON, "User", {"multiple": True}),
        "phone": Wish(cells.PHONE, "Phone"),
        "url": Wish(cells.URL, "Url"),
    }
    kind = words.type or "text"
    if kind in simple:
        return simple[kind]
    if kind in ("single_select", "multi_select"):
        chosen = list(words.options or column.options)
        return select(cells.SINGLE if kind == "single_select" else cells.MULTI, chosen)
    if kind in ("date", "datetime"):
        formatter = words.format or (DAY if kind == "date" else MINUTE)
        return Wish(cells.DATE, "DateTime", {"date_formatter": formatter, "auto_fill": False})
    return _numeric(kind, column, words)


def _numeric(kind: str, column: Column, words: FieldWords) -> Wish:
    scale = 2 if column.scale is None else column.scale
    formatter = words.format or ("0" if scale <= 0 else "0." + "0" * min(scale, 4))
    if kind == "currency":
        return Wish(cells.NUMBER, "Currency", {"formatter": formatter, "currency_code": words.currency or "CNY"})
    if kind == "number":
        return Wish(cells.NUMBER, "Number", {"formatter": formatter}, percent=formatter.endswith("%"))
    return Wish(cells.LINK, "SingleLink")
