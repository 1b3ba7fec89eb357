"""The collector on a live MariaDB: what each set of privileges may see, round trips, sizes, and who lets us in."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sync_assets.databases.base import open_collector
from sync_assets.databases.mysql.collect import MySQLCollector
from sync_assets.databases.mysql.collect.line import Found, Line, Refusal
from sync_assets.engine.errors import Retry, Stop
from sync_assets.fleet.collecting import Collector
from sync_assets.fleet.model import AccountReading, PrincipalKind, SectionKey, SectionName, Sections, Status
from sync_assets.testing.proxy import Proxy
from sync_assets.testing.servers import free_port
from sync_assets_tests.fix_fleet_mysql import OURS, FleetServer

ACCOUNTS = {"principals", "memberships", "grants(global)", "grants(database)", "grants(table)", "grants(column)",
            "grants(routine)", "grants(proxy)"}  # fmt: skip
CAPACITY = {"databases", "sizes", "tables", "logs"}
LEAN = ["select on mysql.*", "process on *.*", "show databases on *.*", "show view on *.*", "binlog monitor on *.*"]
# The privilege sets of the fact table, and those that are worse to tell apart; what is ok with each.
SETS: dict[str, tuple[list[str], set[str]]] = {
    "nothing": ([], set()),
    "process": (["process on *.*"], set()),
    "the grant tables": (["select on mysql.*"], ACCOUNTS),
    "all that was asked for": (
        ["select, process, show databases, replication client on *.*"], ACCOUNTS | CAPACITY),
    "the least that is enough": (LEAN, ACCOUNTS | CAPACITY),
    "no row of anybody's": (LEAN[1:], CAPACITY),
    "one grant table": (["select on mysql.global_priv"], {"principals", "grants(global)"}),
    "columns without their tables": (["select on mysql.columns_priv", "select on mysql.db", "execute on shop.*"],
                                      {"grants(database)"}),
    "columns of a grant table": (["select (User, Host) on mysql.global_priv"], set()),
    "every table but one database": (["select on mysql.*", "process, show databases on *.*", "select on shop.*"],
                                     ACCOUNTS | {"databases"}),
    "tables without their list": (["process, show view on *.*"], {"tables"}),
    "logs only": (["binlog monitor on *.*"], {"logs"}),
}  # fmt: skip


def collect(fleet: FleetServer, *login: str) -> tuple[AccountReading, Any]:
    collector = open_collector("mysql", fleet.args(*login))
    try:
        return collector.accounts(), collector.capacity()
    finally:
        collector.close()


def ok(*sections: Sections) -> set[str]:
    return {str(key) for part in sections for key, state in part.items() if state.ok}


def _reader(fleet: FleetServer, *grants: str, to: str = "fleet@'%'") -> None:
    fleet.execute("create database if not exists shop", "create table if not exists shop.t (a int) engine=myisam")
    fleet.execute("create user fleet@'%' identified by 'right'", *(f"grant {g} to {to}" for g in grants))


@pytest.mark.parametrize("name", SETS)
def test_each_set_of_privileges_has_its_statuses(fleet_mariadb: FleetServer, name: str) -> None:
    grants, expected = SETS[name]
    _reader(fleet_mariadb, *grants)
    accounts, capacity = collect(fleet_mariadb, "fleet", "right")
    assert ok(accounts.sections, capacity.sections) == expected
    for state in [*accounts.sections.values(), *capacity.sections.values()]:
        assert state.status in (Status.OK, Status.DENIED)
        assert state.ok or re.search(r"-> GRANT .* TO 'fleet'@'%'$", state.reason)
    assert bool(accounts.principals) is ("principals" in expected)
    assert bool(accounts.memberships or accounts.grants) is any(s.startswith(("grants", "member")) for s in expected)
    assert bool(capacity.databases) is ("databases" in expected)
    assert "sizes" in expected or capacity.total_bytes == 0
    assert (len(capacity.unknown) > 0) is ("databases" in expected and "sizes" not in expected)


def test_the_hints_lead_to_a_whole_look(fleet_mariadb: FleetServer) -> None:
    """Whoever does what each reason says, and no more, ends with all sections ok."""
    _reader(fleet_mariadb)
    for _ in range(6):
        accounts, capacity = collect(fleet_mariadb, "fleet", "right")
        states = [*accounts.sections.values(), *capacity.sections.values()]
        todo = {s.reason.partition("-> ")[2] for s in states if not s.ok}
        if not todo:
            break
        fleet_mariadb.execute(*todo)
    assert not todo
    held = {row[0] for row in fleet_mariadb.execute(
        "select privilege_type from information_schema.user_privileges where grantee = '''fleet''@''%'''")}  # fmt: skip
    assert held == {"PROCESS", "SHOW DATABASES", "SHOW VIEW", "BINLOG MONITOR"}


@pytest.mark.parametrize("way", ["role", "public"])
def test_rights_that_come_by_a_role_or_public_count(fleet_mariadb: FleetServer, way: str) -> None:
    fleet_mariadb.execute("create role fleet_reader")
    _reader(fleet_mariadb, *LEAN, to="fleet_reader" if way == "role" else "public")
    if way == "role":
        fleet_mariadb.execute("grant fleet_reader to fleet@'%'", "set default role fleet_reader for fleet@'%'")
    accounts, capacity = collect(fleet_mariadb, "fleet", "right")
    assert ok(accounts.sections, capacity.sections) == ACCOUNTS | CAPACITY


def test_public_is_a_principal_with_its_grants(fleet_mariadb: FleetServer) -> None:
    fleet_mariadb.execute("grant select on `s%`.* to public", "create role r", "grant r to public")
    accounts, _ = collect(fleet_mariadb)
    assert {p.name: p.kind for p in accounts.principals}["PUBLIC@"] is PrincipalKind.PUBLIC
    assert [(g.path, g.privilege) for g in accounts.grants if g.principal == "PUBLIC@"] == [(("s%",), "SELECT")]
    assert ("PUBLIC@", "r@") in {(m.member, m.role) for m in accounts.memberships}


# -- principals


def test_principals_say_how_they_log_in(fleet_mariadb: FleetServer) -> None:
    fleet_mariadb.execute(
        "create user mysqlbackup@localhost identified by 'x' password expire interval 30 day",
        "create user open@'%'", "create user ''@localhost", "create user sock@localhost identified via unix_socket",
        "create user either@'10.%' identified via unix_socket or mysql_native_password using ''",
        "create user `both`@'%' identified via mysql_native_password using password('x') or unix_socket account lock",
        "create user late@'%' identified by 'x' password expire", "create role `角色`",
        "create user 张三@'%' identified by 'x' require ssl with max_user_connections 3",
        "grant `角色` to 张三@'%'", "set default role `角色` for 张三@'%'",
    )  # fmt: skip
    accounts, _ = collect(fleet_mariadb)
    by = {p.name: p for p in accounts.principals}
    made = [n for n in by if n.partition("@")[0] not in OURS]
    assert {n: by[n].has_password for n in made} == {
        "mysqlbackup@localhost": True, "open@%": False, "@localhost": False, "sock@localhost": None,
        "either@10.%": False, "both@%": True, "late@%": True, "角色@": None, "张三@%": True,
    }  # fmt: skip
    assert by["mysqlbackup@localhost"].attribute("password_lifetime_days") == 30
    assert not by["mysqlbackup@localhost"].system and by["mariadb.sys@localhost"].system
    assert by["both@%"].locked and not by["open@%"].locked
    assert by["both@%"].attribute("other_plugins") == "unix_socket"
    assert (by["late@%"].attribute("password_expired"), by["late@%"].attribute("password_changed_at")) == (True, None)
    zhang = by["张三@%"]
    assert (zhang.attribute("default_role"), zhang.attribute("ssl_type"), zhang.attribute("connection_limit")) == (
        "角色", "ANY", 3)  # fmt: skip
    assert (by["boss@%"].superuser, zhang.superuser) == (True, False)


class Tap(Proxy):
    """A proxy that keeps what passes."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.heard = {"up": b"", "down": b""}

    def _passing(self, data: bytes, direction: Any, link: Any) -> bytes:
        passing = super()._passing(data, direction, link)
        self.heard[direction] += passing
        return passing


