"""A live PostgreSQL as a member of a fleet: what each login may see, what a look costs, what never shows."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from sync_assets.databases.base import ConnectionArgs, open_collector
from sync_assets.databases.postgres.collect import statements
from sync_assets.databases.postgres.collect.session import Session
from sync_assets.engine.errors import Retry, Stop
from sync_assets.fleet.collecting import Collector
from sync_assets.fleet.model import (
    AccountReading,
    Effect,
    Grant,
    Principal,
    PrincipalKind,
    ScopeKind,
    SectionKey,
    SectionName,
    Sections,
    Status,
)
from sync_assets.testing.proxy import Proxy
from sync_assets.testing.servers import Server, free_port, postgres_server, postgres_versions

SALES = "销售"
LOGIN = "fleet 采集"


@pytest.fixture(scope="module", params=postgres_versions(), ids=lambda programs: programs.parent.name)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with postgres_server(options=("log_statement=all", "log_connections=on"), programs=request.param) as server:
        server.create_database(SALES)
        yield server


def args_of(server: Server, user: str | None = None, **changes: Any) -> ConnectionArgs:
    args = ConnectionArgs(
        "pg", host=server.host, port=server.port, user=user or server.user, tls="off", query_seconds=30,
        open_password=lambda: "right" if user else server.password,
    )  # fmt: skip
    return replace(args, **changes)


def collector(server: Server, user: str | None = None, **changes: Any) -> Collector:
    return open_collector("postgres", args_of(server, user, **changes))


@contextmanager
def login(server: Server, *grants: str) -> Iterator[str]:
    server.create_user(LOGIN, "right", *[g.replace("ME", f'"{LOGIN}"') for g in grants])
    try:
        yield LOGIN
    finally:
        server.execute(f'drop owned by "{LOGIN}"', f'drop role "{LOGIN}"')


@contextmanager
def closed_sales(server: Server) -> Iterator[None]:
    server.execute(f'revoke connect on database "{SALES}" from public')
    try:
        yield
    finally:
        server.execute(f'grant connect on database "{SALES}" to public')


def bad(sections: Sections) -> dict[str, str]:
    return {str(key): state.status.value for key, state in sections.items() if not state.ok}


def named(reading: AccountReading, name: str) -> Principal:
    (found,) = [p for p in reading.principals if p.name == name]
    return found


def rights(reading: AccountReading, *path: str) -> set[tuple[str, str, str]]:
    return {(g.principal, g.privilege, g.effect.value) for g in reading.grants if g.path == path}


# -- what each login may see (a section that cannot be seen is denied, nobody is missing)

NOBODY_ASKED = {"grants(template0)": "unsupported"}
TABLES = {"tables(template0)": "unsupported"}


def test_a_superuser_sees_everything(server: Server) -> None:
    accounts, capacity = collector(server).accounts(), collector(server).capacity()
    assert bad(accounts.sections) == NOBODY_ASKED
    assert bad(capacity.sections) == TABLES
    assert named(accounts, server.user).has_password is True
    assert named(accounts, server.user).attribute("password_type") == "scram-sha-256"
    assert capacity.total_bytes == sum(d.bytes or 0 for d in capacity.databases) > 0
    assert capacity.unknown == ()
    assert [log.kind for log in capacity.logs] == ["wal"]


@pytest.mark.parametrize(
    ("grants", "of_capacity"),
    [
        ((), {"logs": "denied"}),
        (("grant pg_read_all_stats to ME",), {"logs": "denied"}),
        (("grant pg_monitor to ME",), {}),
    ],
)
def test_a_login_with_few_rights(server: Server, grants: tuple[str, ...], of_capacity: dict[str, str]) -> None:
    """pg_roles and all ACLs are open to everybody: nobody is missing. Passwords are unknown, which is not none."""
    whole = collector(server).accounts()
    with login(server, *grants) as user:
        accounts, capacity = collector(server, user).accounts(), collector(server, user).capacity()
    assert bad(accounts.sections) == NOBODY_ASKED
    assert {p.name for p in accounts.principals} == {p.name for p in whole.principals} | {LOGIN}
    assert set(accounts.grants) == set(whole.grants)
    assert {p.has_password for p in accounts.principals} == {None}
    assert bad(capacity.sections) == of_capacity | TABLES
    if of_capacity:
        reason = capacity.sections[SectionKey(SectionName.LOGS)].reason
        assert reason.endswith(f'-> grant pg_monitor to "{LOGIN}"')


@pytest.mark.parametrize(("grants", "sized"), [((), False), (("grant pg_read_all_stats to ME",), True)])
def test_a_database_that_refuses_us_is_denied_and_the_others_go_on(
    server: Server, grants: tuple[str, ...], sized: bool
) -> None:
    with login(server, *grants) as user, closed_sales(server):
        accounts, capacity = collector(server, user).accounts(), collector(server, user).capacity()
    denied = {f"grants({SALES})": "denied"}
    assert bad(accounts.sections) == NOBODY_ASKED | denied
    hint = f'grant connect on database "{SALES}" to "{LOGIN}"'
    assert accounts.sections[SectionKey(SectionName.GRANTS, SALES)].reason.endswith(hint)
    assert not any(g.part == SALES for g in accounts.grants)
    expected = {"logs": "denied", f"tables({SALES})": "denied"} | ({} if sized else {f"sizes({SALES})": "denied"})
    assert bad(capacity.sections) == TABLES | expected
    assert capacity.unknown == (() if sized else (SALES,))
    assert SALES in {d.name for d in capacity.databases}
    if not sized:
        reason = capacity.sections[SectionKey(SectionName.SIZES, SALES)].reason
        assert "grant pg_read_all_stats" in reason
        assert hint in reason


def test_a_catalog_that_was_closed_denies_its_section_only(server: Server) -> None:
    """Some harden a server so. Roles are still read; nobody loses a membership that could not be seen."""
    with login(server) as user:
        server.execute("revoke select on pg_auth_members from public")
        try:
            reading = collector(server, user).accounts()
        finally:
            server.execute("grant select on pg_auth_members to public")
    assert bad(reading.sections) == NOBODY_ASKED | {"memberships": "denied"}
    assert "pg_auth_members" in reading.sections[SectionKey(SectionName.MEMBERSHIPS)].reason
    assert named(reading, LOGIN).can_login is True


def test_roles_that_cannot_be_read_take_all_rights_with_them(server: Server) -> None:
    with login(server) as user:
        server.execute("revoke select on pg_roles from public")
        try:
            reading = collector(server, user).accounts()
        finally:
            server.execute("grant select on pg_roles to public")
    states = {k.name: s.status for k, s in reading.sections.items() if k.part != "template0"}
    assert states == {
        SectionName.PRINCIPALS: Status.DENIED, SectionName.MEMBERSHIPS: Status.DENIED,
        SectionName.GRANTS: Status.DENIED, SectionName.DATABASES: Status.OK,
    }  # fmt: skip
    assert reading.grants == reading.memberships == ()


def test_databases_that_cannot_be_listed_are_denied(server: Server) -> None:
    with login(server) as user:
        server.execute("revoke select on pg_database from public")
        try:
            accounts, capacity = collector(server, user).accounts(), collector(server, user).capacity()
        finally:
            server.execute("grant select on pg_database to public")
    assert bad(accounts.sections) == {"databases": "denied", "grants": "denied"}
    assert named(accounts, LOGIN).can_login is True
    assert bad(capacity.sections)["databases"] == bad(capacity.sections)["sizes"] == "denied"


def test_a_database_that_fails_is_an_error_of_its_own(server: Server) -> None:
    """Nobody may log in there at the moment: what is known of it stays as it is, and the others are read."""
    with login(server) as user:
        server.execute(f'alter database "{SALES}" connection limit 0')
        try:
            reading = collector(server, user).accounts()
        finally:
            server.execute(f'alter database "{SALES}" connection limit -1')
    assert bad(reading.sections) == NOBODY_ASKED | {f"grants({SALES})": "error"}


# -- round trips


def statements_of(server: Server, what: Any) -> tuple[int, int]:
    """Messages with statements, and logins, that the server's own log counts meanwhile."""
    log = server.folder / "server.log"
    before = log.stat().st_size
    what()
    text = log.read_bytes()[before:].decode(errors="replace")
    return len(re.findall(r"LOG:  (?:statement|execute [^:]*):", text)), len(re.findall("connection authorized", text))


