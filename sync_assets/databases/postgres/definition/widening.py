"""Whether every value of one type fits another: the changes of type that lose nothing. Pure; texts of format_type."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Fit = Literal["same", "widen", "wider", "retyped"]

_CHAINS = (("smallint", "integer", "bigint"), ("real", "double precision"), ("json",))
_TYPE = re.compile(r"^([^()]+?)(?:\((\d+)(?:,(-?\d+))?\))?( with(?:out)? time zone)?((?:\[\])*)$")


class _Parsed(NamedTuple):
    base: str
    first: int | None
    second: int


def fit(source: str, target: str) -> Fit:
    """`widen`: the target's column must be made as wide as the source's; `wider`: it takes all values as it is."""
    if source == target:
        return "same"
    if _holds(target, source):
        return "wider"
    return "widen" if _holds(source, target) else "retyped"


def _holds(wide: str, narrow: str) -> bool:
    """Whether a column of type `wide` can hold every value of type `narrow`, as the same value."""
    for chain in _CHAINS:
        if wide in chain and narrow in chain:
            return chain.index(wide) >= chain.index(narrow)
    big, small = _parse(wide), _parse(narrow)
    if big is None or small is None:
        return False
    if small.base == "character varying" and big.base == "text":
        return True
    return big.base == small.base and _room(big, small)


def _parse(text: str) -> _Parsed | None:
    match = _TYPE.match(text)
    if match is None:
        return None
    first = int(match[2]) if match[2] else None
    return _Parsed(match[1] + (match[4] or "") + match[5], first, int(match[3] or 0))


def _room(big: _Parsed, small: _Parsed) -> bool:
    if big.base == "numeric":
        if big.first is None or small.first is None:
            return big.first is None
        return big.second >= small.second and big.first - big.second >= small.first - small.second
    if big.base in ("character", "bit"):  # padded: another length is another value
        return False
    if small.first is None:
        return big.first is None or (big.base[:4] == "time" and big.first == 6)
    return big.first is None or big.first >= small.first