def test_no_hash_ever_comes_over_the_wire(fleet_mariadb: FleetServer) -> None:
    fleet_mariadb.execute(
        "create user a@'%' identified by 'x'",
        "create user b@'%' identified via unix_socket or mysql_native_password using password('y')",
    )
    texts = [row[0] for row in fleet_mariadb.execute("select Priv from mysql.global_priv")]
    hashes = {h.encode() for text in texts for h in re.findall(r"\*[0-9A-F]{40}", text)}
    with Tap(fleet_mariadb.server.host, fleet_mariadb.server.port) as tap:
        collector = open_collector("mysql", fleet_mariadb.args(host=tap.host, port=tap.port))
        reading = collector.accounts()
        collector.capacity()
        collector.close()
    assert len(hashes) >= 3 and {"a@%", "b@%"} <= {p.name for p in reading.principals}
    assert b"mysql_native_password" in tap.heard["down"]
    assert not [h for h in hashes if h in tap.heard["down"]]
    assert not re.search(rb"\*[0-9A-F]{40}", tap.heard["down"] + tap.heard["up"])


# -- round trips


def _questions(fleet: FleetServer) -> int:
    return int(fleet.execute("show global status like 'Questions'")[0][1])


@pytest.mark.parametrize("count", [10, 5000])
def test_at_most_three_statements_whatever_the_number_of_accounts(fleet_mariadb: FleetServer, count: int) -> None:
    fleet_mariadb.execute(
        f"insert into mysql.global_priv select '%', concat('u', seq), '{{\"access\":1}}' from mysql.seq_1_to_{count}",
        "insert into mysql.db (Host, Db, User, Select_priv, Insert_priv) select Host, concat('d', User), User, 'Y', 'Y'"
        " from mysql.global_priv where User like 'u%'", "flush privileges",
    )  # fmt: skip
    collector: Collector = open_collector("mysql", fleet_mariadb.args())
    before = _questions(fleet_mariadb)
    accounts = collector.accounts()
    between = _questions(fleet_mariadb)
    capacity = collector.capacity()
    after = _questions(fleet_mariadb)
    collector.close()
    assert (accounts.trips, capacity.trips) == (between - before - 1, after - between - 1)  # less our own question
    assert accounts.trips == 3 and capacity.trips == 1
    named = [p for p in accounts.principals if re.fullmatch(r"u\d+@%", p.name)]
    assert len(named) == count and sum(g.part == "database" for g in accounts.grants) == 2 * count
    again: Collector = open_collector("mysql", fleet_mariadb.args())
    assert again.capacity().trips <= 3
    again.close()


