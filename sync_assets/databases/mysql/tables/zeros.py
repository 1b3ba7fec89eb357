"""Zero dates: MySQL's 0000-00-00, 2026-00-00. No other database has such a day, and NULL is not chosen in silence."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sync_assets.engine.errors import Stop
from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables.shape import ColumnShape

_DATES = frozenset({ColumnType.DATE, ColumnType.DATETIME, ColumnType.INSTANT})
_SIGNS = (b"-00-", b"-00 ", b"-00\t", b"-00\n")  # nothing that a uuid has
_ZERO = re.compile(rb"\d{4}-(00-\d\d|\d\d-00)")


def refuse_zero_dates(block: bytes, columns: Sequence[ColumnShape], place: str) -> None:
    """Raises `Stop` naming the column. The cheap look at the whole block finds nothing in nearly all of them."""
    if b"-00" not in block or not any(sign in block for sign in _SIGNS):
        return
    dates = [n for n, c in enumerate(columns) if c.type in _DATES]
    if not dates:
        return
    for line in block.split(b"\n"):
        if b"-00" in line:
            _look(line.split(b"\t"), dates, columns, place)


def _look(fields: Sequence[bytes], dates: Sequence[int], columns: Sequence[ColumnShape], place: str) -> None:
    for number in dates:
        if number < len(fields) and _ZERO.match(fields[number]):
            name = columns[number].name
            raise Stop(
                f"{place}: column {name} holds zero dates (0000-00-00), which no other database has",
                hint=f"leave those rows out (where: {name} > '1000-01-01'), or mend them in the source",
                code="zero_date",
            )
