"""Sizes of a fleet's instances, day by day, and the gaps between them.

What holds:
- A day of an instance is one transaction: total, databases, tables, and the end of its gap. A constraint compares the
  total with the sum when it commits.
- An older observation never replaces a newer one, and one that lacks a size never replaces one that knows the total.
- A day of an instance without a known total has a gap with the reason; a gap never takes sizes away.

Must not know how sizes are read, nor which days may be collected now (`fleet.periods.collectable`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from sync_assets.fleet.capacity import (
    DatabaseDay,
    Gap,
    GapKind,
    GapReason,
    InstanceDay,
    Recorded,
    check_recordable,
    not_summed,
)
from sync_assets.fleet.model import CapacityReading, DatabaseSize, TableSize
from sync_assets.store.control import storable
from sync_assets.store.session import Cursor, Sessions
from sync_assets.store.sql import read_named

_SQL = read_named(Path(__file__).with_name("capacity.sql"))
_Place = dict[str, Any]  # fleet, instance, kind, day: whose row it is


class CapacityStore:
    """Every method is one transaction. Instances must be known (`fleet_instance`)."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    # -- writing

    def record(
        self, fleet: str, instance: str, day: date, run_id: str, reading: CapacityReading, late: bool = False
    ) -> Recorded:
        """Keep a reading as the sizes of `day`; says whether it did.

        Without a total (a database whose size is not known) the day's gap is noted, else closed. Raises `Stop` for a
        reading whose list of databases is not whole: nothing is written, and `code` is the reason for its gap.
        """
        check_recordable(instance, reading)
        place = _place(fleet, instance, "capacity", day)

        def work(cursor: Cursor) -> Recorded:
            cursor.execute(_SQL["one_at_a_time"], place)
            verdict = _verdict(cursor.execute(_SQL["standing"], place).fetchone(), reading)
            if verdict == "written":
                _write(cursor, place, {"run_id": run_id, "late": late}, reading)
            return verdict

        return self._sessions.run(work)

    def gap(
        self, fleet: str, instance: str, kind: GapKind, day: date, reason: GapReason, message: str, run_id: str
    ) -> None:
        """Note that there is nothing, and why. A day whose total is known stays without a gap."""
        place = _place(fleet, instance, kind, day)

        def work(cursor: Cursor) -> None:
            cursor.execute(_SQL["one_at_a_time"], place)
            _note(cursor, place, reason, message, run_id)

        self._sessions.run(work)

    def close_gap(self, fleet: str, instance: str, kind: GapKind, day: date) -> None:
        """It is there now. Without a gap nothing happens."""
        place = _place(fleet, instance, kind, day)

        def work(cursor: Cursor) -> None:
            cursor.execute(_SQL["one_at_a_time"], place)
            cursor.execute(_SQL["close_gap"], place)

        self._sessions.run(work)

    # -- reading; `until` is excluded

    def present(self, fleet: str, day: date) -> set[str]:
        """Instances whose total of the day is known."""
        return {str(name) for (name,) in self._rows("present", fleet=fleet, day=day)}

    def series(self, fleet: str, first: date, until: date, instance: str | None = None) -> list[InstanceDay]:
        """Days of instances by name and day; of one where it is named."""
        rows = self._rows("series", fleet=fleet, first=first, until=until, instance=instance)
        return [InstanceDay(*row) for row in rows]

    def databases(
        self, fleet: str, first: date, until: date, instance: str | None = None, database: str | None = None
    ) -> list[DatabaseDay]:
        """Days of databases by instance, name, incarnation and day."""
        name = None if database is None else storable(database)
        rows = self._rows("databases", fleet=fleet, first=first, until=until, instance=instance, database=name)
        return [DatabaseDay(*row) for row in rows]

    def tables(self, fleet: str, instance: str, day: date) -> list[TableSize]:
        """The largest tables of an instance on a day, largest first."""
        return [TableSize(*row) for row in self._rows("tables", fleet=fleet, instance=instance, day=day)]

    def newest(self, fleet: str) -> dict[str, InstanceDay]:
        """The newest day of each instance, with a total or without."""
        return {row[0]: InstanceDay(*row) for row in self._rows("newest", fleet=fleet)}

    def gaps(
        self,
        fleet: str,
        *,
        kind: GapKind | None = None,
        first: date | None = None,
        until: date | None = None,
        open_only: bool = True,
    ) -> list[Gap]:
        """Gaps, newest day first."""
        rows = self._rows("gaps", fleet=fleet, kind=kind, first=first, until=until, open_only=open_only)
        return [Gap(*row) for row in rows]

    def _rows(self, name: str, **values: object) -> list[tuple[Any, ...]]:
        return self._sessions.run(lambda cursor: cursor.execute(_SQL[name], values).fetchall())


def _place(fleet: str, instance: str, kind: GapKind, day: date) -> _Place:
    return {"fleet": fleet, "instance": instance, "kind": kind, "day": day}


def _verdict(standing: tuple[Any, ...] | None, reading: CapacityReading) -> Recorded:
    if standing is None:
        return "written"
    observed_at, unknown = standing
    if reading.observed_at <= observed_at:
        return "older"
    return "poorer" if reading.unknown and not unknown else "written"


def _write(cursor: Cursor, place: _Place, origin: dict[str, Any], reading: CapacityReading) -> None:
    cursor.execute(_SQL["put_instance"], place | origin | _instance(reading))
    cursor.execute(_SQL["clear_databases"], place)
    cursor.execute(_SQL["put_databases"], place | _databases(reading.databases))
    cursor.execute(_SQL["clear_tables"], place)
    cursor.execute(_SQL["put_tables"], place | _tables(reading.tables))
    short = not_summed(reading)
    if short is None:
        cursor.execute(_SQL["close_gap"], place)
    else:
        _note(cursor, place, short.reason, short.message, origin["run_id"])


def _note(cursor: Cursor, place: _Place, reason: GapReason, message: str, run_id: str) -> None:
    cursor.execute(_SQL["note_gap"], place | {"reason": reason, "message": storable(message), "run_id": run_id})


def _instance(reading: CapacityReading) -> dict[str, Any]:
    logs = Counter[str]()
    for log in reading.logs:
        logs[storable(log.kind)] += log.bytes
    sections = {
        storable(str(key)): {"status": state.status, "reason": storable(state.reason), "rows": state.rows}
        for key, state in reading.sections.items()
    }
    return {
        "observed_at": reading.observed_at,
        "total": reading.total_bytes,
        "databases": len(reading.databases),
        "unknown": len(reading.unknown),
        "log_bytes": logs.total() if logs else None,
        "logs": json.dumps(logs),
        "sections": json.dumps(sections),
    }


def _databases(databases: Sequence[DatabaseSize]) -> dict[str, Any]:
    return {
        "names": [storable(d.name) for d in databases],
        "incarnations": [storable(d.incarnation) for d in databases],
        "bytes": [d.bytes for d in databases],
        "data": [d.data_bytes for d in databases],
        "index": [d.index_bytes for d in databases],
        "log": [d.log_bytes for d in databases],
        "system": [d.system for d in databases],
    }


def _tables(tables: Sequence[TableSize]) -> dict[str, Any]:
    return {
        "databases": [storable(t.database) for t in tables],
        "schemas": [storable(t.schema) for t in tables],
        "names": [storable(t.name) for t in tables],
        "bytes": [t.bytes for t in tables],
        "rows": [t.rows for t in tables],
    }
