"""Classifying the accounts of a fleet by its rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sync_assets.project.deployment import PlacedFleet, Project
from sync_assets.project.fleet.items import Item
from sync_assets.store.control import PostgresStore


def classify(
    project: Project,
    fleet: PlacedFleet,
    instances: Sequence[str] | None = None,
    *,
    run_id: str,
    asked_by: str = "",
    store: PostgresStore | None = None,
) -> Iterator[Item]:
    """Classify the published accounts of `instances` (all of the fleet); yield each when its assignments are swapped.

    Counts: accounts, matched, undecided, and one for each class (``class:CODE``).
    """
    raise NotImplementedError
