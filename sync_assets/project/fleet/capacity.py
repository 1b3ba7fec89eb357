"""Collecting capacity: sizes of one day, or a gap with its reason.

Sizes exist only now. What is collected is labelled with the day that was asked for, and only on that day or within the
fleet's grace after it; later nothing is dialled, and the day has a gap. No clock is looked at for the label.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from sync_assets.engine.errors import Stop
from sync_assets.fleet.capacity import not_summed, timing_of
from sync_assets.fleet.model import CapacityReading
from sync_assets.fleet.periods import local_day
from sync_assets.project.deployment import PlacedFleet, Project
from sync_assets.project.fleet.accounts import unreadable
from sync_assets.project.fleet.asking import Answer
from sync_assets.project.fleet.chosen import Chosen, chosen, stored
from sync_assets.project.fleet.collecting import Hands, collected, failed, state_of
from sync_assets.project.fleet.items import Item, ItemState
from sync_assets.project.fleet.reasons import reason_of
from sync_assets.project.fleet.record import recorded
from sync_assets.store.control import PostgresStore
from sync_assets.store.fleet.capacity import CapacityStore
from sync_assets.store.redaction import redact


def collect_capacity(
    project: Project,
    fleet: PlacedFleet,
    day: date,
    instances: Sequence[str] | None = None,
    *,
    run_id: str,
    asked_by: str = "",
    store: PostgresStore | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Item]:
    """Measure `instances` (all that belong to the fleet on `day`) and label it `day`; yield each when done.

    Too late for that day: only gaps are written and nothing is dialled. Raises `Stop` for a day that has not begun
    and for an unknown name.
    """
    with stored(store) as control:
        grace = fleet.spec.capacity.grace
        timing_of(day, now(), fleet.time_zone, grace)
        found = chosen(project, fleet, control, instances, day, local_day(now(), fleet.time_zone))
        yield from found.skipped
        keeper = _Keeper(fleet, control, run_id, day, now)
        lines = {name: f"{day}|{name}" for name in found.members}
        hands = Hands(control, run_id, asked_by, clock, sleep)
        if keeper.is_late() is None:
            yield from _gaps(keeper, found, lines, hands)
            return
        top = fleet.spec.capacity.top_tables
        yield from collected(fleet, "capacity", found.members, lines, lambda c: c.capacity(top), keeper.keep, hands)


def _gaps(keeper: _Keeper, found: Chosen, lines: dict[str, str], hands: Hands) -> Iterator[Item]:
    """The day is over, and its sizes with it: a gap for each instance that has none, and no server is asked."""
    if not lines:
        return
    there = CapacityStore(hands.store.sessions).present(keeper.fleet.name, keeper.day)
    with recorded(hands.store, keeper.fleet, "capacity", hands.run_id, hands.asked_by, lines) as record:
        for name in found.members:
            item = Item(name, ItemState.SKIPPED) if name in there else keeper.gap(keeper.too_late(name))
            record.ended(name, item)
            yield item


@dataclass(frozen=True, slots=True)
class _Keeper:
    """Keeps the answers of one run; used by several threads."""

    fleet: PlacedFleet
    store: PostgresStore
    run_id: str
    day: date
    now: Callable[[], datetime]

    def is_late(self, moment: datetime | None = None) -> bool | None:
        """Whether sizes of that moment are late for the day; None when they are none of it any more."""
        timing = timing_of(self.day, moment or self.now(), self.fleet.time_zone, self.fleet.spec.capacity.grace)
        return None if timing == "too_late" else timing == "late"

    def keep(self, answer: Answer[CapacityReading]) -> Item:
        """Record a reading as the day's sizes; note a gap where there is none."""
        if answer.reading is None:
            return self.gap(failed(answer))
        late = self.is_late(answer.reading.observed_at)
        if late is None:  # midnight, or the end of the grace, came in between
            return self.gap(replace(self.too_late(answer.name), attempts=answer.attempts, seconds=answer.seconds))
        return self._recorded(answer, answer.reading, late)

    def _recorded(self, answer: Answer[CapacityReading], reading: CapacityReading, late: bool) -> Item:
        item = _item(answer, reading, late)
        if item.state is ItemState.FAILED:
            return self.gap(unreadable(item))
        try:
            done = CapacityStore(self.store.sessions).record(
                self.fleet.name, answer.name, self.day, self.run_id, reading, late
            )
        except Stop as error:  # the list of databases is not whole
            return self.gap(replace(item, state=ItemState.FAILED, error=error, reason=reason_of(error)))
        if done == "written":
            return item
        return replace(item, state=ItemState.SKIPPED)  # what is there is newer, or knows more

    def gap(self, item: Item) -> Item:
        CapacityStore(self.store.sessions).gap(
            self.fleet.name,
            item.instance,
            "capacity",
            self.day,
            item.reason or "other",
            redact(str(item.error or "")),
            self.run_id,
        )
        return item

    def too_late(self, name: str) -> Item:
        grace = self.fleet.spec.capacity.grace
        text = f"{name}: the sizes of {self.day} can be read no more" + (f" (grace {grace} h)" if grace else "")
        error = Stop(text, hint="nothing to do: the day stays a gap", code="too_late")
        return Item(name, ItemState.FAILED, error, "too_late")


def _item(answer: Answer[CapacityReading], reading: CapacityReading, late: bool) -> Item:
    counts = {
        "databases": len(reading.databases),
        "unknown": len(reading.unknown),
        "bytes": reading.total_bytes,
        "log_bytes": sum(log.bytes for log in reading.logs),
        "tables": len(reading.tables),
    }
    state = state_of(reading.sections, not reading.databases)
    if state in (ItemState.OK, ItemState.EMPTY) and not_summed(reading) is not None:
        state = ItemState.DEGRADED
    return Item(
        answer.name,
        state,
        sections=reading.sections,
        counts=counts,
        seconds=answer.seconds,
        attempts=answer.attempts,
        server=str(reading.server),
        observed_at=reading.observed_at,
        late=late,
    )
