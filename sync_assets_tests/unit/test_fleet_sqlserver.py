"""The collector of SQL Server on rows as the documentation of its catalog views describes them. No server."""

from __future__ import annotations

import re
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import sqlglot
from sqlglot import TokenType, exp

from sync_assets.databases.base import ConnectionArgs, collected, open_collector
from sync_assets.databases.sqlserver import errors
from sync_assets.databases.sqlserver.collect import SqlServerCollector, batches, session
from sync_assets.databases.sqlserver.collect.naming import inside, login
from sync_assets.engine.errors import Retry, Stop
from sync_assets.fleet.effective import superusers, who
from sync_assets.fleet.model import (
    AccountReading,
    AccountState,
    CapacityReading,
    Effect,
    Grant,
    PrincipalKind,
    ScopeKind,
    SectionKey,
    SectionName,
    Status,
)
from sync_assets.fleet.state import ChangeKind, completed, diff

AT = datetime(2026, 3, 3, tzinfo=UTC)
MADE = "2024-01-01T00:00:00"
Cells = tuple[str | None, ...]
PROBE = ("15.0.4236.7", "Developer Edition (64-bit)", "3", "1", "1")


class Played:
    """A session that answers from a list: the probe, then the rows of a batch."""

    def __init__(self, probe: Cells, rows: Sequence[Cells]) -> None:
        self._answers = {True: [probe], False: list(rows)}
        self.asked: list[str] = []
        self.closed = False

    def rows(self, sql: str) -> Sequence[Cells]:
        self.asked.append(sql)
        return self._answers[sql == batches.probe()]

    def close(self) -> None:
        self.closed = True


def collector(rows: Sequence[Cells], probe: Cells = PROBE) -> tuple[SqlServerCollector, Played]:
    played = Played(probe, rows)
    return SqlServerCollector(ConnectionArgs("erp"), connect=lambda _: played, clock=lambda: AT), played


def accounts(*rows: Cells, probe: Cells = PROBE) -> AccountReading:
    return collector(rows, probe)[0].accounts()


def capacity(*rows: Cells, probe: Cells = PROBE) -> CapacityReading:
    return collector(rows, probe)[0].capacity()


def a_login(name: str, kind: str = "S", sid: str = "0x01", disabled: str = "0", **more: str) -> Cells:
    tail = (more.get("fixed", "0"), "master", "1", "0", "2025-05-01T10:00:00", more.get("locked", "0"),
            more.get("expired", "0"), "0", more.get("empty"))  # fmt: skip
    return ("login", "", name, kind, sid, MADE, disabled, *tail)


def a_database(name: str, state: str = "ONLINE", enter: str = "1", see: str = "1", source: str | None = None) -> Cells:
    return ("database", name, "7", MADE, state, enter, see, source)


def a_user(
    db: str, name: str, kind: str = "S", by: str = "INSTANCE", owner: str | None = None, id_: str = "5"
) -> Cells:
    return ("user", db, name, kind, "0x01", MADE, id_, "0", by, owner)


def a_grant(part: str, grantee: str, state: str, right: str, of: str, *names: str | None) -> Cells:
    return ("grant", part, grantee, "dbo" if part else "sa", state, right, of, *names)


def only(reading: AccountReading) -> Grant:
    (one,) = reading.grants
    return one


# -- the text of the questions


def pieces() -> list[str]:
    return [name for name in batches.SQL if name not in ("batch", "step", "server_step")]


@pytest.mark.parametrize("name", pieces())
def test_every_piece_is_a_statement_of_transact_sql(name: str) -> None:
    (tree,) = sqlglot.parse(batches.SQL[name], read="tsql")
    assert isinstance(tree, exp.Insert | exp.Select)
    assert not list(tree.find_all(exp.Command))


@pytest.mark.parametrize("name", pieces())
def test_pieces_fill_the_columns_that_they_name(name: str) -> None:
    tree = sqlglot.parse_one(batches.SQL[name], read="tsql")
    if isinstance(tree, exp.Insert):
        select = tree.expression
        assert isinstance(select, exp.Select)
        assert len(tree.this.expressions) == len(select.expressions)


