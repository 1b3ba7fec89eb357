"""Three-valued logic (Kleene's strong one) with reasons: what is not known stays not known, and says why.

Must not know accounts or rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """`value` None is "unknown". `reasons` are what is missing for an unknown one, and what shows it for a true one."""

    value: bool | None
    reasons: tuple[str, ...] = ()


FALSE = Verdict(False)
TRUE = Verdict(True)


def true(*reasons: str) -> Verdict:
    return Verdict(True, reasons)


def unknown(reasons: Iterable[str]) -> Verdict:
    """Raises ValueError without a reason: nobody could act on it."""
    found = tuple(dict.fromkeys(reasons))
    if not found:
        raise ValueError("an unknown verdict needs a reason")
    return Verdict(None, found)


def known(value: bool | None, missing: str) -> Verdict:
    """The verdict on a flag that may be unknown; `missing` is the reason then."""
    return unknown([missing]) if value is None else Verdict(value)


def all_of(verdicts: Sequence[Verdict]) -> Verdict:
    """False if one is false; else unknown if one is unknown; else true. Nothing is refused: it would be true."""
    return _over(verdicts, False)


def any_of(verdicts: Sequence[Verdict]) -> Verdict:
    """True if one is true; else unknown if one is unknown; else false. Nothing is refused."""
    return _over(verdicts, True)


def _over(verdicts: Sequence[Verdict], deciding: bool) -> Verdict:
    if not verdicts:
        raise ValueError("AND and OR need an argument")
    for value in (deciding, None, not deciding):
        found = [v for v in verdicts if v.value is value]
        if found:
            return Verdict(value, tuple(dict.fromkeys(r for v in found for r in v.reasons)))
    raise AssertionError("a verdict is true, false or unknown")


def negation(verdict: Verdict) -> Verdict:
    """Unknown stays unknown, with its reasons; those of a true one are no reasons for its opposite."""
    return verdict if verdict.value is None else Verdict(not verdict.value)
