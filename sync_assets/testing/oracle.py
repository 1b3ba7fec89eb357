"""Is the board what the source says? Both sides cell by cell, by rules of their own.

Deliberately shares no code with the engine: what the engine gets wrong, it must not get wrong here in the same way.
Source values come as the driver gives them, cells as the emulator keeps them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any

Cells = Mapping[str, Any]
Key = tuple[Any, ...]
SHOWN = 5


@dataclass(frozen=True)
class Verdict:
    """Keys of rows that are missing, there too often, of other content than wanted, or there unasked."""

    lost: tuple[Key, ...] = ()
    doubled: tuple[Key, ...] = ()
    changed: tuple[Key, ...] = ()
    strange: tuple[Key, ...] = ()

    @property
    def equal(self) -> bool:
        return not (self.lost or self.doubled or self.changed or self.strange)

    def __str__(self) -> str:
        if self.equal:
            return "equal"
        parts = [(name, getattr(self, name)) for name in ("lost", "doubled", "changed", "strange")]
        return "; ".join(f"{len(keys)} {name}: {list(keys[:SHOWN])}" for name, keys in parts if keys)


def cells(row: Mapping[str, Any], zone: tzinfo) -> dict[str, Any]:
    """What a board should hold of a source row: empty cells are absent."""
    held = {name: _cell(value, zone) for name, value in row.items()}
    return kept(held)


def kept(row: Cells) -> dict[str, Any]:
    """A record without its empty cells; numbers as doubles."""
    return {
        name: float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
        for name, value in row.items()
        if value is not None and value is not False and value != ""
    }


def _cell(value: Any, zone: tzinfo) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=zone)
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000 // 1
    return value


def compare(wanted: Iterable[Cells], found: Iterable[Cells], key: Sequence[str] = ()) -> Verdict:
    """Compare two sides whose rows are the same when their `key` is; without one, when their content is."""
    left, right = _grouped(wanted, key), _grouped(found, key)
    lost: list[Key] = []
    doubled: list[Key] = []
    changed: list[Key] = []
    for at, rows in left.items():
        there = right.get(at, Counter())
        if there == rows:
            continue
        more = there.total() - rows.total()
        (lost if more < 0 else doubled if more > 0 else changed).append(at)
    strange = [at for at in right if at not in left]
    return Verdict(*(tuple(sorted(keys, key=repr)) for keys in (lost, doubled, changed, strange)))


def _grouped(rows: Iterable[Cells], key: Sequence[str]) -> dict[Key, Counter[Key]]:
    grouped: dict[Key, Counter[Key]] = {}
    for row in rows:
        content = tuple(sorted((name, repr(value)) for name, value in row.items()))
        at = tuple(row.get(name) for name in key) if key else content
        grouped.setdefault(at, Counter())[content] += 1
    return grouped