@pytest.mark.parametrize("batch", [batches.accounts(15), batches.capacity(15, 20)], ids=["accounts", "capacity"])
def test_batches_are_whole_and_quote_the_pieces(batch: str) -> None:
    assert not re.search(r"\{\w+\}", batch)
    tokens = sqlglot.tokenize(batch, read="tsql")
    inner = [t.text for t in tokens if t.token_type is TokenType.NATIONAL_STRING and "insert into" in t.text]
    pieces = [batches.SQL[name] for name in ("users_of_database", "files_of_database", "tables_of_database")]
    assert any(piece in text for piece in pieces for text in inner)
    for text in inner:
        assert all(isinstance(tree, exp.Insert) for tree in sqlglot.parse(text, read="tsql"))
    count = Counter(re.findall(r"\w+", re.sub(r"'(?:[^']|'')*'", "", batch)))
    assert count["begin"] + count["case"] == count["end"]


def test_5_3_10_names_are_never_resolved_by_an_id_without_its_database() -> None:
    """The original asked OBJECT_NAME(id), which looks in the database of the connection."""
    text = "\n".join(batches.SQL.values()).lower()
    assert not re.search(r"\b(object_name|schema_name|user_name|col_name|type_name|object_schema_name)\s*\(", text)
    assert "n'use ' + quotename(@name)" in text


def test_no_hash_is_selected() -> None:
    hashes = [
        node
        for name in pieces()
        for node in sqlglot.parse_one(batches.SQL[name], read="tsql").find_all(exp.Column)
        if "hash" in node.name.lower() and isinstance(node.parent_select, exp.Select)
    ]
    assert len(hashes) == 2  # IS NULL, and the comparison with the empty password inside of the server
    assert {type(node.parent) for node in hashes} == {exp.Is, exp.Anonymous}


def test_two_trips_whatever_there_is() -> None:
    many = [a_database(f"d{n}") for n in range(50)] + [a_login(f"u{n}") for n in range(500)]
    one, played = collector(many)
    assert one.accounts().trips == len(played.asked) == 2
    assert one.capacity().trips == 2
    assert len(played.asked) == 4
    one.close()
    assert played.closed


# -- grants


@pytest.mark.parametrize(
    ("state", "effect", "grantable"),
    [
        ("G", Effect.GRANT, False),
        ("W", Effect.GRANT, True),
        ("D", Effect.DENY, False),
        ("R", Effect.PARTIAL_REVOKE, False),
    ],
)
def test_5_3_10_deny_and_grant_option_are_kept(state: str, effect: Effect, grantable: bool) -> None:
    row = a_grant("销售", "bob", state, "SELECT", "OBJECT_OR_COLUMN", "dbo", "U ", "orders")
    grant = only(accounts(a_database("销售"), row))
    assert (grant.effect, grant.grantable) == (effect, grantable)
    assert (grant.scope, grant.path) == (ScopeKind.TABLE, ("销售", "dbo", "orders"))
    assert (grant.principal, grant.grantor, grant.part) == ("[销售].[bob]", "[销售].[dbo]", "销售")


