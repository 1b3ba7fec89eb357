"""Aggregating closed periods of a fleet's capacity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from sync_assets.project.deployment import PlacedFleet, Project
from sync_assets.project.fleet.items import PeriodItem
from sync_assets.store.control import PostgresStore

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
) -> Iterator[PeriodItem]:
    """Compute these periods, each in one transaction; yield each when done."""
    raise NotImplementedError


def due_periods(
    project: Project, fleet: PlacedFleet, now: datetime, *, store: PostgresStore | None = None
) -> list[Period]:
    """Closed periods that were never computed, or from other inputs than there are now. `now` is aware."""
    raise NotImplementedError
