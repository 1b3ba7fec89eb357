"""Rows of the grant tables as grants and memberships. Must not know how they were fetched.

The rows of MySQL (edges, dynamic privileges, restrictions) are read after its documentation, and have not yet been
read from a live server; those that MariaDB shares have.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sync_assets.databases.mysql.collect.privileges import Rights, Version, flagged, listed, masked
from sync_assets.fleet.model import Effect, Grant, Membership, ScopeKind

Row = Sequence[Any]
EVERYBODY = "mandatory_roles@"  # stands for all accounts of a MySQL server that gives roles to everybody
_WILD = re.compile(r"(?<!\\)[_%]")


@dataclass(frozen=True, slots=True)
class Reading:
    """What the meaning of a row depends on. `literal`: the server takes ``_`` and ``%`` in names as themselves."""

    version: Version
    facts: Mapping[str, Any] = field(default_factory=dict)
    flags: Mapping[str, Sequence[str]] = field(default_factory=dict)  # the columns of letters, by table

    @property
    def literal(self) -> bool:
        return _on(self.facts.get("partial_revokes"))

    @property
    def all_on(self) -> bool:
        """Whether every role that was granted is on at login."""
        return _on(self.facts.get("activate_all_roles_on_login"))


def _on(value: object) -> bool:
    return str(value).upper() in ("1", "ON")


def principal(user: str, host: str) -> str:
    """The key of an account: its host holds no ``@``, so that the last one parts them."""
    return f"{user}@{host}"


# -- grants


def mask(row: Row, reading: Reading) -> Iterator[Grant]:
    user, host, access, written_by, _ = row
    rights = masked(int(access or 0), int(written_by or 0), reading.version)
    yield from _level(principal(user, host), ScopeKind.GLOBAL, (), rights, "global")


def static(row: Row, reading: Reading) -> Iterator[Grant]:
    user, host, flags = row
    rights = flagged(reading.flags["user"], flags)
    yield from _level(principal(user, host), ScopeKind.GLOBAL, (), rights, "global")


def dynamic(row: Row, reading: Reading) -> Iterator[Grant]:
    user, host, privilege, option = row
    name = principal(user, host)
    yield Grant(name, ScopeKind.GLOBAL, (), privilege.upper(), grantable=option == "Y", part="dynamic")


def restriction(row: Row, reading: Reading) -> Iterator[Grant]:
    """Partial revokes: ``[{"Database": "mysql", "Privileges": ["INSERT"]}]``, text or already read."""
    user, host, found = row
    name = principal(user, host)
    for one in json.loads(found) if isinstance(found, str) else found:
        for privilege in one["Privileges"]:
            yield Grant(name, ScopeKind.DATABASE, (one["Database"],), privilege.upper(), Effect.PARTIAL_REVOKE,
                        part="restriction")  # fmt: skip


def database(row: Row, reading: Reading) -> Iterator[Grant]:
    user, host, stored, flags = row
    scope, path = database_scope(stored, reading.literal)
    yield from _level(principal(user, host), scope, (path,), flagged(reading.flags["db"], flags), "database")


def database_scope(stored: str, literal: bool = False) -> tuple[ScopeKind, str]:
    """One database if the name is written so that only it is meant (``a\\_b``), else the pattern as it is stored."""
    if literal:
        return ScopeKind.DATABASE, stored
    plain = stored.replace("\\_", "_").replace("\\%", "%")
    escaped = plain.replace("_", "\\_").replace("%", "\\%")
    return (ScopeKind.DATABASE, plain) if escaped == stored and "\\" not in plain else (
        ScopeKind.DATABASE_PATTERN, stored)  # fmt: skip


def table(row: Row, reading: Reading) -> Iterator[Grant]:
    user, host, db, name, words = row
    yield from _level(principal(user, host), ScopeKind.TABLE, (db, name), listed(words), "table")


def columns(rows: Sequence[Row], tables: Sequence[Row]) -> Iterator[Grant]:
    """Rights on columns; that they may be handed on is said once, in the row of their table."""
    handed_on = {tuple(row[:4]) for row in tables if listed(row[4]).grantable}
    for user, host, db, name, column, words in rows:
        rights = Rights(listed(words).names, (user, host, db, name) in handed_on)
        for privilege in sorted(rights.names):
            yield Grant(principal(user, host), ScopeKind.COLUMN, (db, name, column), privilege,
                        grantable=rights.grantable, part="column")  # fmt: skip


def routine(row: Row, reading: Reading) -> Iterator[Grant]:
    """The kind stands last in the path: a function and a procedure may share their name."""
    user, host, db, name = map(mended, row[:4])
    kind, words = row[4:]
    path = (db, name, kind.lower())
    yield from _level(principal(user, host), ScopeKind.ROUTINE, path, listed(words), "routine")


def mended(name: str) -> str:
    """A name in `procs_priv` as it was granted. The server writes its UTF-8 into that table as if it were Latin-1
    (MariaDB 10.11, seen): granted on 表, stored as è¡¨, and shown like that by SHOW GRANTS too after a restart."""
    try:
        return b"".join(map(_latin, name)).decode() if not name.isascii() else name
    except UnicodeError:
        return name


def _latin(letter: str) -> bytes:
    """The server's latin1 is cp1252, and its five holes stand for themselves."""
    return letter.encode("latin-1" if ord(letter) < 256 else "cp1252")


