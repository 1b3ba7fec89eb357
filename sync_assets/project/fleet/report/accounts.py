"""The figures of an account report, for the end of a day: who is strong, who is open, what changed, what is unknown.

A list that rests on a part which was not read is not "nobody": `doubts` says of each list why it may be short. Classes
and hints are kept only as they are now, so a report of a past moment has none. Dials nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from sync_assets.fleet.capacity import Gap
from sync_assets.fleet.effective import superusers, usable
from sync_assets.fleet.model import (
    AccountState,
    Effect,
    Grant,
    Principal,
    PrincipalKind,
    ScopeKind,
    SectionKey,
    SectionName,
    Sections,
    Status,
)
from sync_assets.fleet.periods import local_day
from sync_assets.fleet.rules.documents import RuleClass, RuleKind
from sync_assets.project.deployment import PlacedFleet, Project
from sync_assets.project.fleet.members import Member, members, nobody
from sync_assets.store.control import PostgresStore
from sync_assets.store.fleet import looks
from sync_assets.store.fleet.accounts import AccountStore, AsOf, Logged, Newest
from sync_assets.store.fleet.capacity import CapacityStore
from sync_assets.store.fleet.classes import Assigned, ClassStore, NotDecided, Standing
from sync_assets.store.fleet.instances import InstanceStore

CHANGES_DAYS = 7
MOST_CHANGES = 10_000  # of one instance; the oldest of them


class Topic(StrEnum):
    """The lists of an instance that rest on what was read."""

    SUPERUSERS = "superusers"
    PASSWORDS = "accounts without a password"
    GRANTABLE = "rights that may be passed on"
    PUBLIC = "rights of everybody"


_RESTS_ON = {
    Topic.SUPERUSERS: (SectionName.PRINCIPALS, SectionName.MEMBERSHIPS, SectionName.GRANTS),
    Topic.PASSWORDS: (SectionName.PRINCIPALS,),
    Topic.GRANTABLE: (SectionName.GRANTS,),
    Topic.PUBLIC: (SectionName.GRANTS,),
}


@dataclass(frozen=True, slots=True)
class Strong:
    """A superuser, and by which path. `usable`: whether it can log in; None where nobody knows."""

    account: str
    path: str
    usable: bool | None


@dataclass(frozen=True, slots=True)
class Rights:
    """Rights of an account on one thing."""

    account: str
    scope: ScopeKind
    path: tuple[str, ...]
    privileges: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InstanceAccounts:
    """One instance. `known` is None before its first publication; `gap` is then the reason, where one was noted."""

    member: Member
    known: AsOf | None = None
    sections: Sections | None = None
    blocked: str = ""
    gap: Gap | None = None
    strong: tuple[Strong, ...] = ()
    open: tuple[Principal, ...] = ()
    unsure: tuple[str, ...] = ()  # of whom nobody knows whether they have a password
    grantable: tuple[Rights, ...] = ()
    public: tuple[Rights, ...] = ()
    doubts: Mapping[Topic, str] | None = None
    changes: tuple[Logged, ...] = ()
    new: bool = False  # its first publication is not older than the changes that are told
    classes: tuple[Assigned, ...] = ()
    hints: tuple[Assigned, ...] = ()
    undecided: tuple[NotDecided, ...] = ()
    standing: Standing | None = None


@dataclass(frozen=True, slots=True)
class AccountReport:
    """All of it. `titles` are those of classes and hints; `past`: not of now, so without classes."""

    fleet: PlacedFleet
    at: datetime
    past: bool
    instances: tuple[InstanceAccounts, ...]
    titles: Mapping[str, RuleClass]


def account_report(
    project: Project, fleet: PlacedFleet, store: PostgresStore, at: datetime, day: date, past: bool
) -> AccountReport:
    """What was known at a moment of the instances that belong to the fleet on `day`. Raises `Stop` where none does."""
    gathering = _Gathering(fleet, store, at, past)
    spans = InstanceStore(store.sessions).spans(fleet.name)
    known = members(project, fleet, store)
    here = [one for name, one in known.items() if any(span.covers(day) for span in spans.get(name, ()))]
    if not here:
        raise nobody(fleet, day, spans)
    classes = ClassStore(store.sessions)
    versions = set() if past else {one.version for one in gathering.standing.values()}
    titles = {code: c for v in sorted(versions) for code, c in classes.rules(fleet.name, v).classes.items()}
    return AccountReport(fleet, at, past, tuple(gathering.instance(one) for one in here), titles)


class _Gathering:
    """What is asked once for the whole fleet, and then for each instance."""

    def __init__(self, fleet: PlacedFleet, store: PostgresStore, at: datetime, past: bool) -> None:
        self.fleet, self.at, self._sessions = fleet, at, store.sessions
        self.accounts, classes = AccountStore(store.sessions), ClassStore(store.sessions)
        self.newest: Mapping[str, Newest] = {} if past else self.accounts.newest(fleet.name)
        self.first = looks.first_looks(store.sessions, fleet.name)
        self.standing = {} if past else classes.standing(fleet.name)
        self.assigned = _by_instance(() if past else classes.assignments(fleet.name))
        self.undecided = _by_instance(() if past else classes.undecided(fleet.name))
        gaps = CapacityStore(store.sessions).gaps(fleet.name, kind="accounts")
        self.gaps = {g.instance: g for g in reversed(gaps) if g.day <= local_day(at, fleet.time_zone)}

    def instance(self, member: Member) -> InstanceAccounts:
        known = self.accounts.as_of(self.fleet.name, member.name, self.at)
        gap = self.gaps.get(member.name)
        if known.snapshot is None:
            return InstanceAccounts(member, gap=gap)
        sections = looks.sections(self._sessions, known.snapshot)
        newest, assigned = self.newest.get(member.name), self.assigned[member.name]
        since = self.at - timedelta(days=CHANGES_DAYS)
        first = self.first[member.name]
        return InstanceAccounts(
            member,
            known,
            sections,
            newest.blocked if newest else "",
            gap if gap and gap.day >= self._day_of(known) else None,
            tuple(_strong(known.state, self.at)),
            tuple(p for p in _logins(known.state) if p.has_password is False),
            tuple(p.name for p in _logins(known.state) if p.has_password is None),
            tuple(_rights(known.state, [g for g in known.state.grants.values() if g.grantable])),
            tuple(_rights(known.state, _of_everybody(known.state), system=True)),
            {topic: why for topic in Topic if (why := _doubt(topic, sections, known))},
            tuple(self.accounts.log(self.fleet.name, max(since, first), self.at, member.name, MOST_CHANGES)),
            first > since,
            tuple(a for a in assigned if a.kind is RuleKind.CLASS),
            tuple(a for a in assigned if a.kind is RuleKind.HINT),
            tuple(self.undecided[member.name]),
            self.standing.get(member.name),
        )

    def _day_of(self, known: AsOf) -> date:
        return local_day(known.observed_at, self.fleet.time_zone) if known.observed_at else date.min


def _by_instance(rows: Sequence[Assigned] | Sequence[NotDecided]) -> defaultdict[str, list]:  # type: ignore[type-arg]
    found: defaultdict[str, list] = defaultdict(list)  # type: ignore[type-arg]
    for row in rows:
        found[row.instance].append(row)
    return found


def _strong(state: AccountState, at: datetime) -> Iterator[Strong]:
    for name, path in superusers(state).items():
        yield Strong(name, path, usable(state.principals[name], at))


def _logins(state: AccountState) -> Iterator[Principal]:
    for _, one in sorted(state.principals.items()):
        a_login = one.kind is PrincipalKind.USER and one.can_login is not False and one.locked is not True
        if a_login and not one.system:
            yield one


def _of_everybody(state: AccountState) -> list[Grant]:
    everybody = {name for name, one in state.principals.items() if one.kind is PrincipalKind.PUBLIC}
    return [g for g in state.grants.values() if g.principal in everybody and g.effect is Effect.GRANT]


def _rights(state: AccountState, grants: Iterable[Grant], system: bool = False) -> Iterator[Rights]:
    """By account and thing. Without those of the server's own accounts, unless `system`."""
    found: dict[tuple[str, ScopeKind, tuple[str, ...]], set[str]] = defaultdict(set)
    for grant in grants:
        holder = state.principals.get(grant.principal)
        if grant.effect is Effect.GRANT and (system or holder is None or not holder.system):
            found[grant.principal, grant.scope, grant.path].add(grant.privilege)
    for (account, scope, path), privileges in sorted(found.items()):
        yield Rights(account, scope, path, tuple(sorted(privileges)))


# -- what a list may lack


def _doubt(topic: Topic, sections: Sections, known: AsOf) -> str:
    """Why a list may be short or old; "" where all it rests on was read by this look."""
    needed = _RESTS_ON[topic]
    bad = [key for key, one in sections.items() if key.name in needed and one.status in (Status.DENIED, Status.ERROR)]
    never = [key for key in bad if key not in known.confirmed]
    never += [SectionKey(name) for name in needed if not any(key.name is name for key in sections)]
    parts = [_named("not known", never), _named("from an earlier look", [key for key in bad if key not in never])]
    return "; ".join(filter(None, parts))


def _named(words: str, keys: Sequence[SectionKey]) -> str:
    more = f" and {len(keys) - 5} more" if len(keys) > 5 else ""
    return f"{', '.join(map(str, sorted(keys)[:5]))}{more} {words}" if keys else ""
