"""What is known of an instance's accounts, from one look to the next: completed, compared, changed. Pure.

What holds:
- A part of a look that is not ok says nothing: its rows of before stay, and no change comes of it.
- ``apply(diff(a, b), a) == b`` for any two states.
- Rights follow an account that was renamed without a word, and never pass to one that was made again.

Must not know where states are kept, nor what a right allows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Generic, TypeAlias, TypeVar

from sync_assets.fleet.identity import Match, grant_now, match, membership_now
from sync_assets.fleet.model import (
    AccountReading,
    AccountState,
    Grant,
    GrantKey,
    Membership,
    MembershipKey,
    Principal,
    SectionKey,
    SectionName,
    Sections,
)

Row = TypeVar("Row", Principal, Membership, Grant)
Key = TypeVar("Key", str, MembershipKey, GrantKey)


class ChangeKind(StrEnum):
    ADDED = "added"
    DROPPED = "dropped"
    RECREATED = "recreated"  # dropped, and made again under the same name
    RENAMED = "renamed"  # and perhaps altered as well
    ALTERED = "altered"  # an account, or a grant's `grantable`, or a membership's flags
    GRANTED = "granted"
    REVOKED = "revoked"
    JOINED = "joined"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `principal` is the account's name after it; `before` holds the names of before.

    A principal for added, dropped, recreated, renamed; a grant for granted and revoked; a membership for joined and
    left; any of them for altered. With an account that is dropped its grants are revoked and its memberships left:
    every right that comes or goes has its own change, except those that follow a rename.
    """

    kind: ChangeKind
    principal: str
    before: Principal | Membership | Grant | None = None
    after: Principal | Membership | Grant | None = None

    @property
    def row(self) -> Principal | Membership | Grant:
        """What it is about, as it is now or was last."""
        row = self.after if self.after is not None else self.before
        if row is None:
            raise ValueError(f"a change {self.kind} of nothing")
        return row


@dataclass(frozen=True, slots=True)
class Step(Generic[Row]):
    """A row that does not stay as it is. Without a `kind` it only follows an account that was renamed."""

    kind: ChangeKind | None
    before: Row | None
    after: Row | None

    @property
    def continues(self) -> bool:
        """Whether the row of now is the one of before, changed, and not another one."""
        return self.before is not None and self.after is not None and self.kind is not ChangeKind.RECREATED


AnyStep: TypeAlias = Step[Principal] | Step[Membership] | Step[Grant]


@dataclass(frozen=True, slots=True)
class Steps:
    """All that leads from one state to another, in a canonical order."""

    matched: Match
    principals: tuple[Step[Principal], ...]
    memberships: tuple[Step[Membership], ...]
    grants: tuple[Step[Grant], ...]


# -- what a look adds to what was known


def completed(before: AccountState, reading: AccountReading) -> AccountState:
    """The state after a look: rows of its ok parts, and those of before for every part that is not ok or not named.

    Two things end rows of such a part all the same: their account is proven gone (what is left of its rights went
    with it), or their database is (the list of databases is ok and the part, a database, is not among the sections).
    """
    sections = reading.sections
    kept = [p for p in before.principals.values() if _stays(sections, SectionName.PRINCIPALS, p.part, True)]
    read = [p for p in reading.principals if _ok(sections, SectionName.PRINCIPALS, p.part)]
    principals = {p.name: p for p in (*kept, *read)}
    matched = match(before.principals, principals)
    kept_grants = (
        grant_now(g, matched)
        for g in before.grants.values()
        if _stays(sections, SectionName.GRANTS, g.part, g.path[:1] == (g.part,))
    )
    kept_memberships = (
        membership_now(m, matched)
        for m in before.memberships.values()
        if _stays(sections, SectionName.MEMBERSHIPS, m.part, True)
    )
    grants = {g.key: g for g in kept_grants if g is not None}
    memberships = {m.key: m for m in kept_memberships if m is not None}
    memberships.update((m.key, m) for m in reading.memberships if _ok(sections, SectionName.MEMBERSHIPS, m.part))
    grants.update((g.key, g) for g in reading.grants if _ok(sections, SectionName.GRANTS, g.part))
    return _state(principals, memberships, grants)


def _spoken(sections: Sections, name: SectionName) -> bool:
    """Whether a section was read, and every part of it is ok."""
    parts = [state.ok for key, state in sections.items() if key.name is name]
    return bool(parts) and all(parts)


def _ok(sections: Sections, name: SectionName, part: str) -> bool:
    state = sections.get(SectionKey(name, part))
    return state is not None and state.ok


def _stays(sections: Sections, name: SectionName, part: str, of_database: bool) -> bool:
    """Whether rows of before stay: the part is not ok; or not named, unless it is a database that is no more."""
    state = sections.get(SectionKey(name, part))
    if state is not None:
        return not state.ok
    return not (part and of_database and _spoken(sections, SectionName.DATABASES))


def _state(
    principals: Mapping[str, Principal],
    memberships: Mapping[MembershipKey, Membership],
    grants: Mapping[GrantKey, Grant],
) -> AccountState:
    return AccountState(MappingProxyType(principals), MappingProxyType(memberships), MappingProxyType(grants))


# -- from one state to another


@dataclass(frozen=True, slots=True)
class _Relation(Generic[Key, Row]):
    """How rows of a kind are told apart and put in order, and what it is called when they come and go."""

    key: Callable[[Row], Key]
    order: Callable[[Key], Any]
    came: ChangeKind
    went: ChangeKind


