"""What explicit rights amount to: who is a superuser by whatever path, who may do something with an object, and by
which grants. Pure: of a state, for a moment that is handed in.

What it leaves out, because collectors do not see it: row security, views that show other tables, routines that run
with their definer's rights, rights that a server keeps in its own catalog schemas. Ownership counts where the
collector tells it as a right OWNERSHIP (PostgreSQL); of SQL Server and Oracle owners are not told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from sync_assets.fleet.containment import ENGINES, EngineRules, Path, covers, part_of, satisfies
from sync_assets.fleet.membership import Reach, Roles, closure
from sync_assets.fleet.model import AccountState, Effect, Grant, Principal, PrincipalKind, ScopeKind

__all__ = ["Holder", "Reach", "Roles", "Way", "closure", "superusers", "usable", "who"]

# Held on the whole server, each lets its holder make itself a superuser, or is it. MySQL: SUPER and what replaced it,
# where an object with root's definer can be made, or any role taken. PostgreSQL has none: see _ESCAPES.
_ELEVATING = frozenset(
    {"SUPER", "SET USER", "SET_USER_ID", "SET_ANY_DEFINER", "ROLE_ADMIN", "ALL", "ALL PRIVILEGES",
     "CONTROL SERVER", "IMPERSONATE ANY LOGIN",
     "GRANT ANY PRIVILEGE", "GRANT ANY ROLE", "ALTER USER", "BECOME USER", "SYSDBA"}
)  # fmt: skip
# The manual: "these roles can be used to gain superuser-level access" (postgresql.org/docs/current/predefined-roles).
_ITSELF = "superuser"  # by attribute: only who acts as that account has it
_ESCAPES = frozenset({"pg_execute_server_program", "pg_write_server_files"})


# -- superusers


def superusers(state: AccountState) -> Mapping[str, str]:
    """Everybody who is a superuser, or can make itself one, and by which path; sorted by name.

    Of several paths one that is had now comes first, then the shortest. Roles are listed as well; those of the server
    itself only where they are superusers by attribute. Where PUBLIC is, everybody is, and each says so.
    """
    strong = dict(_strong(state))
    roles = Roles(state)
    found: dict[str, str] = {}
    for name, principal in sorted(state.principals.items()):
        if principal.system and not principal.superuser:
            continue
        reaches = roles.of(name).values()
        ways = [way for way in reaches if way.name in strong and (way.become or strong[way.name] != _ITSELF)]
        if ways:
            way = min(ways, key=lambda w: (not w.now, len(w.path), w.path))
            found[name] = _path_text(way, strong[way.name])
    return found


def _strong(state: AccountState) -> Iterator[tuple[str, str]]:
    """The last one of a principal counts: what is held is inherited, what somebody is by itself is not everywhere."""
    for name, principal in state.principals.items():
        if principal.superuser or principal.attribute("cloud_superuser"):
            yield name, _ITSELF
        elif principal.system and name in _ESCAPES:
            yield name, "runs or writes as the server"
    for grant in state.grants.values():
        if grant.scope is ScopeKind.GLOBAL and grant.privilege in _ELEVATING and grant.effect is Effect.GRANT:
            yield grant.principal, grant.privilege


def _path_text(way: Reach, why: str) -> str:
    if len(way.path) == 1:
        return why
    return f"{' -> '.join(way.path)}: {why}" + ("" if way.now else " (after SET ROLE or as a proxy)")


# -- who may


@dataclass(frozen=True, slots=True)
class Way:
    """One way to a privilege: whose it is at the end of `path`, and by which rights, or by what else."""

    now: bool
    path: tuple[str, ...]
    grants: tuple[Grant, ...] = ()
    why: str = ""  # "superuser", or the name of a predefined role; "" where it is by `grants`
    columns: tuple[str, ...] = ()  # where not empty, only these


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody who has a privilege `now`, or can have it by an act of its own (SET ROLE, PROXY).

    `usable`: whether it can log in at the moment asked about; None where nobody knows. `columns`: where not empty,
    only these; by an act of its own perhaps more, see `ways`. `lacks`: what else it would need and does not have
    (PostgreSQL: CONNECT, USAGE of the schema).
    """

    principal: str
    now: bool
    usable: bool | None
    ways: tuple[Way, ...]
    columns: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


