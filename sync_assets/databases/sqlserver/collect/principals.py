"""Logins, roles of the server, users and roles of databases as principals, and how they lead into each other.

A login has the rights of its user in a database, so that is a membership like any other, found by the sid; `dbo` has
the sid of the database's owner. Every user of a database is in its role `public`; who has no user there comes in as
`guest`, where that may connect. Nobody is left out: what the server made is marked `system`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from sync_assets.databases.sqlserver.collect import naming
from sync_assets.databases.sqlserver.collect.rows import Found, Rows
from sync_assets.fleet.model import Membership, Principal, PrincipalKind, Scalar

PUBLIC = "public"
_GROUPS = frozenset({"G", "X"})  # of Windows, of Entra
_ROLES = frozenset({"R", "A"})  # A: application role, entered by a password of its own
_OF_SERVER = re.compile(r"##.*##|NT SERVICE\\.*|NT AUTHORITY\\.*", re.IGNORECASE)
_OF_DATABASE = frozenset({"dbo", "guest", "sys", "INFORMATION_SCHEMA", PUBLIC})


def logins(rows: Rows) -> Iterator[Principal]:
    may = _may_connect(rows)
    for row in rows.of("login"):
        yield _login(row, may.get(row.text("a"), may.get(PUBLIC)))


def _may_connect(rows: Rows) -> Mapping[str, bool]:
    """By grantee: whether CONNECT SQL is granted or denied; a denial wins."""
    found: dict[str, bool] = {}
    for row in rows.of("grant"):
        if not row.part and row.text("d") == "CONNECT SQL":
            found[row.text("a")] = found.get(row.text("a"), True) and row.text("c").strip() in ("G", "W")
    return found


def _login(row: Found, connect: bool | None) -> Principal:
    """Of row: a name, b type, c sid, d made, e disabled, f fixed, g database, h.. of SQL logins, n password empty."""
    name, kind = row.text("a"), row.text("b").strip()
    disabled, empty = row.flag("e"), row.flag("n")
    return Principal(
        name=naming.login(name),
        kind=_kind(kind, PUBLIC if name == PUBLIC else ""),
        incarnation=f"{row.text('c')}:{row.text('d')}",
        can_login=False if kind in (*_ROLES, "C", "K") or disabled or connect is False else connect,
        superuser=name == "sysadmin" and kind == "R",
        locked=None if kind in _ROLES else bool(disabled or row.flag("k")),
        has_password=None if empty is None else not empty,
        system=bool(row.flag("f")) or name == PUBLIC or _OF_SERVER.fullmatch(name) is not None,
        attributes=_sorted(
            type=kind,
            disabled=disabled if kind not in _ROLES else None,
            default_database=row["g"],
            policy_checked=row.flag("h"),
            expiration_checked=row.flag("i"),
            password_changed_at=row["j"],
            password_expired=row.flag("l"),
            password_must_change=row.flag("m"),
        ),
    )


def users(rows: Rows) -> Iterator[Principal]:
    made = {row.part: row.text("b") for row in rows.of("database")}
    for row in rows.of("user"):
        yield _user(row, "" if row.part == "tempdb" else made.get(row.part, ""))


def _user(row: Found, database_made: str) -> Principal:
    """Of row: a name, b type, c sid, d made, e id, f fixed, g authentication, h login.

    The database is part of the incarnation: `guest` of all databases was made in the same moment.
    """
    name, kind, by = row.text("a"), row.text("b").strip(), row.text("g")
    contained = by == "DATABASE"
    return Principal(
        name=naming.inside(row.part, name),
        kind=_kind(kind, ""),
        incarnation=f"{database_made or row.part}/{row.text('e')}:{row.text('d')}",
        can_login=contained if contained or by in ("INSTANCE", "NONE") or kind in _ROLES else None,
        superuser=False,
        has_password=True if contained else None,
        system=bool(row.flag("f")) or name in _OF_DATABASE or _OF_SERVER.fullmatch(name) is not None,
        attributes=_sorted(type=kind, authentication=by or None, orphan=_orphan(row), user_of_database=True),
        part=row.part,
    )


def _orphan(row: Found) -> bool | None:
    """A user of a login that is gone. A Windows user may come in by a group: that is unknown."""
    kind, by = row.text("b").strip(), row.text("g")
    if row["h"] or row.text("a") in _OF_DATABASE or by not in ("INSTANCE", "WINDOWS"):
        return None
    return True if kind == "S" else None


def _kind(letter: str, public: str) -> PrincipalKind:
    if public:
        return PrincipalKind.PUBLIC
    if letter in _ROLES:
        return PrincipalKind.ROLE
    return PrincipalKind.EXTERNAL if letter in _GROUPS else PrincipalKind.USER


def _sorted(**attributes: Scalar) -> tuple[tuple[str, Scalar], ...]:
    return tuple(sorted((name, value) for name, value in attributes.items() if value is not None))


# -- who leads to whom


def memberships(rows: Rows) -> Iterator[Membership]:
    for row in rows.of("member"):
        yield _leads(naming.principal(row.part, row.text("a")), naming.principal(row.part, row.text("b")), row.part)
    for row in rows.of("user"):
        user = naming.inside(row.part, row.text("a"))
        if row["h"]:
            yield _leads(naming.login(row.text("h")), user, row.part)
        if row.text("b").strip() not in _ROLES:
            yield _leads(user, naming.inside(row.part, PUBLIC), row.part)
    for row in rows.of("grant"):
        if _opens_to_guests(row):
            yield _leads(PUBLIC, naming.inside(row.part, "guest"), row.part)


def _opens_to_guests(row: Found) -> bool:
    at_database = row.part != "" and row.text("e") == "DATABASE"
    return at_database and (row.text("a"), row.text("d"), row.text("c").strip()) == ("guest", "CONNECT", "G")


def _leads(member: str, role: str, part: str) -> Membership:
    return Membership(member=member, role=role, inherits=True, default=True, part=part)
