"""A census of the values of one column, for what metadata cannot tell.

Only asked for columns that do not exist on the board yet and whose metadata leaves a doubt. A type is offered only
when every value of the column survives it: a share of 80 % numbers means that every fifth row would be lost
(docs/decisions/003). The texts are judged as they stand: one with blanks around it is no number and no date.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from sync_assets.targets.bitable.cells import EXACT, parse_date, separated, words_of
from sync_assets.targets.bitable.clock import NoSuchTime, WallClock

MAX_DISTINCT = 64  # more than any rule asks for
MAX_OPTIONS = 20_000  # of a select field (bitable.md 1.6)
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
_URL = re.compile(r"https?://\S+")
_EMAIL = re.compile(r"[^@\s,;]+@[^@\s,;]+\.[^@\s,;]+")
YES = frozenset(["true", "yes", "on", "是"])
NO = frozenset(["false", "no", "off", "否"])


@dataclass(slots=True)
class Census:
    """What the values of a column have in common. `filled` counts the non-empty ones, the others those of a kind.

    Times without a zone are those of `clock`.
    """

    clock: WallClock | None = None
    filled: int = 0
    empty: int = 0
    texts: int = 0
    numbers: int = 0
    percents: int = 0
    dates: int = 0
    times: int = 0  # dates with a time of day
    words: int = 0  # yes/no words
    urls: int = 0
    emails: int = 0
    listed: int = 0  # texts that list several words
    booleans: int = 0
    longest: int = 0
    scale: int = 0
    distinct: set[str] = field(default_factory=set)
    parts: set[str] = field(default_factory=set)
    part_count: int = 0
    big: bool = False  # a number that a double does not keep
    ragged: bool = False  # 1.10 beside 1.5: versions, not amounts
    blanks: bool = False  # a text with blanks around it
    unlike_sets: bool = False  # a list with an empty, blank-edged or repeated word: a multi select changes it
    _scales: set[int] = field(default_factory=set)
    _settled: bool = False
    _padded: bool = False  # a fraction that ends in 0

    def add(self, values: Iterable[Any]) -> None:
        """Count more values in, as long as they can make a difference."""
        for value in values:
            if self._settled:
                return
            if value is None or value == "":
                self.empty += 1
            else:
                self.filled += 1
                self._count(value)
                self._settled = self.filled % 64 == 0 and self._hopeless()

    def _hopeless(self) -> bool:
        """Nothing but a text can become of this column, whatever follows."""
        if self.numbers == self.filled:
            return self.big or self.ragged
        kinds = (self.percents, self.dates, self.words, self.urls, self.emails, self.booleans)
        return self.filled not in kinds and min(len(self.distinct), len(self.parts)) > MAX_DISTINCT

    def _count(self, value: Any) -> None:
        if isinstance(value, bool):
            self.booleans += 1
        elif isinstance(value, int | float | Decimal):
            self._number(value)
        elif isinstance(value, str):
            self._text(value)
        elif isinstance(value, list | tuple):
            words = [str(v) for v in value]
            self.unlike_sets = self.unlike_sets or any(w != w.strip() for w in words)
            self._list(words)

    def _number(self, value: int | float | Decimal) -> None:
        self.numbers += 1
        if isinstance(value, int):
            self.big = self.big or abs(value) > EXACT
        elif not math.isfinite(value):
            self.big = True
        elif isinstance(value, float):
            self.scale = max(self.scale, 0 if value.is_integer() else 2)
        else:
            self.big = self.big or Decimal(repr(float(value))) != value
            self.scale = max(self.scale, -int(value.as_tuple().exponent))

    def _text(self, value: str) -> None:
        self.texts += 1
        self.longest = max(self.longest, len(value))
        self.blanks = self.blanks or value != value.strip()
        if len(self.distinct) <= MAX_DISTINCT:
            self.distinct.add(value)
        self._kind_of(value)
        self.listed += separated(value)
        if len(self.parts) <= MAX_DISTINCT:
            self._list([str(w) for w in words_of(value)])

    def _kind_of(self, text: str) -> None:
        if self._numeric(text):
            return
        if text.lower() in YES or text.lower() in NO:
            self.words += 1
        elif (at := parse_date(text)) is not None and text == text.strip():
            self.dates += at.microsecond % 1000 == 0 and self._exists(at)  # a board keeps milliseconds
            self.times += (at.hour, at.minute, at.second, at.microsecond) != (0, 0, 0, 0)
        elif _URL.fullmatch(text):
            self.urls += 1
        elif _EMAIL.fullmatch(text):
            self.emails += 1

    def _exists(self, at: datetime) -> bool:
        try:
            return at.tzinfo is not None or self.clock is None or self.clock.at(at) is not None
        except NoSuchTime:
            return False

    def _numeric(self, text: str) -> bool:
        """Leading zeros are codes, 16 digits are ids: neither is a number."""
        whole = text.removesuffix("%")
        if not _NUMBER.fullmatch(whole) or sum(map(str.isdigit, whole)) > 15:
            return False
        fraction = whole.partition(".")[2]
        self.numbers += whole == text
        self.percents += whole != text
        self.scale = max(self.scale, len(fraction))
        self._scales.add(len(fraction))
        self._padded = self._padded or fraction.endswith("0")
        self.ragged = self._padded and len(self._scales) > 1
        return True

    def _list(self, words: list[str]) -> None:
        self.part_count += len(words)
        tidy = [w.strip() for w in words]
        self.unlike_sets = self.unlike_sets or "" in tidy or len(set(tidy)) < len(tidy)
        if len(self.parts) <= MAX_OPTIONS:
            self.parts.update(tidy)

    def all(self, count: int) -> bool:
        """True when `count` values are all of them, and there is at least one."""
        return self.filled > 0 and count == self.filled
