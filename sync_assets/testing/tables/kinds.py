"""What a type is tried with: values that every database holds, values that only its own does, values drawn at random.

Lists and strategies only. A value is what the plain driver is given as a parameter, mostly text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st


@dataclass(frozen=True)
class Kind:
    """One type. `family` says how the oracle reads its values (`oracle.meaning`).

    `plain` values must survive to every database, if `core`; `odd` ones may be refused there. `put` is the SQL around
    the parameter. `setup` makes what the type needs; `mode` is MySQL's sql_mode for writing the values.
    """

    name: str
    native: str
    family: str
    plain: tuple[Any, ...]
    odd: tuple[Any, ...] = ()
    drawn: st.SearchStrategy[Any] | None = None
    core: bool = False
    put: str = "{}"
    setup: tuple[str, ...] = ()
    mode: str | None = None

    @property
    def any(self) -> st.SearchStrategy[Any]:
        """Any value of the kind, NULL and the listed ones too."""
        listed = st.sampled_from([None, *self.plain, *self.odd])
        return listed if self.drawn is None else st.one_of(listed, self.drawn)

    def __repr__(self) -> str:
        return f"Kind({self.name})"


NASTY = (
    "",
    " ",
    "a ",
    " a",
    "\t",
    "\n",
    "\r",
    "\r\n",
    "\\",
    "\\N",
    "\\n",
    "\\.",
    "\\\\",
    "NULL",
    "null",
    '"',
    "'",
    "''",
    "\v\f\b\a\x1b\x7f\x01\x1a",
    "😀👨\u200d👩\u200d👧",
    "中文",
    "e\u0301",
    "é",
    "\ufeff",
    "\u2028",
    "\x85",
    "%s",
    "a\tb",
    "{}",
    "{a,b}",
    "0",
    "~",
    "\ufffd",
    ";--",
    "$1",
    ":x",
    "\U0010ffff",
)


def texts(limit: int | None = None) -> st.SearchStrategy[str]:
    """Any text without NUL, made of awkward pieces as well as of any characters."""
    anything = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=limit or 30)
    pieces = st.lists(st.sampled_from(NASTY), max_size=4).map("".join)
    return st.one_of(anything, pieces if limit is None else pieces.map(lambda t: t[:limit]))


def whole(low: int, high: int) -> st.SearchStrategy[str]:
    return st.integers(low, high).map(str)


def decimals(digits: int, places: int) -> st.SearchStrategy[str]:
    """Numbers of at most `digits` digits, `places` of them after the point, written in several ways."""
    return st.integers(-(10**digits) + 1, 10**digits - 1).map(lambda n: _shifted(n, places))


def _shifted(number: int, places: int) -> str:
    digits = str(abs(number)).rjust(places + 1, "0")
    return ("-" if number < 0 else "") + (f"{digits[:-places]}.{digits[-places:]}" if places else digits)


def doubles(special: bool, width: Any = 64) -> st.SearchStrategy[str]:
    return st.floats(width=width, allow_nan=special, allow_infinity=special).map(repr)


def dates(low: int = 1, high: int = 9999) -> st.SearchStrategy[str]:
    days = st.dates().filter(lambda d: low <= d.year <= high)
    return days.map(lambda d: d.isoformat())


def moments(places: int = 6, low: int = 1, high: int = 9999) -> st.SearchStrategy[str]:
    """Wall clocks with `places` digits after the second."""
    whole = st.datetimes().filter(lambda d: low <= d.year <= high)

    def text(value: Any) -> str:
        seconds, micros = value.isoformat(" ", "microseconds").split(".")
        return f"{seconds}.{micros[:places]}" if places else seconds

    return whole.map(text)


def clocks(places: int = 6) -> st.SearchStrategy[str]:
    def text(value: Any) -> str:
        seconds, micros = value.isoformat("microseconds").split(".")
        return f"{seconds}.{micros[:places]}" if places else seconds

    return st.times().map(text)


def documents() -> st.SearchStrategy[str]:
    """JSON texts, with the spellings that a copy must not change."""
    import json

    simple = (
        st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
    )
    leaf = simple | texts()
    tree = st.recursive(
        leaf, lambda t: st.lists(t, max_size=3) | st.dictionaries(texts(8), t, max_size=3), max_leaves=8
    )
    return st.builds(
        lambda v, a, i: json.dumps(v, ensure_ascii=a, indent=i), tree, st.booleans(), st.none() | st.just(1)
    )


JSONS = (
    '{"b": 1, "a": [1.0, 2e10, null]}',
    "null",
    ' "x" ',
    '{"a":1,"a":2}',
    '"\\u00e9\\ud83d\\ude00"',
    "1E+2",
    "[]",
    "{}",
    '"tab\\t \\\\ \\" \\/"',
    "[ 1,2 ]",
    '"中文 😀"',
    "123456789012345678901234567890",
    "0.1000",
    "true",
    '""',
)


def named(kinds: Iterable[Kind]) -> dict[str, Kind]:
    return {kind.name: kind for kind in kinds}
