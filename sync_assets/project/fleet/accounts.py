"""Collecting accounts: each instance is read, staged and published by itself.

One reading carries principals, memberships and grants of one moment; nothing of it is seen before the whole of it is
published. A day on which that failed has a gap with the reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from sync_assets.engine.errors import Stop
from sync_assets.fleet.guard import ShrinkLimit
from sync_assets.fleet.model import AccountReading
from sync_assets.fleet.periods import local_day
from sync_assets.project.deployment import PlacedFleet, Project
from sync_assets.project.fleet.asking import Answer
from sync_assets.project.fleet.chosen import chosen, stored
from sync_assets.project.fleet.collecting import Hands, collected, failed, state_of
from sync_assets.project.fleet.items import Item, ItemState
from sync_assets.store.control import PostgresStore
from sync_assets.store.fleet.accounts import AccountStore, Publication
from sync_assets.store.fleet.capacity import CapacityStore
from sync_assets.store.redaction import redact


def collect_accounts(
    project: Project,
    fleet: PlacedFleet,
    instances: Sequence[str] | None = None,
    *,
    run_id: str,
    asked_by: str = "",
    accept: bool = False,
    store: PostgresStore | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Item]:
    """Read, stage and publish the accounts of `instances` (all that belong to the fleet now); yield each when done.

    `accept`: publish past the shrink guard. Raises `Stop` for an unknown name before anything is dialled.
    """
    with stored(store) as control:
        today = local_day(now(), fleet.time_zone)
        found = chosen(project, fleet, control, instances, today, today)
        yield from found.skipped
        keeper = _Keeper(fleet, control, run_id, today, accept)
        lines = {name: name for name in found.members}
        hands = Hands(control, run_id, asked_by, clock, sleep)
        yield from collected(fleet, "accounts", found.members, lines, lambda c: c.accounts(), keeper.keep, hands)


@dataclass(frozen=True, slots=True)
class _Keeper:
    """Keeps the answers of one run; used by several threads."""

    fleet: PlacedFleet
    store: PostgresStore
    run_id: str
    day: date
    accept: bool

    def keep(self, answer: Answer[AccountReading]) -> Item:
        """Publish a reading; note a gap where there is none, or where the guard refused it."""
        item = failed(answer) if answer.reading is None else self._published(answer, answer.reading)
        gaps, name, said = CapacityStore(self.store.sessions), self.fleet.name, redact(str(item.error or ""))
        if item.state.good:
            gaps.close_gap(name, item.instance, "accounts", self.day)
        else:
            gaps.gap(name, item.instance, "accounts", self.day, item.reason or "other", said, self.run_id)
        return item

    def _published(self, answer: Answer[AccountReading], reading: AccountReading) -> Item:
        accounts, guard = AccountStore(self.store.sessions), self.fleet.spec.accounts.shrink_guard
        name = self.fleet.name
        snapshot = accounts.stage(name, answer.name, self.run_id, self.day, reading)
        done = accounts.publish(snapshot, reading, ShrinkLimit(guard.share, guard.count), accept=self.accept)
        return _item(answer, reading, done, self.fleet)


def _item(answer: Answer[AccountReading], reading: AccountReading, done: Publication, fleet: PlacedFleet) -> Item:
    item = Item(
        answer.name,
        state_of(reading.sections, not reading.principals),
        sections=reading.sections,
        counts={
            "principals": len(reading.principals),
            "memberships": len(reading.memberships),
            "grants": len(reading.grants),
            "changes": len(done.changes),
        },
        seconds=answer.seconds,
        publication=done,
        attempts=answer.attempts,
        server=str(reading.server),
        observed_at=reading.observed_at,
    )
    if done.state == "refused":
        hint = f"look at it; when it is right: sync-assets fleet accept {fleet.name} {answer.name}"
        error = Stop(f"{answer.name}: {done.message}", hint=hint, code="blocked")
        return replace(item, state=ItemState.BLOCKED, error=error, reason="blocked")
    if done.state == "superseded":  # a newer look was published meanwhile: nothing is missing
        return replace(item, state=ItemState.SKIPPED)
    return unreadable(item) if item.state is ItemState.FAILED else item


def unreadable(item: Item) -> Item:
    """A server that lets us in and shows nothing: the first section says what is missing."""
    key, state = next((key, state) for key, state in item.sections.items() if not state.ok)
    error = Stop(f"{item.instance}: no section could be read", hint=f"{key}: {state.reason}", code="privilege")
    return replace(item, error=error, reason="privilege")
