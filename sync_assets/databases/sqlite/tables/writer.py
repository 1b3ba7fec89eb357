"""Writing to a SQLite file: batches with their ledger row, staged rows, twins. One connection, one thread at a time.

``begin immediate`` takes the file's one write lock, so that batches of several writers stand in line.
"""
# ruff: noqa: S608 (names are quoted, values are bound)

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from sync_assets.databases.base import ConnectionArgs
from sync_assets.databases.quoting import qualified, quoted
from sync_assets.databases.sqlite.tables import ledger, swapping
from sync_assets.databases.sqlite.tables.lines import rows_of
from sync_assets.databases.sqlite.tables.merging import merge
from sync_assets.databases.sqlite.tables.selecting import Columns, among, conditions, names
from sync_assets.databases.sqlite.tables.session import dial, sorted_errors
from sync_assets.databases.sqlite.tables.shapes import MAIN, OURS
from sync_assets.engine.errors import Stop
from sync_assets.engine.model import Counts
from sync_assets.engine.tables.reading import Condition, Form, Key, Moved
from sync_assets.engine.tables.shape import ColumnShape, TableName, TableShape
from sync_assets.engine.tables.writing import Head, Merge

AT_ONCE = 400  # keys in one DELETE
ShapesOf = Callable[[Sequence[TableName]], Mapping[TableName, TableShape]]


class SqliteWriter:
    """`writing.Writer`."""

    def __init__(self, args: ConnectionArgs, sync: str, token: int, shapes_of: ShapesOf) -> None:
        self.place = f"connection {args.name}"
        self.sync = sync
        self.token = token
        self.shapes_of = shapes_of
        self.moved = Moved()
        self.connection = dial(args, write=True)
        self._points = 0

    # -- transactions

    def serve(self, sync: str, token: int) -> Head:
        with transaction(self.connection, self.place):
            found = ledger.take_over(self.connection, sync, token)
        self.sync, self.token = sync, token
        return found

    @contextmanager
    def batch(self, id: str, *, position: str | None = None, ends: bool = False) -> Iterator[bool]:
        with transaction(self.connection, self.place):
            epoch, ended = ledger.fence(self.connection, self.sync, self.token)
            if id == ended or ledger.applied(self.connection, self.sync, epoch, id):
                yield False
                return
            yield True
            with sorted_errors(self.place):
                ledger.record(self.connection, self.sync, epoch, id, position)
                if ends:
                    ledger.end(self.connection, self.sync, id)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        self._points += 1
        name = f"sync_assets_{self._points}"
        self.connection.execute(f"savepoint {name}")
        try:
            yield
        except BaseException:
            if self.connection.in_transaction:  # a full disk undoes it all by itself
                self.connection.execute(f"rollback to {name}")
                self.connection.execute(f"release {name}")
            raise
        self.connection.execute(f"release {name}")

    def keep_plan(self, plan: str) -> None:
        with transaction(self.connection, self.place):
            ledger.fence(self.connection, self.sync, self.token)
            self.connection.execute("update main.sync_assets_head set plan = ? where sync = ?", (plan, self.sync))

    # -- rows, inside a batch

    def load(self, table: TableName, columns: Sequence[ColumnShape], form: Form, blocks: Iterable[bytes]) -> int:
        if form is not Form.LINES:
            raise Stop(f"{self.place}: SQLite takes rows as lines, not as {form}")
        marks = ", ".join("?" * len(columns))
        sql = f"insert into {qualified(table)} ({names(columns)}) values ({marks})"
        with sorted_errors(f"{self.place}, table {table}"):
            cursor = self.connection.executemany(sql, rows_of(self._counted(blocks), columns, str(table)))
        self.moved.rows += max(cursor.rowcount, 0)
        self.moved.statements += 1
        return max(cursor.rowcount, 0)

    def _counted(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        for block in blocks:
            self.moved.bytes += len(block)
            yield block

    def try_load(self, table: TableName, columns: Sequence[ColumnShape], lines: Sequence[bytes]) -> None:
        with self.savepoint():
            self.load(table, columns, Form.LINES, lines)

    def merge(self, stage: TableName, table: TableName, how: Merge) -> Counts:
        with sorted_errors(f"{self.place}, table {table}"):
            return merge(self.connection, stage, table, how, self._columns(table))

    def delete(self, table: TableName, key: Sequence[ColumnShape], keys: Sequence[Key]) -> int:
        deleted = 0
        for at in range(0, len(keys), AT_ONCE):
            test, values = among(key, keys[at : at + AT_ONCE])
            with sorted_errors(f"{self.place}, table {table}"):
                deleted += self.connection.execute(f"delete from {qualified(table)} where {test}", values).rowcount
        return deleted

    def clear(self, table: TableName, scope: Sequence[Condition] = ()) -> int:
        tests, values = conditions(scope, self._columns(table) if scope else {})
        where = f" where {' and '.join(tests)}" if tests else ""
        with sorted_errors(f"{self.place}, table {table}"):
            return self.connection.execute(f"delete from {qualified(table)}{where}", values).rowcount

    def _columns(self, table: TableName) -> Columns:
        shape = self.shapes_of([table]).get(table)
        if shape is None:
            raise Stop(f"{self.place}: the table {table} does not exist", hint="run the sync again")
        return {c.name: c for c in shape.columns}

    # -- tables of ours, outside of batches

    def stage(self, table: TableName, columns: Sequence[ColumnShape]) -> TableName:
        name = self._ours("stage", table)
        with transaction(self.connection, self.place):
            self.connection.execute(f"drop table if exists {qualified(name)}")
            typed = ", ".join(f"{quoted(c.name)} {c.native}" for c in columns)
            self.connection.execute(f"create table {qualified(name)} ({typed})")
        return name

    def twin(self, table: TableName, *, keep: bool = False) -> TableName:
        name = self._ours("twin", table)
        with transaction(self.connection, self.place):
            swapping.make_twin(self.connection, table, name, keep)
        return name

    def swap(self, twin: TableName, table: TableName, id: str, *, position: str | None = None) -> bool:
        with transaction(self.connection, f"{self.place}, table {table}"):
            epoch, ended = ledger.fence(self.connection, self.sync, self.token)
            if id == ended or ledger.applied(self.connection, self.sync, epoch, id):
                return True
            if swapping.others_hang_on(self.connection, table):
                return False
            swapping.swap(self.connection, twin, table)
            ledger.record(self.connection, self.sync, epoch, id, position)
            ledger.end(self.connection, self.sync, id)
        return True

    def drop(self, table: TableName) -> None:
        if not table.name.startswith(OURS):
            raise Stop(f"{table} is no table of ours, and is not dropped")
        with sorted_errors(self.place):
            self.connection.execute(f"drop table if exists {qualified(table)}")

    def _ours(self, kind: str, table: TableName) -> TableName:
        digest = hashlib.sha256(f"{self.sync}\0{table}".encode()).hexdigest()[:16]
        return TableName(MAIN, f"{OURS}{kind}_{digest}")

    def close(self) -> None:
        self.connection.close()


@contextmanager
def transaction(connection: sqlite3.Connection, place: str) -> Iterator[None]:
    """All of the block or nothing, with the file's write lock from the start."""
    with sorted_errors(place):
        connection.execute("begin immediate")
    try:
        with sorted_errors(place):
            yield
            connection.execute("commit")
    finally:
        if connection.in_transaction:
            connection.execute("rollback")
