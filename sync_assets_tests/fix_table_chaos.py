"""Pairs of databases with a control database beside, for runs over tables that are broken on purpose."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sync_assets.store.address import Address
from sync_assets.store.control import PostgresStore
from sync_assets.testing.servers import Server
from sync_assets.testing.tables.rig import End, Nursery, Site
from sync_assets_tests.chaos.table_scenes import SEED, Pair

MakePair = Callable[..., Pair]


def pytest_report_header() -> str:
    return f"chaos over tables: SEED={SEED} repeats what was chosen"


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Where children are started, one at a time."""
    with Nursery() as made:
        yield made


def end_of(server: Server, database: str, name: str, **changes: Any) -> End:
    args = {"name": name, "host": server.host, "port": server.port, "database": database, "user": server.user}
    return End(server.kind, {**args, **changes}, server.password)


@pytest.fixture
def make_pair(
    request: pytest.FixtureRequest, boards_control: Address, boards_store: PostgresStore
) -> Iterator[MakePair]:
    """``make_pair("mysql", "postgres", streams=2)``; further words are those of `rig.Site`."""
    made: list[tuple[Server, str]] = []

    def end(kind: str, role: str) -> tuple[Server, End]:
        server: Server = request.getfixturevalue({"postgres": "postgres", "mysql": "mariadb"}[kind])
        name = f"chaos_{role}_{uuid.uuid4().hex[:8]}"
        server.create_database(name)
        made.append((server, name))
        return server, end_of(server, name, f"{kind}_{role}")

    def make(here: str, there: str, **changes: Any) -> Pair:
        (source, ours), (target, theirs) = end(here, "here"), end(there, "there")
        return Pair(Site(ours, theirs, plain_address(boards_control), **changes), source, target, boards_store)

    yield make
    for server, name in made:
        server.drop_database(name)


def plain_address(address: Address) -> dict[str, Any]:
    plain: dict[str, Any] = {k: getattr(address, k) for k in ("host", "port", "user", "database", "sslmode")}
    return plain | {"password": address.password.reveal() if address.password is not None else ""}
