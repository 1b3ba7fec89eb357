"""MySQL and MariaDB as a source: connect, describe, stream out. Types, wire, errors and checks are beside."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import pymysql
from pymysql.constants import CLIENT

from sync_assets.databases.base import UTC as NO_ZONE
from sync_assets.databases.base import ConnectionArgs, Dialect, Params, distinct, name_parts
from sync_assets.databases.mysql import errors, types, wire
from sync_assets.engine.errors import Stop, SyncError
from sync_assets.engine.model import Batch, Finding, Row, Schema

_TOO_SLOW = 1317
# What a driver can meet: its own errors, the line's, a login plugin that needs a library, a text that is no UTF-8.
TROUBLE = (pymysql.Error, OSError, RuntimeError, UnicodeError)


def open_database(args: ConnectionArgs) -> MySQLDatabase:
    return MySQLDatabase(args)


class MySQLDatabase:
    """`databases.base.Database` on PyMySQL. `now` tells the offset of a zone when no parameter does."""

    dialect: Dialect = "mysql"

    def __init__(self, args: ConnectionArgs, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.args = args
        self.place = f"connection {args.name}"
        self.now = now
        self.mariadb = False
        self._connection: Any = None

    # -- the connection

    def connect(self) -> None:
        if self._connection is not None and self._connection.open:
            return
        try:
            self._connection = self._login()
            self._prepare(self._connection)
        except TROUBLE as error:
            self.close()
            raise self.classify(error) from None

    def _login(self) -> Any:
        return dial(self.args)

    def _prepare(self, connection: Any) -> None:
        """Settings that our reading of texts relies on. A slow reader of rows must not be hung up on."""
        self.mariadb = "mariadb" in connection.get_server_info().lower()
        with connection.cursor() as cursor:
            cursor.execute(
                "set session sql_mode = (select replace(replace(replace(replace(@@sql_mode, 'NO_BACKSLASH_ESCAPES',"
                " ''), 'ANSI_QUOTES', ''), 'ORACLE', ''), 'ANSI', '')), net_write_timeout = 3600,"
                " net_read_timeout = 600, wait_timeout = 28800"
            )
            cursor.execute("set session transaction isolation level repeatable read, read only")

    @property
    def connection(self) -> Any:
        """The driver's connection, opened if need be."""
        self.connect()
        return self._connection

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and connection.open:
            connection._force_close()  # quietly: the server rolls back what only read

    def classify(self, error: Exception) -> SyncError:
        return errors.classify(error, self.place)

    def quote(self, name: str) -> str:
        return "`" + name.replace("`", "``") + "`"

    # -- what is there

    def describe_table(self, name: str) -> Schema:
        table = ".".join(self.quote(p) for p in name_parts(name))
        with self._clean():
            return self._schema(wire.prepare(self.connection, f"select * from {table}"), True)  # noqa: S608 (quoted)

    def describe_query(self, sql: str, params: Params, zone: ZoneInfo = NO_ZONE) -> Schema:
        with self._clean():
            self._session(zone, params, self.args.query_seconds)
            fields = wire.prepare(self.connection, self._text(sql, params, zone))
            if not fields:
                raise Stop(f"{self.place}: the query returns no columns", hint="write a SELECT, without INTO")
            return self._schema(fields, whole_table=False)

    def _schema(self, fields: list[types.Field], whole_table: bool) -> Schema:
        known = self._known({(f.database, f.table) for f in fields if f.table})
        return distinct(tuple(types.column(f, known.get(f.key), whole_table) for f in fields), self.place)

    def _known(self, tables: set[tuple[str, str]]) -> dict[tuple[str, str, str], types.Described]:
        """What information_schema knows of the columns of these tables."""
        if not tables:
            return {}
        pairs = sorted(tables)
        marks, values = ", ".join(["(%s, %s)"] * len(pairs)), [part for pair in pairs for part in pair]
        with self.connection.cursor() as cursor:
            cursor.execute(types.COLUMNS_SQL.format(marks), values)
            rows = list(cursor.fetchall())
            json: set[tuple[str, str, str]] = set()
            if self.mariadb and any(str(row[4]).lower() == "longtext" for row in rows):
                cursor.execute(types.CHECKS_SQL.format(marks), values)
                json = {(d, t, c) for d, t, clause in cursor.fetchall() for c in types.checked_columns(clause)}
        return {row[:3]: types.described(row, row[:3] in json) for row in rows}

    # -- reading

    def stream(
        self, sql: str, params: Params, batch_rows: int = 5000, zone: ZoneInfo = NO_ZONE, schema: Schema = ()
    ) -> Iterator[Batch]:
        """Rows come as fast as they are taken, unbuffered; so the limit of time is the client's here."""
        schema = schema or self.describe_query(sql, params, zone)
        names = tuple(c.name for c in schema)
        with self._clean():
            session = self._session(zone, params, seconds=0)
            self._begin()
            fields = wire.execute(self.connection, self._text(sql, params, zone))
            rows = wire.rows(self.connection, types.decoders(fields, schema, session))
            sequence = 0
            while batch := list(islice(rows, batch_rows)):
                yield Batch(names, batch, sequence)
                sequence += 1
            self._run("rollback")

    def observe(self, sql: str, params: Params, zone: ZoneInfo = NO_ZONE, limit: int = 1000) -> Sequence[Row]:
        schema = self.describe_query(sql, params, zone)
        with self._clean():
            session = self._session(zone, params, self.args.query_seconds)
            self._begin()
            fields = wire.execute(self.connection, self._text(sql, params, zone))
            found = list(islice(wire.rows(self.connection, types.decoders(fields, schema, session)), limit + 1))
            if len(found) > limit:
                self.close()  # cheaper than to read the rest
            else:
                self._run("rollback")
            return found[:limit]

    @contextlib.contextmanager
    def _clean(self) -> Iterator[None]:
        """Errors leave in our words, and a connection that was left in the middle of an answer is closed."""
        self.connect()
        done = False
        try:
            yield
            done = True
        except TROUBLE as error:
            raise (self._ended(error) if _timed_out(error) else None) or self.classify(error) from None
        finally:
            if not done:
                self.close()

    def _ended(self, error: Exception) -> SyncError | None:
        """A query that runs on when we hang up is ended by a second login. None: the server itself is silent."""
        thread = self._connection.server_thread_id[0]
        try:
            other = self._login()
            with other.cursor() as cursor:
                cursor.execute("kill %s", (thread,))
            other.close()
        except TROUBLE:
            return None
        return self.classify(pymysql.err.OperationalError(_TOO_SLOW, ""))

    def _begin(self) -> None:
        self._run("start transaction with consistent snapshot, read only")

    def _run(self, sql: str) -> None:
        self.connection.query(sql)

    def _session(self, zone: ZoneInfo, params: Params, seconds: int) -> tzinfo:
        """Set the session's zone and the limit of time (0: none), and return the zone as Python has it.

        A fixed offset where one holds: then every TIMESTAMP is exact and the server needs no zone tables. The name
        of the zone only if its clock changes between two parameters.
        """
        session = self._offset(zone, params)
        name = zone.key if session is zone else _spelled(session)
        limit = f"max_statement_time = {seconds}" if self.mariadb else f"max_execution_time = {seconds * 1000}"
        with self.connection.cursor() as cursor:
            cursor.execute(f"set session time_zone = %s, {limit}", (name,))
        return session

    def _offset(self, zone: ZoneInfo, params: Params) -> tzinfo:
        clocks = [v for v in params.values() if isinstance(v, datetime) and v.tzinfo is zone]
        offsets = {v.utcoffset() for v in clocks or [self.now().astimezone(zone)]}
        return timezone(offsets.pop() or timedelta(0)) if len(offsets) == 1 else zone

    def _text(self, sql: str, params: Params, zone: ZoneInfo) -> str:
        """The statement with its parameters in it, as PyMySQL quotes them. Instants become the session's wall clock."""
        session = self._offset(zone, params)
        plain = {name: _plain(value, session) for name, value in params.items()}
        with self.connection.cursor() as cursor:
            return str(cursor.mogrify(sql, plain))

    def check(self) -> list[Finding]:
        from sync_assets.databases.mysql.check import check

        return check(self)


