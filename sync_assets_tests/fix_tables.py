"""Scratch databases as table labs: one for each test, and long-lived pairs for tests that make many small tables."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sync_assets.databases.base import ConnectionArgs, open_tables
from sync_assets.engine.tables.writing import TableTarget
from sync_assets.testing.servers import Server
from sync_assets.testing.tables.lab import TableLab
from sync_assets_tests.fix_servers import ScratchDatabase

_SCHEMAS = {"postgres": "public", "sqlite": "main"}
_numbers = itertools.count(1)


def table_lab(database: ScratchDatabase) -> TableLab:
    def open(**changes: Any) -> TableTarget:
        return open_tables(database.kind, replace(database.args, **changes))

    schema = _SCHEMAS.get(database.kind, database.args.database)
    return TableLab(database.kind, schema, _connect(database), open, database.server)


def _connect(database: ScratchDatabase) -> Callable[[], Any]:
    server, args = database.server, database.args
    if server is None:
        return lambda: sqlite3.connect(args.path, isolation_level=None, timeout=10)
    return lambda: server.connect(args.database)


@pytest.fixture
def lab(any_db: ScratchDatabase) -> TableLab:
    """The test runs once on each database."""
    return table_lab(any_db)


@pytest.fixture
def server_lab(server_db: ScratchDatabase) -> TableLab:
    """The test runs once on each server."""
    return table_lab(server_db)


Labs = Callable[[str, str], TableLab]


@pytest.fixture(scope="session")
def labs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Labs:
    """``labs("postgres", "here")``: a database of that kind and role, the same for the whole session.

    They go with their servers.
    """
    made: dict[tuple[str, str], TableLab] = {}

    def get(kind: str, role: str) -> TableLab:
        if (kind, role) not in made:
            made[kind, role] = table_lab(_lasting(request, kind, role, tmp_path_factory.mktemp("labs")))
        return made[kind, role]

    return get


def _lasting(request: pytest.FixtureRequest, kind: str, role: str, folder: Path) -> ScratchDatabase:
    if kind == "sqlite":
        path = folder / f"{role}.db"
        sqlite3.connect(path).close()
        return ScratchDatabase(kind, ConnectionArgs(name=f"{kind}_{role}", path=str(path)))
    server: Server = request.getfixturevalue({"postgres": "postgres", "mysql": "mariadb"}[kind])
    name = f"lab_{role}_{next(_numbers)}"
    server.create_database(name)
    args = ConnectionArgs(
        name=f"{kind}_{role}", host=server.host, port=server.port, database=name, user=server.user,
        open_password=lambda: server.password,
    )  # fmt: skip
    return ScratchDatabase(kind, args, server)