@pytest.mark.parametrize(
    ("of", "names", "right", "scope", "path"),
    [
        ("DATABASE", (), "CONNECT", ScopeKind.DATABASE, ("d",)),
        ("SCHEMA", ("app", None, None), "SELECT", ScopeKind.SCHEMA, ("d", "app")),
        ("OBJECT_OR_COLUMN", ("app", "V ", "v"), "SELECT", ScopeKind.TABLE, ("d", "app", "v")),
        ("OBJECT_OR_COLUMN", ("app", "U ", "t", "salary"), "SELECT", ScopeKind.COLUMN, ("d", "app", "t", "salary")),
        ("OBJECT_OR_COLUMN", ("app", "P ", "p"), "EXECUTE", ScopeKind.ROUTINE, ("d", "app", "p")),
        ("OBJECT_OR_COLUMN", ("app", "SO", "s"), "UPDATE", ScopeKind.SEQUENCE, ("d", "app", "s")),
        ("OBJECT_OR_COLUMN", ("app", "SN", "s"), "SELECT", ScopeKind.OTHER, ("d", "OBJECT", "app", "s")),
        ("OBJECT_OR_COLUMN", (None, None, "#99"), "SELECT", ScopeKind.OTHER, ("d", "OBJECT", "", "#99")),
        ("TYPE", ("app", None, "ty"), "EXECUTE", ScopeKind.TYPE, ("d", "app", "ty")),
        ("DATABASE_PRINCIPAL", (None, None, "boss"), "IMPERSONATE", ScopeKind.PROXY, ("[d].[boss]",)),
        ("DATABASE_PRINCIPAL", (None, None, "r"), "ALTER", ScopeKind.OTHER, ("d", "DATABASE_PRINCIPAL", "r")),
        ("CERTIFICATE", (None, None, "c"), "CONTROL", ScopeKind.OTHER, ("d", "CERTIFICATE", "c")),
    ],
)
def test_scopes_of_a_database(of: str, names: Cells, right: str, scope: ScopeKind, path: tuple[str, ...]) -> None:
    grant = only(accounts(a_database("d"), a_grant("d", "bob", "G", right, of, *names)))
    assert (grant.scope, grant.path) == (scope, path)


@pytest.mark.parametrize(
    ("of", "name", "right", "scope", "path"),
    [
        ("SERVER", None, "CONTROL SERVER", ScopeKind.GLOBAL, ()),
        ("SERVER_PRINCIPAL", "sa", "IMPERSONATE", ScopeKind.PROXY, ("sa",)),
        ("SERVER_PRINCIPAL", "sa", "ALTER", ScopeKind.OTHER, ("SERVER_PRINCIPAL", "sa")),
        ("ENDPOINT", "TSQL Default TCP", "CONNECT", ScopeKind.OTHER, ("ENDPOINT", "TSQL Default TCP")),
        ("AVAILABILITY GROUP", "ag1", "ALTER", ScopeKind.OTHER, ("AVAILABILITY_GROUP", "ag1")),
    ],
)
def test_scopes_of_the_server(of: str, name: str | None, right: str, scope: ScopeKind, path: tuple[str, ...]) -> None:
    grant = only(accounts(a_grant("", r"CORP\bob", "G", right, of, None, None, name)))
    assert (grant.principal, grant.scope, grant.path, grant.part) == (r"CORP\bob", scope, path, "")


def test_same_names_in_two_databases_stay_apart() -> None:
    rows = [a_grant(db, "bob", "G", "SELECT", "OBJECT_OR_COLUMN", "dbo", "U", "t") for db in ("a", "A")]
    found = accounts(a_database("a"), a_database("A"), *rows)
    assert {(g.principal, g.path) for g in found.grants} == {
        ("[a].[bob]", ("a", "dbo", "t")),
        ("[A].[bob]", ("A", "dbo", "t")),
    }


# -- principals


def test_no_login_is_spelled_like_a_user_of_a_database() -> None:
    assert login("[sales].[bob]") == "[[sales]].[bob]]]"
    assert inside("sales", "bob") == "[sales].[bob]"
    assert inside("a].[b", "c") != inside("a", "b].[c")
    assert login(r"CORP\张三") == r"CORP\张三"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("S", "user"), ("U", "user"), ("E", "user"), ("G", "external"), ("X", "external"), ("R", "role"), ("C", "user")],
)
def test_kinds_of_logins(kind: str, expected: str) -> None:
    (one,) = accounts(a_login(r"CORP\ops", kind)).principals
    assert one.kind == PrincipalKind(expected)
    assert one.incarnation == f"0x01:{MADE}"


