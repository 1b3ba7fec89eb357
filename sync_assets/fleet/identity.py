"""Which account of now is which account of before: by incarnation where the server has one, else by name.

An account that was renamed keeps its incarnation; one that was dropped and made again keeps only its name. MySQL and
MariaDB have no incarnation: there a rename is a drop and an addition, and an account made again looks altered (its
password_changed_at differs). Must not know what accounts may do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from sync_assets.fleet.model import Grant, Membership, Principal, ScopeKind


@dataclass(frozen=True, slots=True)
class Match:
    """`renamed`: old name to new name. An account in `recreated` is gone, and another one has its name."""

    renamed: Mapping[str, str] = field(default_factory=dict)
    recreated: frozenset[str] = frozenset()
    dropped: frozenset[str] = frozenset()
    added: frozenset[str] = frozenset()

    def gone(self, name: str) -> bool:
        """Whether the account that had this name before is no more. Names that were never listed are not."""
        return name in self.dropped or name in self.recreated

    def now(self, name: str) -> str:
        return self.renamed.get(name, name)


def match(before: Mapping[str, Principal], after: Mapping[str, Principal]) -> Match:
    """Pair the accounts of two states: same name and incarnation, then incarnation alone, then name alone.

    An incarnation that several accounts of one state share (cloned containers of Oracle) tells nothing.
    """
    left = {n: p for n, p in before.items() if not _same(p, after.get(n))}
    came = {n: p for n, p in after.items() if not _same(p, before.get(n))}
    old, new = _by_incarnation(left.values()), _by_incarnation(came.values())
    renamed = {old[key]: new[key] for key in old.keys() & new.keys()}
    left_names = left.keys() - renamed.keys()
    came_names = came.keys() - set(renamed.values())
    recreated = frozenset(left_names & came_names)
    return Match(renamed, recreated, frozenset(left_names - recreated), frozenset(came_names - recreated))


def _same(one: Principal, other: Principal | None) -> bool:
    """Where one side has no incarnation, the name decides."""
    if other is None:
        return False
    return one.incarnation == other.incarnation or not one.incarnation or not other.incarnation


def _by_incarnation(principals: Iterable[Principal]) -> dict[str, str]:
    known = [p for p in principals if p.incarnation]
    times = Counter(p.incarnation for p in known)
    return {p.incarnation: p.name for p in known if times[p.incarnation] == 1}


def membership_now(one: Membership, matched: Match) -> Membership | None:
    """The membership under the names of now; None where the member or the role is gone, and it with them."""
    if matched.gone(one.member) or matched.gone(one.role):
        return None
    if not matched.renamed:
        return one
    member, role, grantor = (matched.now(name) for name in (one.member, one.role, one.grantor))
    return replace(one, member=member, role=role, grantor=grantor)


def grant_now(one: Grant, matched: Match) -> Grant | None:
    """The grant under the names of now; None where its account is gone, and it with the account."""
    if matched.gone(one.principal):
        return None
    if not matched.renamed:
        return one
    path = tuple(_path_now(one, matched))
    return replace(one, principal=matched.now(one.principal), grantor=matched.now(one.grantor), path=path)


def _path_now(one: Grant, matched: Match) -> Iterable[str]:
    """Two kinds of scope name accounts in their paths: whose default privileges, and who may be played."""
    for place, name in enumerate(one.path):
        account = (one.scope is ScopeKind.DEFAULT and place == 2) or (one.scope is ScopeKind.PROXY and place == 0)
        yield matched.now(name) if account else name