@dataclass(slots=True)
class _Held:
    """What a principal itself has of what is asked for."""

    whole: list[Grant] = field(default_factory=list)
    columns: list[Grant] = field(default_factory=list)
    denied: bool = False
    denied_columns: set[str] = field(default_factory=set)
    why: str = ""


def who(state: AccountState, engine: str, privilege: str, path: Path, now: datetime) -> tuple[Holder, ...]:
    """Everybody who has a privilege on an object at a moment, with every way; sorted by name.

    `path` as in `containment`; the moment decides only who has expired. A privilege is written as the server does:
    upper case. Raises ValueError for a moment without a zone.
    """
    if now.tzinfo is None:
        raise ValueError("a moment needs its zone")
    privilege = privilege.upper()
    rules = ENGINES.get(engine, EngineRules())
    held = _held(state, engine, privilege, path)
    roles = Roles(state)
    lacking = _lacking(state, roles, engine, path)
    holders = (
        _holder(rules, principal, roles.of(name).values(), held, path, now)
        for name, principal in sorted(state.principals.items())
    )
    return tuple(_with_lacks(one, lacking) for one in holders if one is not None)


def _holder(
    rules: EngineRules,
    principal: Principal,
    reaches: Iterable[Reach],
    held: Mapping[str, _Held],
    path: Path,
    now: datetime,
) -> Holder | None:
    """A denial anywhere among what is had now wins over rights; not over a superuser's."""
    own = [pair for reach in reaches if reach.name in held for pair in _as_reached(rules, reach, held[reach.name])]
    denied = any(h.denied for reach, h in own if reach.now)
    no_columns = {c for reach, h in own if reach.now for c in h.denied_columns}
    ways = [Way(r.now, r.path, tuple(h.whole), h.why) for r, h in own if h.why or (h.whole and not denied)]
    some = ((r, [g for g in h.columns if g.path[-1] not in no_columns]) for r, h in own)
    ways += [Way(r.now, r.path, tuple(g), columns=tuple(sorted({one.path[-1] for one in g}))) for r, g in some if g]
    if not ways:
        return None
    ways.sort(key=lambda way: (not way.now, bool(way.columns), len(way.path), way.path))
    alike = [way for way in ways if way.now == ways[0].now]
    columns = {c for way in alike for c in way.columns} if all(way.columns for way in alike) else set()
    return Holder(principal.name, ways[0].now, usable(principal, now), tuple(ways), tuple(sorted(columns)))


def _as_reached(rules: EngineRules, reach: Reach, held: _Held) -> Iterator[tuple[Reach, _Held]]:
    """PostgreSQL: members inherit a superuser's rights but not its power; for that they must become it."""
    if held.why != _ITSELF or rules.inherits_power or len(reach.path) == 1:
        yield reach, held
        return
    yield reach, replace(held, why="")
    if reach.become:
        yield replace(reach, now=False), _Held(why=held.why)


def _held(state: AccountState, engine: str, privilege: str, path: Path) -> Mapping[str, _Held]:
    rules = ENGINES.get(engine, EngineRules())
    found: dict[str, _Held] = defaultdict(_Held)
    for grant in state.grants.values():
        if satisfies(rules, grant, privilege):
            _sort_in(found[grant.principal], engine, grant, path)
    _take_back(found, engine, state.grants.values(), privilege, path)
    for name, principal in state.principals.items():
        _by_nature(found, rules, principal, name, privilege, path)
    _database_owners(found, state, engine, path)
    return {
        name: one
        for name, one in found.items()
        if one.whole or one.columns or one.why or one.denied or one.denied_columns
    }


def _sort_in(held: _Held, engine: str, grant: Grant, path: Path) -> None:
    whole, part = covers(engine, grant, path), part_of(grant, path)
    if grant.effect is Effect.GRANT:
        held.whole += [grant] if whole else []
        held.columns += [grant] if part and not whole else []
    elif grant.effect is Effect.DENY:
        held.denied = held.denied or whole
        held.denied_columns |= {grant.path[-1]} if part else set()


