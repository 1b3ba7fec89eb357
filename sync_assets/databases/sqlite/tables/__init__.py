"""SQLite files as source and target of whole tables. The engine's quickest database: no server, one file.

One stream: a file has one moment for all who read through one connection, and one writer at a time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sync_assets.databases.base import ConnectionArgs, name_parts
from sync_assets.databases.quoting import quoted
from sync_assets.databases.sqlite import SQLiteDatabase
from sync_assets.databases.sqlite.tables import ledger, shapes
from sync_assets.databases.sqlite.tables.reader import SqliteReader
from sync_assets.databases.sqlite.tables.selecting import Columns
from sync_assets.databases.sqlite.tables.session import dial, sorted_errors
from sync_assets.databases.sqlite.tables.writer import SqliteWriter, transaction
from sync_assets.databases.structure import concerned
from sync_assets.engine.errors import Stop
from sync_assets.engine.tables.buckets import hashings
from sync_assets.engine.tables.canonical import common
from sync_assets.engine.tables.reading import Form, Hashing, Selection, TableSource
from sync_assets.engine.tables.shape import ColumnShape, TableEntry, TableName, TableShape
from sync_assets.engine.tables.writing import Design, Head, Policy, Wanted


def open_tables(args: ConnectionArgs) -> SqliteTables:
    return SqliteTables(args)


class SqliteTables:
    """`writing.TableTarget`. Each question opens the file anew: that costs less than a millisecond.

    Without a write-ahead log a reader keeps all writers from committing, us too. So once we write to a file, what we
    read of it is no longer one moment but one for each statement; only we write there, and each run ends with a proof.
    """

    dialect = "sqlite"

    def __init__(self, args: ConnectionArgs) -> None:
        self.args = args
        self.place = f"connection {args.name}"
        self.address = f"sqlite://{Path(args.path).resolve()}"
        self._written = False

    # -- what is there

    def tables(self) -> Sequence[TableEntry]:
        with self._open() as connection:
            listed = connection.execute(shapes.TABLES).fetchall()
            keys = connection.execute(shapes.FOREIGN_KEYS).fetchall()
            counts = _counts(connection, [name for name, type, _ in listed if type == "table"])
        return shapes.entries(listed, keys, counts)

    def shapes(self, names: Sequence[TableName]) -> Mapping[TableName, TableShape]:
        with self._open() as connection:
            return shapes_in(connection, names)

    def name_of(self, text: str) -> TableName:
        parts = name_parts(text)
        if len(parts) > 2:
            raise Stop(f"{self.place}: {text!r} is not a table name", hint="write table")
        return TableName(parts[0] if len(parts) == 2 else shapes.MAIN, parts[-1])

    def query_columns(self, query: str) -> tuple[ColumnShape, ...]:
        with closing(SQLiteDatabase(self.args)) as database:
            return tuple(shapes.column_shape(c) for c in database.describe_query(query, {}))

    def oldest_writer(self) -> str | None:
        return None  # a writer holds the whole file: what is not committed cannot be overtaken

    # -- reading

    def forms(self, into: str, columns: Sequence[tuple[ColumnShape, ColumnShape]]) -> Sequence[Form]:
        return [Form.LINES]

    def hashing(
        self,
        other: TableSource,
        mine: Sequence[ColumnShape],
        theirs: Sequence[ColumnShape],
        key: Sequence[str],
        rows: int,
    ) -> tuple[Hashing, Hashing] | None:
        pairs = list(zip(mine, theirs, strict=True))
        comparable = all(common(a.type, b.type) is not None and b.native.lower() != "jsonb" for a, b in pairs)
        if not comparable or not set(key) <= {a.name for a in mine}:
            return None
        return hashings("portable", mine, theirs, key, rows)

    @contextmanager
    def snapshot(self, tables: Sequence[TableName], streams: int) -> Iterator[SqliteSnapshot]:
        with self._open() as connection:
            if not self._written or _has_log(connection):
                connection.execute("begin")
                connection.execute("select count(*) from main.sqlite_schema").fetchone()  # begins with a read
            yield SqliteSnapshot(connection, self.place)

    # -- writing

    def takes(self) -> Sequence[Form]:
        return [Form.LINES]

    def design(self, wanted: Sequence[Wanted], source: TableSource, policy: Policy, objects: bool = False) -> Design:
        from sync_assets.databases.sqlite import ddl

        if getattr(source, "address", "") == self.address:
            self._refuse_one_file()
        existing = self.shapes(concerned(wanted))
        return ddl.design(wanted, existing, source.dialect, policy)

    def _refuse_one_file(self) -> None:
        with self._open() as connection:
            if not _has_log(connection):
                raise Stop(f"{self.place}: source and target are one file, which readers lock against writers",
                           hint="switch its write-ahead log on: pragma journal_mode = wal")  # fmt: skip

    def positions(self, wanted: Sequence[Wanted], source: TableSource) -> Sequence[str]:
        return ()  # there are no sequences

    def build(self, statements: Sequence[str]) -> None:
        if not statements:
            return
        with closing(dial(self.args, write=True)) as connection, transaction(connection, self.place):
            for statement in statements:
                _built(connection, statement)

    def open_ledger(self) -> None:
        self._written = True
        with closing(dial(self.args, write=True)) as connection, transaction(connection, self.place):
            ledger.make(connection)

    def take_over(self, sync: str, token: int) -> Head:
        with closing(dial(self.args, write=True)) as connection, transaction(connection, self.place):
            return ledger.take_over(connection, sync, token)

    def take_over_all(self, tokens: Mapping[str, int]) -> Mapping[str, Head]:
        with closing(dial(self.args, write=True)) as connection, transaction(connection, self.place):
            return {sync: ledger.put(connection, sync, token) for sync, token in tokens.items()}

    def peek(self, sync: str) -> Head:
        with self._open() as connection:
            return ledger.head(connection, sync) if ledger.there(connection) else ledger.NOTHING

    def writer(self, sync: str = "", token: int = 0) -> SqliteWriter:
        self._written = True
        return SqliteWriter(self.args, sync, token, self.shapes)

    def close(self) -> None:
        """Nothing is kept open."""

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(dial(self.args)) as connection, sorted_errors(self.place):
            yield connection


@dataclass(slots=True)
class SqliteSnapshot:
    """`reading.Snapshot`: one connection, whoever asks for a reader."""

    connection: sqlite3.Connection
    place: str
    streams: int = 1
    notes: Sequence[str] = ()
    _known: dict[TableName | str, Columns] = field(default_factory=dict)

    def reader(self) -> SqliteReader:
        return SqliteReader(self.connection, self.place, self._columns_of)

    def slices(self, selection: Selection, size: int) -> Sequence[Selection]:
        return self.reader().slices(selection, size)

    def _columns_of(self, selection: Selection) -> Columns:
        """All columns of the table, for conditions on those that are not read."""
        own = {c.name: c for c in selection.columns}
        if selection.table is None:
            return own
        if selection.table not in self._known:
            found = shapes_in(self.connection, [selection.table])
            self._known[selection.table] = {c.name: c for s in found.values() for c in s.columns}
        return {**self._known[selection.table], **own}


def shapes_in(connection: sqlite3.Connection, names: Sequence[TableName]) -> dict[TableName, TableShape]:
    asked = (shapes.COLUMNS, shapes.INDEXES, shapes.FOREIGN_KEYS)
    tables = connection.execute(shapes.ALL).fetchall()
    found = shapes.shapes(tables, *(connection.execute(q).fetchall() for q in asked))
    wanted = {name: found[name] for name in names if name in found}
    counts = _counts(connection, [n.name for n, s in wanted.items() if s.kind == "table"])
    return {name: shapes.sized(shape, counts.get(name.name, 0)) for name, shape in wanted.items()}


def _has_log(connection: sqlite3.Connection) -> bool:
    return str(connection.execute("pragma journal_mode").fetchone()[0]).lower() == "wal"


def _counts(connection: sqlite3.Connection, names: Sequence[str]) -> dict[str, int]:
    return {n: connection.execute(f"select count(*) from main.{quoted(n)}").fetchone()[0] for n in names}  # noqa: S608


def _built(connection: sqlite3.Connection, statement: str) -> None:
    """SQLite has no ADD COLUMN IF NOT EXISTS."""
    try:
        connection.execute(statement)
    except sqlite3.OperationalError as error:
        if not str(error).startswith("duplicate column name"):
            raise
