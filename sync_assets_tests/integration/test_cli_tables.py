"""The commands for tables as a user has them: a real process, two PostgreSQL databases, and what is said and done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sync_assets.store.address import Address
from sync_assets.testing.servers import Server
from sync_assets_tests.fix_command import Said, _bare
from sync_assets_tests.fix_project import until, write_defs
from sync_assets_tests.fix_servers import ScratchDatabase

COPY = """
type: sync_assets.components.DatabaseReplica
attributes:
  name: copy
  source: shop
  target: dw
  tables: [public.*]
  exclude: ["*.tmp_*"]
  into: {public: copied}
  delete_guard: {share: 0.1, rows: 5}
"""
SYNCS = """
type: sync_assets.components.TableSync
attributes:
  source: shop
  target: dw
  syncs:
    - {name: days, table: orders, into: made.days, mode: clone,
       partitions: {every: day, start: 2026-10-01, end: 2026-10-04, column: at}}
    - {name: some, table: orders, into: made.some, mode: clone, where: "status <> 'draft'", <more>}
    - {name: sums, query: "select customer, count(*) as n from orders group by customer", into: made.sums,
       key: [customer], mode: full, allow_writing_role: true}
"""


@dataclass
class Tables:
    """`tables("run", "copy")` runs the command; `shop` and `dw` are the superuser's view of both databases."""

    folder: Path
    server: Server
    names: tuple[str, str]
    environment: dict[str, str]

    def write(self, user: str = "", more: str = "allow_writing_role: true") -> None:
        def connection(name: str, database: str, login: str) -> str:
            return (f'{{type: postgres, name: {name}, host: "{self.server.host}", port: {self.server.port}, '
                    f'database: {database}, user: {login}, password: "env:PG_WORD"}}')  # fmt: skip

        connections = f"""
            type: sync_assets.components.Connections
            attributes:
              connections:
                - {connection("shop", self.names[0], user or self.server.user)}
                - {connection("dw", self.names[1], self.server.user)}
            """
        write_defs(self.folder / "defs", connections=connections, copy=COPY, syncs=SYNCS.replace("<more>", more))

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-X", "utf8", "-m", "sync_assets.cli", *arguments], cwd=self.folder,
            env={**_bare(), **self.environment, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def __call__(self, *arguments: str, **environment: str) -> Said:
        with self.start(*arguments, **environment) as process:
            out, err = process.communicate(timeout=120)
        said = Said(process.returncode, out.decode(), err.decode())
        assert self.environment["PG_WORD"] not in said.all, "a secret was shown"
        assert "Traceback" not in said.all
        return said

    def shop(self, *statements: str) -> list[tuple[object, ...]]:
        return self.server.execute(*statements, database=self.names[0])

    def dw(self, *statements: str) -> list[tuple[object, ...]]:
        return self.server.execute(*statements, database=self.names[1])


@pytest.fixture
def tables(tmp_path: Path, postgres: Server, pg_db: ScratchDatabase, control_database: Address) -> Iterator[Tables]:
    target = f"{pg_db.args.database}_dw"
    postgres.create_database(target)
    (tmp_path / "workspace.yaml").write_text("", encoding="utf-8")
    assert control_database.password is not None
    environment = {
        "SYNC_ASSETS_DEFS": str(tmp_path / "defs"),
        "SYNC_ASSETS_HOME": str(tmp_path / "home"),
        "SYNC_ASSETS_PG_HOST": control_database.host,
        "SYNC_ASSETS_PG_PORT": str(control_database.port),
        "SYNC_ASSETS_PG_USER": control_database.user,
        "SYNC_ASSETS_PG_PASSWORD": control_database.password.reveal(),
        "SYNC_ASSETS_PG_DB": control_database.database,
        "PG_WORD": postgres.password,
    }
    made = Tables(tmp_path, postgres, (pg_db.args.database, target), environment)
    made.shop(
        "create table customers (id int primary key, name text)",
        "create table orders (id int primary key, customer int references customers, status text, at timestamptz)",
        "create table tmp_x (id int)",
        "insert into customers select n, 'c' || n from generate_series(1, 20) n",
        "insert into orders select n, 1 + n % 20, case when n % 10 = 0 then 'draft' else 'new' end,"
        " timestamptz '2026-10-01 00:30+08' + n * interval '30 minutes' from generate_series(0, 99) n",
    )
    made.write()
    yield made
    postgres.drop_database(target)


COUNTS = "select (select count(*) from copied.customers), (select count(*) from copied.orders)"


def test_a_replica_is_planned_run_and_run_again(tables: Tables) -> None:
    planned = tables("plan", "copy")
    assert planned.code == 0, planned
    assert "would do" in planned.out
    assert tables.dw("select count(*) from pg_namespace where nspname in ('copied', 'sync_assets')") == [(0,)]
    assert tables("run", "copy").code == 0
    assert tables.dw(COUNTS) == [(20, 100)]
    again = tables("run", "copy", "--json")
    found = json.loads(again.out)
    assert set(found) == {"public.customers", "public.orders"}
    assert found["public.orders"]["counts"]["unchanged"] == 100
    assert found["public.orders"]["equal"] is True
    listed = tables("syncs").out
    assert "copy" in listed
    assert "public.*" in listed


def test_one_table_of_a_replica(tables: Tables) -> None:
    assert tables("run", "copy", "-t", "customers").code == 0
    assert tables.dw("select count(*) from copied.customers") == [(20,)]
    assert tables.dw("select count(*) from pg_class where relname = 'orders'") == [(0,)]
    assert tables("run", "copy:public.orders").code == 0
    wrong = tables("run", "copy:public.ordrs")
    assert (wrong.code, "did you mean public.orders" in wrong.err) == (2, True)
    assert tables("run", "days", "-t", "x").code == 2


POINTS = (
    "select confrelid::regclass::text from pg_constraint where contype = 'f' and conrelid = 'copied.orders'::regclass"
)


def test_one_table_keeps_the_foreign_key_to_another_of_its_replica(tables: Tables) -> None:
    """`into` moves all tables of a schema, also those that a run is not about."""
    tables.dw("create table public.customers (id int primary key, name text)")  # somebody else's
    assert tables("run", "copy").code == 0
    assert tables.dw(POINTS) == [("copied.customers",)]
    tables.shop("update orders set status = 'paid' where id = 1")
    again = tables("run", "copy", "-t", "orders")
    assert (again.code, "structure:" in again.out) == (0, False), again
    assert tables("verify", "copy", "-t", "orders").code == 0
    tables.dw("drop schema copied cascade")
    alone = tables("run", "copy", "-t", "orders")
    assert alone.code == 0
    assert "points to copied.customers, which the target does not have" in alone.out
    assert tables.dw(POINTS) == []
    assert tables("run", "copy", "-t", "customers").code == 0
    assert tables("run", "copy", "-t", "orders").code == 0
    assert tables.dw(POINTS) == [("copied.customers",)]


def test_one_bad_table_does_not_hold_up_the_others(tables: Tables) -> None:
    tables.dw("create schema copied", "create view copied.customers as select 1 as id, 'x'::text as name")
    said = tables("run", "copy")
    assert said.code == 2
    assert "public.customers: " in said.out
    assert tables.dw("select count(*) from copied.orders") == [(100,)]
    outcomes = {line["sync"]: line["outcome"] for line in json.loads(tables("runs", "copy", "--json").out)}
    assert outcomes == {"copy:public.customers": "failed", "copy:public.orders": "finished"}


def test_windows_are_run_by_name(tables: Tables) -> None:
    said = tables("run", "days", "-p", "2026-10-01..2026-10-02")
    assert said.code == 0, said
    assert tables.dw("select count(*) from made.days") == [(95,)]  # 47 + 48 half hours
    assert tables("run", "days", "-p", "2026-10-09").code == 2
    assert "the table equals the source" in said.out


def test_a_query_and_a_filter(tables: Tables) -> None:
    assert tables("run", "some").code == tables("run", "sums").code == 0
    assert tables.dw("select (select count(*) from made.some), (select sum(n) from made.sums)") == [(90, 100)]


def test_a_filter_under_a_role_that_could_write_is_refused_before_anything_is_read(tables: Tables) -> None:
    tables.write(more="description: x")
    said = tables("run", "some")
    assert said.code == 2
    assert "could write" in said.err
    assert "allow_writing_role" in said.err
    tables.shop("drop role if exists only_reads", "create role only_reads login password 'reader_word'",
                "grant select on all tables in schema public to only_reads",
                "revoke create on schema public from public")  # fmt: skip
    tables.write(user="only_reads", more="description: x")
    tables.shop(f"alter role only_reads password '{tables.server.password}'")
    try:
        assert tables("run", "some").code == 0
    finally:
        tables.shop("drop owned by only_reads", "drop role only_reads")


def spoil(tables: Tables) -> None:
    tables.dw(
        "delete from copied.orders where id = 7",
        "update copied.orders set status = 'wrong' where id = 9",
        "insert into copied.customers values (1000, 'extra')",
    )


def test_verify_names_what_differs_and_repair_ships_only_that(tables: Tables) -> None:
    tables("run", "copy")
    assert tables("verify", "copy").code == 0
    spoil(tables)
    found = tables("verify", "copy", "--json")
    assert found.code == 2
    verdicts = json.loads(found.out)
    assert [verdicts["public.orders"][n] for n in ("missing", "changed", "extra")] == [1, 1, 0]
    assert verdicts["public.customers"]["extra"] == 1
    assert "sync-assets repair copy" in tables("verify", "copy").out
    asked = tables("repair", "copy")
    assert (asked.code, "no terminal" in asked.err) == (2, True)
    assert tables.dw("select count(*) from copied.orders") == [(99,)]
    assert tables("repair", "copy", "--yes").code == 0
    assert tables("verify", "copy").code == 0
    assert "nothing to repair" in tables("repair", "copy").out
    assert tables("verify", "days").code == 2, "a table that does not exist yet"


def test_restore_shows_asks_and_copies_back(tables: Tables) -> None:
    tables("run", "copy")
    tables.shop("delete from orders where id < 10", "update customers set name = 'lost' where id = 3")
    asked = tables("restore", "copy")
    assert asked.code == 2
    assert "would do" in asked.out
    assert tables.shop("select count(*) from orders") == [(90,)], "nothing was written"
    assert tables("restore", "copy", "--yes").code == 0
    assert tables.shop("select count(*) from orders") == [(100,)]
    assert tables.shop("select name from customers where id = 3") == [("c3",)]


def test_restore_under_a_user_who_can_only_read_stops_before_it_asks(tables: Tables) -> None:
    tables("run", "copy")
    tables.shop("drop role if exists only_reads", f"create role only_reads login password '{tables.server.password}'",
                "grant select on all tables in schema public to only_reads",
                "revoke create on schema public from public")  # fmt: skip
    tables.write(user="only_reads", more="description: x")
    try:
        said = tables("restore", "copy")
    finally:
        tables.shop("drop owned by only_reads", "drop role only_reads")
    assert (said.code, said.out) == (2, "")
    assert "connection shop: its user can only read, and rows are to be written there" in said.err


def test_the_history_of_a_replica_and_of_its_tables(tables: Tables) -> None:
    tables("run", "copy")
    tables("restore", "copy", "--yes", "-t", "orders")

    def found(name: str) -> set[str]:
        return {line["sync"] for line in json.loads(tables("runs", name, "--json").out)}

    mine = {"copy:public.orders", "restore copy:public.orders"}
    assert found("copy") == {*mine, "copy:public.customers"}
    assert found("copy:orders") == found("copy:public.orders") == mine


def test_what_was_only_counted_is_not_called_equal(tables: Tables) -> None:
    replica = (tables.folder / "defs" / "copy" / "defs.yaml").read_text()
    (tables.folder / "defs" / "copy" / "defs.yaml").write_text(f"{replica.rstrip()}\n  proof: count\n")
    said = tables("run", "copy")
    assert said.code == 0, said
    assert said.out.count("counts") == 2
    assert "yes" not in said.out
    assert "all tables: rows were counted, not compared, as proof: count asks" in said.out
    assert said.out.splitlines()[-1].startswith("2 tables: 2 written, 0 without a change; ")


def test_restore_deletes_no_more_than_the_guard_allows(tables: Tables) -> None:
    tables("run", "copy")
    tables.shop("insert into customers select n, 'new' from generate_series(100, 150) n")
    said = tables("restore", "copy", "--yes", "-t", "customers")
    assert said.code == 2, said
    assert tables.shop("select count(*) from customers") == [(71,)]
    assert tables("restore", "copy", "--yes", "-t", "customers", "--accept-deletes").code == 0
    assert tables.shop("select count(*) from customers") == [(20,)]


def test_a_killed_run_is_lost_and_the_next_one_goes_on(tables: Tables) -> None:
    stopped = tables.start("run", "copy", SYNC_ASSETS_FAULT="before_proof=stop")
    with stopped:
        until(lambda: "running" in outcomes(tables), 60)
        until(lambda: tables.dw("select count(*) from pg_class where relname = 'orders'") == [(1,)], 60)
        os.kill(stopped.pid, signal.SIGKILL)
        stopped.communicate()
    assert outcomes(tables) == {"lost"}
    assert tables("run", "copy").code == 0
    assert outcomes(tables) == {"lost", "finished"}
    assert "lost" in tables("runs").out


def outcomes(tables: Tables) -> set[str]:
    return {line["outcome"] for line in json.loads(tables("runs", "copy", "--json").out)}


def test_check_knows_what_a_target_needs(tables: Tables) -> None:
    said = tables("check")
    assert said.code == 0, said
    assert "copy: 2 tables are meant by its patterns" in said.out
    assert "make a reader" not in said.out.partition("shop\n")[0], "a target is to be written"