@pytest.mark.parametrize("grants", [(), ("grant pg_monitor to ME",)])
def test_round_trips_do_not_grow_with_the_accounts(server: Server, grants: tuple[str, ...]) -> None:
    databases = len(server.execute("select 1 from pg_database where datallowconn"))
    with login(server, *grants) as user:
        for count in (10, 5000):
            server.execute(
                f"do $$ begin for i in 1..{count} loop execute format('create role crowd_{count}_%s login', i);"
                f" execute format('grant pg_monitor to crowd_{count}_%s', i); end loop; end $$"
            )
            readings: list[AccountReading] = []
            one = collector(server, user)
            sent, logins = statements_of(server, lambda one=one, readings=readings: readings.append(one.accounts()))
            assert sent == readings[0].trips <= 1 + databases
            assert logins == databases
            assert len(readings[0].principals) > count
            assert statements_of(server, one.capacity) == (1 + databases, databases)
        server.execute(
            "do $$ declare r record; begin for r in select rolname from pg_roles where rolname like 'crowd\\_%' loop"
            " execute format('drop role %I', r.rolname); end loop; end $$"
        )


@pytest.mark.parametrize("version", [120000, 150000, 180000])
def test_the_statements_of_other_versions_run_here_too(server: Server, version: int) -> None:
    """What 12 to 15 are asked of memberships, 16 still understands; so their statements are at least SQL."""
    with closing(Session(args_of(server, database="postgres"))) as session:
        then, now = session.ask(statements.cluster(version, True)), session.ask(statements.cluster(160000, True))
    assert then["principals"] == now["principals"]
    assert set(then["memberships"]) == set(now["memberships"])
    assert len(then["cluster_grants"]) == len(now["cluster_grants"])


