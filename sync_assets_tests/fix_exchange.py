"""Fixtures of the exchange: libraries in control databases, and repositories made by hand to put into them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from sync_assets.exchange.model import Document, Entity, Id, Repository, Task, TaskPack, TaskUsage
from sync_assets.store import embedded
from sync_assets.store.address import Address
from sync_assets.store.control import PostgresStore, open_store
from sync_assets.store.exchange.library import PostgresLibrary
from sync_assets.testing.servers import drop_in_use

LONG_AGO = datetime(2026, 2, 10, 4, 0, tzinfo=UTC)
SEED = "seed"  # the installation from which the rows of a seeded library came


def a_repository(id: Id = 1, **facts: Any) -> Repository:
    made = Repository(id, f"repository {id}", "https://example.org/r.git", created_at=LONG_AGO, updated_at=LONG_AGO)
    return replace(made, **facts)


def a_task(id: Id, repository: Id = 1, **facts: Any) -> Task:
    made = Task(id, repository, title=f"task {id}", status="succeeded", sort_order=id, started_at=LONG_AGO)
    return replace(replace(made, created_at=LONG_AGO, updated_at=LONG_AGO), **facts)


def a_document(id: Id, task: Id, repository: Id = 1, **facts: Any) -> Document:
    made = Document(id, repository, task, f"document {id}", f"{id}.md", f"# {id} \u6587\u6863", sort_order=id)
    return replace(replace(made, created_at=LONG_AGO, updated_at=LONG_AGO), **facts)


def a_pack(task: Id, documents: Sequence[Id] = (), repository: Id = 1, **facts: Any) -> TaskPack:
    """A task with documents of these ids, of which the last is chosen, and one usage."""
    chosen = documents[-1] if documents else 0
    usage = TaskUsage("key", 10, 20, 30, 4, 5, "2026-02-10T04:00:00.123456789Z")
    return TaskPack(
        a_task(task, repository, **{"doc_id": chosen, **facts}),
        tuple(a_document(id, task, repository, is_latest=id == chosen) for id in documents),
        (usage,),
    )


def fill(library: PostgresLibrary, repository: Id, tasks: int, documents: int = 1, origin: str = SEED) -> Id:
    """A repository with tasks of so many documents each; ids of the origin count from 1. Our id of it."""
    received = library.put_repository(origin, a_repository(repository))
    first = repository * 100_000
    packs = [
        a_pack(first + n, [first + n * 10 + d for d in range(1, documents + 1)], repository)
        for n in range(1, tasks + 1)
    ]
    library.put_packs(origin, packs)
    library.link(origin, repository)
    return received.id


@dataclass(frozen=True, slots=True)
class Installation:
    """A control database with its library. `name` is what it calls itself to others."""

    name: str
    address: Address
    store: PostgresStore
    library: PostgresLibrary

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(**self.address.arguments()) as connection:
            return connection.execute(statement, values or None).fetchall()

    def table(self, name: str) -> list[tuple[Any, ...]]:
        """Every byte of a table of the schema, in order."""
        return self.rows(f"select t::text from sync_assets.{name} t order by 1")

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        names = ("repository", "task", "document", "usage", "map")
        return {name: self.table(f"exchange_{name}") for name in names}

    def local(self, origin: str, entity: Entity, id: Id) -> Id:
        found = self.library.local(origin, entity, id)
        assert found is not None
        return found


@contextmanager
def installation(home: Path, name: str) -> Iterator[Installation]:
    """A new database on the running embedded server of `home`, migrated and empty."""
    server = embedded.ensure_running(home=home)
    address = replace(server, database=f"exchange_{uuid.uuid4().hex[:12]}")
    with psycopg.connect(**server.arguments(), autocommit=True) as admin:
        admin.execute(sql.SQL("create database {} strategy wal_log").format(sql.Identifier(address.database)))
        try:
            with open_store(lambda: address) as store:
                yield Installation(name, address, store, PostgresLibrary(store.sessions))
        finally:
            drop_in_use(admin, address.database)


@pytest.fixture
def here(control_server: Path) -> Iterator[Installation]:
    """An installation without repositories."""
    with installation(control_server, "here") as made:
        yield made


@pytest.fixture
def there(control_server: Path) -> Iterator[Installation]:
    """Another one."""
    with installation(control_server, "there") as made:
        yield made


@pytest.fixture
def library(here: Installation) -> PostgresLibrary:
    """The library of `here`, without repositories."""
    return here.library


@pytest.fixture
def seeded(here: Installation) -> Installation:
    """`here` with three repositories: 1 of 3 tasks of 2 documents, 2 of one task of one, 3 without any."""
    for repository, tasks, documents in ((1, 3, 2), (2, 1, 1), (3, 0, 0)):
        fill(here.library, repository, tasks, documents)
    return here


def later(hours: float) -> datetime:
    return LONG_AGO + timedelta(hours=hours)
