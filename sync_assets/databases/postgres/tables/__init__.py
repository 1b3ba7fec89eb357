"""PostgreSQL as source and target of whole tables: what `databases.base.open_tables` loads.

Connections are opened as needed, and kept for the run. How rows are read, cut, hashed, written and swapped is in the
files beside; what tables look like in `shapes`; how structure is made in `databases.postgres.definition` and `.ddl`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

import psycopg

from sync_assets.databases.base import ConnectionArgs, name_parts
from sync_assets.databases.postgres.tables import digests, forms, ledger, shapes
from sync_assets.databases.postgres.tables.session import Pool, Session
from sync_assets.databases.postgres.tables.snapshot import PostgresSnapshot, snapshot
from sync_assets.databases.postgres.tables.writer import PostgresWriter
from sync_assets.databases.structure import concerned
from sync_assets.engine.errors import Stop
from sync_assets.engine.tables.buckets import hashings
from sync_assets.engine.tables.reading import Form, Hashing, TableSource
from sync_assets.engine.tables.shape import ColumnShape, TableEntry, TableName, TableShape
from sync_assets.engine.tables.writing import Design, Head, Policy, Wanted

_HASHES_RECORDS = 140000  # hash_record_extended


def open_tables(args: ConnectionArgs) -> PostgresTables:
    return PostgresTables(args)


class PostgresTables:
    """`engine.tables.writing.TableTarget`, and so `TableSource`, on psycopg 3."""

    dialect = "postgres"

    def __init__(self, args: ConnectionArgs) -> None:
        self.args = args
        self.place = f"connection {args.name}"
        self.address = f"postgres://{args.host}:{args.port or 5432}/{args.database}"
        self._pool = Pool(args)
        self._main: Session | None = None
        self._writing: Session | None = None
        self._schema = ""
        self._self_check: int | None = None

    # -- connections

    @property
    def session(self) -> Session:
        """For looks at the catalogue; reads only, in autocommit."""
        if self._main is None or not self._main.usable:
            self._main = self._pool.take()
        return self._main

    @property
    def writing(self) -> Session:
        """For changes of structure and of the ledger, in autocommit."""
        if self._writing is None or not self._writing.usable:
            self._writing = self._pool.take(writes=True)
        return self._writing

    @property
    def connection(self) -> psycopg.Connection[tuple[object, ...]]:
        """The driver's connection of `session`."""
        return self.session.connection

    def ask(self, sql: str, params: Sequence[object] | None = None) -> list[tuple[object, ...]]:
        """A question to the catalogue."""
        return self.session.ask(sql, params)

    def close(self) -> None:
        self._main = self._writing = None
        self._pool.close()

    # -- what is there

    def tables(self) -> Sequence[TableEntry]:
        return shapes.tables(self.session)

    def shapes(self, names: Sequence[TableName]) -> Mapping[TableName, TableShape]:
        return shapes.shapes(self.session, names) if names else {}

    def name_of(self, text: str) -> TableName:
        parts = name_parts(text)
        if len(parts) > 2:
            raise Stop(f"{self.place}: {text!r} is not a table name", hint="write table or schema.table")
        if len(parts) == 1:
            self._schema = self._schema or str(self.ask("select coalesce(current_schema(), 'public')")[0][0])
            return TableName(self._schema, parts[0])
        return TableName(*parts)

    def query_columns(self, query: str) -> tuple[ColumnShape, ...]:
        return shapes.query_columns(self.session, query)

    def forms(self, into: str, columns: Sequence[tuple[ColumnShape, ColumnShape]]) -> Sequence[Form]:
        return forms.forms(into, columns)

    # -- comparing

    def hashing(
        self, other: TableSource, mine: Sequence[ColumnShape], theirs: Sequence[ColumnShape], key: Sequence[str],
        rows: int,
    ) -> tuple[Hashing, Hashing] | None:  # fmt: skip
        if isinstance(other, PostgresTables) and digests.same_types(mine, theirs) and self._hashes_like(other):
            return hashings("record", mine, theirs, key, rows)
        if not digests.comparable(mine, theirs, other.dialect):
            return None
        return hashings("portable", mine, theirs, key, rows)

    def _hashes_like(self, other: PostgresTables) -> bool:
        mine, theirs = self.self_check(), other.self_check()
        return mine == theirs and mine != 0

    def self_check(self) -> int:
        """The hash of constants on this server; 0 where it has no such function."""
        if self._self_check is None:
            able = self.session.version >= _HASHES_RECORDS
            self._self_check = int(str(self.ask(digests.SELF_CHECK)[0][0])) if able else 0
        return self._self_check

    # -- reading

    def snapshot(self, tables: Sequence[TableName], streams: int) -> AbstractContextManager[PostgresSnapshot]:
        return snapshot(self._pool, tables, streams)

    def oldest_writer(self) -> str | None:
        began, hidden = self.ask(shapes.SQL["oldest"], (sorted(self._pool.pids),))[0]
        return None if hidden or began is None else str(began)

    # -- writing

    def takes(self) -> Sequence[Form]:
        return [Form.PG_BINARY, Form.LINES]

    def design(self, wanted: Sequence[Wanted], source: TableSource, policy: Policy, objects: bool = False) -> Design:
        if isinstance(source, PostgresTables):
            from sync_assets.databases.postgres import definition

            return definition.design(source, self, wanted, policy, objects=objects)
        from sync_assets.databases.postgres import ddl

        return ddl.design(wanted, self.shapes(concerned(wanted)), source.dialect, policy)

    def positions(self, wanted: Sequence[Wanted], source: TableSource) -> Sequence[str]:
        if not isinstance(source, PostgresTables):
            return ()  # `ddl` sets those of identity columns by the rows
        from sync_assets.databases.postgres import definition

        return definition.positions(source, self, wanted)

    def build(self, statements: Sequence[str]) -> None:
        """Each by itself: some (a new label of an enum) cannot be used in the transaction that makes them."""
        if not statements:
            return
        session = self.writing
        session.ask("set statement_timeout = 0")
        try:
            for statement in statements:
                session.ask(statement, seconds=float("inf"))
        finally:
            if session.usable:
                session.ask(f"set statement_timeout = '{int(self.args.query_seconds)}s'")

    def open_ledger(self) -> None:
        ledger.make(self.writing)

    def peek(self, sync: str) -> Head:
        return ledger.peek(self.session, sync)

    def take_over(self, sync: str, token: int) -> Head:
        return ledger.take_over(self.writing, sync, token)

    def take_over_all(self, tokens: Mapping[str, int]) -> Mapping[str, Head]:
        return ledger.take_over_all(self.writing, tokens)

    def writer(self, sync: str = "", token: int = 0) -> PostgresWriter:
        made = PostgresWriter(self._pool.take(writes=True), self._pool.give)
        return made.assigned(sync, token) if sync else made
