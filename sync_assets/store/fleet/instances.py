"""Which instances belong to a fleet and since when: adopted, retired, back again. Days are those of the fleet's zone.

A list is carried over whole, in one transaction, and looks take turns. Nothing that was collected is ever deleted
here. Must not know where a list comes from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Literal
from zoneinfo import ZoneInfo

from sync_assets.store.control import storable
from sync_assets.store.session import Cursor, Sessions
from sync_assets.store.sql import read_named

_SQL = read_named(Path(__file__).with_name("instances.sql"))
Origin = Literal["yaml", "table"]


@dataclass(frozen=True, slots=True)
class Listed:
    """An instance as a list names it. `listed` is how to reach it, for one of a table: no secret.

    `known_on` is the day on which it was first listed here, for one that is kept; None where that was not written down.
    """

    name: str
    engine: str
    title: str = ""
    address: str = ""
    volume: int | None = None
    origin: Origin = "yaml"
    listed: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    adopted_on: date | None = None
    retired_on: date | None = None
    known_on: date | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """From `adopted_on` until `retired_on` (excluded; None: still)."""

    adopted_on: date
    retired_on: date | None = None

    def covers(self, day: date) -> bool:
        return self.adopted_on <= day and (self.retired_on is None or day < self.retired_on)


@dataclass(frozen=True, slots=True)
class Settled:
    """What a list changed, by name, sorted. `present` belong to the fleet on the day of the look."""

    present: tuple[str, ...]
    adopted: tuple[str, ...]
    retired: tuple[str, ...]


class InstanceStore:
    """Every method is one transaction. Raises `Retry` when the control database cannot be reached."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def instances(self, fleet: str) -> list[Listed]:
        """All that are or were in the fleet, with the days of their newest span, by name."""
        return self._sessions.run(lambda cursor: _kept(cursor, fleet))

    def spans(self, fleet: str) -> Mapping[str, tuple[Span, ...]]:
        """All times in which each instance belonged to the fleet, oldest first."""
        return self._sessions.run(lambda cursor: _spans(cursor, fleet))

    def settle(self, fleet: str, listed: Sequence[Listed], today: date, keep: Iterable[str] = ()) -> Settled:
        """Let the fleet be `listed`: adopt what is new, retire what is not listed, but for the names in `keep`.

        Where `Listed` says since or until when, that counts; otherwise `today` does. One that was retired today or
        later and is back goes on as if it had never left.
        """
        kept = frozenset(keep)
        return self._sessions.run(lambda cursor: _settle(cursor, fleet, listed, today, kept))

    def note_lost(self, fleet: str, zone: ZoneInfo) -> int:
        """Record a gap for what a killed process was collecting. Returns how many."""
        values = {"fleet": fleet, "zone": str(zone)}
        return self._sessions.run(lambda cursor: cursor.execute(_SQL["note_lost"], values).rowcount)


def _kept(cursor: Cursor, fleet: str) -> list[Listed]:
    rows = cursor.execute(_SQL["kept"], {"fleet": fleet}).fetchall()
    return [Listed(n, e, t, a, v, o, MappingProxyType(ls), *dates) for n, t, e, a, v, o, ls, *dates in rows]


def _spans(cursor: Cursor, fleet: str) -> dict[str, tuple[Span, ...]]:
    found: dict[str, tuple[Span, ...]] = {}
    for name, adopted, retired in cursor.execute(_SQL["spans"], {"fleet": fleet}):
        found[name] = (*found.get(name, ()), Span(adopted, retired))
    return found


def _settle(cursor: Cursor, fleet: str, listed: Sequence[Listed], today: date, keep: frozenset[str]) -> Settled:
    cursor.execute(_SQL["lock"], {"fleet": fleet})
    before = _spans(cursor, fleet)
    cursor.executemany(_SQL["put"], [_row(fleet, one, today) for one in listed])
    for one in listed:
        name = storable(one.name)
        spans = before.get(name, ())
        if not spans or _is_over(spans[-1], today):
            _open(cursor, fleet, name, _next(spans, one, today))
        else:
            _change(cursor, fleet, name, spans[-1], _corrected(spans, one))
    for name in before.keys() - keep - {storable(one.name) for one in listed}:
        last = before[name][-1]
        if last.retired_on is None or last.retired_on > today:
            _change(cursor, fleet, name, last, Span(last.adopted_on, max(last.adopted_on, today)))
    return _settled(before, _spans(cursor, fleet), today)


def _settled(before: Mapping[str, Sequence[Span]], after: Mapping[str, Sequence[Span]], today: date) -> Settled:
    was = set(_on(before, today))
    present = tuple(sorted(_on(after, today)))
    return Settled(present, tuple(n for n in present if n not in was), tuple(sorted(was.difference(present))))


def _on(spans: Mapping[str, Sequence[Span]], day: date) -> Iterator[str]:
    return (name for name, some in spans.items() if any(s.covers(day) for s in some))


def _is_over(span: Span, today: date) -> bool:
    return span.retired_on is not None and span.retired_on < today


def _next(before: Sequence[Span], one: Listed, today: date) -> Span | None:
    """The span that begins; None for one whose list says that it is over, as it is."""
    ended = before[-1].retired_on if before else None
    if ended is not None and one.retired_on is not None and one.retired_on <= today:
        return None
    begins = one.adopted_on or today
    if ended is not None and begins < ended:
        begins = today  # what the list says is about its first time
    return Span(begins, max(one.retired_on, begins) if one.retired_on else None)


def _corrected(spans: Sequence[Span], one: Listed) -> Span:
    """The newest span as the list wants it: dates may be corrected afterwards, but spans never overlap."""
    floor = spans[-2].retired_on if len(spans) > 1 else None
    fits = one.adopted_on is not None and (floor is None or one.adopted_on >= floor)
    begins = one.adopted_on if fits and one.adopted_on else spans[-1].adopted_on
    return Span(begins, max(one.retired_on, begins) if one.retired_on else None)


def _open(cursor: Cursor, fleet: str, name: str, span: Span | None) -> None:
    if span is not None:
        values = {"fleet": fleet, "instance": name, "adopted_on": span.adopted_on, "retired_on": span.retired_on}
        cursor.execute(_SQL["open_span"], values)


def _change(cursor: Cursor, fleet: str, name: str, last: Span, span: Span) -> None:
    if span != last:
        values = {"fleet": fleet, "instance": name, "adopted_on": span.adopted_on, "retired_on": span.retired_on}
        cursor.execute(_SQL["change_span"], values | {"was": last.adopted_on})


def _row(fleet: str, one: Listed, today: date) -> dict[str, object]:
    return {
        "fleet": fleet,
        "instance": storable(one.name),
        "title": storable(one.title),
        "engine": one.engine,
        "address": storable(one.address),
        "volume": one.volume,
        "today": today,
        "origin": one.origin,
        "listed": json.dumps(dict(one.listed), sort_keys=True).replace("\\u0000", "\\u2400"),
    }