_MEMBERSHIPS: _Relation[MembershipKey, Membership] = _Relation(
    attrgetter("key"), attrgetter("member", "role", "grantor"), ChangeKind.JOINED, ChangeKind.LEFT
)
_GRANTS: _Relation[GrantKey, Grant] = _Relation(
    attrgetter("key"),
    attrgetter("principal", "scope", "path", "privilege", "effect", "grantor"),
    ChangeKind.GRANTED,
    ChangeKind.REVOKED,
)


def steps(before: AccountState, after: AccountState) -> Steps:
    """Every row that comes, goes, changes or follows. `diff` shows them, the store writes them."""
    matched = match(before.principals, after.principals)
    principals = tuple(_principal_steps(before.principals, after.principals, matched))
    memberships = _row_steps(
        _MEMBERSHIPS, before.memberships, after.memberships, lambda m: membership_now(m, matched), matched
    )
    grants = _row_steps(_GRANTS, before.grants, after.grants, lambda g: grant_now(g, matched), matched)
    return Steps(matched, principals, tuple(memberships), tuple(grants))


def diff(before: AccountState, after: AccountState) -> tuple[Change, ...]:
    """The changes from one state to the other: accounts first, then memberships, then grants; sorted in themselves."""
    return changes_of(steps(before, after))


def changes_of(found: Steps) -> tuple[Change, ...]:
    """The changes among the steps, in their order."""
    every: Iterable[AnyStep] = chain(found.principals, found.memberships, found.grants)
    return tuple(Change(s.kind, _account(s, found.matched), s.before, s.after) for s in every if s.kind is not None)


def _account(step: AnyStep, matched: Match) -> str:
    row = step.after if step.after is not None else step.before
    if isinstance(row, Principal):
        return row.name
    if row is None:
        raise ValueError("a step from nothing to nothing")
    name = row.member if isinstance(row, Membership) else row.principal
    return name if step.after is not None else matched.now(name)


def _principal_steps(
    old: Mapping[str, Principal], new: Mapping[str, Principal], matched: Match
) -> Iterator[Step[Principal]]:
    for name in sorted(matched.dropped):
        yield Step(ChangeKind.DROPPED, old[name], None)
    for name in sorted(matched.recreated):
        yield Step(ChangeKind.RECREATED, old[name], new[name])
    for name, now in sorted(matched.renamed.items()):
        yield Step(ChangeKind.RENAMED, old[name], new[now])
    for name in sorted(matched.added):
        yield Step(ChangeKind.ADDED, None, new[name])
    others = new.keys() - matched.added - matched.recreated - set(matched.renamed.values())
    for name in sorted(others):
        if old[name] != new[name]:
            yield Step(ChangeKind.ALTERED, old[name], new[name])


def _row_steps(
    of: _Relation[Key, Row], before: Mapping[Key, Row], after: Mapping[Key, Row],
    image: Callable[[Row], Row | None], matched: Match,
) -> Iterator[Step[Row]]:  # fmt: skip
    """Pairs each row of before, under its names of now, with the row of after that has its key."""
    pairs: dict[Key, tuple[Key, Row]] = {}  # by the key of now: the key of before, and its row with the names of now
    for name in sorted(before, key=of.order) if matched.renamed else before:
        row = image(before[name])
        if row is not None and (arrived := of.key(row)) in after:
            pairs.setdefault(arrived, (name, row))  # a second one that arrives there has gone
    stayed = {name for name, _ in pairs.values()}
    for name in sorted(before.keys() - stayed, key=of.order):
        yield Step(of.went, before[name], None)
    changed = [now for now, (name, row) in pairs.items() if row != after[now] or name != now]
    for now in sorted(changed, key=of.order):
        yield _pair(before[pairs[now][0]], pairs[now][1], after[now])
    for name in sorted(after.keys() - pairs.keys(), key=of.order):
        yield Step(of.came, None, after[name])


def _pair(before: Row, image: Row, after: Row) -> Step[Row]:
    return Step(None if image == after else ChangeKind.ALTERED, before, after)


# -- a state and what happened to it


def apply(changes: Iterable[Change], before: AccountState) -> AccountState:
    """The state after the changes: what went is taken out, the rest follows the renames, what came is put in."""
    changes = tuple(changes)
    renamed = {
        c.before.name: c.after.name
        for c in changes
        if c.kind is ChangeKind.RENAMED and isinstance(c.before, Principal) and isinstance(c.after, Principal)
    }
    matched = Match(renamed=renamed)
    principals = _applied(changes, before.principals, Principal, lambda p: p.name, lambda p: p)
    memberships = _applied(
        changes, before.memberships, Membership, lambda m: m.key, lambda m: membership_now(m, matched)
    )
    grants = _applied(changes, before.grants, Grant, lambda g: g.key, lambda g: grant_now(g, matched))
    return _state(principals, memberships, grants)


def _applied(
    changes: tuple[Change, ...], before: Mapping[Key, Row], kind: type[Row], key: Callable[[Row], Key],
    image: Callable[[Row], Row | None],
) -> dict[Key, Row]:  # fmt: skip
    out = {key(c.before) for c in changes if isinstance(c.before, kind)}
    followed = (image(row) for name, row in before.items() if name not in out)
    rows = {key(row): row for row in followed if row is not None}
    rows.update((key(c.after), c.after) for c in changes if isinstance(c.after, kind))
    return rows
