"""The ledger's two tables in a SQLite file: fence, position, applied batches. Works inside the caller's transaction."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sync_assets.engine.errors import Fenced, Stop
from sync_assets.engine.tables.writing import Head

NOTHING = Head(0, 0, None, None)
_SCHEMA = Path(__file__).with_name("ledger.sql")


def make(connection: sqlite3.Connection) -> None:
    for statement in _SCHEMA.read_text("utf-8").split(";\n"):
        if statement.strip():
            connection.execute(statement)


def there(connection: sqlite3.Connection) -> bool:
    found = connection.execute("select count(*) from main.sqlite_schema where name = 'sync_assets_head'").fetchone()
    return bool(found[0])


def head(connection: sqlite3.Connection, sync: str) -> Head:
    row = connection.execute(
        "select token, epoch, position, plan from main.sync_assets_head where sync = ?", (sync,)
    ).fetchone()
    if row is None:
        return NOTHING
    applied = connection.execute(
        "select batch from main.sync_assets_ledger where sync = ? and epoch = ?", (sync, row[1])
    ).fetchall()
    token, epoch, position, plan = row
    return Head(token, epoch, position, plan, frozenset(batch for (batch,) in applied))


def take_over(connection: sqlite3.Connection, sync: str, token: int) -> Head:
    """Raises `Fenced` when the head row holds a larger token."""
    found = put(connection, sync, token)
    if found.token > token:
        raise fenced(sync)
    return found


def put(connection: sqlite3.Connection, sync: str, token: int) -> Head:
    """The token into the head row, unless that holds a larger one."""
    connection.execute(
        "insert into main.sync_assets_head (sync, token) values (?, ?) on conflict (sync) do update"
        " set token = excluded.token where excluded.token > token",
        (sync, token),
    )
    return head(connection, sync)


def fence(connection: sqlite3.Connection, sync: str, token: int) -> tuple[int, str | None]:
    """Epoch, and the batch that ended the last one. Raises `Fenced` when another worker has taken over."""
    row = connection.execute("select token, epoch, ended from main.sync_assets_head where sync = ?", (sync,)).fetchone()
    if row is None:
        raise Stop(f"{sync}: its row in the ledger is gone", hint="run the sync again")
    if row[0] > token:
        raise fenced(sync)
    return int(row[1]), row[2]


def fenced(sync: str) -> Fenced:
    return Fenced(f"{sync}: another worker has taken over", hint="nothing to do: it goes on", code="fenced")


def applied(connection: sqlite3.Connection, sync: str, epoch: int, batch: str) -> bool:
    return bool(connection.execute(
        "select 1 from main.sync_assets_ledger where sync = ? and epoch = ? and batch = ?", (sync, epoch, batch)
    ).fetchone())  # fmt: skip


def record(connection: sqlite3.Connection, sync: str, epoch: int, batch: str, position: str | None) -> None:
    connection.execute("insert into main.sync_assets_ledger values (?, ?, ?)", (sync, epoch, batch))
    if position is not None:
        connection.execute("update main.sync_assets_head set position = ? where sync = ?", (position, sync))


def end(connection: sqlite3.Connection, sync: str, batch: str) -> None:
    """The run is over: the next epoch begins without a plan and without batches."""
    connection.execute(
        "update main.sync_assets_head set epoch = epoch + 1, plan = null, ended = ? where sync = ?", (batch, sync)
    )
    connection.execute("delete from main.sync_assets_ledger where sync = ?", (sync,))
