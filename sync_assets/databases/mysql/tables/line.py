"""One connection of a table copy, with the session that our SQL relies on. Knows no table.

UTC, UTF-8, no mode that changes what text or quotes mean, strict in writing, and no limit of time that would end a
stream in the middle. Errors leave in our words.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from pymysql import err
from pymysql.constants import CLIENT
from pymysql.converters import escape_string

from sync_assets.databases.base import ConnectionArgs
from sync_assets.databases.mysql import TROUBLE, dial, errors
from sync_assets.databases.mysql.tables.local import LocalConnection
from sync_assets.engine.errors import Retry, SyncError

WRITING = "sync_assets_writes"  # session variable that is set where we write: triggers that we made heed it
LOCK_SECONDS = 30  # the longest that we wait for, or keep others waiting behind, a lock
# Zero dates are let in: only MySQL sends them, and a copy of a table that has them must have them. In strict mode no
# other wrong date becomes one.
_STRICT = "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_VALUE_ON_ZERO"
_SESSION = (
    "set session sql_mode = '{mode}', time_zone = '+00:00', net_write_timeout = 3600, net_read_timeout = 3600,"
    " wait_timeout = 28800, lock_wait_timeout = {wait}, innodb_lock_wait_timeout = {wait}"
)
# Settings that only some servers have, or only some users may set; each is a protection, none a condition.
_WISHES = {
    False: ("max_execution_time = 0", "information_schema_stats_expiry = 0", "explicit_defaults_for_timestamp = 1"),
    True: ("max_statement_time = 0", "idle_transaction_timeout = 0", "idle_readonly_transaction_timeout = 0",
           "idle_write_transaction_timeout = 0", "explicit_defaults_for_timestamp = 1"),
}  # fmt: skip


def quote(*names: str) -> str:
    """Names as an identifier: `schema`.`table`."""
    return ".".join("`" + name.replace("`", "``") + "`" for name in names)


def text(value: str) -> str:
    """A text as a literal. Sessions never have NO_BACKSLASH_ESCAPES."""
    return f"'{escape_string(value)}'"


class Line:
    """A connection that opens when it is first used. Not for several threads at once.

    A trouble in the middle of an answer, or of a transaction, closes it: the server undoes what was open.
    """

    def __init__(self, args: ConnectionArgs, *, writes: bool = False) -> None:
        self.args, self.writes = args, writes
        self.place = f"connection {args.name}"
        self.mariadb = False
        self.version = (0, 0, 0)
        self.packet = 0  # the server's max_allowed_packet, bytes
        self.pinned = False  # inside a transaction: a new connection would be outside of it
        self._connection: Any = None

    @property
    def open(self) -> bool:
        return self._connection is not None and self._connection.open

    @property
    def connection(self) -> Any:
        """The driver's connection, opened if need be."""
        if not self.open:
            if self.pinned:
                raise Retry(f"{self.place}: the connection was lost, and its transaction with it", after=1)
            with self.sorted():
                self._connection = dial(self.args, LocalConnection, CLIENT.LOCAL_FILES if self.writes else 0)
                self._prepare()
        return self._connection

    def _prepare(self) -> None:
        info = str(self._connection.get_server_info())
        self.mariadb = "mariadb" in info.lower()
        self.version = version(info)
        self._connection.query(_SESSION.format(mode=_STRICT if self.writes else "", wait=LOCK_SECONDS))
        level = "read committed" if self.writes else "repeatable read, read only"
        self._connection.query(f"set session transaction isolation level {level}")
        if self.writes:
            self._connection.query(f"set @{WRITING} = 1")
        for wish in _WISHES[self.mariadb]:
            with contextlib.suppress(err.OperationalError, err.ProgrammingError, err.InternalError):
                self._connection.query(f"set session {wish}")
        self.packet = int(self._ask("select @@session.max_allowed_packet")[0][0])

    @contextlib.contextmanager
    def sorted(self) -> Iterator[None]:
        """Errors leave in our words. A lost connection is closed, so that the next use opens another."""
        try:
            yield
        except SyncError:
            raise
        except TROUBLE as error:
            if not self._usable(error):
                self.close()
            raise self.classify(error) from None

    def classify(self, error: Exception) -> SyncError:
        return (errors.classify_write if self.writes else errors.classify)(error, self.place)

    def _usable(self, error: Exception) -> bool:
        """The server refused one statement, and waits for the next."""
        number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        return 1000 <= number < 2000 or number >= 3000

    def run(self, sql: str) -> int:
        """Carry out one statement; how many rows it changed."""
        connection = self.connection
        with self.sorted():
            return int(connection.query(sql))

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a small result."""
        self.connection  # noqa: B018 (opens)
        with self.sorted():
            return self._ask(sql)

    def _ask(self, sql: str) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def one(self, sql: str) -> Any:
        """The first value of the first row."""
        return self.ask(sql)[0][0]

    @contextlib.contextmanager
    def streaming(self) -> Iterator[Any]:
        """For one who reads the wire himself: whatever breaks off in the middle closes the connection."""
        connection, done = self.connection, False
        try:
            with self.sorted():
                yield connection
            done = True
        finally:
            if not done:
                self.close()

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and connection.open:
            connection._force_close()  # quietly: the server rolls back what was open


def version(info: str) -> tuple[int, int, int]:
    """The numbers of ``5.5.5-10.11.19-MariaDB``, ``8.0.36``."""
    found = re.search(r"(?:5\.5\.5-)?(\d+)\.(\d+)\.(\d+)", info)
    return (int(found[1]), int(found[2]), int(found[3])) if found else (0, 0, 0)
