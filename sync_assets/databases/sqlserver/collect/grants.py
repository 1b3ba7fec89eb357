"""Rows of sys.server_permissions and sys.database_permissions as grants.

State G is GRANT, W is WITH GRANT OPTION, D is DENY; R stands only where a column is taken out of a right on its
table (learn.microsoft.com, sys.database_permissions). Rights of `public` on the server's own objects, as shipped, are
left out in the SQL: some hundreds in every database, and none of anybody's doing.
"""

from __future__ import annotations

from sync_assets.databases.sqlserver.collect import naming
from sync_assets.databases.sqlserver.collect.rows import Found
from sync_assets.fleet.model import Effect, Grant, ScopeKind

Scope = tuple[ScopeKind, tuple[str, ...]]
_EFFECTS = {"G": Effect.GRANT, "W": Effect.GRANT, "D": Effect.DENY, "R": Effect.PARTIAL_REVOKE}
_TABLES = frozenset({"U", "V", "S", "IT", "ET", "TT"})
_ROUTINES = frozenset({"P", "PC", "X", "RF", "FN", "FS", "FT", "IF", "TF", "AF"})
_PLAIN = {"SCHEMA": ScopeKind.SCHEMA, "TYPE": ScopeKind.TYPE}
_ACCOUNTS = frozenset({"SERVER_PRINCIPAL", "DATABASE_PRINCIPAL"})


def grant(row: Found) -> Grant:
    """A row of kind `grant`: a grantee, b grantor, c state, d right, e class, f schema, g type, h name, i column."""
    scope, path = _scope(row)
    state = row.text("c").strip()
    return Grant(
        principal=naming.principal(row.part, row.text("a")),
        scope=scope,
        path=path,
        privilege=row.text("d").upper(),
        effect=_EFFECTS.get(state, Effect.GRANT),
        grantor=naming.principal(row.part, row.text("b")) if row["b"] else "",
        grantable=state == "W",
        part=row.part,
    )


def _scope(row: Found) -> Scope:
    kind = row.text("e").replace(" ", "_")
    if kind == "SERVER":
        return ScopeKind.GLOBAL, ()
    if kind == "DATABASE":
        return ScopeKind.DATABASE, (row.part,)
    if kind in _ACCOUNTS and row.text("d").upper() == "IMPERSONATE":
        return ScopeKind.PROXY, (naming.principal(row.part, row.text("h")),)
    if kind == "OBJECT_OR_COLUMN":
        return _object(row)
    names = tuple(n for n in (row["f"], row["h"]) if n)
    if kind in _PLAIN:
        return _PLAIN[kind], (row.part, *names)
    return ScopeKind.OTHER, (row.part, kind, *names) if row.part else (kind, *names)


def _object(row: Found) -> Scope:
    path = (row.part, row.text("f"), row.text("h"))
    kind = row.text("g").strip()
    if row["i"]:
        return ScopeKind.COLUMN, (*path, row.text("i"))
    if kind in _ROUTINES:
        return ScopeKind.ROUTINE, path
    if kind == "SO":
        return ScopeKind.SEQUENCE, path
    if kind in _TABLES:
        return ScopeKind.TABLE, path
    return ScopeKind.OTHER, (row.part, "OBJECT", *path[1:])