@pytest.mark.parametrize(
    ("disabled", "grants", "can"),
    [
        ("0", [("bob", "G")], True),
        ("0", [("public", "G")], True),
        ("0", [], None),
        ("1", [("bob", "G")], False),
        ("0", [("bob", "D")], False),
        ("0", [("bob", "G"), ("bob", "D")], False),
    ],
)
def test_who_can_log_in(disabled: str, grants: list[tuple[str, str]], can: bool | None) -> None:
    rows = [a_grant("", name, state, "CONNECT SQL", "SERVER") for name, state in grants]
    (one,) = accounts(a_login("bob", disabled=disabled), *rows).principals
    assert one.can_login is can
    assert one.locked is (disabled == "1")


def test_lockout_expiry_and_empty_passwords() -> None:
    locked, empty = accounts(a_login("a", locked="1", expired="1", empty="0"), a_login("b", empty="1")).principals
    assert (locked.locked, locked.has_password, locked.attribute("password_expired")) == (True, True, True)
    assert (empty.locked, empty.has_password) == (False, False)
    assert empty.attribute("password_changed_at") == "2025-05-01T10:00:00"


def test_what_the_server_made_is_marked_and_never_hidden() -> None:
    names = ["public", "sysadmin", "##MS_PolicyEventProcessingLogin##", r"NT SERVICE\MSSQLSERVER", "sa", "pg_x"]
    found = accounts(
        *(a_login(n, "R" if n in ("public", "sysadmin") else "S", fixed="01"[n == "sysadmin"]) for n in names)
    )
    assert {p.name: p.system for p in found.principals} == dict(zip(names, [True] * 4 + [False] * 2, strict=True))
    by_name = {p.name: p for p in found.principals}
    assert by_name["sysadmin"].superuser
    assert by_name["public"].kind is PrincipalKind.PUBLIC


@pytest.mark.parametrize(
    ("kind", "by", "owner", "orphan", "can"),
    [
        ("S", "INSTANCE", "bob", None, False),
        ("S", "INSTANCE", None, True, False),
        ("S", "NONE", None, None, False),  # CREATE USER ... WITHOUT LOGIN
        ("S", "DATABASE", None, None, True),  # contained
        ("U", "WINDOWS", None, None, None),  # may come in by a group
        ("R", "NONE", None, None, False),
    ],
)
def test_users_and_orphans(kind: str, by: str, owner: str | None, orphan: bool | None, can: bool | None) -> None:
    (one,) = accounts(a_database("d"), a_user("d", "bob", kind, by, owner)).principals
    assert (one.attribute("orphan"), one.can_login, one.part) == (orphan, can, "d")


def test_users_of_two_databases_never_share_an_incarnation() -> None:
    rows = [a_database("a"), ("database", "b", "8", "2025-02-02T00:00:00", "ONLINE", "1", "1", None)]
    found = accounts(*rows, a_user("a", "guest", id_="2"), a_user("b", "guest", id_="2"))
    assert len({p.incarnation for p in found.principals}) == 2


# -- memberships


def test_a_login_leads_to_its_user_to_nested_roles_and_to_public() -> None:
    found = accounts(
        a_database("d"),
        a_login("bob"),
        a_user("d", "bob_u", owner="bob"),
        a_user("d", "dbo", owner=r"CORP\dba"),
        ("member", "d", "bob_u", "readers"),
        ("member", "d", "readers", "db_datareader"),
        ("member", "", "ops", "sysadmin"),
        a_grant("d", "guest", "G", "CONNECT", "DATABASE"),
    )
    assert {(m.member, m.role, m.part) for m in found.memberships} == {
        ("bob", "[d].[bob_u]", "d"),
        (r"CORP\dba", "[d].[dbo]", "d"),
        ("[d].[bob_u]", "[d].[public]", "d"),
        ("[d].[dbo]", "[d].[public]", "d"),
        ("[d].[bob_u]", "[d].[readers]", "d"),
        ("[d].[readers]", "[d].[db_datareader]", "d"),
        ("ops", "sysadmin", ""),
        ("public", "[d].[guest]", "d"),
    }


