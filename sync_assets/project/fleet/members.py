"""The instances of a fleet as they can be reached: from the YAML and from the table that lists servers.

What cannot be told of one instance (a variable that is not set) is that instance's trouble when it is dialled, and
nobody else's. Dials nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from sync_assets.databases.base import ConnectionArgs
from sync_assets.project.deployment import PlacedFleet, Project
from sync_assets.store.control import PostgresStore


@dataclass(frozen=True, slots=True)
class Member:
    """One instance. `adopted_on` is None until it was adopted; `retired_on` is the first day on which it does not
    belong any more. `address` is for people: host:port without a secret, "" where that is not known."""

    name: str
    title: str
    engine: str
    address: str
    dial: Callable[[], ConnectionArgs]
    volume: int | None = None
    adopted_on: date | None = None
    retired_on: date | None = None

    @property
    def args(self) -> ConnectionArgs:
        """How to reach it. Raises `Stop` where something that the YAML refers to is missing."""
        return self.dial()

    def belongs(self, day: date) -> bool:
        """Whether it is expected on that day."""
        return self.adopted_on is not None and self.adopted_on <= day and (self.retired_on or date.max) > day


def members(project: Project, fleet: PlacedFleet, store: PostgresStore) -> Mapping[str, Member]:
    """All instances that are or were in the fleet, by name, with their newest dates. Raises `Retry`, `Stop`."""
    raise NotImplementedError
