"""Who may use the rights of whom: memberships followed to their end.

Two questions, kept apart: whose rights an account has now, without asking, and whose it can have by its own act
(SET ROLE, or playing an account by PROXY). They differ by database:
- PostgreSQL: `inherits` decides what is had now, `can_set` what can be become. A superuser's power is not inherited.
- MySQL and MariaDB: a role is had when it is on at login (`default`); a role within a role is on with it.
- SQL Server and Oracle: roles inherit; one of Oracle that is not `default` is had after SET ROLE.
- PUBLIC is had by everybody. A flag that is unknown counts as set: rather one path too many than one too few.

Must not know what the rights are.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from sync_assets.fleet.model import AccountState, Effect, Membership, Principal, PrincipalKind, ScopeKind


@dataclass(frozen=True, slots=True)
class Reach:
    """A principal whose rights somebody has: `now`, or only after an act of its own.

    `path` leads there, both ends included. `become`: it can act as that principal, and has what is not inherited.
    """

    name: str
    now: bool
    path: tuple[str, ...]
    become: bool = True


@dataclass(frozen=True, slots=True)
class _Edge:
    role: str
    now: bool
    later: bool


class Roles:
    """The memberships of a state, ready to be followed; for asking about many accounts."""

    def __init__(self, state: AccountState) -> None:
        self._edges: dict[str, list[_Edge]] = defaultdict(list)
        for _, one in sorted(state.memberships.items()):
            self._edges[one.member].append(_edge(one, state.principals.get(one.member)))
        for key, grant in state.grants.items():
            if key.scope is ScopeKind.PROXY and grant.effect is Effect.GRANT:
                self._edges[key.principal].append(_Edge(key.path[0], False, True))
        self._public = [
            _Edge(name, True, True) for name, p in state.principals.items() if p.kind is PrincipalKind.PUBLIC
        ]
        self._publics = {edge.role for edge in self._public}

    def of(self, name: str) -> Mapping[str, Reach]:
        """Everybody whose rights `name` has or can have, itself first; by name. Cycles are fine."""
        own = Reach(name, True, (name,))
        had = self._walk([own], lambda edge: edge.now)
        become = self._walk([own], lambda edge: edge.later)
        after = self._walk(list(become.values()), lambda edge: edge.now)
        paths = {**after, **become, **had}
        return {n: Reach(n, n in had, paths[n].path, n in become) for n in paths}

    def _walk(self, starts: list[Reach], passes: Callable[[_Edge], bool]) -> dict[str, Reach]:
        """All that can be reached from the starts, nearest first."""
        found = {one.name: one for one in starts}
        waiting = deque(starts)
        while waiting:
            here = waiting.popleft()
            for edge in self._from(here.name):
                if passes(edge) and edge.role not in found:
                    found[edge.role] = Reach(edge.role, True, (*here.path, edge.role))
                    waiting.append(found[edge.role])
        return found

    def _from(self, name: str) -> Iterator[_Edge]:
        yield from self._edges.get(name, ())
        if name not in self._publics:
            yield from self._public


def closure(state: AccountState, principal: str) -> Mapping[str, Reach]:
    """Everybody whose rights one account has or can have; see `Roles.of`. Of many accounts, ask one `Roles`."""
    return Roles(state).of(principal)


def _edge(one: Membership, member: Principal | None) -> _Edge:
    nested = member is not None and member.kind is PrincipalKind.ROLE
    on = one.default is not False or nested  # only an account logs in: a role within a role is on with it
    return _Edge(one.role, one.inherits is not False and on, one.can_set is not False)
