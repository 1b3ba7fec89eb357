"""Collecting capacity: sizes of one day, or a gap with its reason."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime

from sync_assets.project.deployment import PlacedFleet, Project
from sync_assets.project.fleet.items import Item
from sync_assets.store.control import PostgresStore


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

    Too late for that day: only gaps are written and nothing is dialled. Raises `Stop` for a day that has not begun.
    """
    raise NotImplementedError
