"""All accounts of a server in two statements after the set-up: which columns we may read, then those tables at once.

The second is one statement, so that all grant tables are of one moment. A table that we may not read is left out of
it and its part is DENIED: `information_schema` is believed where it says no, never where it says "nothing is there".
Must not know what becomes of the rows afterwards.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sync_assets.databases.mysql.collect import grants, principals
from sync_assets.databases.mysql.collect.grants import Reading, Row
from sync_assets.databases.mysql.collect.line import Found, Line, Refusal, Version, version_of
from sync_assets.fleet.model import (
    AccountReading,
    Grant,
    Membership,
    Principal,
    SectionKey,
    SectionName,
    SectionState,
    ServerFact,
    Status,
)
from sync_assets.store.sql import read_named

_SQL = read_named(Path(__file__).with_name("accounts.sql"))
_PRINCIPALS, _MEMBERSHIPS = SectionKey(SectionName.PRINCIPALS), SectionKey(SectionName.MEMBERSHIPS)


def _grants(part: str) -> SectionKey:
    return SectionKey(SectionName.GRANTS, part)


@dataclass(frozen=True, slots=True)
class Part:
    """One SELECT of the statement: the section that it fills, and the columns without which it cannot be read."""

    key: SectionKey
    query: str
    table: str
    columns: tuple[str, ...]
    also: str = ""  # a second table that its rows depend on


_ACCOUNT = ("User", "Host")
_SHARED = (
    Part(_grants("database"), "database", "db", (*_ACCOUNT, "Db")),
    Part(_grants("table"), "table", "tables_priv", (*_ACCOUNT, "Db", "Table_name", "Table_priv")),
    Part(
        _grants("column"),
        "column",
        "columns_priv",
        (*_ACCOUNT, "Db", "Table_name", "Column_name", "Column_priv"),
        "tables_priv",
    ),
    Part(_grants("routine"), "routine", "procs_priv", (*_ACCOUNT, "Db", "Routine_name", "Routine_type", "Proc_priv")),
    Part(_grants("proxy"), "proxy", "proxies_priv", (*_ACCOUNT, "Proxied_user", "Proxied_host", "With_grant")),
)
_MARIADB = (
    Part(_PRINCIPALS, "mariadb_principals", "global_priv", (*_ACCOUNT, "Priv")),
    Part(_grants("global"), "mariadb_global", "global_priv", (*_ACCOUNT, "Priv")),
    Part(_MEMBERSHIPS, "mariadb_memberships", "roles_mapping", (*_ACCOUNT, "Role", "Admin_option"), "global_priv"),
    *_SHARED,
)
_LOGIN = ("account_locked", "password_last_changed", "password_lifetime", "password_expired", "ssl_type",
          "max_user_connections", "plugin")  # fmt: skip
_MYSQL = (
    Part(_PRINCIPALS, "mysql_principals", "user", (*_ACCOUNT, *_LOGIN)),
    Part(_grants("global"), "mysql_global", "user", (*_ACCOUNT, "Select_priv", "Super_priv")),
    *_SHARED,
)
_EDGE = ("FROM_USER", "FROM_HOST", "TO_USER", "TO_HOST", "WITH_ADMIN_OPTION")
_ON = ("USER", "HOST", "DEFAULT_ROLE_USER", "DEFAULT_ROLE_HOST")
_MYSQL_8 = (
    *_MYSQL,
    Part(_grants("restriction"), "mysql_restrictions", "user", (*_ACCOUNT, "User_attributes")),
    Part(_grants("dynamic"), "mysql_dynamic", "global_grants", ("USER", "HOST", "PRIV", "WITH_GRANT_OPTION")),
    Part(_MEMBERSHIPS, "mysql_memberships", "role_edges", _EDGE),
    Part(_MEMBERSHIPS, "mysql_defaults", "default_roles", _ON),
)  # fmt: skip
_NO_ROLES = SectionState(Status.UNSUPPORTED, "roles came with MySQL 8.0")
_DENY = SectionState(Status.UNSUPPORTED, "this server has denies (DENY ...), which are not read yet")


def parts(mariadb: bool, version: Version) -> tuple[Part, ...]:
    if mariadb:
        return _MARIADB
    return _MYSQL_8 if version >= (8,) else _MYSQL


# -- asking


def read_accounts(line: Line, now: Callable[[], datetime]) -> AccountReading:
    """Raises `Stop` and `Retry` when nobody lets us in, or the line breaks."""
    sent = line.trips
    mariadb, version = line.connect()
    wanted = parts(mariadb, version)
    answer = line.ask(_SQL["probe"].format(more=_more(mariadb, version)))
    if isinstance(answer, Refusal):
        state = answer.state("information_schema may not be read")
        server = ServerFact("mysql", "MariaDB" if mariadb else "MySQL", version)
        return AccountReading(server, now(), {p.key: state for p in wanted}, trips=line.trips - sent)
    readable, facts = _probed(answer.rows)
    server = ServerFact("mysql", "MariaDB" if mariadb else "MySQL", version_of(facts["version"]), facts["version"])
    states = {p.key: no for p in wanted if (no := _denied(p, readable, facts["reader"]))}
    asked = [p for p in wanted if p.key not in states]
    reading = Reading(server.version, facts, {t: _flags(c) for t, c in readable.items()})
    observed = now()
    rows = line.ask(_statement(asked, readable)) if asked else Found(())
    if isinstance(rows, Refusal):
        failed = {p.key: rows.state(_hint("*", facts["reader"])) for p in asked}
        return AccountReading(server, observed, states | failed, trips=line.trips - sent)
    return _made(server, observed, asked, states, _by_tag(rows.rows), reading, line.trips - sent)


def _more(mariadb: bool, version: Version) -> str:
    """Settings that rows depend on, where the version has them."""
    names = ["default_password_lifetime"]
    if not mariadb and version >= (8,):
        names += ["mandatory_roles", "activate_all_roles_on_login"]
    if not mariadb and version >= (8, 0, 16):
        names.append("partial_revokes")
    return "".join(f"\nunion all select 'fact', '{n}', @@{n}" for n in names)


def _probed(rows: Iterable[Row]) -> tuple[dict[str, list[str]], dict[str, Any]]:
    readable: dict[str, list[str]] = defaultdict(list)
    facts: dict[str, Any] = {}
    for kind, name, value in rows:
        if kind == "fact":
            facts[name] = value
        else:
            readable[str(name).lower()].append(value)
    return readable, facts


def _denied(part: Part, readable: Mapping[str, Sequence[str]], reader: str) -> SectionState | None:
    seen = {c.lower() for c in readable.get(part.table, ())}
    flags = part.query != "database" or _flags(readable.get("db", ()))
    if not flags or not {c.lower() for c in part.columns} <= seen:
        return SectionState(Status.DENIED, _hint(part.table, reader))
    if part.also and not {"priv", "table_priv"} & {c.lower() for c in readable.get(part.also, ())}:
        return SectionState(Status.DENIED, _hint(part.also, reader))
    return None


def _hint(table: str, reader: str) -> str:
    what = "the grant tables" if table == "*" else f"mysql.{table}"
    return f"no right to read {what} -> GRANT SELECT ON mysql.* TO {quoted(reader)}"


def quoted(account: str) -> str:
    """``user@host`` as GRANT wants it."""
    user, _, host = account.rpartition("@")
    return "@".join("'" + part.replace("'", "''") + "'" for part in (user, host))


def _flags(columns: Sequence[str]) -> list[str]:
    return [c for c in columns if c.lower().endswith("_priv")]


def _statement(asked: Iterable[Part], readable: Mapping[str, Sequence[str]]) -> str:
    return "\nunion all\n".join(_select(p, readable[p.table]) for p in asked)


def _select(part: Part, columns: Sequence[str]) -> str:
    """Its SELECT. Whether there is a password is unknown to who may not read that column."""
    seen = {c.lower() for c in columns}
    filled = "ifnull(authentication_string, '') <> ''" if "authentication_string" in seen else "null"
    factors = "json_length(User_attributes, '$.multi_factor_authentication')" if "user_attributes" in seen else "null"
    text = str(_SQL[part.query])
    flags = ", ".join(f"`{c}`" for c in _flags(columns))
    return text.replace("{flags}", flags).replace("{filled}", filled).replace("{factors}", factors)


# -- what it says


def _by_tag(rows: Iterable[Row]) -> dict[str, list[list[Any]]]:
    found: dict[str, list[list[Any]]] = defaultdict(list)
    for tag, text in rows:
        found[tag].append(json.loads(text, strict=False))
    return found


def _made(
    server: ServerFact, observed: datetime, asked: Sequence[Part], states: Mapping[SectionKey, SectionState],
    rows: Mapping[str, Sequence[Row]], reading: Reading, trips: int,
) -> AccountReading:  # fmt: skip
    sections = dict(states)
    granted = tuple({g.key: g for g in _all_grants(rows, reading)}.values())
    if server.flavour == "MySQL" and server.version < (8,):
        sections[_MEMBERSHIPS] = _NO_ROLES
    if any(row[4] for row in rows.get("mask", ())):
        sections[_grants("deny")] = _DENY
    supers = None if _grants("global") in sections else {
        g.principal for g in granted if g.privilege == "SUPER" and not g.path}  # fmt: skip
    accounts = tuple(_principals(rows, reading, supers))
    members = () if _MEMBERSHIPS in sections else tuple(_memberships(rows, reading))
    for part in asked:
        sections.setdefault(part.key, SectionState(Status.OK, rows=_count(part.key, accounts, members, granted)))
    return AccountReading(server, observed, sections, accounts, members, granted, trips)


def _count(
    key: SectionKey, accounts: Sequence[Principal], members: Sequence[Membership], granted: Sequence[Grant]
) -> int:
    if key.name is SectionName.GRANTS:
        return sum(g.part == key.part for g in granted)
    return len(accounts if key.name is SectionName.PRINCIPALS else members)


_MAKERS: Mapping[str, Callable[[Row, Reading], Iterator[Grant]]] = {
    "mask": grants.mask, "static": grants.static, "dynamic": grants.dynamic, "restriction": grants.restriction,
    "database": grants.database, "table": grants.table, "routine": grants.routine, "proxy": grants.proxy,
}  # fmt: skip


def _all_grants(rows: Mapping[str, Sequence[Row]], reading: Reading) -> Iterator[Grant]:
    for tag, make in _MAKERS.items():
        for row in rows.get(tag, ()):
            yield from make(row, reading)
    yield from grants.columns(rows.get("column", ()), rows.get("table", ()))


def _principals(rows: Mapping[str, Sequence[Row]], reading: Reading, supers: set[str] | None) -> Iterator[Principal]:
    for row in rows.get("principal", ()):
        yield principals.of_mariadb(row, reading, supers)
    granted = {grants.principal(row[2], row[3]) for row in rows.get("edge", ())}
    for row in rows.get("account", ()):
        yield principals.of_mysql(row, reading, supers, granted)
    if "account" in rows:
        yield from principals.everybody(reading)


def _memberships(rows: Mapping[str, Sequence[Row]], reading: Reading) -> Iterator[Membership]:
    defaults = {grants.principal(r[0], r[1]): r[6] for r in rows.get("principal", ()) if r[6]}
    yield from grants.mapping(rows.get("mapping", ()), defaults)
    edges = rows.get("edge", ())
    roles = {grants.principal(row[2], row[3]) for row in edges}
    yield from grants.edges(edges, rows.get("default", ()), roles, reading)
