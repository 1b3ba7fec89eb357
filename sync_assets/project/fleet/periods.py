"""Aggregating closed periods of a fleet's capacity, and refreshing its forecasts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sync_assets.engine.errors import SyncError
from sync_assets.project.deployment import PlacedFleet, Project
from sync_assets.project.fleet.asking import unexpected
from sync_assets.project.fleet.chosen import stored
from sync_assets.project.fleet.items import ItemState, PeriodItem
from sync_assets.project.fleet.record import recorded
from sync_assets.store.control import PostgresStore
from sync_assets.store.fleet.periods import PeriodStore

if TYPE_CHECKING:
    from sync_assets.fleet.periods import Period


def aggregate(
    project: Project,
    fleet: PlacedFleet,
    periods: Sequence[Period],
    *,
    run_id: str,
    asked_by: str = "",
    store: PostgresStore | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[PeriodItem]:
    """Compute these periods, each in one transaction, oldest first; yield each when done.

    A period that has nothing in it is `EMPTY`, an incomplete one `DEGRADED`; the summary names what is missing. When
    anything changed, the forecasts are made anew. Raises `Stop` or `Retry` for those.
    """
    wanted = {str(period): period for period in sorted(set(periods), key=lambda p: (p.ends, p.name))}
    if not wanted:
        return
    with (
        stored(store) as control,
        recorded(control, fleet, "aggregation", run_id, asked_by, {name: name for name in wanted}) as record,
    ):
        periods_, changed = PeriodStore(control.sessions, now), False
        for name, period in wanted.items():
            record.alive()
            item = _computed(fleet, period, periods_, clock)
            changed = changed or (item.summary is not None and item.summary.changed)
            record.ended(name, item)
            yield item
        if changed:
            periods_.forecast(fleet.name, now(), fleet.time_zone)


def _computed(fleet: PlacedFleet, period: Period, store: PeriodStore, clock: Callable[[], float]) -> PeriodItem:
    began = clock()
    try:
        done = store.aggregate(fleet.name, period, fleet.spec.aggregation.threshold, fleet.time_zone)
    except SyncError as error:
        return PeriodItem(period, ItemState.FAILED, error=error, seconds=clock() - began)
    except Exception as error:  # one period's failure: the others are computed all the same
        return PeriodItem(period, ItemState.FAILED, error=unexpected(str(period), error), seconds=clock() - began)
    states = {"complete": ItemState.OK, "partial": ItemState.DEGRADED, "empty": ItemState.EMPTY}
    return PeriodItem(period, states[done.status], done, seconds=clock() - began)


def due_periods(
    project: Project, fleet: PlacedFleet, now: datetime, *, store: PostgresStore | None = None
) -> list[Period]:
    """Closed periods that were never computed, or from other inputs than there are now. `now` is aware.

    Days are among them: the fleet's row of a day says whether it was complete.
    """
    spec = fleet.spec.aggregation
    with stored(store) as control:
        return PeriodStore(control.sessions).due(fleet.name, ["day", *spec.periods], now, fleet.time_zone, spec.settle)
