"""How values look in a report: bytes, moments, shares, and names that may hold anything.

Unknown is the word "unknown" everywhere, never 0 and never an empty place. Must not know what is reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta, tzinfo

UNKNOWN = "unknown"
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def visible(text: object) -> str:
    """Text of unknown origin, with everything that cannot be seen written out: a name that turns the direction of
    writing, or ends with a blank of no width, must not look like another one."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in str(text))


def size(number: float | None) -> str:
    """Bytes in powers of 1024."""
    if number is None:
        return UNKNOWN
    at = 0
    while abs(number) >= 1024 and at < len(_UNITS) - 1:
        number, at = number / 1024, at + 1
    return f"{number:,.0f} {_UNITS[at]}" if at == 0 or abs(number) >= 100 else f"{number:,.1f} {_UNITS[at]}"


def change(number: float | None) -> str:
    """Bytes with their sign."""
    return UNKNOWN if number is None else f"{'+' if number > 0 else ''}{size(number)}" if number else "0 B"


def share(part: int, whole: int) -> str:
    """A percentage that says 100 % only where nothing is missing."""
    if not whole:
        return UNKNOWN
    return "100 %" if part >= whole else f"{min(99.9, 100 * part / whole):.1f} %"


def moment(at: datetime | None, zone: tzinfo) -> str:
    return "never" if at is None else f"{at.astimezone(zone):%Y-%m-%d %H:%M}"


def few(names: Sequence[str], most: int = 6) -> str:
    """Names with commas, at most so many of them."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest:,} more" if rest > 0 else "")


def stretches(days: Sequence[date]) -> Iterator[tuple[date, date]]:
    """Ascending days as their unbroken stretches, first and last day."""
    first = last = None
    for day in days:
        if last is not None and first is not None and day != last + timedelta(days=1):
            yield first, last
            first = day
        first, last = first or day, day
    if first is not None and last is not None:
        yield first, last
