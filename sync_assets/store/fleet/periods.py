"""Closed periods of a fleet, added up in the control database, and forecasts.

What holds:
- A period is one set-based statement in one transaction: all its rows are of the same inputs, and the fleet's row says
  of which (`input_hash`). The same inputs rewrite nothing; a repaired day makes its periods due again, and the ones
  after them, whose growth looks back.
- Numbers come from days on which everything was known. A day without one of the databases of an instance is missing
  for the instance, a day without one of the instances is missing for the fleet; unknown is null.
- A database is expected from its first to its last day, both reaching out to the neighbouring days on which its
  instance was there without it: a day that nobody saw counts as missing, not as "it was gone by then".
- Days are not stored for databases: their one sample is in `fleet_database_size` (84 of 100 rows, fleet.md's count).

Must not know how sizes are read or who asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import groupby
from pathlib import Path
from typing import Any, cast

from sync_assets.engine.errors import Stop
from sync_assets.fleet.forecast import WINDOW_DAYS, Forecast, forecast
from sync_assets.fleet.periods import (
    Level,
    Period,
    PeriodName,
    PeriodRow,
    PeriodSummary,
    closed,
    closed_since,
    ended_at,
    local_day,
    parse_name,
)
from sync_assets.store.control import storable
from sync_assets.store.session import Cursor, Sessions
from sync_assets.store.sql import read_named

_SQL = read_named(Path(__file__).with_name("periods.sql"))
FORMULA = "1"  # of the numbers; another one makes every period due
_WRITE = _SQL["inputs"] + "\n" + _SQL["result"] + "\n" + _SQL["write"]
_READ = _SQL["inputs"] + "\n" + _SQL["result"] + "\n" + _SQL["read"]
_DUE = _SQL["inputs"] + "\n" + _SQL["due"]
Counts = tuple[int, int, int]  # rows of the period, written, removed


def _utc_now() -> datetime:
    return datetime.now(UTC)


class PeriodStore:
    """Every method is one transaction. `clock` only tells which periods are over."""

    def __init__(self, sessions: Sessions, clock: Callable[[], datetime] = _utc_now) -> None:
        self._sessions = sessions
        self._clock = clock

    def aggregate(self, fleet: str, period: Period, threshold: float, zone: tzinfo) -> PeriodSummary:
        """Compute the rows of a closed period and keep what differs from those that are there.

        `threshold` is the completeness of both periods from which growth is known. Raises `Stop` for a period that
        is not over in `zone`: its numbers would look like those of a finished one.
        """
        if not closed(period, self._clock(), zone):
            raise Stop(f"{period} is not over", hint=f"aggregate it from {period.ends} on", code="not_closed")
        asked = _asked(fleet, [period]) | {"threshold": threshold, "databases": period.name != "day"}

        def work(cursor: Cursor) -> tuple[Counts, PeriodRow]:
            cursor.execute(_SQL["patience"])
            cursor.execute(_SQL["one_at_a_time"], {"fleet": fleet, "period": period.name, "starts": period.starts})
            counts = cast(Counts, cursor.execute(_WRITE, asked).fetchone())
            return counts, _rows(cursor, fleet, period, "fleet", None)[0]

        counts, row = self._sessions.run(work)
        return _summary(period, row, counts)

    def due(self, fleet: str, names: Iterable[str], now: datetime, zone: tzinfo, settle: float) -> list[Period]:
        """Closed periods that were never computed, or from other inputs, oldest first.

        One with gaps is waited for until `settle` hours after its end. Raises `Stop` for a name that is no period.
        """
        kinds = [parse_name(name) for name in names]

        def work(cursor: Cursor) -> list[Period]:
            first = _one(cursor, "first_day", fleet=fleet)
            periods = [p for kind in kinds for p in closed_since(kind, first, now, zone)] if first else []
            if not periods:
                return []
            cursor.execute(_SQL["patience"])
            rows = cursor.execute(_DUE, _asked(fleet, periods)).fetchall()
            found = [(Period(name, starts, ends), whole) for name, starts, ends, whole in rows]
            return [p for p, whole in found if whole or now >= ended_at(p, zone) + timedelta(hours=settle)]

        return self._sessions.run(work)

    # -- reading

    def summary(self, fleet: str, period: Period) -> PeriodSummary | None:
        """What is stored of the fleet in a period; None when it was never computed."""
        rows = self.rows(fleet, period, level="fleet")
        return _summary(period, rows[0], (0, 0, 0)) if rows else None

    def rows(
        self, fleet: str, period: Period, *, level: Level | None = None, instance: str | None = None
    ) -> list[PeriodRow]:
        """The rows of a period: the fleet, its instances, their databases. Databases of a day are computed."""

        def work(cursor: Cursor) -> list[PeriodRow]:
            rows = _rows(cursor, fleet, period, level, instance)
            if period.name == "day" and level in (None, "database"):
                cursor.execute(_SQL["patience"])
                asked = _asked(fleet, [period]) | {"threshold": 1.0, "databases": True, "instance": instance}
                rows += [PeriodRow(*row) for row in map(_tuples, cursor.execute(_READ, asked).fetchall())]
            return rows

        return self._sessions.run(work)

    def history(
        self, fleet: str, name: PeriodName, instance: str = "", database: str = ""
    ) -> list[tuple[date, PeriodRow]]:
        """First days and rows of the fleet, of an instance or of a database, oldest first, for a plot."""
        place = {"fleet": fleet, "period": name, "instance": instance, "database": storable(database)}
        found = self._sessions.run(lambda cursor: cursor.execute(_SQL["history"], place).fetchall())
        return [(starts, PeriodRow(*_tuples(row))) for starts, *row in found]

    # -- forecasts

    def forecast(self, fleet: str, now: datetime, zone: tzinfo, days: int = WINDOW_DAYS) -> dict[str, Forecast]:
        """Compute and keep a forecast for every instance of today, from its known totals of the last `days` days."""
        last = local_day(now, zone)

        def work(cursor: Cursor) -> dict[str, Forecast]:
            rows = cursor.execute(_SQL["points"], {"fleet": fleet, "last": last, "days": days}).fetchall()
            made = dict(_forecasts(rows))
            cursor.execute(_SQL["forget_forecasts"], {"fleet": fleet, "instances": list(made)})
            cursor.executemany(
                _SQL["put_forecast"], [{"fleet": fleet, "instance": name, **asdict(one)} for name, one in made.items()]
            )
            return made

        return self._sessions.run(work)

    def forecasts(self, fleet: str) -> dict[str, Forecast]:
        """What was kept last, by instance."""
        found = self._sessions.run(lambda cursor: cursor.execute(_SQL["forecasts"], {"fleet": fleet}).fetchall())
        return {name: Forecast(*values) for name, *values in found}


def _asked(fleet: str, periods: Sequence[Period]) -> dict[str, Any]:
    return {
        "fleet": fleet,
        "formula": FORMULA,
        "periods": [p.name for p in periods],
        "befores": [p.previous.starts for p in periods],
        "starts": [p.starts for p in periods],
        "ends": [p.ends for p in periods],
    }


def _one(cursor: Cursor, name: str, **values: object) -> Any:
    row = cursor.execute(_SQL[name], values).fetchone()
    return row[0] if row else None


def _rows(cursor: Cursor, fleet: str, period: Period, level: Level | None, instance: str | None) -> list[PeriodRow]:
    place = {"fleet": fleet, "period": period.name, "starts": period.starts, "level": level, "instance": instance}
    return [PeriodRow(*_tuples(row)) for row in cursor.execute(_SQL["rows"], place).fetchall()]


def _tuples(row: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(tuple(value) if isinstance(value, list) else value for value in row)


def _summary(period: Period, row: PeriodRow, counts: Counts) -> PeriodSummary:
    return PeriodSummary(
        period, row.status, row.expected_days, row.present_days, row.missing_days, row.missing_instances,
        row.completeness, row.input_hash, *counts, row.computed_at,
    )  # fmt: skip


def _forecasts(rows: Iterable[tuple[Any, ...]]) -> Iterable[tuple[str, Forecast]]:
    for (name, volume), points in groupby(rows, key=lambda row: (row[0], row[1])):
        made = forecast([(day, size) for _, _, day, size in points], volume)
        if made is not None:
            yield name, made
