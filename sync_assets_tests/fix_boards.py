"""A rig: a source table, an emulated board beside it, a control database, runs here and in children, an oracle."""

from __future__ import annotations

import itertools
import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from sync_assets.engine.model import Report
from sync_assets.store import embedded
from sync_assets.store.address import Address
from sync_assets.store.control import PostgresStore, open_store
from sync_assets.testing import oracle, rig
from sync_assets.testing.bitable import Emulator
from sync_assets.testing.servers import Server, drop_in_use

COLUMNS = ("id", "name", "amount", "paid", "at", "note", "phone")
_TABLE = """create table {table} (id int primary key, name varchar(100), amount numeric(12,2), paid boolean,
            at {clock}, note text, phone varchar(40))"""
_numbers = itertools.count(1)


@dataclass
class Rig:
    """One sync. `orders` rows go into the source, `run` brings them to the board, `verdict` judges."""

    place: rig.Place
    sync: str
    source: Server
    database: str
    emulator: Emulator
    store: PostgresStore

    # -- the source

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        texts = [s.replace("{orders}", self.place.table) for s in statements]
        return self.source.execute(*texts, database=self.database)

    def insert(self, first: int, last: int, **columns: str) -> None:
        """Orders with these ids. `columns` replace the SQL expression of a value, which may use `i`."""
        values = {
            "id": "{i}", "name": "'订单 {i} 🧾'", "amount": "{i}.25", "paid": "{paid}",
            "at": "'2026-10-01 08:{minute:02}:00'", "note": "'n{i}'", "phone": "'1390000{i:04}'",
        } | columns  # fmt: skip
        for start in range(first, last + 1, 500):
            rows = (
                ", ".join(values[c] for c in COLUMNS).format(i=i, minute=i % 60, paid="true" if i % 2 else "false")
                for i in range(start, min(start + 500, last + 1))
            )
            self.sql("insert into {orders} values " + ", ".join(f"({row})" for row in rows))

    def rows(self) -> list[dict[str, Any]]:
        """What the board should hold of each source row."""
        zone = ZoneInfo(self.place.zone)
        found = self.sql(f"select {', '.join(COLUMNS)} from {{orders}} order by id")
        return [
            oracle.cells({**dict(zip(COLUMNS, r, strict=True)), "paid": bool(r[3]) if r[3] is not None else None}, zone)
            for r in found
        ]

    # -- the board

    def records(self) -> dict[str, dict[str, Any]]:
        return self.emulator.rows(self.place.app_token, self.place.table_id)

    def put(self, rows: list[dict[str, Any]] | dict[str, dict[str, Any]]) -> list[str]:
        """As a person at the board."""
        return self.emulator.put_rows(self.place.app_token, self.place.table_id, rows)

    def board(self) -> list[dict[str, Any]]:
        return [oracle.kept(r) for r in self.records().values()]

    def verdict(self, wanted: list[dict[str, Any]] | None = None, key: tuple[str, ...] = ("id",)) -> oracle.Verdict:
        """The source (or `wanted`) against the board."""
        return oracle.compare(self.rows() if wanted is None else wanted, self.board(), key)

    # -- runs

    def run(self, mode: str = "full", *, hands: rig.Hands | None = None, **settings: Any) -> Report:
        given = hands or rig.Hands()
        given.store = given.store or self.store
        return rig.run(self.place, rig.job(self.sync, mode=mode, **settings), given)

    def start(self, fault: str, mode: str = "full", **settings: Any) -> subprocess.Popen[str]:
        return rig.start(self.place, self.sync, {"mode": mode, **settings}, fault)

    def child(self, fault: str, mode: str = "full", **settings: Any) -> tuple[int, dict[str, Any]]:
        """Run in a child to its end: its return code (-9: killed), and what it said, if it could."""
        child = self.start(fault, mode, **settings)
        try:
            said, _ = child.communicate(timeout=60)
        finally:
            child.kill()
        return child.returncode, json.loads(said) if said else {}

    def lease(self) -> tuple[Any, ...]:
        """(owner, token) of this board's lease."""
        known = self.place.control
        with psycopg.connect(
            host=known["host"], port=known["port"], user=known["user"], password=known["password"],
            dbname=known["database"],
        ) as connection:  # fmt: skip
            row = connection.execute(
                "select owner, token from sync_assets.lease where name like %s", [f"%{self.place.table_id}"]
            ).fetchone()
        return row or (None, 0)


@pytest.fixture(scope="session")
def boards_control(control_server: Path) -> Iterator[Address]:
    """One migrated control database for all rigs of the session: syncs and boards have names of their own."""
    server = embedded.ensure_running(home=control_server)
    name = f"boards_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(**server.arguments(), autocommit=True) as admin:
        admin.execute(f"create database {name} strategy wal_log")
    yield replace(server, database=name)
    with psycopg.connect(**server.arguments(), autocommit=True) as admin:
        drop_in_use(admin, name)


@pytest.fixture(scope="session")
def boards_store(boards_control: Address) -> Iterator[PostgresStore]:
    with open_store(lambda: boards_control) as store:
        yield store


@contextmanager
def _made(server: Server, address: Address, store: PostgresStore, emulator: Emulator) -> Iterator[Callable[..., Rig]]:
    database = f"shop_{uuid.uuid4().hex[:8]}"
    server.create_database(database)

    def make(fields: list[dict[str, Any]] | None = None, **changes: Any) -> Rig:
        number = next(_numbers)
        table = f"orders_{number}"
        clock = "datetime(3)" if server.kind == "mysql" else "timestamp"
        server.execute(_TABLE.format(table=table, clock=clock), database=database)
        shape = [{"field_name": "id", "type": 2}, {"field_name": "remark", "type": 1}]
        shape += fields if fields is not None else [{"field_name": "phone", "type": 1}]
        base = emulator.make_base(f"base {number}")
        reached = {"name": "shop", "host": server.host, "port": server.port, "database": database, "user": server.user}
        control = {k: getattr(address, k) for k in ("host", "port", "user", "database", "sslmode")}
        if address.password is not None:
            control["password"] = address.password.reveal()
        place = rig.Place(
            server.kind, reached, server.password, table, emulator.url, emulator.app_id, emulator.app_secret,
            base, emulator.make_table(base, "orders", shape), control, **changes,
        )  # fmt: skip
        return Rig(place, f"sync_{uuid.uuid4().hex[:8]}", server, database, emulator, store)

    yield make
    server.drop_database(database)


@pytest.fixture
def make_rig(
    postgres: Server, boards_control: Address, boards_store: PostgresStore, bitable: Emulator
) -> Iterator[Callable[..., Rig]]:
    """Makes rigs on PostgreSQL: ``make_rig(fields, batch_rows=...)``; further words are those of `rig.Place`."""
    with _made(postgres, boards_control, boards_store, bitable) as make:
        yield make


@pytest.fixture(params=["postgres", "mariadb"])
def make_any_rig(
    request: pytest.FixtureRequest, boards_control: Address, boards_store: PostgresStore, bitable: Emulator
) -> Iterator[Callable[..., Rig]]:
    """The same, once on each server."""
    with _made(request.getfixturevalue(request.param), boards_control, boards_store, bitable) as make:
        yield make