def _take_back(found: Mapping[str, _Held], engine: str, grants: Iterable[Grant], privilege: str, path: Path) -> None:
    """Partial revokes: of MySQL they take a database out of what is held on everything, of PostgreSQL an owner's or
    everybody's right out of what comes by itself."""
    for revoke in grants:
        if revoke.effect is not Effect.PARTIAL_REVOKE or revoke.privilege != privilege:
            continue
        if revoke.principal in found and covers(engine, revoke, path):
            held = found[revoke.principal]
            held.whole = [g for g in held.whole if not _loses(g, revoke)]


def _loses(grant: Grant, revoke: Grant) -> bool:
    of_column = revoke.scope is ScopeKind.COLUMN and grant.scope is ScopeKind.TABLE  # of SQL Server
    return of_column or grant.scope is ScopeKind.GLOBAL or grant.privilege == "OWNERSHIP"


def _by_nature(
    found: Mapping[str, _Held], rules: EngineRules, principal: Principal, name: str, privilege: str, path: Path
) -> None:
    if rules.all_seeing and principal.superuser and principal.part in ("", *path[:1]):
        found[name].why = "superuser"
    if not principal.system and principal.kind is not PrincipalKind.ROLE:
        return
    role, database = _role_name(name)
    here = database is None or database == path[:1]
    if here and rules.predefined.get(role, frozenset()) & {privilege, "*"}:
        found[name].why = role
    if here and privilege in rules.refused.get(role, ()):
        found[name].denied = True


def _role_name(name: str) -> tuple[str, Path | None]:
    """A role of SQL Server is named with its database: ``[shop].[db_owner]``."""
    if name.startswith("[") and name.endswith("]") and "].[" in name:
        database, _, role = name[1:-1].rpartition("].[")
        return role, (database,)
    return name, None


def _database_owners(found: dict[str, _Held], state: AccountState, engine: str, path: Path) -> None:
    """The owner of a database of PostgreSQL is the one member of pg_database_owner, in that database."""
    held = found.get("pg_database_owner")
    if engine != "postgres" or held is None or not (held.whole or held.columns):
        return
    for grant in state.grants.values():
        if grant.privilege == "OWNERSHIP" and grant.scope is ScopeKind.DATABASE and grant.path == path[:1]:
            owner = found[grant.principal]
            owner.whole, owner.columns = [*owner.whole, *held.whole], [*owner.columns, *held.columns]


# -- what else it takes

_OWN_SCHEMAS = ("pg_catalog", "information_schema", "pg_toast")


def _lacking(state: AccountState, roles: Roles, engine: str, path: Path) -> Mapping[str, frozenset[str]]:
    """For each thing that is needed besides, those who have it or can have it."""
    if engine != "postgres" or len(path) < 3 or path[1] in _OWN_SCHEMAS:
        return {}
    needed = {
        f'CONNECT on database "{path[0]}"': _held(state, engine, "CONNECT", path[:1]),
        f'USAGE on schema "{path[1]}"': _held(state, engine, "USAGE", path[:2]),
    }
    return {
        text: frozenset(name for name in state.principals if any(reach in held for reach in roles.of(name)))
        for text, held in needed.items()
    }


def _with_lacks(one: Holder, lacking: Mapping[str, frozenset[str]]) -> Holder:
    lacks = tuple(text for text, names in lacking.items() if one.principal not in names)
    return Holder(one.principal, one.now, one.usable, one.ways, one.columns, lacks) if lacks else one


def usable(principal: Principal, now: datetime) -> bool | None:
    """Whether an account can log in at a moment, as far as it is known: not a role, not locked, not expired."""
    if principal.can_login is False or principal.locked or _expired(principal, now):
        return False
    return None if principal.can_login is None else True


def _expired(principal: Principal, now: datetime) -> bool:
    until = principal.attribute("valid_until")
    if not isinstance(until, str) or not until:
        return False
    moment = datetime.fromisoformat(until)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) < now
