"""Where a grant holds: the words of the rule language for levels, names with and without what stands around them.

Must not know accounts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from sync_assets.fleet.containment import pattern_matches
from sync_assets.fleet.model import Grant, ScopeKind

_DATABASE = frozenset({ScopeKind.DATABASE, ScopeKind.DATABASE_PATTERN})
_GLOBAL = frozenset({ScopeKind.GLOBAL})
SCOPES: Mapping[str, frozenset[ScopeKind]] = MappingProxyType(
    {"any": frozenset(ScopeKind), "global": _GLOBAL, "server": _GLOBAL, "database": _DATABASE}
    | {str(s): frozenset({s}) for s in ScopeKind if s not in _DATABASE | _GLOBAL}
)
# Where the name of the thing stands in a path, from its end; a column belongs to its table.
_OBJECT_AT: Mapping[ScopeKind, int] = {ScopeKind.COLUMN: 2}
_NO_OBJECT = frozenset({*_GLOBAL, *_DATABASE, ScopeKind.SCHEMA, ScopeKind.DEFAULT})
_LIVE = re.compile(r"(?:[^\\%_]|\\.|\\$)*[%_]", re.DOTALL)
_SQLSERVER_NAME = re.compile(r"\[.*?\]\.\[(.*)\]", re.DOTALL)


def names_of(engine: str, name: str) -> frozenset[str]:
    """The name of a role as it is stored, and without its host, database or container."""
    if engine == "mysql":
        return frozenset({name, name.rpartition("@")[0] if "@" in name else name})
    if engine == "sqlserver":
        inner = _SQLSERVER_NAME.fullmatch(name)
        return frozenset({name, inner[1] if inner else name})
    return frozenset({name, name.rpartition(".")[2]}) if engine == "oracle" else frozenset({name})


def everywhere(engine: str, one: Grant) -> bool:
    """Whether a right holds on the whole server; of Oracle, on a whole container, which is a server to its accounts."""
    pattern = one.scope is ScopeKind.DATABASE_PATTERN and one.path == ("%",)
    return one.scope is ScopeKind.GLOBAL or pattern or (engine == "oracle" and one.scope is ScopeKind.DATABASE)


def within(one: Grant, wanted: Mapping[str, str], engine: str) -> bool:
    """Whether a grant lies in the database and schema and is about the object that are asked for, where they are."""
    return all(_FITS[name](one, value, engine) for name, value in wanted.items())


def _in_database(one: Grant, name: str, engine: str) -> bool:
    if one.scope is ScopeKind.GLOBAL or not one.path:
        return one.scope is ScopeKind.GLOBAL
    return pattern_matches(one.path[0], name) if one.scope is ScopeKind.DATABASE_PATTERN else one.path[0] == name


def _in_schema(one: Grant, name: str, engine: str) -> bool:
    if one.scope is ScopeKind.SCHEMA:
        return one.path[-1] == name
    at = _OBJECT_AT.get(one.scope, 1) + 1
    return one.scope not in _NO_OBJECT and len(one.path) >= at and one.path[-at] == name


def _about(one: Grant, name: str, engine: str) -> bool:
    at = _OBJECT_AT.get(one.scope, 1)
    return one.scope not in _NO_OBJECT and len(one.path) >= at and one.path[-at] == name


_FITS = {"database": _in_database, "schema": _in_schema, "object": _about}


def covers(deny: Grant, one: Grant) -> bool:
    """Whether a DENY holds where a grant does: on the same thing, or on what lies around it."""
    return deny.scope is ScopeKind.GLOBAL or deny.path == one.path[: len(deny.path)]


def is_wildcard(pattern: str) -> bool:
    """Whether an unescaped `%` or `_` is in it."""
    return _LIVE.match(pattern) is not None
