"""A private MariaDB of its own for the fleet: accounts belong to a server, not to a database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sync_assets.databases.base import ConnectionArgs
from sync_assets.testing.servers import Server, mariadb_server

_GRANT_TABLES = ("db", "tables_priv", "columns_priv", "procs_priv", "proxies_priv", "roles_mapping", "global_priv")
# What the installation made stays, and so does the login of the tests.
OURS = ("boss", "root", "mariadb.sys", "mysql")


class FleetServer:
    """A MariaDB whose accounts a test may make as it likes."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.boss: Any = server.connect()

    def execute(self, *statements: str) -> list[tuple[Any, ...]]:
        """On one connection that stays, so that counters of the server count nothing else."""
        with self.boss.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    def args(self, user: str = "", password: str = "", **changes: Any) -> ConnectionArgs:
        server = self.server
        given: dict[str, Any] = {"host": server.host, "port": server.port, "query_seconds": 60, "tls": "off", **changes}
        return ConnectionArgs(
            name="shop", user=user or server.user, open_password=lambda: password or server.password, **given
        )

    def clean(self) -> None:
        """No accounts but ours, and no grants but those of ours that the installation made."""
        names = ", ".join(f"'{n}'" for n in OURS)
        self.execute(
            *(f"delete from mysql.{t} where User not in ({names})" for t in _GRANT_TABLES),
            "delete from mysql.roles_mapping", "flush privileges",
        )  # fmt: skip


@pytest.fixture(scope="session")
def fleet_server() -> Iterator[FleetServer]:
    with mariadb_server(options=("--log-bin=binlog", "--server-id=7", "--default-time-zone=+05:30")) as server:
        fleet = FleetServer(server)
        fleet.execute(
            "insert into mysql.proxies_priv values ('%', 'boss', '', '', 1, '', now())", "flush privileges"
        )  # who may hand PROXY on must have it
        yield fleet
        fleet.boss.close()


@pytest.fixture
def fleet_mariadb(fleet_server: FleetServer) -> Iterator[FleetServer]:
    """The server, without anybody's accounts before and after."""
    fleet_server.clean()
    yield fleet_server
    fleet_server.clean()
