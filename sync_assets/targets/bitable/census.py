"""A census of the values of one text column, for what metadata cannot tell.

Only asked for columns that do not exist on the board yet and whose source type is a text (or nothing at all, as in
SQLite). A type is offered only when every value of the column survives it: a share of 80 % numbers means that every
fifth row would be lost (docs/decisions/003).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sync_assets.targets.bitable.cells import EXACT, parse_date

MAX_DISTINCT = 64  # more than any rule asks for
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
_URL = re.compile(r"https?://\S+")
_EMAIL = re.compile(r"[^@\s,;]+@[^@\s,;]+\.[^@\s,;]+")
_SEPARATOR = re.compile(r"[,;|，；、]")
YES_NO = frozenset(["true", "false", "yes", "no", "on", "off", "是", "否"])


@dataclass(slots=True)
class Census:
    """What the values of a column have in common. `filled` counts the non-empty ones."""

    filled: int = 0
    empty: int = 0
    numbers: int = 0
    percents: int = 0
    dates: int = 0
    times: int = 0  # dates with a time of day
    words: int = 0  # yes/no words
    urls: int = 0
    emails: int = 0
    separated: int = 0
    longest: int = 0
    scale: int = 0
    booleans: int = 0
    distinct: set[str] = field(default_factory=set)
    parts: set[str] = field(default_factory=set)
    part_count: int = 0
    big: bool = False  # an integer beyond 2**53, or a decimal of more digits than a double keeps

    def add(self, values: Iterable[Any]) -> None:
        """Count more values in."""
        for value in values:
            if value is None or value == "":
                self.empty += 1
            else:
                self.filled += 1
                self._count(value)

    def _count(self, value: Any) -> None:
        if isinstance(value, bool):
            self.booleans += 1
        elif isinstance(value, int | float | Decimal):
            self._number(value)
        elif isinstance(value, str):
            self._text(value)
        self._distinct(value)

    def _number(self, value: int | float | Decimal) -> None:
        self.numbers += 1
        if isinstance(value, int):
            self.big = self.big or abs(value) > EXACT
        elif isinstance(value, float):
            self.scale = max(self.scale, 0 if value.is_integer() else 2)
        elif value.is_finite():
            self.big = self.big or Decimal(repr(float(value))) != value
            self.scale = max(self.scale, -int(value.as_tuple().exponent))

    def _text(self, value: str) -> None:
        self.longest = max(self.longest, len(value))
        text = value.strip()
        self._numeric(text)
        if text.lower() in YES_NO:
            self.words += 1
        elif (at := parse_date(text)) is not None:
            self.dates += 1
            self.times += (at.hour, at.minute, at.second) != (0, 0, 0)
        elif _URL.fullmatch(text):
            self.urls += 1
        elif _EMAIL.fullmatch(text):
            self.emails += 1
        if _SEPARATOR.search(text):
            self.separated += 1

    def _numeric(self, text: str) -> None:
        """Leading zeros are codes, 16 digits are ids: neither is a number."""
        whole = text.removesuffix("%")
        if _NUMBER.fullmatch(whole) and sum(c.isdigit() for c in whole) <= 15:
            self.numbers += whole == text
            self.percents += whole != text
            self.scale = max(self.scale, len(whole.partition(".")[2]))

    def _distinct(self, value: Any) -> None:
        text = str(value).strip()
        if len(self.distinct) <= MAX_DISTINCT:
            self.distinct.add(text)
        pieces = [p.strip() for p in _SEPARATOR.split(text)]
        self.part_count += len(pieces)
        if len(self.parts) <= MAX_DISTINCT:
            self.parts.update(pieces)

    def all(self, count: int) -> bool:
        """True when `count` values are all of them, and there is at least one."""
        return self.filled > 0 and count == self.filled
