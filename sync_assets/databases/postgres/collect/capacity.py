"""From the rows of the size functions to databases, logs and the largest tables. Knows no SQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sync_assets.databases.postgres.collect.look import Entry, Look, grant_connect, section
from sync_assets.databases.postgres.collect.session import Answer, Rows
from sync_assets.databases.quoting import quoted
from sync_assets.fleet.model import (
    CapacityReading,
    DatabaseSize,
    LogSize,
    SectionKey,
    SectionName,
    SectionState,
    Status,
    TableSize,
)


def reading(look: Look, answer: Answer, observed_at: datetime) -> CapacityReading:
    """`answer` holds the server's own statements, the look's `parts` those of the databases."""
    sized, sizes_state = section(answer["sizes"])
    bytes_of = {row[0]: row[2] for row in sized}
    sections = {
        SectionKey(SectionName.DATABASES): section(look.unlisted or [() for _ in look.databases])[1],
        SectionKey(SectionName.SIZES): sizes_state,
        SectionKey(SectionName.LOGS): _logs_state(look, answer),
    }
    if sizes_state.ok:
        refused = [d for d in look.databases if bytes_of.get(d.oid) is None]
        sections |= {SectionKey(SectionName.SIZES, d.name): _unsized(look, d) for d in refused}
    tables: list[TableSize] = []
    sums: dict[str, tuple[int | None, int | None]] = {}
    for part, found in look.parts.items():
        rows, state = section(found)
        found_tables = list(_tables(part, rows))
        sections[SectionKey(SectionName.TABLES, part)] = _counted(state, len(found_tables))
        tables += found_tables
        sums |= {part: rows[0][:2]} if rows else {}
    return CapacityReading(
        look.server, observed_at, sections,
        databases=tuple(_database(d, bytes_of.get(d.oid), sums.get(d.name, (None, None))) for d in look.databases),
        logs=tuple(LogSize("wal", row[0]) for row in section(answer.get("wal", []))[0]),
        tables=tuple(tables),
        trips=look.all_trips,
    )  # fmt: skip


def _database(one: Entry, size: int | None, sums: tuple[int | None, int | None]) -> DatabaseSize:
    return DatabaseSize(one.name, one.oid, size, *sums, system=one.system)


def _unsized(look: Look, one: Entry) -> SectionState:
    hint = f"grant pg_read_all_stats to {quoted(look.me)}, or {grant_connect(look, one)}"
    return SectionState(Status.DENIED, f"database {quoted(one.name)} may not be sized -> {hint}")


def _logs_state(look: Look, answer: Answer) -> SectionState:
    if look.lists_wal:
        return section(answer["wal"])[1]
    return SectionState(Status.DENIED, f"the WAL may not be listed -> grant pg_monitor to {quoted(look.me)}")


def _counted(state: SectionState, count: int) -> SectionState:
    return SectionState(Status.OK, rows=count) if state.ok else state


def _tables(part: str, rows: Rows) -> Iterator[TableSize]:
    """A database without tables has one row with its sums alone."""
    for _, _, schema, name, size, estimate in rows:
        if name is not None:
            yield TableSize(part, schema, name, size, estimate)