def dial(args: ConnectionArgs, kind: Callable[..., Any] = pymysql.connect, flags: int = 0) -> Any:
    """A connection of the driver, made by `kind` (its own class, or one of ours). Raises the driver's errors."""
    return kind(
        host=args.host, port=args.port or 3306, unix_socket=args.socket, database=args.database or None,
        user=args.user,
        password=args.password.encode(),  # as text, PyMySQL takes Latin-1 only
        charset="utf8mb4", autocommit=True, connect_timeout=args.connect_seconds, local_infile=False,
        read_timeout=args.query_seconds + args.silent_seconds, write_timeout=args.silent_seconds,
        client_flag=CLIENT.PLUGIN_AUTH | flags,  # and not MULTI_STATEMENTS
        **_tls(args),
    )  # fmt: skip


def _timed_out(error: Exception) -> bool:
    """Whether our own limit ended the wait. PyMySQL gives it the number of any lost connection, and says so."""
    return isinstance(error, TimeoutError) or "timed out" in str(error.args[1:])


def _tls(args: ConnectionArgs) -> dict[str, Any]:
    if args.tls == "off" or args.socket:
        return {"ssl_disabled": True}
    if args.tls == "prefer":
        return {}
    context = ssl.create_default_context(cafile=args.ca)
    # Certificates that MySQL makes for itself lack what RFC 5280 asks for, and Python 3.13 would insist on it.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if args.tls == "require":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return {"ssl": context}


def _spelled(zone: tzinfo) -> str:
    """A fixed offset as the server wants it: +08:00."""
    offset = zone.utcoffset(None) or timedelta(0)
    minutes = int(offset.total_seconds()) // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def _plain(value: Any, session: tzinfo) -> Any:
    if isinstance(value, datetime):
        clock = value.astimezone(session).replace(tzinfo=None) if value.tzinfo else value
        return clock.isoformat(" ")
    if isinstance(value, date | time):
        return value.isoformat()
    return value
