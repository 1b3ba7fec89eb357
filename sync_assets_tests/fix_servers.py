"""Private servers for the session, an empty database for each test.

A server that is not installed fails the tests that need it, with the command that installs it.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from sync_assets.databases.base import ConnectionArgs, Database, open_database
from sync_assets.testing.servers import Server, mariadb_server, postgres_server

_numbers = itertools.count(1)


@dataclass(frozen=True)
class ScratchDatabase:
    """An empty database of one test. `execute` is the application's superuser; `open` what we are."""

    kind: str  # postgres | mysql | sqlite
    args: ConnectionArgs
    server: Server | None = None

    def execute(self, *statements: str) -> list[tuple[Any, ...]]:
        if self.server is not None:
            return self.server.execute(*statements, database=self.args.database)
        with sqlite3.connect(self.args.path) as connection:
            rows = [connection.execute(s).fetchall() for s in statements][-1]
        connection.close()
        return rows

    def open(self, **changes: Any) -> Database:
        return open_database(self.kind, replace(self.args, **changes))

    def quote(self, name: str) -> str:
        mark = "`" if self.kind == "mysql" else '"'
        return mark + name.replace(mark, mark * 2) + mark


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A server whose own zone is nobody's, so that forgetting to set ours shows."""
    with postgres_server(options=("timezone=Asia/Kolkata", "default_transaction_read_only=off")) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Server]:
    with mariadb_server(options=("--default-time-zone=+05:30",)) as server:
        yield server


def _scratch(server: Server, kind: str) -> Iterator[ScratchDatabase]:
    name = f"t{next(_numbers)}"
    server.create_database(name)
    args = ConnectionArgs(
        name=f"{kind}_test", host=server.host, port=server.port, database=name, user=server.user,
        open_password=lambda: server.password,
    )  # fmt: skip
    yield ScratchDatabase(kind, args, server)
    server.drop_database(name)


@pytest.fixture
def pg_db(postgres: Server) -> Iterator[ScratchDatabase]:
    yield from _scratch(postgres, "postgres")


@pytest.fixture
def my_db(mariadb: Server) -> Iterator[ScratchDatabase]:
    yield from _scratch(mariadb, "mysql")


@pytest.fixture
def sqlite_db(tmp_path: Path) -> ScratchDatabase:
    path = tmp_path / "scratch.db"
    sqlite3.connect(path).close()
    return ScratchDatabase("sqlite", ConnectionArgs(name="sqlite_test", path=str(path)))


@pytest.fixture(params=["pg_db", "my_db"])
def server_db(request: pytest.FixtureRequest) -> ScratchDatabase:
    """The test runs once on each server."""
    found: ScratchDatabase = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["pg_db", "my_db", "sqlite_db"])
def any_db(request: pytest.FixtureRequest) -> ScratchDatabase:
    """The test runs once on each database."""
    found: ScratchDatabase = request.getfixturevalue(request.param)
    return found
