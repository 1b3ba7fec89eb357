"""Sizes of a day: what makes a reading worth keeping, and the gap that stands where there is none.

The total of an instance is the sum of its databases; with one of them unknown there is no total, and the day is a gap
although the sizes that are known are kept. Must not know where rows are kept.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Literal

from sync_assets.engine.errors import Stop
from sync_assets.fleet.model import CapacityReading, SectionName, SectionState, Status
from sync_assets.fleet.periods import Timing, collectable

GapKind = Literal["accounts", "capacity"]
GapReason = Literal[
    "dns", "refused", "timeout", "auth", "privilege", "version", "protocol", "too_late", "blocked", "lost", "other"
]
# written; not written, because there is a newer one; not written, because the one that is there knows the whole total.
Recorded = Literal["written", "older", "poorer"]
_REASONS: dict[Status, GapReason] = {Status.DENIED: "privilege", Status.UNSUPPORTED: "version"}


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Why a reading gives no total, in the words of a gap."""

    reason: GapReason
    message: str


@dataclass(frozen=True, slots=True)
class Gap:
    """A partition without its data. `closed_at`: it was collected after all."""

    instance: str
    kind: GapKind
    day: date
    reason: GapReason
    message: str
    attempts: int
    run_id: str
    recorded_at: datetime
    closed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class InstanceDay:
    """An instance on a day. `bytes` is None when a database's size is not known; `known_bytes` is what is."""

    instance: str
    day: date
    observed_at: datetime
    late: bool
    bytes: int | None
    known_bytes: int
    databases: int
    unknown: int
    log_bytes: int | None


@dataclass(frozen=True, slots=True)
class DatabaseDay:
    """A database on a day; a recreated one is another one (`incarnation`)."""

    instance: str
    database: str
    incarnation: str
    day: date
    bytes: int | None
    log_bytes: int | None
    system: bool


def not_listed(reading: CapacityReading) -> Shortfall | None:
    """Why the list of databases is not known whole: such a reading must not be recorded at all."""
    listed = [state for key, state in reading.sections.items() if key.name is SectionName.DATABASES]
    bad = next((state for state in listed if not state.ok), None)
    if bad is not None:
        return Shortfall(_reason(bad), f"the list of databases is not known: {bad.reason}")
    return None if listed else Shortfall("protocol", "the list of databases was not read")


def not_summed(reading: CapacityReading) -> Shortfall | None:
    """Why a reading with a whole list of databases has no total."""
    unknown = len(reading.unknown)
    if not unknown:
        return None
    sizes = [state for key, state in reading.sections.items() if key.name is SectionName.SIZES and not state.ok]
    why = f": {sizes[0].reason}" if sizes and sizes[0].reason else ""
    message = f"{unknown} of {len(reading.databases)} databases have no known size{why}"
    return Shortfall(_reason(sizes[0]) if sizes else "other", message)


def _reason(state: SectionState) -> GapReason:
    return _REASONS.get(state.status, "other")


def check_recordable(instance: str, reading: CapacityReading) -> None:
    """Raises `Stop` for a reading that is no list of sizes: `code` is the gap's reason."""
    short = not_listed(reading)
    if short is not None:
        raise Stop(f"{instance}: {short.message}", hint="see what the section says", code=short.reason)
    twice = [key for key, n in Counter((d.name, d.incarnation) for d in reading.databases).items() if n > 1]
    negative = [d for d in reading.databases if d.bytes is not None and d.bytes < 0]
    if twice or negative:
        what = "a database stands twice in one reading" if twice else "a size is negative"
        raise Stop(f"{instance}: {what}", hint="this is a fault of the collector: please report it", code="protocol")


def timing_of(day: date, now: datetime, zone: tzinfo, grace_hours: float = 0) -> Timing:
    """`collectable`, for one who is about to collect. Raises `Stop` for a day that has not come."""
    timing = collectable(day, now, zone, grace_hours)
    if timing == "too_early":
        hint = "wait until it has begun in the fleet's time zone"
        raise Stop(f"the sizes of {day} cannot be read before that day", hint=hint, code="too_early")
    return timing