# -- no hash comes over the wire


@contextmanager
def recording(server: Server) -> Iterator[tuple[int, bytearray]]:
    """A relay on loopback: its port, and all that the server says."""
    heard = bytearray()
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, sink: socket.socket, kept: bytearray | None) -> None:
        while data := source.recv(65536):
            if kept is not None:
                kept += data
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)

    def serve(client: socket.socket) -> None:
        with client, socket.create_connection((server.host, server.port)) as upstream:
            up = threading.Thread(target=pump, args=(client, upstream, None))
            up.start()
            pump(upstream, client, heard)
            up.join()

    def accept() -> None:
        threads = []
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                break
            threads.append(threading.Thread(target=serve, args=(client,)))
            threads[-1].start()
        for thread in threads:
            thread.join()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield listener.getsockname()[1], heard
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join()


def test_no_hash_comes_over_the_wire(server: Server) -> None:
    """Not even to a superuser, who learns all the same which accounts have a password, and of which kind."""
    server.execute(
        "create role \"散列\" login password 'secret'",
        "create role old_hash login password 'md5a3556571e93b0d20722ba62be61e8c2d'",
        "create role no_password login",
        "alter role no_password set search_path to 'shop, evil'",
        "alter role no_password set sync_assets.token to 'hidden-value'",
    )
    kept = [row[0] for row in server.execute("select rolpassword from pg_authid where rolpassword is not null")]
    with recording(server) as (port, heard):
        reading = collector(server, port=port).accounts()
    for one in ("散列", "old_hash", "no_password"):
        server.execute(f'drop role "{one}"')
    assert len(heard) > 5000
    pieces = [piece.encode() for text in kept for piece in (text, *re.split(r"[$:]", text)[-2:])]
    assert not [piece for piece in pieces if piece in heard]
    assert b"hidden-value" not in heard
    kinds = {p.name: (p.has_password, p.attribute("password_type")) for p in reading.principals}
    assert kinds["散列"] == (True, "scram-sha-256")
    assert kinds["old_hash"] == (True, "md5")
    assert kinds["no_password"] == (False, None)
    assert named(reading, "no_password").attribute("settings") == "search_path, sync_assets.token"
    assert "hidden-value" not in repr(reading)


# -- accounts


