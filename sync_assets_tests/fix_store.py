"""Fixtures of the control database: a private embedded server a session, an empty migrated database a test."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from sync_assets.engine.control import ControlStore
from sync_assets.store import embedded
from sync_assets.store.address import Address
from sync_assets.store.control import PostgresStore, open_store
from sync_assets.testing.memory import MemoryStore
from sync_assets.testing.servers import drop_in_use


@contextmanager
def private_home() -> Iterator[Path]:
    """A new SYNC_ASSETS_HOME whose server is ended and whose files are removed. Not below pytest's own folders:
    they are 0700, and the server runs as another user when root tests."""
    home = Path(tempfile.mkdtemp(prefix="sa-"))
    home.chmod(0o711)
    try:
        yield home
    finally:
        embedded.stop(home)
        shutil.rmtree(home)


@pytest.fixture
def own_home() -> Iterator[Path]:
    """A new SYNC_ASSETS_HOME, without a server yet."""
    with private_home() as home:
        yield home


@pytest.fixture(scope="session")
def control_server() -> Iterator[Path]:
    """The home of a running embedded server of this test session."""
    with private_home() as home:
        embedded.ensure_running(home=home)
        yield home


@pytest.fixture
def control_database(control_server: Path) -> Iterator[Address]:
    """An empty database, without tables; dropped afterwards, whoever is still connected."""
    server = embedded.ensure_running(home=control_server)
    name = f"control_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(**server.arguments(), autocommit=True) as admin:
        admin.execute(sql.SQL("create database {} strategy wal_log").format(sql.Identifier(name)))
        yield replace(server, database=name)
        drop_in_use(admin, name)


@pytest.fixture
def store(control_database: Address) -> Iterator[PostgresStore]:
    """The control database on PostgreSQL, migrated and empty."""
    with open_store(lambda: control_database) as opened:
        yield opened


@dataclass
class TwinClock:
    """The time of a store under test: `advance` moves it, on PostgreSQL by moving what is stored back."""

    advance: Callable[[float], None]


@dataclass
class _Hands:
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture(params=["memory", "postgres"])
def twin(request: pytest.FixtureRequest) -> tuple[ControlStore, TwinClock]:
    """Both control stores, one after the other: what holds for one must hold for the other."""
    if request.param == "memory":
        hands = _Hands()
        return MemoryStore(lambda: hands.now), TwinClock(hands.advance)
    address: Address = request.getfixturevalue("control_database")
    opened: PostgresStore = request.getfixturevalue("store")

    def advance(seconds: float) -> None:
        with psycopg.connect(**address.arguments()) as connection:
            connection.execute("update sync_assets.lease set until = until - make_interval(secs => %s)", [seconds])

    return opened, TwinClock(advance)
