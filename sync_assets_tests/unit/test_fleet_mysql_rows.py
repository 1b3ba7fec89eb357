"""Rows of MySQL's and MariaDB's grant tables as principals, memberships and grants.

MySQL's rows are written after its documentation (Grant Tables, Account Categories, Partial Revokes); no server runs.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from sync_assets.databases.base import ConnectionArgs
from sync_assets.databases.mysql.collect import accounts, capacity, grants, principals, sizes
from sync_assets.databases.mysql.collect.line import Answer, Found, Refusal, set_up, version_of
from sync_assets.databases.mysql.collect.privileges import flagged, listed, masked
from sync_assets.fleet.model import (
    AccountReading,
    CapacityReading,
    Effect,
    PrincipalKind,
    ScopeKind,
    SectionKey,
    SectionName,
    Status,
)

MARIADB = (10, 11, 19)
USER_8 = ["Host", "User", "Select_priv", "Insert_priv", "Super_priv", "Grant_priv", "Show_db_priv", "Repl_client_priv",
          "Create_tmp_table_priv", "ssl_type", "max_user_connections", "plugin", "authentication_string",
          "password_expired", "password_last_changed", "password_lifetime", "account_locked", "Create_role_priv",
          "User_attributes"]  # fmt: skip
DB = ["Host", "Db", "User", "Select_priv", "Grant_priv", "Create_tmp_table_priv"]


class Script:
    """A line to a server that is a list of answers. It remembers what was asked."""

    def __init__(self, mariadb: bool, version: tuple[int, ...], *answers: Answer) -> None:
        self.server, self.answers = (mariadb, version), list(answers)
        self.asked: list[str] = []

    @property
    def trips(self) -> int:
        return len(self.asked)

    def connect(self) -> tuple[bool, tuple[int, ...]]:
        self.asked.append("set names")
        return self.server

    def ask(self, sql: str) -> Answer:
        self.asked.append(sql)
        return self.answers.pop(0)


def now() -> datetime:
    return datetime(2026, 11, 22, tzinfo=UTC)


def probe(version: str, tables: dict[str, list[str]], **facts: object) -> Found:
    rows: list[tuple[str, str, object]] = [
        ("column", table, column) for table, columns in tables.items() for column in columns
    ]
    rows += [("fact", "version", version), ("fact", "reader", "fleet@%"), *(("fact", k, v) for k, v in facts.items())]
    return Found(rows)


TABLES_5 = {
    "user": USER_8[:-2], "db": DB, "tables_priv": ["Host", "Db", "User", "Table_name", "Grantor", "Table_priv"],
    "columns_priv": ["Host", "Db", "User", "Table_name", "Column_name", "Column_priv"],
    "procs_priv": ["Host", "Db", "User", "Routine_name", "Routine_type", "Grantor", "Proc_priv"],
    "proxies_priv": ["Host", "User", "Proxied_host", "Proxied_user", "With_grant"],
}  # fmt: skip
TABLES_8 = TABLES_5 | {
    "user": USER_8, "global_grants": ["USER", "HOST", "PRIV", "WITH_GRANT_OPTION"],
    "role_edges": ["FROM_HOST", "FROM_USER", "TO_HOST", "TO_USER", "WITH_ADMIN_OPTION"],
    "default_roles": ["HOST", "USER", "DEFAULT_ROLE_HOST", "DEFAULT_ROLE_USER"],
}  # fmt: skip


def account(user: str, host: str = "%", **changes: Any) -> tuple[str, str]:
    given = {"locked": "N", "changed": "2026-01-02T03:04:05Z", "lifetime": None, "expired": "N", "tls": "", "limit": 0,
             "plugin": "caching_sha2_password", "filled": 1, "factors": None} | changes  # fmt: skip
    return ("account", json.dumps([user, host, *given.values()]))


def rows_of(tag: str, *rows: list[Any]) -> list[tuple[str, str]]:
    return [(tag, json.dumps(row)) for row in rows]


def read(version: str, tables: dict[str, list[str]], rows: list[tuple[str, str]], **facts: object) -> AccountReading:
    line = Script(False, version_of(version), probe(version, tables, **facts), Found(rows))
    reading = accounts.read_accounts(line, now)  # type: ignore[arg-type]
    assert reading.trips == 3
    return reading


# -- MySQL


def test_mysql_8_roles_defaults_dynamic_rights_and_partial_revokes() -> None:
    flags = "YN" + "NYNNN" + "N"  # select, insert, super, grant, show db, repl client, tmp table, create role
    reading = read(
        "8.0.36", TABLES_8,
        [
            account("app"), account("dba"), account("r1", locked="Y", expired="Y", filled=0),
            account("r2", locked="Y", expired="Y", filled=0), account("mysql.sys", "localhost", locked="Y"),
            account("mysqlbackup", "localhost"),
            *rows_of("static", ["dba", "%", flags]),
            *rows_of("restriction", ["dba", "%", [{"Database": "mysql", "Privileges": ["INSERT", "UPDATE"]}]]),
            *rows_of("dynamic", ["dba", "%", "SYSTEM_USER", "Y"], ["dba", "%", "backup_admin", "N"]),
            *rows_of("edge", ["app", "%", "r1", "%", "N"], ["app", "%", "r2", "%", "Y"], ["r1", "%", "r2", "%", "N"]),
            *rows_of("default", ["app", "%", "r1", "%"]),
        ],
        mandatory_roles="", activate_all_roles_on_login=0, partial_revokes=1,
    )  # fmt: skip
    assert all(s.ok for s in reading.sections.values()), reading.sections
    by = {p.name: p for p in reading.principals}
    assert (by["r1@%"].kind, by["r1@%"].can_login, by["app@%"].kind) == (
        PrincipalKind.ROLE, False, PrincipalKind.USER)  # fmt: skip
    assert by["mysql.sys@localhost"].system and not by["mysqlbackup@localhost"].system
    assert by["app@%"].attribute("password_changed_at") == "2026-01-02T03:04:05+00:00"
    assert {(g.privilege, g.grantable, g.effect, g.path) for g in reading.grants} == {
        ("SELECT", True, Effect.GRANT, ()), ("SYSTEM_USER", True, Effect.GRANT, ()),
        ("BACKUP_ADMIN", False, Effect.GRANT, ()), ("INSERT", False, Effect.PARTIAL_REVOKE, ("mysql",)),
        ("UPDATE", False, Effect.PARTIAL_REVOKE, ("mysql",)),
    }  # fmt: skip
    assert {(m.member, m.role, m.admin, m.default) for m in reading.memberships} == {
        ("app@%", "r1@%", False, True), ("app@%", "r2@%", True, False), ("r1@%", "r2@%", False, None),
    }  # fmt: skip


def test_mysql_roles_of_everybody_and_roles_that_are_all_on() -> None:
    rows = [account("app"), account("r1", locked="Y"), *rows_of("edge", ["app", "%", "r1", "%", "N"])]
    reading = read("8.4.0", TABLES_8, rows, mandatory_roles="`r1`@`%`,'a''b'@'10.%', c", activate_all_roles_on_login=1)
    assert [p.name for p in reading.principals if p.kind is PrincipalKind.PUBLIC] == [grants.EVERYBODY]
    assert [(m.member, m.role, m.default) for m in reading.memberships] == [
        ("app@%", "r1@%", True), (grants.EVERYBODY, "r1@%", True), (grants.EVERYBODY, "a'b@10.%", True),
        (grants.EVERYBODY, "c@%", True),
    ]  # fmt: skip
    assert {p.name: p.kind for p in reading.principals}["r1@%"] is PrincipalKind.ROLE  # granted, and locked


def test_mysql_5_7_has_no_roles_and_says_so() -> None:
    reading = read("5.7.44-log", TABLES_5, [account("app", plugin="mysql_native_password", filled=0)])
    assert reading.sections[SectionKey(SectionName.MEMBERSHIPS)].status is Status.UNSUPPORTED
    assert SectionKey(SectionName.GRANTS, "dynamic") not in reading.sections
    assert reading.principals[0].has_password is False


def test_mysql_without_the_right_to_the_column_of_passwords_does_not_know_them() -> None:
    tables = TABLES_8 | {"user": [c for c in USER_8 if c != "authentication_string"]}
    line = Script(False, (8, 0, 36), probe("8.0.36", tables), Found([account("app", filled=None)]))
    reading = accounts.read_accounts(line, now)  # type: ignore[arg-type]
    assert reading.principals[0].has_password is None
    assert "authentication_string" not in line.asked[-1]


def test_mysql_denied_tables_are_left_out_and_named() -> None:
    tables = {k: v for k, v in TABLES_8.items() if k not in ("tables_priv", "default_roles")}
    line = Script(False, (8, 0, 36), probe("8.0.36", tables), Found([account("app")]))
    reading = accounts.read_accounts(line, now)  # type: ignore[arg-type]
    denied = {str(k) for k, s in reading.sections.items() if s.status is Status.DENIED}
    assert denied == {"grants(table)", "grants(column)", "memberships"}  # columns: handed on by their table's row
    assert "tables_priv" not in line.asked[-1] and "role_edges" not in line.asked[-1]


def test_no_statement_brings_a_hash_or_asks_show_grants() -> None:
    """What is selected of a password is whether there is one."""
    for name, sql in {**accounts._SQL, **capacity._SQL}.items():
        assert "show grants" not in sql.lower(), name
        for match in re.finditer("authentication_string", sql):
            assert sql[match.end() :].startswith("'), '') <> ''"), name


@pytest.mark.parametrize("refused", [False, True])
def test_mysql_capacity_takes_three_statements_or_one_more_without_process(refused: bool) -> None:
    facts = [*rows_of("fact", ["version", "8.0.36"], ["reader", "fleet@%"], ["innodb_redo_log_capacity", 100]),
             *rows_of("right", ["SHOW DATABASES"], ["SHOW VIEW"])]  # fmt: skip
    rest = [*facts, *rows_of("database", ["a-b", "a@002db"]),
            *rows_of("table", ["a-b", "t", "InnoDB", 1, 1, 5, "a@002db", "t"])]  # fmt: skip
    spaces = rows_of("space", ["a@002db/t#p#p0", 1000], ["a@002db/t#p#p1", 10], ["mysql", 7], ["innodb_undo_001", 30])
    union: list[Answer] = [Refusal(1227, ""), Found(rest)] if refused else [Found(rest + spaces)]
    line = Script(False, (8, 0, 36), *union, Found([("binlog.1", 5, "No"), ("binlog.2", 6, "No")]))
    reading: CapacityReading = capacity.read_capacity(line, now, 5)  # type: ignore[arg-type]
    states = {str(k): s.status for k, s in reading.sections.items()}
    assert reading.trips == (4 if refused else 3)
    assert states["databases"] is states["logs"] is Status.OK
    assert states["sizes"] is states["tables"] is (Status.DENIED if refused else Status.OK)
    assert reading.unknown == (("a-b",) if refused else ())
    assert reading.total_bytes == (0 if refused else 1010)
    logs = {"redo": 100, "binlog": 11} | ({} if refused else {"undo": 30})
    assert {log.kind: log.bytes for log in reading.logs} == logs


# -- MariaDB


def _bits(*at: int) -> int:
    return sum(1 << n for n in at)


@pytest.mark.parametrize(
    ("access", "written_by", "server", "has", "lacks"),
    [
        (_bits(0, 20), 101119, MARIADB, {"SELECT", "BINLOG MONITOR"}, {"SLAVE MONITOR"}),
        (_bits(0, 20), 0, MARIADB, {"BINLOG MONITOR", "SLAVE MONITOR"}, {"REPLICATION CLIENT"}),
        (_bits(15, 19), 0, MARIADB, {"SUPER", "SET USER", "REPLICATION MASTER ADMIN", "SLAVE MONITOR"}, {"SELECT"}),
        (_bits(15), 100400, MARIADB, {"SET USER", "BINLOG REPLAY"}, {"REPLICATION MASTER ADMIN"}),
        (_bits(34), 100502, MARIADB, {"REPLICATION SLAVE ADMIN", "SLAVE MONITOR"}, set()),
        (_bits(34), 100600, MARIADB, {"REPLICATION SLAVE ADMIN"}, {"SLAVE MONITOR"}),
        (_bits(15, 20), 0, (10, 4, 30), {"SUPER", "REPLICATION CLIENT"}, {"SET USER", "BINLOG MONITOR"}),
        (2**64 - 1, 0, MARIADB, {"SELECT", "SLAVE MONITOR"}, {"SHOW CREATE ROUTINE"}),
        (2**64 - 1, 0, (11, 4, 2), {"SHOW CREATE ROUTINE"}, set()),
        (_bits(0, 39), 101119, MARIADB, set(), {"SELECT"}),  # a broken mask is none, as for the server
        (_bits(0), 77, MARIADB, set(), {"SELECT"}),
    ],
)
def test_masks_are_read_as_the_running_server_reads_them(
    access: int, written_by: int, server: tuple[int, ...], has: set[str], lacks: set[str]
) -> None:
    names = masked(access, written_by, server).names
    assert has <= names and not lacks & names


def test_grant_option_is_no_privilege_but_makes_one_when_alone() -> None:
    assert (masked(_bits(0, 10), 101119, MARIADB).rows(), masked(_bits(10), 101119, MARIADB).grantable) == (
        ["SELECT"], True)  # fmt: skip
    assert masked(_bits(10), 101119, MARIADB).rows() == ["USAGE"]
    assert masked(0, 101119, MARIADB).rows() == []
    assert flagged(["Select_priv", "Grant_priv", "Show_db_priv", "Create_tmp_table_priv"], "YNYY").rows() == [
        "CREATE TEMPORARY TABLES", "SELECT", "SHOW DATABASES"]  # fmt: skip
    assert listed("Select,Delete versioning rows,Create View,Grant").rows() == [
        "CREATE VIEW",
        "DELETE HISTORY",
        "SELECT",
    ]


@pytest.mark.parametrize(
    ("stored", "scope", "path"),
    [
        ("CamelDb", ScopeKind.DATABASE, "CamelDb"), ("a\\_b", ScopeKind.DATABASE, "a_b"),
        ("a_b", ScopeKind.DATABASE_PATTERN, "a_b"), ("%", ScopeKind.DATABASE_PATTERN, "%"),
        ("50\\%", ScopeKind.DATABASE, "50%"), ("a\\_b%", ScopeKind.DATABASE_PATTERN, "a\\_b%"),
        ("a\\b", ScopeKind.DATABASE_PATTERN, "a\\b"), ("库\\_存", ScopeKind.DATABASE, "库_存"),
    ],
)  # fmt: skip
def test_a_pattern_stays_as_it_is_stored_and_one_database_is_named(stored: str, scope: ScopeKind, path: str) -> None:
    assert grants.database_scope(stored) == (scope, path)
    assert grants.database_scope(stored, literal=True) == (ScopeKind.DATABASE, stored)


@pytest.mark.parametrize(
    ("ways", "expected"),
    [
        ([("mysql_native_password", True)], True),
        ([("", False)], False),
        ([("unix_socket", False)], None),
        ([("mysql_native_password", True), ("ed25519", False)], False),
        ([("pam", True), ("mysql_native_password", True)], True),
    ],
)
def test_one_open_way_in_is_enough_to_have_no_password(ways: list[tuple[str, bool]], expected: bool | None) -> None:
    assert principals.has_password(ways) is expected


def test_denies_of_later_versions_are_not_taken_for_nothing() -> None:
    row = ["app", "%", "1", "130100", True]
    tables = {"global_priv": ["Host", "User", "Priv"]}
    line = Script(True, (13, 1, 0), probe("13.1.0-MariaDB", tables), Found(rows_of("mask", row)))
    reading = accounts.read_accounts(line, now)  # type: ignore[arg-type]
    assert reading.sections[SectionKey(SectionName.GRANTS, "deny")].status is Status.UNSUPPORTED


# -- sizes and settings


def test_sizes_count_each_byte_once() -> None:
    found = sizes.added_up(
        [("shop", "shop"), ("empty", "empty")],
        [("shop/big", 100), ("shop/p#P#p0", 5), ("shop/p#P#p1", 6), ("shop/fts_1", 3), ("innodb_system", 999),
         ("gone/t", 50)],
        [("shop", "big", "InnoDB", 1, 1, 9, "shop", "big"), ("shop", "p", "InnoDB", 1, 1, 9, "shop", "p"),
         ("shop", "old", "InnoDB", 20, 4, 9, "shop", "old"), ("shop", "my", "MyISAM", 7, 1, 2, "shop", "my"),
         ("shop", "mem", "MEMORY", 500, 0, 1, "shop", "mem"), ("shop", "all", "MRG_MyISAM", 8, 0, 1, "shop", "all")],
    )  # fmt: skip
    assert found.databases == {"shop": 100 + 5 + 6 + 3 + 24 + 8, "empty": 0}
    assert [(t.name, t.bytes) for t in sizes.largest(found, 2)] == [("big", 100), ("old", 24)]


def test_a_table_without_a_size_makes_its_database_unknown_and_no_zero() -> None:
    found = sizes.added_up([("a", "a"), ("b", "b")], [("a/t", 4)], [("b", "x", None, None, None, None, "b", "x")])
    assert {d.name: d.bytes for d in sizes.databases(found, True)} == {"a": 4, "b": None}


@pytest.mark.parametrize(
    ("mariadb", "version", "word"),
    [
        (True, (10, 4, 0), "tx_read_only = 1"), (True, (11, 4, 2), "session transaction_read_only = 1"),
        (False, (5, 7, 44), "session transaction_read_only = 1"),
        (False, (8, 0, 36), "information_schema_stats_expiry = 0"),
        (False, (26, 10, 0), "information_schema_stats_expiry = 0"), (True, (10, 11, 1), "max_statement_time = 60"),
        (False, (8, 0, 36), "max_execution_time = 60000"), (True, (10, 11, 1), "lock_wait_timeout = 1"),
    ],
)  # fmt: skip
def test_the_session_is_read_only_and_limited(mariadb: bool, version: tuple[int, ...], word: str) -> None:
    assert word in set_up(mariadb, version, ConnectionArgs("x", query_seconds=60))


@pytest.mark.parametrize(
    ("text", "version"),
    [("5.5.5-10.11.19-MariaDB-log", (10, 11, 19)), ("11.4.2-MariaDB", (11, 4, 2)), ("8.0.36", (8, 0, 36)),
     ("8.0.mysql_aurora.3.05", (8, 0, 0)), ("26.10.0", (26, 10, 0))],
)  # fmt: skip
def test_versions_are_numbers(text: str, version: tuple[int, ...]) -> None:
    assert version_of(text) == version


def test_names_of_routines_are_mended_only_where_they_are_broken() -> None:
    broken = "表".encode().decode("cp1252")
    assert grants.mended(broken) == "表"
    assert [grants.mended(n) for n in ("plain", "表", "é")] == ["plain", "表", "é"]