def test_accounts_and_their_flags(server: Server) -> None:
    server.execute(
        "create role plain login createdb connection limit 3 valid until '2026-03-03 08:00+08'",
        "create role grouped nologin createrole noinherit",
        "create role pgbouncer login", 'create role "PUBLIC" login', "create role rds_superuser",
        "create role forever login superuser valid until 'infinity'", "create role ages valid until '20000-01-01'",
    )  # fmt: skip
    reading = collector(server).accounts()
    for name in ("plain", "grouped", "pgbouncer", '"PUBLIC"', "rds_superuser", "forever", "ages"):
        server.execute(f"drop role {name}")
    plain, grouped = named(reading, "plain"), named(reading, "grouped")
    assert (plain.kind, plain.can_login, plain.superuser, plain.locked) == (PrincipalKind.USER, True, False, False)
    assert plain.attribute("valid_until") == "2026-03-03T00:00:00.000000+00:00"
    assert (plain.attribute("create_db"), plain.attribute("connection_limit")) == (True, 3)
    # 5.3-12: who cannot log in is a group, and not locked
    assert (grouped.kind, grouped.can_login, grouped.locked) == (PrincipalKind.ROLE, False, False)
    assert (grouped.attribute("create_role"), grouped.attribute("inherit")) == (True, False)
    assert named(reading, "forever").attribute("valid_until") is None
    assert named(reading, "forever").superuser is True
    assert named(reading, "ages").attribute("valid_until") == "9999-12-31T23:59:59.000000+00:00"
    assert named(reading, "rds_superuser").attribute("cloud_superuser") is True
    # D17: a role that looks like a system role is none; everybody is somebody else than a role of that name
    system = {p.name for p in reading.principals if p.system}
    assert "pg_monitor" in system
    assert not system & {"pgbouncer", "PUBLIC", "rds_superuser", server.user}
    assert named(reading, "public").kind is PrincipalKind.PUBLIC
    assert named(reading, "PUBLIC").kind is PrincipalKind.USER


def test_a_rename_keeps_the_incarnation_and_a_new_role_of_the_name_has_another(server: Server) -> None:
    seen = []
    for statement in (
        'create role "张三"', 'alter role "张三" rename to "李四"', 'drop role "李四"; create role "李四"',
        'drop role "李四"',
    ):  # fmt: skip
        server.execute(*statement.split("; "))
        reading = collector(server).accounts()
        seen.append({p.name: p.incarnation for p in reading.principals if p.name in ("张三", "李四")})
    assert seen[0]["张三"] == seen[1]["李四"] != seen[2]["李四"]
    assert seen[3] == {}


# -- ACLs that nobody wrote


@pytest.fixture
def shop(server: Server) -> Iterator[None]:
    server.execute(
        "create role reader", "create schema shop", "create table shop.orders (id int, amount int)",
        "create function shop.total(int) returns int language sql as 'select 1'", database=SALES,
    )  # fmt: skip
    yield
    server.execute("drop schema shop cascade", "drop owned by reader", "drop role reader", database=SALES)


def changed(server: Server, *statements: str) -> tuple[set[Grant], set[Grant]]:
    """Grants that went and that came with the statements."""
    before = set(collector(server).accounts().grants)
    server.execute(*statements, database=SALES)
    after = set(collector(server).accounts().grants)
    return before - after, after - before


def test_an_acl_written_out_is_the_one_that_nobody_wrote(server: Server, shop: None) -> None:
    """The first grant on a table writes the owner's rights into its ACL, and taking it back leaves them there."""
    boss = server.user
    gone, came = changed(server, "grant select on shop.orders to reader")
    assert gone == set()
    assert [(g.principal, g.privilege, g.grantor, g.part) for g in came] == [("reader", "SELECT", boss, SALES)]
    before = set(collector(server).accounts().grants)
    assert changed(
        server, "revoke select on shop.orders from reader", "grant all on shop.orders to reader",
        "revoke all on shop.orders from reader", "grant select on shop.orders to reader",
        f"grant execute on function shop.total to {boss}, public", f"grant usage on schema shop to {boss}",
    ) == (set(), set())  # fmt: skip
    assert before == set(collector(server).accounts().grants)


@pytest.mark.parametrize(
    ("on", "scope", "path", "privilege"),
    [
        ("execute on function shop.total", ScopeKind.ROUTINE, (SALES, "shop", "total(integer)"), "EXECUTE"),
        (f'connect on database "{SALES}"', ScopeKind.DATABASE, (SALES,), "CONNECT"),
        ("usage on schema public", ScopeKind.SCHEMA, (SALES, "public"), "USAGE"),
    ],
)
def test_what_everybody_loses_is_one_change(
    server: Server, shop: None, on: str, scope: ScopeKind, path: tuple[str, ...], privilege: str
) -> None:
    gone, came = changed(server, f"revoke {on} from public")
    server.execute(f"grant {on} to public", database=SALES)
    assert came == set()
    (one,) = gone
    assert (one.principal, one.scope, one.path, one.privilege) == ("public", scope, path, privilege)


