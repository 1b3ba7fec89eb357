"""What the pages on fleets say is so: GRANTs let everything be read, SQL runs, limits are the code's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from sync_assets.databases.base import ConnectionArgs, open_collector
from sync_assets.fleet.model import Sections, Status
from sync_assets.store.address import Address
from sync_assets.store.control import PostgresStore
from sync_assets.testing.servers import Server, postgres_server
from sync_assets_tests.fix_docs import ROOT, Page
from sync_assets_tests.fix_fleet_mysql import FleetServer

WATCH = Page(ROOT / "docs" / "how-to" / "watch-a-fleet.md")
PASSWORD = "choose one"


def statements(block: str) -> list[str]:
    return [text.strip() for text in block.split(";") if text.strip()]


def bad(*found: Sections) -> dict[str, str]:
    return {str(key): f"{one.status}: {one.reason}" for each in found for key, one in each.items() if not one.ok}


def look(engine: str, args: ConnectionArgs) -> tuple[Sections, Sections]:
    with closing(open_collector(engine, args)) as collector:
        return collector.accounts().sections, collector.capacity().sections


def test_the_grants_for_mysql_show_everything_and_let_no_table_be_read(fleet_mariadb: FleetServer) -> None:
    import pymysql

    mysql, _ = WATCH.blocks("sql")
    fleet_mariadb.execute("create database if not exists `库存`", "create table if not exists `库存`.t (id int)")
    fleet_mariadb.execute(*statements(mysql), *re.findall(r"`(grant slave monitor [^`]+)`", WATCH.prose))
    assert bad(*look("mysql", fleet_mariadb.args("fleet", PASSWORD))) == {}
    server = fleet_mariadb.server
    with (
        closing(pymysql.connect(host=server.host, port=server.port, user="fleet", password=PASSWORD)) as line,
        line.cursor() as cursor,
        pytest.raises(pymysql.err.OperationalError, match="SELECT command denied"),
    ):
        cursor.execute("select * from `库存`.t")


@pytest.mark.parametrize(
    "right",
    ["select on mysql.*", "process on *.*", "show databases on *.*", "show view on *.*", "replication client on *.*"],
)
def test_none_of_the_grants_for_mysql_can_be_left_out(fleet_mariadb: FleetServer, right: str) -> None:
    mysql, _ = WATCH.blocks("sql")
    fleet_mariadb.execute("create database if not exists `库存`", "create table if not exists `库存`.t (id int)")
    fleet_mariadb.execute(*statements(mysql), f"revoke {right} from 'fleet'@'%'")
    found = bad(*look("mysql", fleet_mariadb.args("fleet", PASSWORD)))
    assert any(text.startswith("denied") and "GRANT" in text for text in found.values()), found


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres_server() as server:
        server.create_database("销售")
        yield server


def test_the_grants_for_postgresql_show_everything(server: Server) -> None:
    _, postgres = WATCH.blocks("sql")
    server.execute(*statements(postgres))
    args = ConnectionArgs(
        "pg", host=server.host, port=server.port, user="fleet", tls="off", query_seconds=30,
        open_password=lambda: PASSWORD,
    )  # fmt: skip
    found = look("postgres", args)
    template = {str(key): one.status for each in found for key, one in each.items() if not one.ok}
    assert set(template.values()) <= {Status.UNSUPPORTED}, bad(*found)
    assert all("template0" in name for name in template), template


def test_the_sql_for_the_control_database_runs(store: PostgresStore, control_database: Address) -> None:
    page = Page(ROOT / "docs" / "how-to" / "fleet-accounts.md")
    views = set(re.findall(r"`(sync_assets\.\w+)`", page.prose))
    assert len(views) == 8
    with psycopg.connect(**control_database.arguments()) as connection:
        for view in sorted(views):
            connection.execute(f"select * from {view}".encode())
        for statement in statements(page.blocks("sql")[0]):
            connection.execute(statement.encode())


def test_the_limits_of_partitions_are_those_of_the_code() -> None:
    from sync_assets.components.fleet_partitions import LIMIT
    from sync_assets.project.fleet_spec import Capacity, DatabaseFleetSpec

    text = Page(ROOT / "docs" / "how-to" / "fleet-capacity.md").text
    rows = re.findall(r"^\| (\d+) \| ([\d,]+) \|$", text, re.MULTILINE)
    assert [int(n.replace(",", "")) for _, n in rows] == [LIMIT // (int(window) + 6) for window, _ in rows]
    assert len(rows) == 4
    fields = DatabaseFleetSpec.model_fields
    assert f"`parallel` ({fields['parallel'].default})" in text
    assert f"`per_host` ({fields['per_host'].default})" in text
    assert f"`groups` instead, {Capacity.model_fields['groups'].default} of them" in text


def test_the_schedules_and_the_guard_of_the_page_are_those_of_the_code() -> None:
    from sync_assets.project.fleet_spec import Accounts, Capacity, ShrinkGuard

    assert (Accounts().schedule, Capacity().schedule) == ("0 1 * * *", "0 3 * * *")
    assert "accounts at 01:00 and sizes at 03:00" in WATCH.text
    assert (ShrinkGuard().count, ShrinkGuard().share) == (3, 0.3)
    assert "more than three, and more than 30 %" in WATCH.text