# -- what may not be seen


def test_5_3_1_without_the_right_nothing_is_believed() -> None:
    """The catalog views answer short and without an error: one row of one's own."""
    short = collector([a_login("me")], probe=("15.0", "Express", "4", "0", "1"))
    reading = short[0].accounts()
    assert {s.status for s in reading.sections.values()} == {Status.DENIED}
    assert reading.principals == reading.grants == reading.memberships == ()
    assert "view any definition" in reading.sections[SectionKey(SectionName.GRANTS)].reason
    assert len(short[1].asked) == reading.trips == 1


@pytest.mark.parametrize(
    ("database", "failure", "status"),
    [
        (a_database("d", enter="0"), None, Status.DENIED),
        (a_database("d", see="0"), None, Status.DENIED),
        (a_database("d", state="RESTORING", enter="0"), None, Status.UNSUPPORTED),
        (a_database("d"), "916", Status.DENIED),
        (a_database("d"), "1222", Status.ERROR),
    ],
)
def test_5_3_2_a_database_that_cannot_be_read_is_a_part_of_its_own(
    database: Cells, failure: str | None, status: Status
) -> None:
    more: list[Cells] = [("failure", "d", "accounts", failure)] if failure else []
    seen = a_grant("ok", "bob", "G", "SELECT", "SCHEMA", "s", None, None)
    half = a_grant("d", "bob", "G", "SELECT", "SCHEMA", "s", None, None)
    found = accounts(a_database("ok"), database, a_user("d", "x"), a_user("ok", "bob"), seen, half, *more)
    for name in (SectionName.PRINCIPALS, SectionName.MEMBERSHIPS, SectionName.GRANTS):
        assert found.sections[SectionKey(name, "d")].status is status
        assert found.sections[SectionKey(name, "ok")].ok
        assert found.sections[SectionKey(name)].ok
    assert {p.part for p in found.principals} == {g.part for g in found.grants} == {"ok"}
    assert found.sections[SectionKey(SectionName.GRANTS, "ok")].rows == 1


@pytest.mark.parametrize("probe", [("12.0", "SQL Azure", "5", "1", "1"), ("10.50.6000", "2008 R2", "3", "1", "1")])
def test_servers_that_have_no_such_catalog(probe: Cells) -> None:
    assert {s.status for s in accounts(probe=probe).sections.values()} == {Status.UNSUPPORTED}
    assert {s.status for s in capacity(probe=probe).sections.values()} == {Status.UNSUPPORTED}


# -- capacity


def test_sizes_with_log_and_filestream_by_the_databases_own_word() -> None:
    found = capacity(
        a_database("d"), a_database("tempdb"), a_database("shut", enter="0"),
        ("file", "d", "ROWS", "800"), ("file", "d", "LOG", "80"), ("file", "d", "FILESTREAM", "0"),
        ("own_file", "d", "ROWS", "800"), ("own_file", "d", "LOG", "80"), ("own_file", "d", "FILESTREAM", "5"),
        ("file", "tempdb", "ROWS", "8"), ("own_file", "tempdb", "ROWS", "4096"),
        ("file", "shut", "ROWS", "16"), ("file", "shut", "LOG", "4"),
        ("table", "d", "dbo", "订单", "640", "12"),
    )  # fmt: skip
    by_name = {d.name: d for d in found.databases}
    assert (by_name["d"].bytes, by_name["d"].data_bytes, by_name["d"].log_bytes) == (885, 805, 80)
    assert (by_name["tempdb"].bytes, by_name["tempdb"].system, by_name["tempdb"].incarnation) == (4096, True, "")
    assert (by_name["shut"].bytes, by_name["shut"].log_bytes) == (20, 4)
    assert found.total_bytes == 885 + 4096 + 20
    assert (found.tables[0].name, found.tables[0].bytes, found.tables[0].rows) == ("订单", 640, 12)
    assert found.sections[SectionKey(SectionName.TABLES, "shut")].status is Status.DENIED
    assert found.sections[SectionKey(SectionName.SIZES)].ok