@pytest.mark.parametrize(
    ("on", "path", "privilege"),
    [
        ("execute on function pg_sleep(float8)", ("pg_catalog", "pg_sleep(double precision)"), "EXECUTE"),
        ("select on pg_catalog.pg_user", ("pg_catalog", "pg_user"), "SELECT"),
        ("select on information_schema.tables", ("information_schema", "tables"), "SELECT"),
        ("usage on schema information_schema", ("information_schema",), "USAGE"),
        ("usage on language plpgsql", ("plpgsql",), "USAGE"),
    ],
)
def test_of_the_systems_own_objects_only_what_was_changed_is_told(
    server: Server, on: str, path: tuple[str, ...], privilege: str
) -> None:
    before = collector(server).accounts().grants
    assert not [g for g in before if g.part and g.path[1] in ("pg_catalog", "information_schema", "plpgsql")]
    gone, came = changed(server, f"revoke {on} from public")
    assert gone == set()
    (one,) = came
    assert (one.principal, one.path, one.privilege) == ("public", (SALES, *path), privilege)
    assert one.effect is Effect.PARTIAL_REVOKE
    _, back = changed(server, f"grant {on} to public")
    assert back == set()
    assert set(collector(server).accounts().grants) == set(before)


def test_what_an_owner_took_from_itself_and_who_owns(server: Server, shop: None) -> None:
    gone, came = changed(server, f"revoke delete on shop.orders from {server.user}")
    assert gone == set()
    assert [(g.privilege, g.effect) for g in came] == [("DELETE", Effect.PARTIAL_REVOKE)]
    gone, came = changed(server, "alter function shop.total owner to reader")
    owners = {(g.principal, g.privilege) for g in came if g.privilege == "OWNERSHIP"}
    assert owners == {("reader", "OWNERSHIP")}


def test_an_extension_brings_no_thousand_grants(server: Server) -> None:
    gone, came = changed(server, "create extension vector")
    _, told = changed(server, "revoke execute on function l2_norm(sparsevec) from public")
    server.execute("drop extension vector", database=SALES)
    assert (gone, came) == (set(), set())
    assert [(g.path[2], g.effect) for g in told] == [("l2_norm(public.sparsevec)", Effect.PARTIAL_REVOKE)]


def test_objects_of_a_session_are_left_out(server: Server) -> None:
    with server.connect(SALES) as other:
        before = set(collector(server).accounts().grants)
        other.execute("create temp table t (a int)")
        other.execute("grant select on t to public")
        other.execute("create function pg_temp.f() returns int language sql as 'select 1'")
        assert set(collector(server).accounts().grants) == before


def raw(server: Server, database: str, *statements: str) -> None:
    """Bytes as they are, one a character."""
    with server.connect(database) as connection:
        connection.execute(f"set client_encoding to {'latin1' if database == 'latin' else 'sql_ascii'}".encode())
        for one in statements:
            connection.execute(one.encode("latin-1"))


def test_names_of_other_encodings(server: Server) -> None:
    """A cluster keeps the bytes of a role's name as they came; a database of another encoding recodes them."""
    server.execute('create role "Ünal" login', "create database latin template template0 encoding latin1 locale 'C'",
                   "create database ascii template template0 encoding sql_ascii locale 'C'")  # fmt: skip
    raw(server, "latin", 'create schema "\xe9" authorization "Ã\x9cnal"')
    raw(server, "ascii", 'create role "caf\xe9"', 'create schema "caf\xe9" authorization "caf\xe9"')
    reading = collector(server).accounts()
    raw(server, "ascii", 'drop owned by "caf\xe9"', 'drop role "caf\xe9"')
    server.execute("drop database latin", "drop database ascii", 'drop role "Ünal"')
    assert bad(reading.sections) == NOBODY_ASKED
    assert rights(reading, "latin", "é") == {("Ünal", "OWNERSHIP", "grant")}
    assert rights(reading, "ascii", "caf\\xe9") == {("caf\\xe9", "OWNERSHIP", "grant")}