# -- capacity

NAMES = {"plain": "plain", "a-b": "a@002db", "库存": "@5e93@5b58", "é.ß": "@0p@002e@1j", "X@y": "X@0040y"}


@pytest.fixture
def databases(fleet_mariadb: FleetServer) -> Iterator[FleetServer]:
    for name in [*NAMES, "empty"]:
        fleet_mariadb.execute(f"create database `{name}`")
    for number, name in enumerate(NAMES, 1):
        fleet_mariadb.execute(
            f"create table `{name}`.`big#p#1` (a int, b char(200)) partition by hash(a) partitions 3",
            f"insert into `{name}`.`big#p#1` select seq, 'x' from mysql.seq_1_to_{number * 1000}",
            f"create table `{name}`.`表` (a int primary key, b char(100)) engine=myisam",
            f"insert into `{name}`.`表` select seq, 'x' from mysql.seq_1_to_100",
            f"create table `{name}`.mem (a char(200)) engine=memory",
            f"insert into `{name}`.mem select 'x' from mysql.seq_1_to_1000", f"create view `{name}`.v as select 1 as a",
        )  # fmt: skip
    yield fleet_mariadb
    for name in [*NAMES, "empty"]:
        fleet_mariadb.execute(f"drop database `{name}`")


def _on_disk(folder: Path, endings: tuple[str, ...] = (".ibd", ".MYD", ".MYI")) -> int:
    return sum(p.stat().st_size for p in folder.iterdir() if p.suffix in endings)


def test_sizes_are_those_of_the_files(databases: FleetServer) -> None:
    _, capacity = collect(databases)
    by = {d.name: d for d in capacity.databases}
    data = databases.server.folder / "data"
    assert {n: by[n].bytes for n in NAMES} == {n: _on_disk(data / folder) for n, folder in NAMES.items()}
    assert by["empty"].bytes == 0 and not by["empty"].system and by["mysql"].system
    listed = {row[0] for row in databases.execute("show databases")}
    assert set(by) == listed and capacity.total_bytes == sum(d.bytes or 0 for d in capacity.databases)
    assert capacity.unknown == () and not {"innodb_system", "innodb_temporary"} & set(by)
    logs = {log.kind: log.bytes for log in capacity.logs}
    assert logs["redo"] == 32 * 2**20 and logs["binlog"] == sum(
        int(r[1]) for r in databases.execute("show binary logs")
    )


