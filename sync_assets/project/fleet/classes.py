"""Classifying the accounts of a fleet by its rules: what is published goes in, assignments are swapped by instance.

The facts are those of the newest published look, and the moment for which expiry is asked is the one at which it was
made: the same look and the same rules give the same classes, whenever they are asked. Dials nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sync_assets.engine.errors import Stop, SyncError
from sync_assets.fleet.model import Sections, Status
from sync_assets.fleet.periods import local_day
from sync_assets.fleet.rules import documents
from sync_assets.fleet.rules.evaluation import classify as evaluated
from sync_assets.fleet.rules.facts import InstanceFacts, instance_facts
from sync_assets.project.deployment import PlacedFleet, Project
from sync_assets.project.fleet.asking import unexpected
from sync_assets.project.fleet.chosen import chosen, stored
from sync_assets.project.fleet.items import Item, ItemState
from sync_assets.project.fleet.members import Member
from sync_assets.project.fleet.reasons import reason_of
from sync_assets.project.fleet.record import recorded
from sync_assets.project.fleet_rules import load_rules
from sync_assets.store.control import PostgresStore
from sync_assets.store.fleet.accounts import AccountStore, Newest
from sync_assets.store.fleet.capacity import CapacityStore
from sync_assets.store.fleet.classes import ClassStore


def rules_of(fleet: PlacedFleet) -> documents.RuleSet:
    """The rules of a fleet: those that are shipped, and its own files. Raises `Stop` with every fault."""
    return load_rules(fleet.path, fleet.spec.classification.rules)


def classify(
    project: Project,
    fleet: PlacedFleet,
    instances: Sequence[str] | None = None,
    *,
    run_id: str,
    asked_by: str = "",
    store: PostgresStore | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Item]:
    """Classify the published accounts of `instances` (all of the fleet); yield each when its assignments are swapped.

    Counts: ``accounts``, ``matched``, ``undecided``, ``no_rules``, and one for each class (``class:CODE``) and hint
    (``hint:ID``). Raises `Stop` for rules that are wrong and for an unknown name.
    """
    rules = rules_of(fleet)
    with stored(store) as control:
        today = local_day(now(), fleet.time_zone)
        found = chosen(project, fleet, control, instances, today, today)
        yield from found.skipped
        if not found.members:
            return
        lines = {name: name for name in found.members}
        with recorded(control, fleet, "classification", run_id, asked_by, lines) as record:
            one = _Classifying(fleet, control, rules, ClassStore(control.sessions).version(fleet.name, rules), run_id)
            seen = AccountStore(control.sessions).newest(fleet.name)
            for name, member in found.members.items():
                record.alive()
                item = one.item(member, seen.get(name), clock)
                record.ended(name, item)
                yield item


@dataclass(frozen=True, slots=True)
class _Classifying:
    """One run: the rules, and where they go."""

    fleet: PlacedFleet
    store: PostgresStore
    rules: documents.RuleSet
    version: int
    run_id: str

    def item(self, member: Member, newest: Newest | None, clock: Callable[[], float]) -> Item:
        if newest is None:
            hint = f"sync-assets fleet collect {self.fleet.name} accounts"
            error = Stop(f"{member.name}: no accounts were published yet", hint=hint, code="unpublished")
            return Item(member.name, ItemState.SKIPPED, error)
        began = clock()
        try:
            return self._swapped(member, newest, clock, began)
        except SyncError as error:
            return Item(member.name, ItemState.FAILED, error, reason_of(error), seconds=clock() - began)
        except Exception as error:  # one instance's failure: the others are classified all the same
            bug = unexpected(member.name, error)
            return Item(member.name, ItemState.FAILED, bug, "other", seconds=clock() - began)

    def _swapped(self, member: Member, newest: Newest, clock: Callable[[], float], began: float) -> Item:
        result = evaluated(self.rules, self._facts(member, newest))
        done = ClassStore(self.store.sessions).swap(
            self.fleet.name, member.name, self.version, result, facts_at=newest.valid_at, run_id=self.run_id
        )
        return Item(
            member.name,
            ItemState.SKIPPED if done.superseded else _state(newest.sections, result.accounts),
            sections=newest.sections,
            counts=done.counts,
            seconds=clock() - began,
            server=newest.server,
            observed_at=newest.observed_at,
        )

    def _facts(self, member: Member, newest: Newest) -> InstanceFacts:
        state = AccountStore(self.store.sessions).as_of(self.fleet.name, member.name, newest.valid_at).state
        sizes = CapacityStore(self.store.sessions)
        there = sizes.databases(self.fleet.name, newest.day, newest.day + timedelta(days=1), member.name)
        return instance_facts(
            state,
            newest.sections,
            engine=member.engine,
            flavour=newest.server.rpartition(" ")[0],
            now=newest.observed_at,
            databases={one.database for one in there} or None,
        )


def _state(sections: Sections, accounts: int) -> ItemState:
    bad = any(state.status in (Status.DENIED, Status.ERROR) for state in sections.values())
    return ItemState.DEGRADED if bad else ItemState.OK if accounts else ItemState.EMPTY
