"""Whether a cron expression is one, and what is wrong with it otherwise.

A check of five fields (minute, hour, day, month, weekday) and of the @names, strict enough that the scheduler takes
whatever passes here. It computes no times: the scheduler does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

NAMES = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[str, int, int, Mapping[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: at for at, name in enumerate(_MONTHS, 1)}),
    ("weekday", 0, 7, {name: at for at, name in enumerate(_DAYS)}),
)
_LONGEST = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}


def fault(expression: str) -> str | None:
    """What is wrong with `expression`, or None. The text names the field, for example ``hour 25 is not in 0-23``."""
    if expression in NAMES:
        return None
    if expression.startswith("@"):
        return f"{expression} is not one of {', '.join(NAMES)}"
    parts = expression.split()
    if len(parts) != len(_FIELDS):
        return f"it has {len(parts)} field{'s' * (len(parts) != 1)} instead of 5 (minute hour day month weekday)"
    wrong = next(_wrong_fields(parts), None)
    return wrong or _never(parts[2], parts[3])


def _wrong_fields(parts: list[str]) -> Iterator[str]:
    for text, (name, low, high, words) in zip(parts, _FIELDS, strict=True):
        for piece in text.lower().split(","):
            reason = _piece(piece, low, high, words)
            if reason:
                yield f"{name} {reason}"


def _piece(piece: str, low: int, high: int, words: Mapping[str, int]) -> str | None:
    span, slash, step = piece.partition("/")
    if slash and not (step.isascii() and step.isdigit() and 1 <= int(step) <= high):
        return f"step {step!r} is not a number from 1 to {high}"
    if span == "*":
        return None
    first, dash, last = span.partition("-")
    ends = [_number(text, words) for text in ((first, last) if dash else (first,))]
    if slash and not dash:
        return f"{piece!r} has a step without a range: write */{step} or {first}-{high}/{step}"
    for text, end in zip((first, last), ends, strict=False):
        if end is None or not low <= end <= high:
            return f"{text!r} is not in {low}-{high}"
    if len(ends) > 1 and (ends[0] or 0) > (ends[1] or 0):
        return f"{span!r} runs backwards"
    return None


def _number(text: str, words: Mapping[str, int]) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else words.get(text)


def _never(day: str, month: str) -> str | None:
    """A day that the month never has: the schedule would be accepted and never tick."""
    if day.isdigit() and month.isdigit() and int(day) > _LONGEST.get(int(month), 31):
        return f"month {month} has no day {day}, so it never comes"
    return None