def test_the_largest_tables_of_each_database(databases: FleetServer) -> None:
    collector = open_collector("mysql", databases.args())
    tables = collector.capacity(top_tables=2).tables
    assert [t.name for t in tables if t.database == "库存"] == ["big#p#1", "表"]
    assert next(t for t in tables if t.database == "a-b").bytes == _on_disk(
        databases.server.folder / "data" / "a@002db", (".ibd",))  # fmt: skip
    assert not collector.capacity(top_tables=0).tables
    collector.close()


def test_a_damaged_table_makes_its_database_unknown(databases: FleetServer) -> None:
    (databases.server.folder / "data" / "plain" / "@8868.MYI").write_bytes(b"no index")
    databases.execute("flush tables")
    _, capacity = collect(databases)
    assert capacity.unknown == ("plain",)
    sizes = capacity.sections[SectionKey(SectionName.SIZES)]
    assert sizes.status is Status.ERROR and "plain" in sizes.reason
    assert next(d for d in capacity.databases if d.name == "a-b").bytes


def test_a_server_without_binary_logs_has_none_and_that_is_no_error(mariadb: Any) -> None:
    collector = MySQLCollector(FleetServer(mariadb).args())
    capacity = collector.capacity()
    collector.close()
    assert capacity.sections[SectionKey(SectionName.LOGS)].ok
    assert "binlog" not in {log.kind for log in capacity.logs}


# -- the line


def test_the_session_only_reads_and_gives_up_in_time(fleet_mariadb: FleetServer) -> None:
    line = Line(fleet_mariadb.args(query_seconds=1, silent_seconds=5))
    line.connect()
    assert isinstance(line.ask("create database written"), Refusal)
    refused = line.ask("insert into mysql.db (Host, Db, User) values ('%', 'x', 'x')")
    assert isinstance(refused, Refusal) and refused.number == 1792
    slow = line.ask("select sleep(30), 1 from mysql.seq_1_to_3")
    assert isinstance(slow, Refusal) and "longer than it may" in slow.told
    assert isinstance(line.ask("select 1"), Found)
    line.close()


def _fails(fleet: FleetServer, **changes: Any) -> Stop | Retry:
    collector = open_collector("mysql", fleet.args(**changes))
    with pytest.raises((Stop, Retry)) as caught:
        collector.accounts()
    collector.close()
    assert "wrong" not in str(caught.value)
    return caught.value  # type: ignore[return-value]


def test_who_does_not_let_us_in_is_told_apart(fleet_mariadb: FleetServer) -> None:
    auth = _fails(fleet_mariadb, user="fleet", password="wrong")
    assert isinstance(auth, Stop) and auth.code == "auth"
    assert isinstance(_fails(fleet_mariadb, database="nowhere"), Stop)
    refused = _fails(fleet_mariadb, port=free_port())
    assert isinstance(refused, Retry) and refused.code == "refused"
    unknown = _fails(fleet_mariadb, host="no-such-host.invalid")
    assert isinstance(unknown, Retry) and unknown.code == "dns"
    tls = _fails(fleet_mariadb, tls="require")
    assert isinstance(tls, Stop) and tls.code == "protocol"


def test_a_silent_server_is_given_up_and_a_cut_is_tried_again(fleet_mariadb: FleetServer) -> None:
    with Proxy(fleet_mariadb.server.host, fleet_mariadb.server.port) as proxy:
        proxy.silence()
        silent = _fails(fleet_mariadb, host=proxy.host, port=proxy.port, connect_seconds=1)
        assert isinstance(silent, Retry) and silent.code == "timeout"
        proxy.heal()
        collector = open_collector("mysql", fleet_mariadb.args(host=proxy.host, port=proxy.port, silent_seconds=1))
        collector.capacity()
        proxy.cut_after(500, "down")
        with pytest.raises(Retry) as caught:
            collector.accounts()
        assert caught.value.code == "protocol"
        proxy.heal()
        assert collector.accounts().sections[SectionKey(SectionName.PRINCIPALS)].ok  # it logs in again
        collector.close()


@pytest.mark.parametrize(
    "said", [b"SSH-2.0-OpenSSH_9\r\n", b"", b"\x05\x00\x00\x00\x0a8.0\x00", b"HTTP/1.1 400 Bad\r\n\r\n"]
)
def test_what_is_no_database_server_is_no_bug_of_ours(fleet_mariadb: FleetServer, said: bytes) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        connection, _ = listener.accept()
        connection.sendall(said)
        connection.close()

    thread = threading.Thread(target=answer)
    thread.start()
    error = _fails(fleet_mariadb, port=listener.getsockname()[1], connect_seconds=2)
    thread.join()
    listener.close()
    assert error.code in ("protocol", "timeout")
