"""One login for looking: statements sent together in one message, inside one snapshot that can only read.

Knows nothing of what is asked. Errors come in our words, with the fleet's reason as their code.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any, cast

import psycopg
from psycopg.adapt import Loader

from sync_assets.databases.base import ConnectionArgs
from sync_assets.databases.postgres import PostgresDatabase, errors
from sync_assets.databases.postgres.collect.statements import begin
from sync_assets.engine.errors import Retry, SyncError

Rows = list[tuple[Any, ...]]
Answer = dict[str, Rows | SyncError]  # by the name of the statement


class Session:
    """A connection that counts its round trips in `trips`. Raises `Stop` or `Retry` when it cannot be had."""

    def __init__(self, args: ConnectionArgs) -> None:
        self.args, self.place, self.trips = args, f"connection {args.name}", 0
        try:
            self._connection = PostgresDatabase(args).login()
        except psycopg.Error as error:
            raise self._worded(error) from None
        for name in ("text", "name"):
            self._connection.adapters.register_loader(name, _Text)

    @property
    def version(self) -> int:
        """16.4 is 160004. The server says it at the login: it costs no question."""
        return self._connection.info.server_version

    @property
    def encrypted(self) -> bool:
        return self._connection.pgconn.ssl_in_use

    @property
    def _recoded(self) -> bool:
        """Whether the server may turn names into UTF-8. Where a database declares no encoding, it refuses some."""
        return self._connection.info.parameter_status("server_encoding") != "SQL_ASCII"

    def close(self) -> None:
        self._connection.close()

    def try_all(self, asked: Mapping[str, str]) -> Answer:
        """Each statement's rows or error: all in one message, and each alone only if that one failed."""
        try:
            return dict(self.ask(asked))
        except SyncError as error:
            if len(asked) == 1 or self._connection.closed:
                return dict.fromkeys(asked, error)
        return {name: self.try_all({name: sql})[name] for name, sql in asked.items()}

    def ask(self, asked: Mapping[str, str]) -> dict[str, Rows]:
        """The rows of each statement, all of one moment, in one round trip. Raises `SyncError` for them all."""
        self.trips += 1
        message = ";\n".join([begin(self.args.query_seconds, recoded=self._recoded), *asked.values(), "commit"])
        try:
            with self._patience():
                answers = list(_answers(self._connection.execute(cast(Any, message))))
        except psycopg.Error as error:
            self._undo()
            raise self._worded(error) from None
        return dict(zip(asked, answers, strict=True))

    def _undo(self) -> None:
        self.trips += 1
        with contextlib.suppress(psycopg.Error, Retry), self._patience():
            self._connection.rollback()

    def _worded(self, error: psycopg.Error) -> SyncError:
        worded = errors.classify(error, self.place)
        worded.code = errors.reason(error)
        return worded

    @contextlib.contextmanager
    def _patience(self) -> Iterator[None]:
        """Hang up on a server that says nothing for longer than a statement may run, and the silence that we allow."""
        gone = threading.Event()
        limit = self.args.query_seconds + self.args.silent_seconds
        timer = threading.Timer(limit, _hang_up, (self._connection, gone))
        timer.daemon = True
        timer.start()
        try:
            yield
        except psycopg.Error:
            if gone.is_set():
                hint, text = "check it", f"{self.place}: the server said nothing for {limit} s"
                raise Retry(text, hint=hint, code="timeout") from None
            raise
        finally:
            timer.cancel()


class _Text(Loader):
    """Names as the server has them. A cluster keeps the bytes of a name made in a database of another encoding:
    those that are no UTF-8 come as backslash escapes, so that two names never become one."""

    def load(self, data: bytes | bytearray | memoryview) -> str:
        return bytes(data).decode("utf-8", "backslashreplace")


def _answers(cursor: psycopg.Cursor[tuple[Any, ...]]) -> Iterator[Rows]:
    """The results that have columns, in their order; BEGIN, SET and COMMIT have none."""
    more: bool | None = True
    while more:
        if cursor.description is not None:
            yield cursor.fetchall()
        more = cursor.nextset()


def _hang_up(connection: psycopg.Connection[Any], gone: threading.Event) -> None:
    gone.set()
    with contextlib.suppress(OSError, psycopg.Error):
        line = socket.socket(fileno=os.dup(connection.fileno()))
        line.shutdown(socket.SHUT_RDWR)
        line.close()