def test_5_3_9_an_unknown_size_is_none_and_never_zero() -> None:
    rows = [a_database("d", enter="0"), a_database("snap", source="7"), ("file", "d", "ROWS", "8"),
            ("file", "d", "FILESTREAM", "0"), ("file", "snap", "ROWS", "999")]  # fmt: skip
    found = capacity(*rows)
    assert found.unknown == ("d", "snap")
    assert found.sections[SectionKey(SectionName.SIZES, "d")].status is Status.DENIED
    assert capacity(*rows, ("sparse", "snap", "ROWS", "3")).unknown == ("d",)


def test_files_are_not_believed_without_the_right() -> None:
    """master_files answers short where the right is missing."""
    probe = ("15.0", "Express", "4", "0", "1")
    found = capacity(a_database("d", enter="0"), ("file", "d", "ROWS", "8"), probe=probe)
    assert found.unknown == ("d",)
    assert found.sections[SectionKey(SectionName.SIZES)].status is Status.DENIED
    assert found.sections[SectionKey(SectionName.DATABASES)].ok


@pytest.mark.parametrize(("number", "status"), [("262", Status.DENIED), ("1222", Status.ERROR)])
def test_tables_fail_by_themselves(number: str, status: Status) -> None:
    found = capacity(a_database("d"), ("own_file", "d", "ROWS", "8"), ("failure", "d", "tables", number))
    assert found.sections[SectionKey(SectionName.TABLES, "d")].status is status
    assert found.total_bytes == 8


# -- errors


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (RuntimeError((18456, b"Login failed for user 'secret-name'")), Stop, "auth"),
        (RuntimeError(229, b"The SELECT permission was denied on secret-name"), Stop, "privilege"),
        (RuntimeError((4060, b"Cannot open database secret-name")), Stop, "privilege"),
        (RuntimeError((1205, b"deadlocked")), Retry, "1205"),
        (RuntimeError((20009, b"Adaptive Server is unavailable")), Retry, "refused"),
        (RuntimeError((99999, b"secret-name")), Stop, "99999"),
        (RuntimeError("secret-name"), Stop, ""),
        (ConnectionRefusedError(111, "refused"), Retry, "refused"),
        (TimeoutError(), Retry, "timeout"),
    ],
)
def test_d18_errors_have_a_reason_and_quote_nothing(error: Exception, kind: type[Exception], code: str) -> None:
    found = errors.classify(error, "connection erp")
    assert (type(found), found.code) == (kind, code)
    assert "secret-name" not in str(found)
    assert "connection erp" in str(found)


class Driver:
    """Stands in for pymssql, which the tests do not install: counts logins that overlap."""

    class Error(Exception): ...

    def __init__(self) -> None:
        self.now, self.most, self.given = 0, 0, {}

    def set_max_connections(self, limit: int) -> None: ...

    def connect(self, **given: object) -> object:
        self.given = given
        self.now += 1
        self.most = max(self.most, self.now)
        time.sleep(0.01)
        self.now -= 1
        if given["user"] == "wrong":
            raise Driver.Error((18456, b"Login failed for user 'wrong'"))
        return self


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


def there(port: int, **more: object) -> ConnectionArgs:
    return ConnectionArgs("erp", host="127.0.0.1", port=port, connect_seconds=2, **more)


def test_d18_logins_never_overlap_for_the_driver_mixes_up_their_errors(listener: int) -> None:
    driver = Driver()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: session.dial(there(listener, user="me"), lambda: driver), range(16)))
    assert driver.most == 1


def test_d18_a_wrong_password_is_tried_once_and_a_shut_port_is_told_apart(listener: int) -> None:
    with pytest.raises(Stop, match="login was refused") as caught:
        session.dial(there(listener, user="wrong"), Driver)
    assert caught.value.code == "auth"
    with socket.create_server(("127.0.0.1", 0)) as server:
        shut = server.getsockname()[1]
    with pytest.raises(Retry) as lost:
        session.dial(there(shut), Driver)
    assert lost.value.code == "refused"


