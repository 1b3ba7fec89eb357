"""Accounts as they were: the state at a moment, what differs between two, the log of changes.

Only published looks are seen. Each function is the work of one transaction that sees one moment of the control
database. Must not know how states come to be.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sync_assets.fleet.model import (
    AccountState,
    GrantKey,
    MembershipKey,
    SectionKey,
    SectionName,
    Sections,
    SectionState,
    Status,
)
from sync_assets.fleet.state import Change, diff
from sync_assets.store.fleet.account_rows import GRANTS, MEMBERSHIPS, PRINCIPALS, Key, Kind, Row, change
from sync_assets.store.fleet.publication import load
from sync_assets.store.session import Cursor
from sync_assets.store.sql import read_named

_SQL = read_named(Path(__file__).with_name("history.sql"))


@dataclass(frozen=True, slots=True)
class AsOf:
    """A state at a moment. `snapshot` is the look that it rests on, None before the first publication.

    `confirmed`: when each part had last come out ok; a part that is not there never had. `since`: when each account,
    membership and right was first seen.
    """

    state: AccountState
    confirmed: Mapping[SectionKey, datetime]
    since: Mapping[str | MembershipKey | GrantKey, datetime]
    snapshot: int | None = None
    observed_at: datetime | None = None
    server: str = ""


@dataclass(frozen=True, slots=True)
class Logged:
    """A change as it was published."""

    at: datetime
    instance: str
    snapshot: int
    run_id: str
    change: Change


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest publication of an instance. `blocked`: why a look after it was refused, "" where none was."""

    instance: str
    snapshot: int
    day: date
    run_id: str
    observed_at: datetime
    valid_at: datetime
    server: str
    counts: Mapping[str, int]
    sections: Sections
    blocked: str = ""


def at_one_moment(cursor: Cursor) -> None:
    """The first statement of a transaction that reads with several."""
    cursor.execute(_SQL["one_moment"])


def as_of(cursor: Cursor, fleet: str, instance: str, moment: datetime) -> AsOf:
    at_one_moment(cursor)
    place = {"fleet": fleet, "instance": instance}
    found = load(cursor, place, moment)
    values = {**place, "at": moment}
    parts = cursor.execute(_SQL["confirmed"], values).fetchall()
    known = cursor.execute(_SQL["known_at"], values).fetchone() or (None, None, "")
    since = {
        key: at for one in (found.principals, found.memberships, found.grants) for key, (_, at) in one.kept.items()
    }
    confirmed = {SectionKey(SectionName(name), part): at for name, part, at in parts}
    return AsOf(found.state, confirmed, since, *known)


def changes(
    cursor: Cursor, fleet: str, first: datetime, last: datetime, instance: str | None
) -> Mapping[str, tuple[Change, ...]]:
    """Only rows that are there at one of the moments and not at the other are read: what stayed does not differ."""
    if last < first:
        raise ValueError("the second moment is before the first")
    at_one_moment(cursor)
    values = {"fleet": fleet, "first": first, "last": last, "instance": instance}
    principals = _between(cursor, PRINCIPALS, values)
    memberships = _between(cursor, MEMBERSHIPS, values)
    grants = _between(cursor, GRANTS, values)
    instances = sorted({name for found in (principals, memberships, grants) for name, _ in found})
    sides = {
        name: [AccountState(principals[name, s], memberships[name, s], grants[name, s]) for s in (False, True)]
        for name in instances
    }
    found = {name: diff(before, after) for name, (before, after) in sides.items()}
    return MappingProxyType({name: differences for name, differences in found.items() if differences})


def _between(
    cursor: Cursor, kind: Kind[Key, Row], values: Mapping[str, Any]
) -> defaultdict[tuple[str, bool], dict[Key, Row]]:
    """Rows by instance, and by whether they are those of the later moment."""
    found: defaultdict[tuple[str, bool], dict[Key, Row]] = defaultdict(dict)
    for instance, later, *columns in cursor.execute(_SQL[f"{kind.name}_between"], values):
        row = kind.row(columns)
        found[instance, later][kind.key(row)] = row
    return found


def log(
    cursor: Cursor, fleet: str, first: datetime, last: datetime, instance: str | None, limit: int
) -> Sequence[Logged]:
    values = {"fleet": fleet, "first": first, "last": last, "instance": instance, "limit": limit}
    rows = cursor.execute(_SQL["log"], values).fetchall()
    return [Logged(at, name, snapshot, run, change(*what)) for at, name, snapshot, run, *what in rows]


def newest(cursor: Cursor, fleet: str) -> Mapping[str, Newest]:
    rows = cursor.execute(_SQL["newest"], {"fleet": fleet}).fetchall()
    return {row[0]: _newest(row) for row in rows}


def _newest(row: Sequence[Any]) -> Newest:
    name, snapshot, day, run_id, observed_at, valid_at, server, counts, parts, blocked = row
    return Newest(name, snapshot, day, run_id, observed_at, valid_at, server, counts, _sections(parts), blocked)


def _sections(rows: Sequence[Sequence[Any]]) -> Sections:
    return {
        SectionKey(SectionName(name), part): SectionState(Status(status), reason, count)
        for name, part, status, reason, count in rows
    }
