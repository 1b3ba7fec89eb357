"""Which explicit rights give a privilege on an object, by database: what lies within what, what implies what.

Paths are from the outside in. PostgreSQL (database, schema, table, column): a right on a schema is none on its tables.
MySQL (database, table, column): a right on everything, a database or a pattern of names is one on the tables in it;
all that match are added up, although the server takes only the most specific row of mysql.db: rather a right too
many. SQL Server (database, schema, object, column) and Oracle (container, schema, object, column): rights reach down.
Names are compared as they are written: a server that folds case keeps
them folded.

Must not know accounts and memberships.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from sync_assets.fleet.model import Grant, ScopeKind

Path = tuple[str, ...]
_EVERYTHING = frozenset({"ALL", "ALL PRIVILEGES"})
_OBJECTS = frozenset(
    {ScopeKind.TABLE, ScopeKind.SEQUENCE, ScopeKind.ROUTINE, ScopeKind.TYPE, ScopeKind.LANGUAGE,
     ScopeKind.FOREIGN_SERVER, ScopeKind.FOREIGN_DATA_WRAPPER, ScopeKind.LARGE_OBJECT, ScopeKind.OTHER}
)  # fmt: skip
_CONTAINERS = frozenset({ScopeKind.GLOBAL, ScopeKind.DATABASE, ScopeKind.SCHEMA})
_POSTGRES: Mapping[int, frozenset[ScopeKind]] = {
    0: frozenset({ScopeKind.GLOBAL}),
    1: frozenset({ScopeKind.DATABASE}),
    2: frozenset({ScopeKind.SCHEMA}),
    3: _OBJECTS,
    4: frozenset({ScopeKind.COLUMN}),
}


@dataclass(frozen=True, slots=True)
class EngineRules:
    """What is particular to a database.

    `all_seeing`: a superuser may everything; `inherits_power`: and so may members of it, without an act of their own.
    `implied`: on the object, the privileges that give another one;
    `anywhere`: on what holds objects. `predefined`: what a role may by its name, on all tables; `refused`: and may not.
    """

    all_seeing: bool = True
    inherits_power: bool = True
    implied: Mapping[str, frozenset[str]] = field(default_factory=dict)
    anywhere: Mapping[str, frozenset[str]] = field(default_factory=dict)
    predefined: Mapping[str, frozenset[str]] = field(default_factory=dict)
    refused: Mapping[str, frozenset[str]] = field(default_factory=dict)


_WRITES = frozenset({"INSERT", "UPDATE", "DELETE"})
_ANY_TABLE = {w: frozenset({f"{w} ANY TABLE"}) for w in _WRITES}
_CONTROL = frozenset({"CONTROL SERVER"})
ENGINES: Mapping[str, EngineRules] = {
    "postgres": EngineRules(
        inherits_power=False,
        implied={"*": frozenset({"OWNERSHIP"})},
        predefined={
            "pg_read_all_data": frozenset({"SELECT", "USAGE"}),
            "pg_write_all_data": _WRITES | {"USAGE"},
            "pg_maintain": frozenset({"MAINTAIN"}),
        },
    ),
    "mysql": EngineRules(all_seeing=False),  # SUPER reads no table
    "sqlserver": EngineRules(
        implied={"*": frozenset({"CONTROL"})},
        anywhere={"*": _CONTROL, "SELECT": _CONTROL | {"SELECT ALL USER SECURABLES"}},
        predefined={"db_datareader": frozenset({"SELECT"}), "db_datawriter": _WRITES, "db_owner": frozenset({"*"})},
        refused={"db_denydatareader": frozenset({"SELECT"}), "db_denydatawriter": _WRITES},
    ),
    "oracle": EngineRules(
        implied={"SELECT": frozenset({"READ"})},
        anywhere=_ANY_TABLE | {"SELECT": frozenset({"SELECT ANY TABLE", "READ ANY TABLE"})},
    ),
}


def satisfies(rules: EngineRules, held: Grant, privilege: str) -> bool:
    """Whether the privilege of a right is the one asked for, or gives it."""
    if held.privilege == privilege or held.privilege in _EVERYTHING:
        return True
    given = [rules.implied, rules.anywhere] if held.scope in _CONTAINERS else [rules.implied]
    return any(held.privilege in one.get(privilege, one.get("*", frozenset())) for one in given)


def covers(engine: str, held: Grant, path: Path) -> bool:
    """Whether a right is about the object, all of it, by standing on it or on what it lies in. An engine that is not
    known is taken for one whose rights reach down."""
    if held.scope in (ScopeKind.DEFAULT, ScopeKind.PROXY):
        return False
    if engine == "mysql":
        return _covers_mysql(held, path)
    if engine == "postgres":
        exact = held.path == path and held.scope in _POSTGRES.get(len(path), _OBJECTS)
        return exact or (held.path == path[:-1] and held.scope is ScopeKind.TABLE)
    if held.scope is ScopeKind.GLOBAL:
        return True
    return bool(held.path) and path[: len(held.path)] == held.path


def part_of(held: Grant, path: Path) -> bool:
    """Whether a right is about a column of the object only."""
    return held.scope is ScopeKind.COLUMN and held.path[:-1] == path


def _covers_mysql(held: Grant, path: Path) -> bool:
    if held.scope is ScopeKind.GLOBAL:
        return True
    if held.scope is ScopeKind.DATABASE_PATTERN:
        return bool(path) and pattern_matches(held.path[0], path[0])
    return path[: len(held.path)] == held.path


def pattern_matches(pattern: str, name: str) -> bool:
    r"""Whether a database has a name of that pattern of MySQL: ``_`` one character, ``%`` any, ``\_`` itself."""
    return _compiled(pattern).fullmatch(name) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    live = {"_": ".", "%": ".*"}
    return re.compile("".join(live.get(p, re.escape(p[-1])) for p in parts), re.DOTALL)