@pytest.mark.parametrize(("tls", "encryption"), [("prefer", "request"), ("require", "require"), ("off", "off")])
def test_tls_as_it_was_asked_for(listener: int, tls: str, encryption: str) -> None:
    driver = Driver()
    session.dial(there(listener, tls=tls), lambda: driver)
    assert (driver.given["encryption"], driver.given["database"]) == (encryption, "master")


def test_certificates_that_cannot_be_verified_are_not_trusted(listener: int) -> None:
    with pytest.raises(Stop, match="cannot verify"):
        session.dial(there(listener, tls="verify"), Driver)


def test_without_the_driver_the_extra_is_named() -> None:
    def absent() -> object:
        raise ImportError

    with pytest.raises(Stop, match=r"sync-assets\[sqlserver\]"):
        session.dial(there(1), absent)


def test_it_is_found_by_its_name() -> None:
    assert "sqlserver" in collected()
    assert isinstance(open_collector("sqlserver", ConnectionArgs("erp")), SqlServerCollector)


# -- what the rest of the fleet makes of it


def test_d16_superusers_and_denials_are_found_through_logins_users_and_nested_roles() -> None:
    read = accounts(
        a_database("d"), a_login("bob"), a_login("eve"), a_login(r"CORP\ops", "G"), a_login("sysadmin", "R", fixed="1"),
        a_login("public", "R"), a_user("d", "bob", owner="bob"), a_user("d", "eve", owner="eve", id_="6"),
        a_user("d", "readers", "R", "NONE", id_="7"), a_user("d", "public", "R", "NONE", id_="0"),
        ("member", "", r"CORP\ops", "sysadmin"),
        ("member", "d", "bob", "readers"), ("member", "d", "eve", "readers"),
        a_grant("d", "readers", "G", "SELECT", "SCHEMA", "dbo", None, None),
        a_grant("d", "eve", "D", "SELECT", "OBJECT_OR_COLUMN", "dbo", "U", "orders"),
        a_grant("d", "public", "G", "SELECT", "OBJECT_OR_COLUMN", "app", "U", "open"), a_login("outsider"),
    )  # fmt: skip
    state = completed(AccountState(), read)
    assert set(superusers(state)) == {r"CORP\ops", "sysadmin"}
    readers = {h.principal for h in who(state, "sqlserver", "SELECT", ("d", "dbo", "orders"), AT) if h.now}
    assert {"bob", r"CORP\ops"} <= readers
    assert not readers & {"eve", "public", "[d].[eve]", "[d].[public]"}
    assert "eve" in {h.principal for h in who(state, "sqlserver", "SELECT", ("d", "dbo", "others"), AT)}
    everybody = {h.principal for h in who(state, "sqlserver", "SELECT", ("d", "app", "open"), AT)}
    assert {"bob", "eve"} <= everybody
    assert "outsider" not in everybody


def test_5_3_2_a_database_that_was_closed_since_keeps_its_users_and_loses_nobody_else() -> None:
    rows = [a_database("d"), a_database("e"), a_login("bob"), a_user("d", "bob", owner="bob"), a_user("e", "eve"),
            a_grant("d", "bob", "G", "SELECT", "SCHEMA", "dbo", None, None)]  # fmt: skip
    before = completed(AccountState(), accounts(*rows))
    shut = completed(before, accounts(a_database("d", enter="0"), *rows[1:3], a_user("e", "eve")))
    assert diff(before, shut) == ()
    gone = completed(before, accounts(*rows[1:3], a_user("e", "eve")))
    assert {c.kind for c in diff(before, gone)} == {ChangeKind.DROPPED, ChangeKind.LEFT, ChangeKind.REVOKED}
    assert "[d].[bob]" not in gone.principals
