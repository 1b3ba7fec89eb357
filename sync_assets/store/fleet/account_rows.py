"""Accounts, memberships, grants and changes as the control database keeps them, there and back without a loss.

Names are the servers' own and may hold what PostgreSQL cannot: `storable_reading` makes them fit before anything is
compared, so that what is read back equals what was written. Must not know statements.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from sync_assets.fleet.model import (
    AccountReading,
    Effect,
    Grant,
    GrantKey,
    Membership,
    MembershipKey,
    Principal,
    PrincipalKind,
    Scalar,
    ScopeKind,
    SectionKey,
    SectionState,
)
from sync_assets.fleet.state import Change, ChangeKind
from sync_assets.store.control import storable

Row = TypeVar("Row", Principal, Membership, Grant)
Key = TypeVar("Key", str, MembershipKey, GrantKey)
_PRINCIPAL_FACTS = ("kind", "can_login", "superuser", "locked", "has_password", "system", "part")
_MEMBERSHIP_FACTS = ("admin", "inherits", "can_set", "default")


@dataclass(frozen=True, slots=True)
class Kind(Generic[Key, Row]):
    """One of the three relations of a state: its name in statements, the columns of a row, and back."""

    name: str
    type: type[Row]
    key: Callable[[Row], Key]
    columns: Callable[[Row], Sequence[Any]]
    row: Callable[[Sequence[Any]], Row]


def _principal_columns(one: Principal) -> Sequence[Any]:
    facts = {name: getattr(one, name) for name in _PRINCIPAL_FACTS}
    return one.name, one.incarnation, as_json({**facts, "attributes": dict(one.attributes)})


def _principal(columns: Sequence[Any]) -> Principal:
    name, incarnation, facts = columns
    given = {fact: facts[fact] for fact in _PRINCIPAL_FACTS[1:]}
    return Principal(name, PrincipalKind(facts["kind"]), incarnation, **given, attributes=_sorted(facts["attributes"]))


def _sorted(attributes: Mapping[str, Scalar]) -> tuple[tuple[str, Scalar], ...]:
    return tuple(sorted(attributes.items(), key=lambda pair: pair[0]))


def _membership_columns(one: Membership) -> Sequence[Any]:
    facts = {name: getattr(one, name) for name in _MEMBERSHIP_FACTS}
    return one.member, one.role, one.grantor, as_json(facts), one.part


def _membership(columns: Sequence[Any]) -> Membership:
    member, role, grantor, facts, part = columns
    return Membership(member, role, grantor, **{name: facts[name] for name in _MEMBERSHIP_FACTS}, part=part)


def _grant_columns(one: Grant) -> Sequence[Any]:
    path = list(one.path)
    return one.principal, one.scope, path, one.privilege, one.effect, one.grantor, one.grantable, one.part


def _grant(columns: Sequence[Any]) -> Grant:
    principal, scope, path, privilege, effect, grantor, grantable, part = columns
    return Grant(principal, ScopeKind(scope), tuple(path), privilege, Effect(effect), grantor, grantable, part)


PRINCIPALS: Kind[str, Principal] = Kind("principals", Principal, lambda p: p.name, _principal_columns, _principal)
MEMBERSHIPS: Kind[MembershipKey, Membership] = Kind(
    "memberships", Membership, lambda m: m.key, _membership_columns, _membership
)
GRANTS: Kind[GrantKey, Grant] = Kind("grants", Grant, lambda g: g.key, _grant_columns, _grant)


def as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


# -- changes


def change_detail(change: Change) -> str:
    """What a change is about, as JSON: the kind of row, and its columns before and after."""
    found: dict[str, object] = {}
    for side, row in (("before", change.before), ("after", change.after)):
        if row is not None:
            found |= {"of": _kind_name(row), side: _columns(row)}
    return as_json(found)


def _kind_name(row: Principal | Membership | Grant) -> str:
    if isinstance(row, Principal):
        return PRINCIPALS.name
    return MEMBERSHIPS.name if isinstance(row, Membership) else GRANTS.name


def _columns(row: Principal | Membership | Grant) -> list[Any]:
    if isinstance(row, Principal):
        name, incarnation, facts = _principal_columns(row)
        return [name, incarnation, json.loads(facts)]
    if isinstance(row, Membership):
        member, role, grantor, facts, part = _membership_columns(row)
        return [member, role, grantor, json.loads(facts), part]
    return list(_grant_columns(row))


_ROWS: Mapping[str, Callable[[Sequence[Any]], Principal | Membership | Grant]] = {
    PRINCIPALS.name: _principal,
    MEMBERSHIPS.name: _membership,
    GRANTS.name: _grant,
}


def change(kind: str, principal: str, detail: Mapping[str, Any]) -> Change:
    """The change that was kept so."""
    row = _ROWS[detail["of"]]
    before, after = (row(detail[side]) if side in detail else None for side in ("before", "after"))
    return Change(ChangeKind(kind), principal, before, after)


# -- names that fit


def storable_reading(reading: AccountReading) -> AccountReading:
    """The reading with names that the control database can hold, and attributes in their order."""
    sections = {
        SectionKey(key.name, _fit(key.part)): replace(state, reason=_fit(state.reason))
        for key, state in reading.sections.items()
    }
    return replace(
        reading,
        sections=_reasoned(sections),
        principals=tuple(_fit_principal(p) for p in reading.principals),
        memberships=tuple(_fit_membership(m) for m in reading.memberships),
        grants=tuple(_fit_grant(g) for g in reading.grants),
    )


def _reasoned(sections: Mapping[SectionKey, SectionState]) -> dict[SectionKey, SectionState]:
    none = "the collector gave no reason"
    return {k: s if s.ok or s.reason else replace(s, reason=none) for k, s in sections.items()}


def _fit(text: str) -> str:
    return text if text.isascii() and "\0" not in text else storable(text)


def _same(texts: Iterable[str]) -> bool:
    return all(text.isascii() and "\0" not in text for text in texts)


def _fit_principal(one: Principal) -> Principal:
    pairs = {_fit(name): _fit(value) if isinstance(value, str) else value for name, value in one.attributes}
    name, incarnation, part = map(_fit, (one.name, one.incarnation, one.part))
    return replace(one, name=name, incarnation=incarnation, attributes=_sorted(pairs), part=part)


def _fit_membership(one: Membership) -> Membership:
    member, role, grantor, part = map(_fit, (one.member, one.role, one.grantor, one.part))
    return replace(one, member=member, role=role, grantor=grantor, part=part)


def _fit_grant(one: Grant) -> Grant:
    if _same((one.principal, one.privilege, one.grantor, one.part, *one.path)):
        return one  # of 100,000 of them nearly all
    names = map(_fit, (one.principal, one.privilege, one.grantor, one.part))
    principal, privilege, grantor, part = names
    path = tuple(map(_fit, one.path))
    return replace(one, principal=principal, privilege=privilege, grantor=grantor, part=part, path=path)
