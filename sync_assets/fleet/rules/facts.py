"""What is known of each account of an instance at a moment, in the form that rules ask for.

Pure: made from a published state, the sections of the newest look and a moment that is handed in. Rows of a part that
did not come out ok are old news and prove nothing: they are left out, and whoever finds nothing looks at `lacking`.
Must not know the language of rules.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, TypeVar

from sync_assets.fleet.effective import superusers
from sync_assets.fleet.membership import Roles
from sync_assets.fleet.model import (
    AccountState,
    Grant,
    Membership,
    Principal,
    ScopeKind,
    SectionKey,
    SectionName,
    Sections,
    Status,
)

Row = TypeVar("Row", Principal, Membership, Grant)
# Of MySQL: each part of GRANTS is a table of the server with scopes of its own.
_MYSQL_PARTS: Mapping[str, frozenset[ScopeKind]] = {
    "global": frozenset({ScopeKind.GLOBAL}),
    "dynamic": frozenset({ScopeKind.GLOBAL}),
    "restriction": frozenset({ScopeKind.GLOBAL}),
    "database": frozenset({ScopeKind.DATABASE, ScopeKind.DATABASE_PATTERN}),
    "table": frozenset({ScopeKind.TABLE}),
    "column": frozenset({ScopeKind.COLUMN}),
    "routine": frozenset({ScopeKind.ROUTINE}),
    "proxy": frozenset({ScopeKind.PROXY}),
}
# Of PostgreSQL: what the whole cluster shares is part ""; the rest is read in each database.
_SHARED = frozenset({
    ScopeKind.GLOBAL, ScopeKind.DATABASE, ScopeKind.DATABASE_PATTERN, ScopeKind.TABLESPACE, ScopeKind.PARAMETER,
    ScopeKind.PROXY,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    """All accounts of one instance. `proven` are the rows of ok parts only; `databases` is None where nobody knows."""

    engine: str
    flavour: str
    now: datetime
    sections: Sections
    known: Mapping[str, Principal]
    proven: AccountState
    databases: frozenset[str] | None
    roles_of: Mapping[str, Sequence[Membership]]
    members_of: Mapping[str, Sequence[Membership]]
    grants_of: Mapping[str, Sequence[Grant]]
    superusers: Mapping[str, str]
    roles: Roles
    by_user: Mapping[str, Sequence[str]]
    ground: str
    _digests: dict[str, str] = field(default_factory=dict)

    def account(self, name: str) -> AccountFacts:
        """Raises KeyError for an account that is not known."""
        return AccountFacts(self, self.known[name])

    def digest(self, holder: str) -> str:
        """Of what a principal holds itself; computed once, for roles have many members."""
        if holder not in self._digests:
            rows = [(g.scope, g.path, g.privilege, g.effect, g.grantable) for g in self.grants_of.get(holder, ())]
            found = self.proven.principals.get(holder)
            self._digests[holder] = _hash([sorted(rows), bool(found and found.superuser)])
        return self._digests[holder]


def instance_facts(
    state: AccountState,
    sections: Sections,
    *,
    engine: str,
    flavour: str = "",
    now: datetime,
    databases: Collection[str] | None = None,
) -> InstanceFacts:
    """`now` is the moment for which expiry and ages are asked, aware; the clock is never read.

    `flavour` tells MariaDB from MySQL; the text of a server fact (``MariaDB 10.11``) will do.
    """
    proven = AccountState(
        _proven(state.principals, sections, SectionName.PRINCIPALS),
        _proven(state.memberships, sections, SectionName.MEMBERSHIPS),
        _proven(state.grants, sections, SectionName.GRANTS),
    )
    memberships = [proven.memberships[key] for key in sorted(proven.memberships)]
    return InstanceFacts(
        engine=engine,
        flavour=(flavour or engine).partition(" ")[0].lower(),
        now=now,
        sections=sections,
        known=state.principals,
        proven=proven,
        databases=None if databases is None else frozenset(databases),
        roles_of=_grouped(memberships, "member"),
        members_of=_grouped(memberships, "role"),
        grants_of=_grouped([proven.grants[key] for key in sorted(proven.grants)], "principal"),
        superusers=superusers(proven),
        roles=Roles(proven),
        by_user=_by_user(state.principals) if engine == "mysql" else MappingProxyType({}),
        ground=_ground(engine, flavour, sections, databases),
    )


def _by_user(principals: Mapping[str, Principal]) -> Mapping[str, Sequence[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name in sorted(principals):
        user, _, host = name.rpartition("@")
        if user and host:  # without a host it is a role of MariaDB
            found[user].append(name)
    return MappingProxyType(found)


def _ground(engine: str, flavour: str, sections: Sections, databases: Collection[str] | None) -> str:
    unsure = sorted((str(key), str(section.status)) for key, section in sections.items() if not section.ok)
    return _hash([engine, flavour, unsure, None if databases is None else sorted(databases)])


def _proven(rows: Mapping[Any, Row], sections: Sections, name: SectionName) -> Mapping[Any, Row]:
    good = {key.part for key, section in sections.items() if key.name is name and section.ok}
    return MappingProxyType({key: row for key, row in rows.items() if row.part in good})


def _grouped(rows: Iterable[Any], by: str) -> Mapping[str, Sequence[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        found[getattr(row, by)].append(row)
    return MappingProxyType(found)


def lacking(
    facts: InstanceFacts, name: SectionName, scopes: Collection[ScopeKind] = (), database: str | None = None
) -> list[str]:
    """The parts of a section that are not known and could hold what was looked for, as reasons.

    What the server does not have (`UNSUPPORTED`) is known to be empty. Without `scopes`, every part counts.
    """
    parts = sorted((key, section.status) for key, section in facts.sections.items() if key.name is name)
    if not parts:
        return [f"{name} was not read"]
    return [
        f"{key} is {status}"
        for key, status in parts
        if status not in (Status.OK, Status.UNSUPPORTED) and _could_hold(facts.engine, key, scopes, database)
    ]


def _could_hold(engine: str, key: SectionKey, scopes: Collection[ScopeKind], database: str | None) -> bool:
    if key.name is not SectionName.GRANTS:
        return True
    wanted = frozenset(scopes) or frozenset(ScopeKind)
    if engine == "mysql":
        return bool(wanted & _MYSQL_PARTS.get(key.part, wanted))
    if engine == "postgres" and not (wanted & _SHARED if key.part == "" else wanted - _SHARED):
        return False
    inside = engine in ("postgres", "sqlserver") and key.part != "" and database is not None
    return key.part == database if inside else True


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """One account. What is asked more than once is kept."""

    instance: InstanceFacts
    principal: Principal
    _reach: dict[str, Mapping[str, str]] = field(default_factory=dict)
    _rights: dict[str, Mapping[str, Sequence[Grant]]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.principal.name

    def reach(self, via: str) -> Mapping[str, str]:
        """The principals whose rights this one has, itself first, each with the way to it.

        `direct`: only itself. `effective`: what it has at once, by roles that it inherits and that are on at login,
        and by PUBLIC. `reachable`: also what it can get by an act of its own: SET ROLE, or playing an account.
        """
        if via not in self._reach:
            self._reach[via] = reach_of(self.instance.roles, self.name, via)
        return self._reach[via]

    def rights(self, via: str) -> Mapping[str, Sequence[Grant]]:
        """What it holds, by privilege."""
        if via not in self._rights:
            rows = [g for holder in self.reach(via) for g in self.instance.grants_of.get(holder, ())]
            self._rights[via] = _grouped(rows, "privilege")
        return self._rights[via]

    @property
    def host(self) -> str | None:
        """Of MySQL and MariaDB: from where it may log in; None for every other engine."""
        return self.name.rpartition("@")[2] if self.instance.engine == "mysql" else None

    @property
    def user(self) -> str:
        """The name without the host."""
        return self.name.rpartition("@")[0] if self.instance.engine == "mysql" else self.name

    def moment(self, attribute: str) -> datetime | None:
        """An attribute that holds a time as ISO text; None where it holds none, or "infinity"."""
        return _moment(self.principal.attribute(attribute))

    def days_since(self, attribute: str) -> int | None:
        """Whole days from a time in an attribute until `now`."""
        then = self.moment(attribute)
        return None if then is None else (self.instance.now - then) // timedelta(days=1)

    def expired(self) -> bool:
        """Whether the account or its password is past its end at `now`.

        Where the server itself says that the password has not expired (Oracle's grace), its lifetime does not count.
        """
        told = self.principal.attribute("password_expired")
        ends = [self.moment("valid_until"), None if told is False else self._password_ends()]
        return told is True or any(end is not None and end <= self.instance.now for end in ends)

    def _password_ends(self) -> datetime | None:
        changed, days = self.moment("password_changed_at"), self.principal.attribute("password_lifetime_days")
        if changed is None or isinstance(days, bool) or not isinstance(days, int) or days <= 0:
            return None
        return changed + timedelta(days=days)

    def hash(self) -> str:
        """Of all that a rule can see of this account: the same facts give the same bytes, on any machine.

        Ages are counted in days, as rules ask for them; that is why a hash may change with the day.
        """
        one, here = self.principal, self.instance
        reach = {via: [(*way, here.digest(way[0])) for way in self.reach(via).items()] for via in VIAS}
        ages = [self.days_since(a) for a in ("password_changed_at", "last_seen_at")]
        flags = [one.can_login, one.superuser, one.locked, one.has_password, one.system, self.expired()]
        others = [(name, here.digest(name)) for name in siblings(self)]
        members = sorted(m.admin for m in here.members_of.get(one.name, ()))
        return _hash([here.ground, one.name, one.kind, one.incarnation, flags, one.attributes, reach, ages, others,
                      here.superusers.get(one.name), members])  # fmt: skip


VIAS = ("direct", "effective", "reachable")


def reach_of(roles: Roles, start: str, via: str) -> Mapping[str, str]:
    """The principals whose rights `start` has, itself first, each with the way to it; see `AccountFacts.reach`."""
    if via == "direct":
        return {start: ""}
    found = roles.of(start).values()
    ways = {one.name: " > ".join(one.path[1:]) for one in found if one.now or via == "reachable"}
    return {start: "", **dict(sorted(ways.items()))}


def siblings(account: AccountFacts) -> tuple[str, ...]:
    """Of MySQL and MariaDB: the accounts of the same user on other hosts."""
    return tuple(name for name in account.instance.by_user.get(account.user, ()) if name != account.name)


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _hash(value: object) -> str:
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
