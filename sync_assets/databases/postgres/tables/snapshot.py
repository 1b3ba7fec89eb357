"""One moment of a PostgreSQL database for any number of connections: an exported snapshot."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from sync_assets.databases.postgres.tables.quoting import literal
from sync_assets.databases.postgres.tables.reader import PostgresReader
from sync_assets.databases.postgres.tables.session import Pool, Session
from sync_assets.databases.postgres.tables.shapes import SQL
from sync_assets.databases.postgres.tables.slices import slices
from sync_assets.databases.quoting import qualified
from sync_assets.engine.errors import Retry, Stop, SyncError
from sync_assets.engine.tables.reading import Selection
from sync_assets.engine.tables.shape import TableName

_BEGIN = "begin isolation level repeatable read read only"


class PostgresSnapshot:
    """`engine.tables.reading.Snapshot`. The session that holds it open reads too where no other can."""

    def __init__(self, pool: Pool, holder: Session, name: str, streams: int, whole: frozenset[TableName]) -> None:
        self.streams = streams
        self.notes: Sequence[str] = ()
        self._pool, self._holder, self._name, self._whole = pool, holder, name, whole
        self._readers: list[PostgresReader] = []

    def reader(self) -> PostgresReader:
        if not self._name:
            return PostgresReader(self._holder, self._whole, lambda session: None)
        session = self._pool.take()
        try:
            session.ask(f"{_BEGIN}; set transaction snapshot {literal(self._name)}")
        except SyncError:
            self._pool.give(session)
            raise
        self._readers.append(PostgresReader(session, self._whole, self._pool.give))
        return self._readers[-1]

    def slices(self, selection: Selection, size: int) -> Sequence[Selection]:
        if not self._name:
            return [selection]  # the one connection may be reading
        return slices(self._holder.ask, self._holder.version, selection, size)

    def close(self) -> None:
        for reader in self._readers:
            reader.close()


@contextlib.contextmanager
def snapshot(pool: Pool, tables: Sequence[TableName], streams: int) -> Iterator[PostgresSnapshot]:
    """One moment for all readers; the tables keep their shape until the end."""
    holder = pool.take()
    try:
        kinds = _kinds(holder, tables)
        holder.ask(_BEGIN)
        lock = [qualified(t) for t in tables if kinds.get(t, ("r",))[0] in ("r", "p")]
        if lock:
            holder.ask(f"lock table {', '.join(lock)} in access share mode")
        whole = frozenset(t for t, (kind, children) in kinds.items() if kind == "r" and not children)
        made = _exported(pool, holder, streams, whole, lock)
        try:
            yield made
        finally:
            made.close()
    finally:
        pool.give(holder)


def _kinds(session: Session, tables: Sequence[TableName]) -> dict[TableName, tuple[str, bool]]:
    rows = session.ask(SQL["kinds"], ([t.schema for t in tables], [t.name for t in tables])) if tables else []
    return {TableName(schema, name): (kind, children) for schema, name, kind, children in rows}


def _exported(
    pool: Pool, holder: Session, streams: int, whole: frozenset[TableName], lock: Sequence[str]
) -> PostgresSnapshot:
    """A server that cannot export, or a pooler in between: one stream, which is exact as well."""
    try:
        name = str(holder.ask("select pg_catalog.pg_export_snapshot()")[0][0])
        return PostgresSnapshot(pool, holder, name, streams, whole)
    except Retry:
        raise
    except Stop:
        holder.rollback()
        holder.ask(_BEGIN)
        if lock:
            holder.ask(f"lock table {', '.join(lock)} in access share mode")
        made = PostgresSnapshot(pool, holder, "", 1, whole)
        made.notes = ("this server cannot share a snapshot: one stream instead of several",)
        return made