# -- capacity


def test_sizes_add_up_and_name_the_largest_tables(server: Server) -> None:
    server.execute(
        'create table "大表" (id int primary key, t text)', "create table small (id int)",
        "insert into \"大表\" select i, repeat('x', 500) from generate_series(1, 2000) i", 'analyze "大表"',
        database=SALES,
    )  # fmt: skip
    reading = collector(server).capacity(top_tables=1)
    (row,) = server.execute(
        "select pg_total_relation_size('\"大表\"'), pg_database_size(current_database()),"
        " (select oid::text from pg_database where datname = current_database())", database=SALES,
    )  # fmt: skip
    server.execute('drop table "大表", small', database=SALES)
    (table,) = [t for t in reading.tables if t.database == SALES]
    assert (table.name, table.bytes, table.rows) == ("大表", row[0], 2000)
    (database,) = [d for d in reading.databases if d.name == SALES]
    assert (database.bytes, database.incarnation, database.system) == (row[1], row[2], False)
    assert database.index_bytes
    assert database.data_bytes
    assert {d.name for d in reading.databases if d.system} == {"postgres", "template0", "template1"}


def test_a_locked_table_does_not_hold_the_look_up(server: Server) -> None:
    server.execute("create table locked (id int primary key)", "create table free (id int)", database=SALES)
    try:
        with server.connect(SALES) as other, other.transaction():
            other.execute("lock table locked in access exclusive mode")
            capacity, accounts = collector(server).capacity(), collector(server).accounts()
    finally:
        server.execute("drop table locked, free", database=SALES)
    assert bad(capacity.sections) == TABLES
    assert bad(accounts.sections) == NOBODY_ASKED
    assert {t.name for t in capacity.tables if t.database == SALES} >= {"locked", "free"}


# -- nobody answers, or lets us in


def test_trouble_says_what_to_do_and_why(server: Server) -> None:
    for changes, kind, code in (
        ({"open_password": lambda: "wrong"}, Stop, "auth"),
        ({"port": free_port()}, Retry, "refused"),
        ({"host": "no-such-host.invalid"}, Retry, "dns"),
        ({"database": "nowhere"}, Stop, "other"),
        ({"tls": "require"}, Stop, "protocol"),
    ):  # fmt: skip
        with pytest.raises(kind) as caught:
            collector(server, **changes).accounts()
        assert caught.value.code == code
    with Proxy(server.host, server.port) as proxy:
        proxy.silence()
        with pytest.raises(Retry) as caught:
            collector(server, host=proxy.host, port=proxy.port, connect_seconds=2).accounts()
        assert caught.value.code == "timeout"
        proxy.cut_all()


def test_a_server_that_falls_silent_is_left(server: Server) -> None:
    with Proxy(server.host, server.port) as proxy:
        proxy.hole_on(b"pg_has_role", cut=False)
        with pytest.raises(Retry, match="said nothing") as caught:
            collector(server, host=proxy.host, port=proxy.port, query_seconds=1, silent_seconds=1).accounts()
        assert caught.value.code == "timeout"
        proxy.cut_all()


def test_a_line_that_breaks_later_is_an_error_of_what_was_not_read(server: Server) -> None:
    """5.3-1, 5.3-2: nobody is gone and nothing is revoked because a question failed."""
    with Proxy(server.host, server.port) as proxy:
        proxy.hole_on(b"pg_catalog.pg_auth_members")
        reading = collector(server, host=proxy.host, port=proxy.port).accounts()
    states = {str(k): s.status for k, s in reading.sections.items()}
    assert states["databases"] is Status.OK
    assert states["principals"] is states["memberships"] is states["grants"] is Status.ERROR
    assert not [p for p in reading.principals if p.kind is not PrincipalKind.PUBLIC]
    assert reading.grants == ()


def test_the_look_only_reads(server: Server) -> None:
    log = server.folder / "server.log"
    before = log.stat().st_size
    collector(server).accounts()
    collector(server).capacity()
    sent = re.findall(r"LOG:  statement: (.*)", log.read_bytes()[before:].decode())
    assert sent
    assert all(text.startswith("begin isolation level repeatable read read only") for text in sent)
    with server.connect() as connection, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        connection.execute("begin isolation level repeatable read read only; create table t (a int); commit")