def proxy(row: Row, reading: Reading) -> Iterator[Grant]:
    user, host, other_user, other_host, option = row
    path = (principal(other_user, other_host),)
    yield Grant(principal(user, host), ScopeKind.PROXY, path, "PROXY", grantable=bool(option), part="proxy")


def _level(name: str, scope: ScopeKind, path: tuple[str, ...], rights: Rights, part: str) -> Iterator[Grant]:
    for privilege in rights.rows():
        yield Grant(name, scope, path, privilege, grantable=rights.grantable, part=part)


# -- memberships


def mapping(rows: Sequence[Row], defaults: Mapping[str, str]) -> Iterator[Membership]:
    """MariaDB: a role in a role is always on with it; `defaults` are the accounts' default roles."""
    for user, host, role, admin in rows:
        member, inner = principal(user, host), host == ""
        yield Membership(
            member, principal(role, ""), admin=admin == "Y", inherits=True, can_set=not inner,
            default=None if inner else defaults.get(member) == role,
        )  # fmt: skip


def edges(rows: Sequence[Row], defaults: Sequence[Row], roles: set[str], reading: Reading) -> Iterator[Membership]:
    """MySQL: a role in a role is always on with it; one of an account if it is a default, or all are on."""
    on = {(principal(u, h), principal(ru, rh)) for u, h, ru, rh in defaults}
    for user, host, role_user, role_host, admin in rows:
        member, role = principal(user, host), principal(role_user, role_host)
        default = None if member in roles else reading.all_on or (member, role) in on
        yield Membership(member, role, admin=admin == "Y", inherits=True, can_set=member not in roles, default=default)
    for role in mandatory(reading):
        yield Membership(EVERYBODY, role, inherits=True, can_set=True, default=reading.all_on)


_NAMED = re.compile(r"(`(?:[^`]|``)*`|'(?:[^']|'')*'|[^@,`']+)(?:@(`(?:[^`]|``)*`|'(?:[^']|'')*'|[^,]*))?\s*(?:,|$)")


def mandatory(reading: Reading) -> list[str]:
    """The roles that MySQL gives to everybody: ``'a'@'%',`b`@`h`,c``. A host that is left out is ``%``."""
    text = str(reading.facts.get("mandatory_roles") or "")
    return [principal(_bare(m[1]), _bare(m[2]) if m[2] else "%") for m in _NAMED.finditer(text) if m[1].strip()]


def _bare(name: str) -> str:
    name = name.strip()
    mark = name[:1]
    return name[1:-1].replace(mark * 2, mark) if mark in ("`", "'") and mark else name
