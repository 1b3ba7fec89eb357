"""Adopting and retiring: what the YAML and the table of servers say now, carried into the control database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sync_assets.engine.errors import SyncError
from sync_assets.project.deployment import PlacedFleet, Project
from sync_assets.store.control import PostgresStore


@dataclass(frozen=True, slots=True)
class Adopted:
    """What a look changed. `present` are the names that belong to the fleet today, sorted; `trouble` says why the
    table of servers could not be followed: then nothing of it was adopted or retired."""

    present: tuple[str, ...]
    adopted: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    trouble: SyncError | None = None


def look_up(project: Project, fleet: PlacedFleet, store: PostgresStore, today: date) -> Adopted:
    """Adopt what is new, retire what has left. Raises `Retry` or `Stop` for trouble with the control database only."""
    raise NotImplementedError
