"""One look at the sizes of an Oracle server: files of each container, what is in them, logs, the largest tables.

`bytes` are the data files and temporary files on disk; `data_bytes` and `index_bytes` what segments take inside of
them, which is less. Redo and archived logs are the server's.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sync_assets.databases.oracle.collect.accounts import Asker, Look
from sync_assets.databases.oracle.collect.places import Container, Places
from sync_assets.databases.oracle.collect.questions import Questions
from sync_assets.fleet.model import (
    CapacityReading,
    DatabaseSize,
    LogSize,
    SectionKey,
    SectionName,
    SectionState,
    ServerFact,
    Status,
    TableSize,
)

Cells = Sequence[str | None]
Sums = Mapping[str, Mapping[str, int]]  # by part and kind


def reading(
    asker: Asker, server: ServerFact, asked: Questions, places: Places, top: int, at: datetime
) -> CapacityReading:
    """All sections. Raises `Retry` when the line breaks."""
    look = Look(places)
    look.sections[SectionKey(SectionName.DATABASES)] = SectionState(Status.OK, rows=len(places.by_number))
    files = _files(asker, asked, look)
    segments = asker.ask(asked.segments)
    inside = {} if isinstance(segments, SectionState) else _summed(segments, places)
    databases = tuple(_database(c, files.get(c.part), inside.get(c.part)) for c in places.by_number.values())
    logs = _logs(asker, asked, look)
    tables = _tables(asker, asked, look, top) if top else ()
    return CapacityReading(server, at, look.sections, databases, logs, tables, asker.trips)


def _files(asker: Asker, asked: Questions, look: Look) -> Sums:
    rows = asker.ask(asked.files)
    if isinstance(rows, SectionState):
        look.settle(SectionName.SIZES, {}, rows)
        return {}
    found = _summed(rows, look.places)
    look.settle(SectionName.SIZES, {part: 1 for part, kinds in found.items() if kinds.get("data")}, None)
    return {part: kinds for part, kinds in found.items() if kinds.get("data")}


def _summed(rows: Iterable[Cells], places: Places) -> Sums:
    """Of rows: container, kind, bytes."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for number, kind, size in rows:
        place = places.of(number)
        if place is not None and size:
            found[place.part][kind or ""] += int(size)
    return found


def _database(place: Container, files: Mapping[str, int] | None, inside: Mapping[str, int] | None) -> DatabaseSize:
    """What is inside of the files is told only with what the files are."""
    one = DatabaseSize(place.name, place.incarnation, system=place.system)
    if files is None:
        return one
    parts = inside or {}
    return replace(one, bytes=sum(files.values()), data_bytes=parts.get("data"), index_bytes=parts.get("index"))


def _logs(asker: Asker, asked: Questions, look: Look) -> tuple[LogSize, ...]:
    rows = asker.ask(asked.logs)
    key = SectionKey(SectionName.LOGS)
    if isinstance(rows, SectionState):
        look.sections[key] = rows
        return ()
    found = tuple(LogSize(kind or "", int(size or 0)) for kind, size in rows)
    look.sections[key] = SectionState(Status.OK, rows=len(found))
    return found


def _tables(asker: Asker, asked: Questions, look: Look, top: int) -> tuple[TableSize, ...]:
    """The root has tables, too, so a container without any is hidden."""
    rows = asker.ask(asked.tables(top))
    if isinstance(rows, SectionState):
        look.settle(SectionName.TABLES, {}, rows)
        return ()
    found: list[TableSize] = []
    counts: Counter[str] = Counter()
    for number, owner, name, size in rows:
        place = look.places.of(number)
        if place is not None:
            found.append(TableSize(place.name, owner or "", name or "", int(size or 0)))
            counts[place.part] += 1
    look.settle(SectionName.TABLES, counts, None)
    return tuple(found)
