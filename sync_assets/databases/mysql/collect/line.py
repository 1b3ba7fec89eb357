"""One login for reading catalogs, set up in the statement that names the character set anyway, and counted.

Must not know what is asked. Relies on three private names of PyMySQL 1.x: `_execute_command`, `_read_packet` and
`_read_timeout`; the contract tests hold them.
"""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pymysql
from pymysql.connections import Connection
from pymysql.constants import COMMAND

from sync_assets.databases.base import ConnectionArgs
from sync_assets.databases.mysql import TROUBLE, dial, errors
from sync_assets.engine.errors import Retry, Stop, SyncError
from sync_assets.fleet.model import SectionState, Status

Rows = Sequence[tuple[Any, ...]]
Version = tuple[int, ...]
_OLDEST = {True: (10, 4, 0), False: (5, 7, 0)}
_LOCK_SECONDS = 1  # a look at catalogs never queues up behind somebody's change of a table
_DENIED = frozenset({1044, 1142, 1143, 1227})


@dataclass(frozen=True, slots=True)
class Refusal:
    """The server's answer to a statement that it did not carry out: its number, and our words for it."""

    number: int
    told: str

    @property
    def denied(self) -> bool:
        return self.number in _DENIED

    def state(self, missing: str) -> SectionState:
        """`missing`: the right that lacks, and how it is granted."""
        return SectionState(Status.DENIED, missing) if self.denied else SectionState(Status.ERROR, self.told)


@dataclass(frozen=True, slots=True)
class Found:
    """A result: its rows and the names of its columns."""

    rows: Rows
    names: tuple[str, ...] = ()


Answer = Found | Refusal


class Line:
    """A connection that is opened at the first statement. `trips` counts what was sent, setting up included."""

    def __init__(self, args: ConnectionArgs) -> None:
        self.args = args
        self.place = f"connection {args.name}"
        self._sent = 0
        self._connection: _Counting | None = None

    @property
    def trips(self) -> int:
        return self._sent + (self._connection.sent if self._connection else 0)

    def connect(self) -> tuple[bool, Version]:
        """Log in, if need be. Returns whether it is MariaDB, and the version. Raises `Stop`, `Retry`."""
        text = self._opened().told
        mariadb, version = "mariadb" in text.lower(), version_of(text)
        if version < _OLDEST[mariadb]:
            oldest = ".".join(map(str, _OLDEST[mariadb][:2]))
            raise Stop(
                f"{self.place}: this {'MariaDB' if mariadb else 'MySQL'} is too old for the fleet",
                hint=f"{oldest} or newer is needed; retire the instance until then", code="version",
            )  # fmt: skip
        return mariadb, version

    def _opened(self) -> _Counting:
        if self._connection is None or not self._connection.open:
            self.close()
            self._connection = self._login()
        return self._connection

    def _login(self) -> _Counting:
        args = self.args

        def build(**given: Any) -> _Counting:
            return _Counting(args, **given)

        try:  # who says nothing at the door is given up as fast as who does not open it
            made: _Counting = dial(replace(args, query_seconds=0, silent_seconds=args.connect_seconds), build)
            return made
        except (*TROUBLE, struct.error, IndexError, ValueError) as error:  # the last three: it speaks otherwise
            raise errors.classify_login(error, self.place) from None

    def ask(self, sql: str) -> Answer:
        """The rows of one statement. Raises `Retry` when nobody is there any more."""
        return self.ask_many(sql, 1)[0]

    def ask_many(self, sql: str, count: int) -> list[Answer]:
        """The results of one statement that has `count` of them; what fails ends it, and stands for the rest.

        A result of one row ``('!', number)`` is what our own handlers make of a statement that failed.
        """
        found: list[Answer] = []
        try:
            with self._opened().cursor() as cursor:
                cursor.execute(sql)
                while len(found) < count:
                    found.append(self._answer(list(cursor.fetchall()), cursor.description))
                    if not cursor.nextset():
                        break
        except TROUBLE as error:
            refusal = self._refusal(error)
            found += [refusal] * (count - len(found))
        return found

    def _answer(self, rows: Rows, columns: Any) -> Answer:
        if len(rows) == 1 and rows[0][0] == "!":
            return self._refusal(pymysql.err.OperationalError(int(rows[0][1]), ""))
        return Found(rows, tuple(c[0] for c in columns or ()))

    def _refusal(self, error: Exception) -> Refusal:
        told = errors.classify(error, self.place)
        number = int(told.code) if told.code.isdigit() else 0
        if errors.is_lost(error):
            self.close()
            raise _lost(told)
        return Refusal(number, told.message)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self._sent += connection.sent
        if connection.open:
            with contextlib.suppress(*TROUBLE):
                connection.close()


def _lost(told: SyncError) -> Retry:
    silent = isinstance(told, Retry) and not told.code
    return Retry(told.message, hint=told.hint, code="timeout" if silent else "protocol", after=1)


def version_of(text: str) -> Version:
    """``5.5.5-10.11.6-MariaDB-log`` is 10.11.6: MariaDB hides behind an old version before 11."""
    found = re.match(r"(?:5\.5\.5-)?(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part or 0) for part in found.groups()) if found else (0, 0, 0)


class _Counting(Connection):
    """Counts its statements, and sets its session up in the one that names the character set."""

    def __init__(self, args: ConnectionArgs, **given: Any) -> None:
        self._fleet_args = args
        self.sent = 0
        super().__init__(**given)

    @property
    def told(self) -> str:
        """The version that the server announced before the login."""
        return str(self.get_server_info())  # type: ignore[no-untyped-call]

    def _execute_command(self, command: int, sql: Any) -> None:
        self.sent += command == COMMAND.COM_QUERY
        super()._execute_command(command, sql)  # type: ignore[misc]

    def set_character_set(self, charset: str, collation: str | None = None) -> None:
        setting = set_up("mariadb" in self.told.lower(), version_of(self.told), self._fleet_args)
        self._execute_command(COMMAND.COM_QUERY, setting)
        self._read_packet()  # type: ignore[no-untyped-call]
        self.charset, self.encoding = charset, "utf8"
        self._read_timeout = self._fleet_args.query_seconds + self._fleet_args.silent_seconds


def set_up(mariadb: bool, version: Version, args: ConnectionArgs) -> str:
    """Read only, with limits, in UTC; no SQL mode, so that names keep no blanks and quotes mean what they do here."""
    settings = ["names utf8mb4", "autocommit = 1", "session time_zone = '+00:00'", "session sql_mode = ''",
                f"session lock_wait_timeout = {_LOCK_SECONDS}"]  # fmt: skip
    if mariadb:
        settings.append(f"session max_statement_time = {args.query_seconds}")
        read_only = "transaction_read_only" if version >= (11, 1) else "tx_read_only"
    else:
        settings.append(f"session max_execution_time = {args.query_seconds * 1000}")
        read_only = "transaction_read_only" if version >= (5, 7, 20) else "tx_read_only"
    settings.append(f"session {read_only} = 1")
    if not mariadb and version >= (8,):  # else sizes may be a day old
        settings.append("session information_schema_stats_expiry = 0")
    return "set " + ", ".join(settings)
