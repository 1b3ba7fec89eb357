"""Writing rows into PostgreSQL tables: batches of the ledger, COPY, stages, merges, twins.

One connection, for one thread.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from sync_assets.databases.postgres.tables import ledger, merging, swapping
from sync_assets.databases.postgres.tables.selecting import among
from sync_assets.databases.postgres.tables.session import Session
from sync_assets.databases.quoting import listed, qualified
from sync_assets.engine.errors import Stop
from sync_assets.engine.model import Counts
from sync_assets.engine.tables.reading import Condition, Form, Key, Moved
from sync_assets.engine.tables.shape import ColumnShape, TableName
from sync_assets.engine.tables.writing import Head, Merge

_SCHEMA = "sync_assets"
_OURS = ("stage_", "twin_")


class PostgresWriter:
    """`engine.tables.writing.Writer`."""

    def __init__(self, session: Session, give_back: Callable[[Session], None]) -> None:
        self.moved = Moved()
        self._session, self._give_back = session, give_back
        self._sync, self._token, self._closed = "", 0, False

    # -- for whom

    def serve(self, sync: str, token: int) -> Head:
        self.assigned(sync, token)
        return ledger.take_over(self._session, sync, token)

    def assigned(self, sync: str, token: int) -> PostgresWriter:
        """For a sync whose head row was taken over already."""
        if (sync, token) != (self._sync, self._token):
            self._session.ask("select set_config('application_name', %s, false)", (ledger.mark(sync),))
        self._sync, self._token = sync, token
        return self

    @contextmanager
    def batch(self, id: str, *, position: str | None = None, ends: bool = False) -> Iterator[bool]:
        with ledger.batch(self._session, self._sync, self._token, id, position=position, ends=ends) as todo:
            yield todo

    def keep_plan(self, plan: str) -> None:
        ledger.keep_plan(self._session, self._sync, self._token, plan)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        self._session.ask("savepoint row")
        try:
            yield
        except BaseException:
            if not self._session.connection.closed:
                self._session.ask("rollback to savepoint row; release savepoint row")
            raise
        self._session.ask("release savepoint row")

    # -- rows

    def load(self, table: TableName, columns: Sequence[ColumnShape], form: Form, blocks: Iterable[bytes]) -> int:
        self.moved.statements += 1
        how = "(format binary)" if form is Form.PG_BINARY else "(format text)"
        copy = f"copy {qualified(table)} ({listed(c.name for c in columns)}) from stdin {how}"
        rows = self._session.copy_in(f"set local statement_timeout = 0; {copy}", blocks, self._sent)
        self.moved.rows += rows
        return rows

    def _sent(self, size: int) -> None:
        self.moved.bytes += size

    def try_load(self, table: TableName, columns: Sequence[ColumnShape], lines: Sequence[bytes]) -> None:
        with self.savepoint():
            self.load(table, columns, Form.LINES, [b"".join(lines)])

    def merge(self, stage: TableName, table: TableName, how: Merge) -> Counts:
        self.moved.statements += 1
        return merging.merge(self._session, stage, table, how)

    def delete(self, table: TableName, key: Sequence[ColumnShape], keys: Sequence[Key]) -> int:
        return self._session.count(f"delete from {qualified(table)} as t where {among(key, keys)}") if keys else 0  # noqa: S608

    def clear(self, table: TableName, scope: Sequence[Condition] = ()) -> int:
        return self._session.count(f"delete from {qualified(table)} as t where {merging.scope_sql(scope, ())}")  # noqa: S608

    # -- tables of ours

    def stage(self, table: TableName, columns: Sequence[ColumnShape]) -> TableName:
        stage = self._own("stage_", table)
        like = f"select {listed(c.name for c in columns)} from {qualified(table)} with no data"  # noqa: S608
        drop = f"drop table if exists {qualified(stage)}"
        self._session.ask(f"begin; {drop}; create unlogged table {qualified(stage)} as {like}; commit")
        return stage

    def twin(self, table: TableName, *, keep: bool = False) -> TableName:
        twin = self._own("twin_", table)
        if not (keep and self._is_there(twin)):
            swapping.make_twin(self._session, twin, table)
        return twin

    def swap(self, twin: TableName, table: TableName, id: str, *, position: str | None = None) -> bool:
        if not self._is_there(twin):
            return self._was_swapped(id, table)
        if swapping.obstacle(self._session, table):
            return False
        swapping.prepare(self._session, twin, table)
        try:
            with self.batch(id, position=position, ends=True) as todo:
                if todo:
                    swapping.exchange(self._session, twin, table)
        except Stop as error:
            if swapping.hangs_on(error):
                return False
            raise
        return True

    def _was_swapped(self, id: str, table: TableName) -> bool:
        """The answer to the first attempt was lost, and the twin is the table now: the ledger tells."""
        with self.batch(id, ends=True) as todo:
            if todo:
                raise Stop(f"{self._session.place}: what was to replace {table} is gone", hint="run the sync again")
        return True

    def drop(self, table: TableName) -> None:
        if table.schema != _SCHEMA or not table.name.startswith(_OURS):
            raise Stop(f"{self._session.place}: {table} is no table of ours", code="not_ours")
        self._session.ask(f"drop table if exists {qualified(table)}")

    def _own(self, kind: str, table: TableName) -> TableName:
        name = hashlib.sha256(f"{self._sync}\n{table.schema}\n{table.name}".encode()).hexdigest()[:24]
        return TableName(_SCHEMA, kind + name)

    def _is_there(self, table: TableName) -> bool:
        return bool(self._session.ask("select to_regclass(%s) is not null", (qualified(table),))[0][0])

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            if self._session.usable:
                self._session.ask("set application_name = 'sync_assets'")
            self._give_back(self._session)
