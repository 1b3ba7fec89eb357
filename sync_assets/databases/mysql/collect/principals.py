"""Rows of `mysql.global_priv` and `mysql.user` as principals. No row holds a hash: the server only tells whether.

Must not know how they were fetched. MySQL's rows are read after its documentation, not yet from a live server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sync_assets.databases.mysql.collect.grants import EVERYBODY, Reading, Row, mandatory, principal
from sync_assets.fleet.model import Principal, PrincipalKind, Scalar

# The servers' own accounts, by their exact names: a pattern would hide an account that is called mysqlbackup.
_SYSTEM = frozenset({
    "mysql.sys@localhost", "mysql.session@localhost", "mysql.infoschema@localhost", "mariadb.sys@localhost",
    "rdsadmin@localhost", "azure_superuser@localhost", "azure_superuser@127.0.0.1",
})  # fmt: skip
# Ways to log in by a password that the server keeps. The others (sockets, PAM, LDAP, Kerberos) ask somebody else.
_BY_PASSWORD = frozenset({
    "", "mysql_native_password", "mysql_old_password", "ed25519", "parsec", "sha256_password", "caching_sha2_password",
})  # fmt: skip
_TLS = {"1": "ANY", "2": "X509", "3": "SPECIFIED"}
_FIXED = 12  # fields before the alternative ways to log in, two fields each
_SEEN = 4  # alternatives that are read


def of_mariadb(row: Row, reading: Reading, supers: set[str] | None) -> Principal:
    """`supers`: who has SUPER; None where global privileges could not be read."""
    user, host, is_role, locked, changed, lifetime, default_role, tls, limit, plugin, filled, others = row[:_FIXED]
    name = principal(user, host)
    superuser = None if supers is None else name in supers
    if _true(is_role):
        kind = PrincipalKind.PUBLIC if user == "PUBLIC" and not host else PrincipalKind.ROLE
        return Principal(name, kind, can_login=False, superuser=superuser)
    ways = _ways((plugin or "", bool(filled)), row[_FIXED:], int(others))
    found: dict[str, Scalar] = {
        "plugin": ways[0][0] or "mysql_native_password",
        "other_plugins": ", ".join(p for p, _ in ways[1:]),
        "ssl_type": _TLS.get(str(tls), ""),
        "default_role": default_role or "",
        "connection_limit": int(limit or 0),
    }
    if any(p in _BY_PASSWORD for p, _ in ways):
        found |= _password(_moment(changed), _days(lifetime), changed == "0", reading)
    return Principal(
        name, PrincipalKind.USER, can_login=True, superuser=superuser, locked=_true(locked),
        has_password=has_password(ways) if int(others) <= _SEEN else None, system=name in _SYSTEM,
        attributes=_attributes(found),
    )  # fmt: skip


def _ways(first: tuple[str, bool], rest: Sequence[Any], count: int) -> list[tuple[str, bool]]:
    """All ways to log in. An alternative without a plugin stands for the outer one."""
    listed = [(rest[at], bool(rest[at + 1])) for at in range(0, 2 * min(count, _SEEN), 2)]
    others = [way for way in listed if way[0]]
    return [first, *others]


def has_password(ways: Sequence[tuple[str, bool]]) -> bool | None:
    """False if some way lets in without a password; None if no way is by a password, so that there is none to have."""
    filled = [full for plugin, full in ways if plugin in _BY_PASSWORD]
    return all(filled) if filled else None


def _password(changed: str | None, days: int | None, expired: bool, reading: Reading) -> dict[str, Scalar]:
    """Lifetime in days, 0 for never: the account's own, or the server's."""
    default = int(reading.facts.get("default_password_lifetime") or 0)
    return {
        "password_changed_at": changed,
        "password_lifetime_days": default if days is None else days,
        "password_expired": True if expired else None,
    }


def _days(lifetime: Any) -> int | None:
    """-1 is what a manual PASSWORD EXPIRE leaves: the server's default counts."""
    return None if lifetime is None or int(lifetime) < 0 else int(lifetime)


def _moment(seconds: Any) -> str | None:
    """ISO text of seconds since 1970; None for 0, which means: expired by hand."""
    return datetime.fromtimestamp(int(seconds), UTC).isoformat() if seconds and int(seconds) else None


def _true(value: Any) -> bool:
    return str(value).lower() in ("1", "true")


def _attributes(found: Mapping[str, Scalar]) -> tuple[tuple[str, Scalar], ...]:
    """Sorted; what says nothing is left out."""
    return tuple(sorted((k, v) for k, v in found.items() if v not in (None, "") and (v != 0 or k.endswith("_days"))))


# -- MySQL


def of_mysql(row: Row, reading: Reading, supers: set[str] | None, granted: set[str]) -> Principal:
    """`granted`: who was granted to somebody. A role is locked and was granted, or is as CREATE ROLE makes it."""
    user, host, locked, changed, lifetime, expired, tls, limit, plugin, filled, factors = row
    name = principal(user, host)
    shut = locked == "Y"
    role = shut and (name in granted or (expired == "Y" and filled is not None and not filled))
    found: dict[str, Scalar] = {
        "plugin": plugin, "ssl_type": tls or "", "connection_limit": int(limit or 0), "factors": int(factors or 0),
    }  # fmt: skip
    if not role and plugin in _BY_PASSWORD:
        stamp = datetime.fromisoformat(changed).isoformat() if changed else None
        found |= _password(stamp, _days(lifetime), expired == "Y", reading)
    return Principal(
        name, PrincipalKind.ROLE if role else PrincipalKind.USER, can_login=not role,
        superuser=None if supers is None else name in supers, locked=shut,
        has_password=None if role or filled is None else has_password([(plugin, bool(filled))]),
        system=name in _SYSTEM, attributes=_attributes(found),
    )  # fmt: skip


def everybody(reading: Reading) -> list[Principal]:
    """Stands for all accounts where MySQL gives roles to everybody (`mandatory_roles`)."""
    return [Principal(EVERYBODY, PrincipalKind.PUBLIC, can_login=False)] if mandatory(reading) else []
