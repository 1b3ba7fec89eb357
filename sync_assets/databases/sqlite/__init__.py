"""SQLite files as a source: opened read-only, and every statement is watched by SQLite's own authoriser."""
# ruff: noqa: S608 (names are quoted, values are parameters)

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote as quote_path
from zoneinfo import ZoneInfo

from sync_assets.databases.base import UTC, ConnectionArgs, Dialect, Params, distinct, name_parts
from sync_assets.databases.sqlite import types
from sync_assets.engine.errors import Retry, Stop, SyncError
from sync_assets.engine.model import Batch, Column, Finding, Row, Schema

_MAY = {
    getattr(sqlite3, name)
    for name in ("SQLITE_SELECT", "SQLITE_READ", "SQLITE_FUNCTION", "SQLITE_RECURSIVE", "SQLITE_TRANSACTION")
}
_STEPS = 50_000  # of SQLite's machine between two looks at the clock: some milliseconds


def open_database(args: ConnectionArgs) -> SQLiteDatabase:
    return SQLiteDatabase(args)


class SQLiteDatabase:
    """`databases.base.Database` on sqlite3."""

    dialect: Dialect = "sqlite"

    def __init__(self, args: ConnectionArgs, clock: Callable[[], float] = time.monotonic) -> None:
        self.args = args
        self.place = f"connection {args.name}"
        self.clock = clock
        self._connection: sqlite3.Connection | None = None

    def connect(self) -> None:
        if self._connection is not None:
            return
        path = Path(self.args.path)
        if not path.is_file():
            raise Stop(f"{self.place}: there is no file {path}", hint="check path in the connection")
        try:
            self._connection = sqlite3.connect(
                f"file:{quote_path(str(path.resolve()))}?mode=ro", uri=True, isolation_level=None, timeout=5,
                check_same_thread=False,
            )  # fmt: skip
            self._connection.execute("select count(*) from sqlite_schema").fetchone()
        except sqlite3.Error as error:
            self.close()
            raise self.classify(error) from None

    @property
    def connection(self) -> sqlite3.Connection:
        """The driver's connection, opened if need be."""
        self.connect()
        assert self._connection is not None  # noqa: S101 (connect opened it or raised)
        return self._connection

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def classify(self, error: Exception) -> SyncError:
        return classify(error, self.place)

    def quote(self, name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    # -- what is there

    def describe_table(self, name: str) -> Schema:
        *schema, table = name_parts(name)
        where = f"{self.quote(schema[0])}." if schema else ""
        try:
            rows = self.connection.execute(f"pragma {where}table_xinfo({self.quote(table)})").fetchall()
        except sqlite3.Error as error:
            raise self.classify(error) from None
        if not rows:
            raise Stop(f"{self.place}: the table {name} does not exist", hint="check its spelling")
        visible = [row for row in rows if row[6] != 1]
        return tuple(self._column(row, f"select * from {where}{self.quote(table)}", {}) for row in visible)

    def describe_query(self, sql: str, params: Params, zone: ZoneInfo = UTC) -> Schema:
        """The declared types of a query's columns are those of a view on it; others are told by their values."""
        with self._watched():
            cursor = self.connection.execute(sql, _bound(params, zone))
            names = [d[0] for d in cursor.description or ()]
            cursor.close()
        if not names:
            raise Stop(f"{self.place}: the query returns no columns", hint="write a SELECT")
        distinct(tuple(types.column(n, "", nullable=True) for n in names), self.place)
        rows = self._view(sql, list(params)) or [(i, n, "", 0) for i, n in enumerate(names)]
        return tuple(self._column((*row[:3], 0), sql, _bound(params, zone)) for row in rows)

    def _view(self, sql: str, names: Sequence[str]) -> list[Row]:
        """A temporary view lives in memory, not in the file. It takes no parameters: NULL stands for them."""
        text = sql
        for name in sorted(names, key=len, reverse=True):
            text = text.replace(f":{name}", "null")
        connection = self.connection
        with contextlib.suppress(sqlite3.Error):
            try:
                connection.execute(f"create temp view sync_assets_described as {text}")
                return connection.execute("pragma temp.table_info(sync_assets_described)").fetchall()
            finally:
                connection.execute("drop view if exists temp.sync_assets_described")
        return []

    def _column(self, row: Row, sql: str, params: Params) -> Column:
        name, declared, nullable = row[1], row[2] or "", not row[3]
        if declared:
            return types.column(name, declared, nullable)
        with self._watched():
            found = self.connection.execute(
                f"select distinct typeof({self.quote(name)}) from (select * from ({sql}\n) limit 100)",
                params,
            ).fetchall()
        return types.guessed(name, {kind for (kind,) in found}, nullable)

    # -- reading

    def stream(
        self, sql: str, params: Params, batch_rows: int = 5000, zone: ZoneInfo = UTC, schema: Schema = ()
    ) -> Iterator[Batch]:
        schema = schema or self.describe_query(sql, params, zone)
        names = tuple(c.name for c in schema)
        convert = [types.converter(c.type) for c in schema]
        with self._watched():
            cursor = self.connection.execute(sql, _bound(params, zone))  # one statement is one snapshot
            sequence = 0
            while rows := cursor.fetchmany(batch_rows):
                yield Batch(names, [_converted(row, convert) for row in rows], sequence)
                sequence += 1

    def observe(self, sql: str, params: Params, zone: ZoneInfo = UTC, limit: int = 1000) -> Sequence[Row]:
        with self._watched():
            return self.connection.execute(sql, _bound(params, zone)).fetchmany(limit)

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """Only reading is allowed, and not for longer than `query_seconds` between two batches."""
        connection = self.connection
        deadline = self.clock() + self.args.query_seconds
        connection.set_authorizer(_authorise)
        connection.set_progress_handler(lambda: self.clock() > deadline, _STEPS)
        try:
            yield
        except sqlite3.Error as error:
            raise self.classify(error) from None
        finally:
            if self._connection is connection:
                connection.set_authorizer(None)
                connection.set_progress_handler(None, 0)

    def check(self) -> list[Finding]:
        """The file, whether it is SQLite's, and what is in it."""
        try:
            (tables,) = self.connection.execute("select count(*) from sqlite_schema where type = 'table'").fetchone()
        except SyncError as error:
            there = Path(self.args.path).is_file()
            return [Finding(False, error.message, error.hint, about="" if there else "file")]
        hint = "" if tables else "create a table"
        found = Finding(tables > 0, f"file {self.args.path}: {tables} tables", hint, about="reading")
        return [found, Finding(True, "opened read-only")]


def _authorise(action: int, first: str | None, second: str | None, *_: object) -> int:
    if action == sqlite3.SQLITE_FUNCTION and second in ("load_extension", "writefile", "readfile", "edit"):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK if action in _MAY else sqlite3.SQLITE_DENY


def _bound(params: Params, zone: ZoneInfo) -> dict[str, Any]:
    return {name: _plain(value, zone) for name, value in params.items()}


def _plain(value: Any, zone: ZoneInfo) -> Any:
    """As SQLite's functions write it. Midnight is the bare date, which sorts before that day's dates and times."""
    if isinstance(value, datetime):
        clock = value.astimezone(zone).replace(tzinfo=None) if value.tzinfo else value
        return clock.isoformat(" ").removesuffix(" 00:00:00")
    if isinstance(value, date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value


def _converted(row: Row, convert: Sequence[types.Converter | None]) -> Row:
    return tuple(v if f is None or v is None else f(v) for v, f in zip(row, convert, strict=True))


_RULES: tuple[tuple[str, type[SyncError], str, str], ...] = (
    ("no such table", Stop, "the table does not exist", "check its spelling"),
    ("no such column", Stop, "the column does not exist", "check its spelling"),
    ("syntax error", Stop, "the query has a syntax error", "try it in the sqlite3 shell"),
    ("incomplete input", Stop, "the query has a syntax error", "try it in the sqlite3 shell"),
    ("not authorized", Stop, "the query tries to do more than read", "a source query can only read"),
    ("prohibited", Stop, "the query tries to do more than read", "a source query can only read"),
    ("readonly database", Stop, "no right to write to the file", "give this user write access to it and its folder"),
    ("is full", Retry, "the disk is full", "make room on it"),
    ("disk I/O", Retry, "the disk cannot be read or written", "look after it"),
    ("already exists", Stop, "an object of that name is there already", "drop it, or choose another name"),
    ("schema has changed", Retry, "somebody changed the tables", ""),
    ("not a database", Stop, "the file is no SQLite database", "check path in the connection"),
    ("malformed", Stop, "the file is damaged", "restore it from a backup"),
    ("unable to open", Stop, "the file cannot be opened", "check the rights on it and its folder"),
    ("interrupted", Stop, "the query ran longer than it may", "give it an index or a smaller window"),
    ("locked", Retry, "somebody else writes to the file", "wait until they are done"),
)


def classify(error: Exception, place: str) -> SyncError:
    """By SQLite's own texts, which are fixed and English: its number for most of these is the general 1."""
    if isinstance(error, SyncError):
        return error
    text = str(error)
    for word, kind, message, hint in _RULES:
        if word in text:
            return kind(f"{place}: {message}", hint=hint)
    return Stop(f"{place}: SQLite refused the query", hint="try it in the sqlite3 shell")
