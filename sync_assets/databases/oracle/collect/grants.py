"""Rows of rights as grants: system privileges, objects, columns, accounts that may be played, quotas, schemas.

Paths begin with the container. What the installation granted among its own accounts is left out in the SQL, and what
it granted to PUBLIC but for a list of what auditors look at: it is tens of thousands of rows, and nobody's doing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from sync_assets.databases.oracle.collect.places import Container, Places
from sync_assets.fleet.model import Grant, GrantKey, ScopeKind

Cells = Sequence[str | None]
Scope = tuple[ScopeKind, tuple[str, ...]]
PASSWORD_FILE = "password file"  # noqa: S105 (the part of a section)
_ADMINS = ("SYSDBA", "SYSOPER", "SYSBACKUP", "SYSDG", "SYSKM")
_ROUTINES = frozenset({"PROCEDURE", "FUNCTION", "PACKAGE"})
_TABLES = frozenset({"TABLE", "VIEW", "MATERIALIZED VIEW", "ANALYTIC VIEW"})
_ALL_ROLES = ("", "PROXY MAY ACTIVATE ALL CLIENT ROLES")


def grants(rows: Iterable[Cells], places: Places) -> dict[GrantKey, Grant]:
    """The same right may be granted twice, commonly and in one container: one of them WITH ADMIN OPTION is enough."""
    found: dict[GrantKey, Grant] = {}
    for cells in rows:
        place = places.of(cells[0])
        if place is not None:
            _put(found, _grant(cells, place))
    return found


def _put(found: dict[GrantKey, Grant], one: Grant) -> None:
    other = found.get(one.key)
    found[one.key] = replace(one, grantable=one.grantable or (other is not None and other.grantable))


def _grant(cells: Cells, place: Container) -> Grant:
    """Of a row: container, kind, grantee, privilege, grantable, grantor, type, owner, name, column."""
    _, kind, grantee, privilege, grantable, grantor, type_, owner, name, column = (c or "" for c in cells)
    scope, path = _scope(kind, place, (type_, owner, name, column), privilege)
    return Grant(
        principal=place.account(grantee),
        scope=scope,
        path=path,
        privilege=_privilege(kind, privilege, name),
        grantor=place.account(grantor) if grantor else "",
        grantable=grantable == "YES",
        part=place.part,
    )


def _scope(kind: str, place: Container, of: tuple[str, str, str, str], privilege: str) -> Scope:
    type_, owner, name, column = of
    if kind == "system":
        return (ScopeKind.DATABASE, (place.name,)) if place.part else (ScopeKind.GLOBAL, ())
    if kind == "column":
        return ScopeKind.COLUMN, (place.name, owner, name, column)
    if kind == "proxy":
        return ScopeKind.PROXY, (place.account(owner),)
    if kind == "quota":
        return ScopeKind.TABLESPACE, (place.name, name)
    if kind == "schema":
        return ScopeKind.SCHEMA, (place.name, owner)
    return _object(place, type_, owner, name, privilege)


def _object(place: Container, type_: str, owner: str, name: str, privilege: str) -> Scope:
    """Before 12.1 the views say no type: EXECUTE is about a routine, the rest is taken for a table's."""
    path = (place.name, owner, name)
    if type_ in _ROUTINES or (not type_ and privilege == "EXECUTE"):
        return ScopeKind.ROUTINE, path
    if type_ in _TABLES or not type_:
        return ScopeKind.TABLE, path
    if type_ in ("SEQUENCE", "TYPE"):
        return ScopeKind(type_.lower()), path
    return ScopeKind.OTHER, (place.name, type_, owner, name)


def _privilege(kind: str, privilege: str, name: str) -> str:
    if kind == "quota":
        return f"QUOTA {privilege}"
    if kind != "proxy":
        return privilege.upper()
    if privilege in _ALL_ROLES:
        return "CONNECT THROUGH"
    return f"CONNECT THROUGH: {privilege} {name}".rstrip()


def password_file(rows: Iterable[Cells], places: Places) -> Iterator[Grant]:
    """SYSDBA and the like. Those of the whole server are kept with the account in the root."""
    for cells in rows:
        place = places.of(cells[0]) or places.of("1")
        if place is None:
            continue
        for privilege, has in zip(_ADMINS, cells[2:], strict=True):
            if has == "TRUE":
                yield Grant(place.account(cells[1] or ""), ScopeKind.GLOBAL, (), privilege, part=PASSWORD_FILE)
