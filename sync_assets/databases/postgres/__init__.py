"""PostgreSQL as a source: connect, describe, stream out. Types, errors and checks are in the files beside."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, LiteralString, cast
from zoneinfo import ZoneInfo

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer
from psycopg.types import TypeInfo

from sync_assets.databases.base import UTC, ConnectionArgs, Dialect, Params, distinct, name_parts
from sync_assets.databases.postgres import errors, types
from sync_assets.databases.postgres.loaders import TEXT_LOADERS, TOLERANT_LOADERS
from sync_assets.engine.errors import Retry, SyncError
from sync_assets.engine.model import Batch, ColumnType, Finding, Row, Schema

if TYPE_CHECKING:
    from psycopg.abc import Query

_SSL = {"off": "disable", "prefer": "require", "require": "require", "verify": "verify-full"}


def open_database(args: ConnectionArgs) -> PostgresDatabase:
    return PostgresDatabase(args)


class PostgresDatabase:
    """`databases.base.Database` on psycopg 3."""

    dialect: Dialect = "postgres"

    def __init__(self, args: ConnectionArgs) -> None:
        self.args = args
        self.place = f"connection {args.name}"
        self._connection: psycopg.Connection[Row] | None = None
        self._types: dict[int, types.NativeType] = {}

    # -- the connection

    def connect(self) -> None:
        if self._connection is not None and not self._connection.closed:
            return
        try:
            self._connection = self.login()
            _prepare(self._connection, self.args.query_seconds)
        except psycopg.Error as error:
            raise self.classify(error) from None

    def login(self) -> psycopg.Connection[Row]:
        """One login, its settings the server's own, in autocommit; the driver's errors. `prefer` is ours: libpq's
        would try the same password again without TLS."""
        try:
            return self._dial(_SSL[self.args.tls])
        except psycopg.OperationalError as error:
            if self.args.tls == "prefer" and "does not support SSL" in str(error):
                return self._dial("disable")
            raise

    def _dial(self, sslmode: str) -> psycopg.Connection[Row]:
        args = self.args
        more: dict[str, Any] = {}
        if args.tls == "verify":
            more["sslrootcert"] = args.ca or "system"
        return psycopg.connect(
            host=args.socket or args.host, port=args.port or 5432, dbname=args.database, user=args.user,
            password=args.password or None, sslmode="disable" if args.socket else sslmode, autocommit=True,
            connect_timeout=args.connect_seconds, application_name="sync_assets", client_encoding="utf8",
            gssencmode="disable", keepalives_idle=args.silent_seconds, keepalives_interval=10, keepalives_count=3,
            tcp_user_timeout=args.silent_seconds * 1000, **more,
        )  # fmt: skip

    @property
    def connection(self) -> psycopg.Connection[Row]:
        """The driver's connection, opened if need be."""
        self.connect()
        assert self._connection is not None  # noqa: S101 (connect opened it or raised)
        return self._connection

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def classify(self, error: Exception) -> SyncError:
        return errors.classify(error, self.place)

    def quote(self, name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    # -- what is there

    def describe_table(self, name: str) -> Schema:
        table = ".".join(self.quote(p) for p in name_parts(name))
        return self._describe(f"select * from {table}".replace("%", "%%"), {}, UTC, whole_table=True)  # noqa: S608 (quoted)

    def describe_query(self, sql: str, params: Params, zone: ZoneInfo = UTC) -> Schema:
        return self._describe(sql, params, zone, whole_table=False)

    def _describe(self, sql: str, params: Params, zone: ZoneInfo, whole_table: bool) -> Schema:
        with self._snapshot(zone), self._declared(sql, params) as cursor:
            return self._schema(cursor.pgresult, whole_table)

    def _schema(self, result: Any, whole_table: bool) -> Schema:
        fields = range(result.nfields)
        self._learn({result.ftype(i) for i in fields})
        origins = self._origins([(result.ftable(i), result.ftablecol(i)) for i in fields])
        return distinct(
            tuple(
                types.column(
                    result.fname(i).decode(), self._types[result.ftype(i)], result.fmod(i),
                    origins.get((result.ftable(i), result.ftablecol(i))), whole_table,
                )
                for i in fields
            ),
            self.place,
        )  # fmt: skip

    def _learn(self, oids: set[int]) -> None:
        """Ask the catalogue about types not met before, all in one query."""
        new = sorted(oids - self._types.keys())
        if not new:
            return
        for row in self._ask(types.TYPES_SQL, (new,)):
            known = types.NativeType(*row)
            self._types[known.oid] = known
            if known.element_kind == "e":
                TypeInfo(known.element_name, known.element, known.oid).register(self.connection)
            elif known.element and known.type is not ColumnType.SET:
                self.connection.adapters.register_loader(known.oid, TEXT_LOADERS[0])

    def _origins(self, keys: list[tuple[int, int]]) -> dict[tuple[int, int], types.Origin]:
        real = [key for key in keys if key[0]]
        if not real:
            return {}
        rows = self._ask(types.ORIGINS_SQL, ([k[0] for k in real], [k[1] for k in real]))
        return {(row[0], row[1]): types.Origin(*row[2:]) for row in rows}

    # -- reading

    def stream(
        self, sql: str, params: Params, batch_rows: int = 5000, zone: ZoneInfo = UTC, schema: Schema = ()
    ) -> Iterator[Batch]:
        with self._snapshot(zone), self._declared(sql, params) as cursor:
            schema = self._schema(cursor.pgresult, whole_table=False)
            names = tuple(c.name for c in schema)
            convert = [(at, f) for at, c in enumerate(schema) if (f := types.converter(c))]
            sequence = 0
            while rows := self._fetch(cursor, batch_rows):
                yield Batch(names, _converted(rows, convert), sequence)
                sequence += 1

    def _fetch(self, cursor: psycopg.ServerCursor[Row], count: int) -> list[Row]:
        try:
            with self._patience():
                return cursor.fetchmany(count)
        except psycopg.DataError as error:
            # A date that Python cannot hold (infinity, BC): load the same answer once more, such values as text.
            answer = cursor.pgresult
            if error.sqlstate is not None or answer is None:
                raise
            for name, loader in TOLERANT_LOADERS.items():
                cursor.adapters.register_loader(name, loader)
            again = Transformer(cursor)
            again.set_pgresult(answer, set_loaders=True, format=pq.Format.TEXT)
            return again.load_rows(0, answer.ntuples, tuple)

    def observe(self, sql: str, params: Params, zone: ZoneInfo = UTC, limit: int = 1000) -> Sequence[Row]:
        for batch in self.stream(sql, params, limit, zone):
            return batch.rows
        return []

    @contextlib.contextmanager
    def _snapshot(self, zone: ZoneInfo) -> Iterator[None]:
        """One read-only snapshot, wall clocks in `zone`. Errors leave it in our words."""
        connection = self.connection
        try:
            self._ask("begin isolation level repeatable read read only")
            self._ask("select set_config('TimeZone', %s, true)", (zone.key,))
            yield
        except psycopg.Error as error:
            raise self.classify(error) from None
        finally:
            if not connection.closed:
                with contextlib.suppress(psycopg.Error, Retry):
                    self._ask("rollback")

    def _ask(self, sql: LiteralString, params: Sequence[Any] = ()) -> list[Row]:
        with self._patience():
            cursor = self.connection.execute(sql, params)
            return cursor.fetchall() if cursor.description else []

    @contextlib.contextmanager
    def _declared(self, sql: str, params: Params) -> Iterator[psycopg.ServerCursor[Row]]:
        """A cursor on the server: DECLARE takes one statement that reads, and plans it without running it."""
        with psycopg.ServerCursor(self.connection, "sync_assets") as cursor:
            with self._patience():
                cursor.execute(cast("Query", sql), params)
            yield cursor

    @contextlib.contextmanager
    def _patience(self) -> Iterator[None]:
        """Hang up when the server says nothing for longer than it may run plus the silence that we allow.

        libpq has no timeout for reading, and a peer that vanished behind a proxy keeps its TCP connection alive.
        """
        connection = self.connection
        gone = threading.Event()

        def hang_up() -> None:
            gone.set()
            with contextlib.suppress(OSError, psycopg.Error):
                line = socket.socket(fileno=os.dup(connection.fileno()))
                line.shutdown(socket.SHUT_RDWR)
                line.close()

        timer = threading.Timer(self.args.query_seconds + self.args.silent_seconds, hang_up)
        timer.daemon = True
        timer.start()
        try:
            yield
        except psycopg.Error:
            if gone.is_set():
                raise Retry(f"{self.place}: the server said nothing for too long", hint="check it") from None
            raise
        finally:
            timer.cancel()

    def check(self) -> list[Finding]:
        from sync_assets.databases.postgres.check import check

        return check(self)


def _prepare(connection: psycopg.Connection[Row], query_seconds: int) -> None:
    """Settings that our reading of values and of query texts relies on, and limits."""
    for loader_type, loader in zip(types.AS_TEXT, TEXT_LOADERS * len(types.AS_TEXT), strict=False):
        connection.adapters.register_loader(loader_type, loader)
    connection.execute(
        "set default_transaction_read_only = on; set standard_conforming_strings = on; set datestyle = 'ISO, YMD';"
        "set intervalstyle = postgres; set bytea_output = hex; set extra_float_digits = 1; set lc_monetary = 'C';"
        "set idle_in_transaction_session_timeout = 0; set cursor_tuple_fraction = 1; set xmloption = content"
    )
    connection.execute("select set_config('statement_timeout', %s, false)", (f"{query_seconds}s",))


def _converted(rows: list[Row], convert: list[tuple[int, Any]]) -> list[Row]:
    """Convert by column, and only the columns that need it."""
    if not convert:
        return rows
    columns = list(zip(*rows, strict=True))
    for at, function in convert:
        columns[at] = tuple(None if v is None else function(v) for v in columns[at])
    return list(zip(*columns, strict=True))
