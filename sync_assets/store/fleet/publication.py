"""One transaction that makes a staged look at an instance's accounts the published state.

What holds, and is tested by breaking it at every statement:
- Before the commit nothing of the look is seen; after it all of it is: intervals, changes, sections.
- Publications of an instance take turns, and only go forward: a look that is older than the published one, by the
  order of staging, changes nothing.
- Each has its own moment `valid_at`: that of the look, or right after the last one.

Must not know servers, nor who asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic

from sync_assets.engine.errors import Stop
from sync_assets.fleet.guard import ShrinkLimit, suspicion
from sync_assets.fleet.model import AccountReading, AccountState
from sync_assets.fleet.state import AnyStep, Change, Step, Steps, changes_of, completed, steps
from sync_assets.store.fleet.account_rows import (
    GRANTS,
    MEMBERSHIPS,
    PRINCIPALS,
    Key,
    Kind,
    Row,
    as_json,
    change_detail,
)
from sync_assets.store.session import Cursor
from sync_assets.store.sql import read_named

SQL = read_named(Path(__file__).with_name("accounts.sql"))
_TICK = timedelta(microseconds=1)


class PublicationState(StrEnum):
    PUBLISHED = "published"
    REFUSED = "refused"  # by the guard; a person accepts the next one, or the server is looked at
    SUPERSEDED = "superseded"  # a later look was published before


@dataclass(frozen=True, slots=True)
class Publication:
    """What became of a look. Where it was not published, nothing changed: `after` is `before`.

    `counts`: rows of the state (principals, memberships, grants), changes by kind, and `opened` and `closed`
    intervals; of a refused look they say what would have been. `baseline`: nothing was published before.
    """

    snapshot: int
    state: PublicationState
    before: AccountState
    after: AccountState
    changes: tuple[Change, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    message: str = ""
    valid_at: datetime | None = None
    baseline: bool = False


@dataclass(frozen=True, slots=True)
class _Look:
    """A staged look, and where its instance stands."""

    snapshot: int
    fleet: str
    instance: str
    observed_at: datetime
    state: str
    valid_at: datetime | None
    counts: Mapping[str, int]
    message: str
    newest: int | None
    newest_at: datetime | None

    @property
    def place(self) -> dict[str, str]:
        return {"fleet": self.fleet, "instance": self.instance}

    @property
    def moment(self) -> datetime:
        """Moments of an instance's publications grow, even when the clock was set back."""
        return self.observed_at if self.newest_at is None else max(self.observed_at, self.newest_at + _TICK)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[Key, Row]):
    """The rows of a relation at a moment, with what the control database needs to end them."""

    rows: Mapping[Key, Row]
    kept: Mapping[Key, tuple[int, datetime]]  # number, since


@dataclass(frozen=True, slots=True)
class LoadedState:
    """A state as it was read; `state` is its face."""

    state: AccountState
    principals: Loaded[Any, Any]
    memberships: Loaded[Any, Any]
    grants: Loaded[Any, Any]


def publish(cursor: Cursor, snapshot: int, reading: AccountReading, guard: ShrinkLimit, accept: bool) -> Publication:
    """The work of the transaction. Raises `Stop` for a look that is not known."""
    look = _locked(cursor, snapshot)
    if look.observed_at != reading.observed_at:
        raise ValueError("a look is completed by the reading that it was staged from, not by another one")
    if look.state != "staged":
        return _decided(cursor, look)
    if look.newest is not None and look.newest > snapshot:
        return _set_aside(cursor, look)
    before = load(cursor, look.place, None)
    after = completed(before.state, reading)
    found = suspicion(before.state, after, reading, guard, accept)
    _note_sections(cursor, snapshot, reading)
    if found is not None:
        final = "a server without accounts is none: look at it, or retire the instance"
        accepted = (
            f"look at the server; if it is right, run once: sync-assets fleet accept {look.fleet} {look.instance}"
        )
        return _refused(cursor, look, before.state, after, f"{found.message} -> {final if found.final else accepted}")
    return _published(cursor, look, before, after)


def _locked(cursor: Cursor, snapshot: int) -> _Look:
    whose = cursor.execute(SQL["whose"], {"snapshot": snapshot}).fetchone()
    if whose is None:
        raise Stop(f"there is no look number {snapshot} at accounts", hint="collect the accounts again", code="no_look")
    fleet, instance, observed_at = whose
    cursor.execute(SQL["lock"], {"fleet": fleet, "instance": instance})
    standing = cursor.execute(SQL["standing"], {"snapshot": snapshot}).fetchone()
    return _Look(snapshot, fleet, instance, observed_at, *standing or ())


# -- the four ends


def _published(cursor: Cursor, look: _Look, before: LoadedState, after: AccountState) -> Publication:
    found = steps(before.state, after)
    changes = changes_of(found)
    counts = _counts(after, changes, found)
    _write(cursor, look, PRINCIPALS, before.principals, found.principals)
    _write(cursor, look, MEMBERSHIPS, before.memberships, found.memberships)
    _write(cursor, look, GRANTS, before.grants, found.grants)
    _note_changes(cursor, look, changes)
    _decide(cursor, look.snapshot, PublicationState.PUBLISHED, look.moment, counts)
    cursor.execute(SQL["supersede_older"], {**look.place, "snapshot": look.snapshot})
    return Publication(
        look.snapshot, PublicationState.PUBLISHED, before.state, after, changes, counts,
        valid_at=look.moment, baseline=look.newest is None,
    )  # fmt: skip


