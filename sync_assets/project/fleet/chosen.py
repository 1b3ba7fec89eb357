"""What the runs over a fleet have in common: the store they work on, and the instances they mean.

Asks no server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

from sync_assets.engine.errors import Stop
from sync_assets.project.deployment import PlacedFleet, Project
from sync_assets.project.faults import listed
from sync_assets.project.fleet.adoption import look_up
from sync_assets.project.fleet.items import Item, ItemState
from sync_assets.project.fleet.members import Member, members
from sync_assets.store.control import PostgresStore
from sync_assets.store.fleet.instances import InstanceStore


@dataclass(frozen=True, slots=True)
class Chosen:
    """The instances of a run: those that are meant, and an item for each that does not belong on that day."""

    members: Mapping[str, Member]
    skipped: tuple[Item, ...] = ()


@contextmanager
def stored(given: PostgresStore | None) -> Iterator[PostgresStore]:
    """The store that was given, or one of our own."""
    if given is not None:
        yield given
        return
    from sync_assets.store.control import open_store

    with open_store() as store:
        yield store


def chosen(
    project: Project, fleet: PlacedFleet, store: PostgresStore, names: Sequence[str] | None, day: date, today: date
) -> Chosen:
    """The instances that belong to the fleet on `day`, or those named. Adopts first what is not known yet.

    Raises `Stop` for a name that the fleet never had.
    """
    found = members(project, fleet, store)
    if names is None or any(name not in found or found[name].adopted_on is None for name in names):
        look_up(project, fleet, store, today)
        found = members(project, fleet, store)
    spans = InstanceStore(store.sessions).spans(fleet.name)
    here = {name for name, some in spans.items() if any(span.covers(day) for span in some)}
    for name in names or ():
        if name not in spans:
            hint = f"its instances are {listed(list(found)[:20], name)}"
            raise Stop(f"{fleet.name} has no instance {name!r}", hint=hint, code="instance")
    asked = {name: found[name] for name in (found if names is None else dict.fromkeys(names))}
    skipped = [_skipped(one, day) for name, one in asked.items() if name not in here and names is not None]
    return Chosen({name: one for name, one in asked.items() if name in here}, tuple(skipped))


def _skipped(one: Member, day: date) -> Item:
    since = f"since {one.adopted_on}" + (f" until {one.retired_on}" if one.retired_on else "")
    hint = "nothing to do, or correct adopted_on and retired_on"
    error = Stop(f"{one.name} belongs to the fleet {since}, and not on {day}", hint=hint, code="span")
    return Item(one.name, ItemState.SKIPPED, error)
