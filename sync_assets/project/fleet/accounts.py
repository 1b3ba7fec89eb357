"""Collecting accounts: each instance is read, staged and published by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from sync_assets.project.deployment import PlacedFleet, Project
from sync_assets.project.fleet.items import Item
from sync_assets.store.control import PostgresStore


def collect_accounts(
    project: Project,
    fleet: PlacedFleet,
    instances: Sequence[str] | None = None,
    *,
    run_id: str,
    asked_by: str = "",
    accept: bool = False,
    store: PostgresStore | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Item]:
    """Read, stage and publish the accounts of `instances` (all that belong to the fleet now); yield each when done.

    `accept`: publish past the shrink guard. Raises `Stop` for an unknown name before anything is dialled.
    """
    raise NotImplementedError