def _refused(cursor: Cursor, look: _Look, before: AccountState, after: AccountState, message: str) -> Publication:
    found = steps(before, after)
    counts = _counts(after, changes_of(found), found)
    _decide(cursor, look.snapshot, PublicationState.REFUSED, None, counts, message)
    return Publication(look.snapshot, PublicationState.REFUSED, before, before, counts=counts, message=message)


def _set_aside(cursor: Cursor, look: _Look) -> Publication:
    message = "a later look was published before this one"
    _decide(cursor, look.snapshot, PublicationState.SUPERSEDED, None, look.counts, message)
    state = load(cursor, look.place, None).state
    return Publication(look.snapshot, PublicationState.SUPERSEDED, state, state, (), look.counts, message)


def _decided(cursor: Cursor, look: _Look) -> Publication:
    """What became of it before: whoever got no answer to a commit asks again."""
    state = PublicationState(look.state)
    if look.valid_at is None:
        now = load(cursor, look.place, None).state
        return Publication(look.snapshot, state, now, now, (), look.counts, look.message)
    before = load(cursor, look.place, look.valid_at - _TICK).state
    after = load(cursor, look.place, look.valid_at).state
    changes = changes_of(steps(before, after))
    return Publication(
        look.snapshot, state, before, after, changes, look.counts, "", look.valid_at, not before.principals
    )


def _decide(
    cursor: Cursor, snapshot: int, state: PublicationState, valid_at: datetime | None, counts: Mapping[str, int],
    message: str = "",
) -> None:  # fmt: skip
    values = {"snapshot": snapshot, "state": str(state), "valid_at": valid_at, "counts": as_json(dict(counts))}
    cursor.execute(SQL["decide"], {**values, "message": message})


def _counts(after: AccountState, changes: Iterable[Change], found: Steps) -> dict[str, int]:
    counts = {"principals": len(after.principals), "memberships": len(after.memberships), "grants": len(after.grants)}
    for change in changes:
        counts[str(change.kind)] = counts.get(str(change.kind), 0) + 1
    every: list[AnyStep] = [*found.principals, *found.memberships, *found.grants]
    counts["opened"] = sum(step.after is not None for step in every)
    counts["closed"] = sum(step.before is not None for step in every)
    return counts


# -- rows


def load(cursor: Cursor, place: Mapping[str, str], at: datetime | None) -> LoadedState:
    """An instance's state at a moment; None: now."""
    principals = _loaded(cursor, PRINCIPALS, place, at)
    memberships = _loaded(cursor, MEMBERSHIPS, place, at)
    grants = _loaded(cursor, GRANTS, place, at)
    faces = (MappingProxyType(one) for one in (principals.rows, memberships.rows, grants.rows))
    return LoadedState(AccountState(*faces), principals, memberships, grants)


def _loaded(cursor: Cursor, kind: Kind[Key, Row], place: Mapping[str, str], at: datetime | None) -> Loaded[Key, Row]:
    rows: dict[Key, Row] = {}
    kept: dict[Key, tuple[int, datetime]] = {}
    for number, since, *columns in cursor.execute(SQL[kind.name], {**place, "at": at}):
        row = kind.row(columns)
        key = kind.key(row)
        rows[key], kept[key] = row, (number, since)
    return Loaded(rows, kept)


def _write(
    cursor: Cursor, look: _Look, kind: Kind[Key, Row], before: Loaded[Key, Row], found: Sequence[Step[Row]]
) -> None:
    """End the intervals of what went or changes, begin those of what came or changed, all at the look's moment."""
    at = look.moment
    ended = [before.kept[kind.key(step.before)][0] for step in found if step.before is not None]
    if ended:
        cursor.execute(SQL[f"close_{kind.name}"], {"at": at, "ids": ended})
    rows = list(_begun(look, kind, before, found))
    if rows:
        with cursor.copy(SQL[f"open_{kind.name}"]) as copy:
            for row in rows:
                copy.write_row(row)


def _begun(
    look: _Look, kind: Kind[Key, Row], before: Loaded[Key, Row], found: Iterable[Step[Row]]
) -> Iterator[tuple[Any, ...]]:
    place = (look.fleet, look.instance)
    for step in found:
        old, new = step.before, step.after
        if new is None:
            continue
        since = before.kept[kind.key(old)][1] if old is not None and step.continues else look.moment
        yield tuple(chain(place, (since, look.moment), kind.columns(new)))


def _note_changes(cursor: Cursor, look: _Look, changes: Sequence[Change]) -> None:
    if not changes:
        return
    shared = (look.fleet, look.instance, look.moment, look.snapshot)
    with cursor.copy(SQL["note_changes"]) as copy:
        for number, one in enumerate(changes, start=1):
            copy.write_row((*shared, number, str(one.kind), one.principal, change_detail(one)))


def _note_sections(cursor: Cursor, snapshot: int, reading: AccountReading) -> None:
    rows = [
        {"snapshot": snapshot, "section": str(key.name), "part": key.part, "status": str(state.status),
         "reason": state.reason, "rows": state.rows}
        for key, state in sorted(reading.sections.items())
    ]  # fmt: skip
    if rows:
        cursor.executemany(SQL["note_section"], rows)
