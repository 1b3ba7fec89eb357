"""How a fleet is cut into partitions: instances, days x instances (or x groups of them), and closed periods.

All keys are labels: which day, which period. What a run does follows from its key, never from the clock. Must not
know the control database or how collecting is done.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Literal
from zlib import crc32
from zoneinfo import ZoneInfo

import dagster as dg

from sync_assets.components.naming import slug
from sync_assets.engine.errors import Stop

if TYPE_CHECKING:
    from sync_assets.components.fleet_kept import Kept
    from sync_assets.fleet.periods import PeriodName
    from sync_assets.project.deployment import PlacedFleet

LIMIT = 100_000  # partitions of one asset that Dagster's documentation allows; above it the UI takes many seconds
PERIODS: tuple[PeriodName, ...] = ("day", "week", "month", "quarter")
_ASSETS = {"day": "daily", "week": "weekly", "month": "monthly", "quarter": "quarterly"}
_CRON = {"day": "0 0 * * *", "week": "0 0 * * 1", "month": "0 0 1 * *", "quarter": "0 0 1 1,4,7,10 *"}
_FORMAT = "%Y-%m-%d"

CutBy = Literal["instance", "group"]


@dataclass(frozen=True, slots=True)
class FleetCut:
    """How one fleet is cut. `starts`: the first day shown; `since`: the first day that anything was expected of."""

    fleet: str
    by: CutBy
    groups: int
    starts: date
    since: date
    zone: ZoneInfo
    note: str = ""  # why it is cut otherwise than asked

    @property
    def members(self) -> tuple[str, ...]:
        """The groups; empty where every instance is a partition."""
        return tuple(f"group{n:02}" for n in range(1, self.groups + 1)) if self.by == "group" else ()

    def member_of(self, instance: str) -> str:
        """The second half of the key that an instance belongs to."""
        return group_of(instance, self.groups) if self.by == "group" else instance


def cut_of(fleet: PlacedFleet, kept: Kept | None, today: date) -> FleetCut:
    """How the fleet is cut, by its YAML and by what its kept list knows. Raises `Stop` beyond what Dagster holds."""
    capacity = fleet.spec.capacity
    starts = window_start(today, capacity.window)
    listed = [i.adopted_on for i in fleet.spec.instances if i.adopted_on]
    since = kept.since if kept and kept.since else min(listed, default=starts)
    by, note = _by(fleet, len(kept.instances) if kept else 0)
    return FleetCut(fleet.name, by, capacity.groups, starts, min(since, today), fleet.time_zone, note)


def _by(fleet: PlacedFleet, kept: int) -> tuple[CutBy, str]:
    capacity, written = fleet.spec.capacity, len(fleet.spec.instances)
    days = capacity.window + 6
    if capacity.groups * days > LIMIT:
        raise _too_many(fleet, f"{capacity.groups} groups", capacity.groups * days, "lower capacity.window")
    if capacity.partition_by == "group":
        return "group", ""
    if max(written, kept) * days <= LIMIT:
        return "instance", ""
    if capacity.partition_by == "auto":
        return "group", f"by group: {max(written, kept)} instances x {days} days are more than {LIMIT:,} partitions"
    if written * days > LIMIT:
        hint = "write partition_by: group (or auto), or lower capacity.window"
        raise _too_many(fleet, f"{written} instances", written * days, hint)
    # the table that lists the instances has grown: no reason to take every asset of the deployment away
    return "group", f"by group, though partition_by: instance is written: {kept} instances x {days} days are too many"


def _too_many(fleet: PlacedFleet, what: str, product: int, hint: str) -> Stop:
    days = fleet.spec.capacity.window + 6
    return Stop(
        f"{fleet.name}: {what} x {days} days are {product:,} partitions, and Dagster holds {LIMIT:,} of an asset",
        hint=hint,
        code="partitions",
    )


def window_start(today: date, window: int) -> date:
    """The Monday on or before the first of the last `window` days: it moves once a week, and shows at most
    `window` + 6 days. A start that moves makes Dagster count all partitions of the asset anew."""
    first = today - timedelta(days=window - 1)
    return first - timedelta(days=first.weekday())


def group_of(instance: str, groups: int) -> str:
    """The group of an instance: by its name alone, so that it stays when others come and go."""
    return f"group{crc32(instance.encode()) % groups + 1:02}"


# -- definitions ------------------------------------------------------------------------------------------------


def instances_name(fleet: str) -> str:
    return f"{slug(fleet)}_instances"


@lru_cache(maxsize=256)
def instances(fleet: str) -> dg.DynamicPartitionsDefinition:
    """The instances of a fleet. A sensor adds and removes them."""
    return dg.DynamicPartitionsDefinition(name=instances_name(fleet))


@lru_cache(maxsize=256)
def snapshot(cut: FleetCut) -> dg.MultiPartitionsDefinition:
    """Days with today (a day is collected while it lasts) x instances or groups."""
    start = datetime(cut.starts.year, cut.starts.month, cut.starts.day)
    days = dg.DailyPartitionsDefinition(start, timezone=str(cut.zone), end_offset=1)
    if cut.by == "instance":
        return dg.MultiPartitionsDefinition({"date": days, "instance": instances(cut.fleet)})
    return dg.MultiPartitionsDefinition({"date": days, "group": dg.StaticPartitionsDefinition(list(cut.members))})


@lru_cache(maxsize=256)
def closed(cut: FleetCut, period: PeriodName) -> dg.TimeWindowPartitionsDefinition:
    """Periods that are over, each by its first day. Days are those of the window, as in `snapshot`."""
    first = cut.starts if period == "day" else _period_start(period, cut.since)
    return dg.TimeWindowPartitionsDefinition(
        start=datetime(first.year, first.month, first.day), fmt=_FORMAT, cron_schedule=_CRON[period],
        timezone=str(cut.zone),
    )  # fmt: skip


def _period_start(period: PeriodName, day: date) -> date:
    from sync_assets.fleet.periods import period_of

    return period_of(period, day).starts


def shows(fleet: PlacedFleet, period: PeriodName) -> bool:
    """Whether a fleet has aggregates of that kind: days always."""
    return period == "day" or period in fleet.spec.aggregation.periods


def source_of(fleet: PlacedFleet, period: PeriodName) -> PeriodName | None:
    """What a kind of period comes from in the lineage: weeks and months from days, quarters from months where the
    fleet has them, days from the snapshot (None)."""
    if period == "day":
        return None
    return "month" if period == "quarter" and shows(fleet, "month") else "day"


def asset_of_period(period: PeriodName) -> str:
    return f"capacity_{_ASSETS[period]}"


# -- keys -------------------------------------------------------------------------------------------------------


def snapshot_key(day: date, member: str) -> str:
    return f"{day.isoformat()}|{member}"


def day_and_member(key: str) -> tuple[date, str]:
    day, _, member = key.partition("|")
    return date.fromisoformat(day), member


def by_day(keys: Iterable[str]) -> dict[date, list[str]]:
    """The second halves of the keys of a run, by day, oldest first."""
    found: dict[date, list[str]] = {}
    for key in keys:
        day, member = day_and_member(str(key))
        found.setdefault(day, []).append(member)
    return dict(sorted(found.items()))


def spanning(wanted: Iterable[str], order: Sequence[str]) -> list[str]:
    """The piece of `order` from the first to the last wanted key: one run can cover it."""
    at = [n for n, key in enumerate(order) if key in set(wanted)]
    return list(order[at[0] : at[-1] + 1]) if at else []
