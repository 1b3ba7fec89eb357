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
from sync_assets.targets.bitable.census import MAX_OPTIONS, NO, YES, Census

DAY, MINUTE = "yyyy/MM/dd", "yyyy/MM/dd HH:mm"
LONGEST_OPTION = 50


@dataclass(frozen=True, slots=True)
class FieldWords:
    """What the user said of one column; everything may be left open."""

    field: str | None = None
    type: str | None = None
    format: str | None = None
    currency: str | None = None
    options: tuple[str, ...] = ()
    skip: bool = False
    person_id: str = "open_id"


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
    if strategy == "raw":
        return False
    if column.type is ColumnType.DECIMAL:
        return not _fits_a_double(column)
    if column.type is ColumnType.BOOL:
        return column.nullable
    if column.type in (ColumnType.ENUM, ColumnType.SET):
        return not column.options
    return column.type in (ColumnType.TEXT, ColumnType.BIGINT)


def _by_metadata(column: Column, census: Census | None) -> Wish | None:
    kind = column.type
    if kind in (ColumnType.BIGINT, ColumnType.DECIMAL):
        return _exact(column, census)
    if kind is ColumnType.BOOL:
        return _boolean(census)
    if kind in (ColumnType.ENUM, ColumnType.SET):
        return _options(column, census)
    return _SIMPLE.get(kind)


_SIMPLE = {
    ColumnType.INTEGER: number(0),
    ColumnType.FLOAT: number(2),
    ColumnType.DATE: date(False),
    ColumnType.DATETIME: date(True),
    ColumnType.INSTANT: date(True),
    ColumnType.TIME: TEXT,
    ColumnType.INTERVAL: TEXT,
    ColumnType.JSON: TEXT,
    ColumnType.UUID: TEXT,
    ColumnType.OTHER: TEXT,
}


def _fits_a_double(column: Column) -> bool:
    return column.precision is not None and column.precision <= 15


def _exact(column: Column, census: Census | None) -> Wish:
    """bigint and decimal: a number while a double holds every value; otherwise, or when nothing is known, a text."""
    scale = column.scale or 0
    if column.type is ColumnType.DECIMAL and _fits_a_double(column):
        return number(scale)
    if census and census.all(census.numbers) and not census.big:
        return number(max(scale, census.scale), "every value fits a double exactly")
    return Wish(cells.TEXT, "Text", None, "a number field would lose digits")


def _boolean(census: Census | None) -> Wish:
    """A checkbox knows no NULL: a column that has some keeps its three states in a select."""
    if census and census.empty and census.filled:
        return select(cells.SINGLE, ("true", "false"), "a checkbox would show NULL as false")
    return Wish(cells.CHECKBOX, "Checkbox")


def _options(column: Column, census: Census | None) -> Wish:
    """enum, set and arrays of texts: a select, unless lists repeat words or there are too many of them."""
    single = column.type is ColumnType.ENUM
    if column.options or census is None:
        return select(cells.SINGLE if single else cells.MULTI, column.options)
    if single:
        return select(cells.SINGLE, sorted(census.distinct)) if not census.blanks else TEXT
    if census.unlike_sets or len(census.parts) > MAX_OPTIONS:
        return Wish(cells.TEXT, "Text", None, "a multi select would change these lists")
    return select(cells.MULTI, sorted(census.parts))


def _by_census(strategy: str, c: Census) -> Wish:
    if c.all(c.numbers) and not c.big and not c.ragged:
        return number(c.scale, "every value is a plain number")
    if c.all(c.dates):
        return date(c.times > 0, "every value is a full date")
    if c.all(c.booleans) and not c.empty:
        return Wish(cells.CHECKBOX, "Checkbox", None, "every value is true or false")
    if strategy == "intelligence":
        return _intelligent(c)
    if strategy == "auto" and _recurs(c, 15, 0.4, 20):
        return select(cells.SINGLE, sorted(c.distinct), "few short values recur")
    return TEXT


def _intelligent(c: Census) -> Wish:
    if c.all(c.percents) and not c.ragged:
        formatter = "0.00%" if c.scale else "0%"
        return Wish(cells.NUMBER, "Number", {"formatter": formatter}, "every value is a percentage", percent=True)
    if c.all(c.words) and not c.empty and _one_word_each(c):
        return Wish(cells.CHECKBOX, "Checkbox", None, "every value is yes or no")
    if c.all(c.urls):
        return Wish(cells.URL, "Url", None, "every value is a link")
    if c.all(c.emails):
        return Wish(cells.TEXT, "Email", None, "every value is an e-mail address")
    if c.listed and _words_recur(c):
        return select(cells.MULTI, sorted(c.parts), "few short words recur, separated")
    if _recurs(c, 20, 0.5, LONGEST_OPTION):
        return select(cells.SINGLE, sorted(c.distinct), "few values recur")
    return TEXT


def _one_word_each(c: Census) -> bool:
    """yes and true in one column would become one and the same."""
    words = {d.lower() for d in c.distinct}
    return len(c.distinct) == len(words) and len(words & YES) <= 1 and len(words & NO) <= 1


def _recurs(c: Census, most: int, share: float, longest: int) -> bool:
    """Few distinct texts; a select drops blanks around them, so there may be none."""
    few = 0 < len(c.distinct) <= most and len(c.distinct) <= share * c.filled
    return few and c.all(c.texts) and not c.blanks and c.longest <= longest


def _words_recur(c: Census) -> bool:
    """Few distinct words in lists, each once in its list; numbers between commas are thousands, not words."""
    few = len(c.parts) <= 20 and len(c.parts) <= c.part_count / 2 and max(map(len, c.parts)) <= 20
    whole = c.all(c.texts) and not c.unlike_sets and not c.blanks
    return few and whole and not any(p.isdecimal() for p in c.parts)


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


def matches(column: Column, words: FieldWords, found: int) -> bool:
    """Whether a field of type `found` is what the user asked for. A two-way link is a link."""
    wanted = ordered(column, words).type
    return found == wanted or (wanted == cells.LINK and found == cells.DUPLEX)


def _numeric(kind: str, column: Column, words: FieldWords) -> Wish:
    scale = 2 if column.scale is None else column.scale
    formatter = words.format or ("0" if scale <= 0 else "0." + "0" * min(scale, 4))
    if kind == "currency":
        return Wish(cells.NUMBER, "Currency", {"formatter": formatter, "currency_code": words.currency or "CNY"})
    if kind == "number":
        return Wish(cells.NUMBER, "Number", {"formatter": formatter}, percent=formatter.endswith("%"))
    return Wish(cells.LINK, "SingleLink")
