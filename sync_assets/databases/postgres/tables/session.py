"""One connection for tables: settings, statements, COPY, patience with a silent server; and a pool of them.

Knows nothing of tables. Errors come sorted, worded for reading or for writing.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, cast

import psycopg
from psycopg import pq

from sync_assets.databases.base import ConnectionArgs
from sync_assets.databases.postgres import PostgresDatabase, errors
from sync_assets.databases.postgres.tables import wire
from sync_assets.engine.errors import Retry, SyncError

_NEVER = float("inf")
_SETTINGS = (
    "set timezone = 'UTC'; set intervalstyle = iso_8601; set client_min_messages = error;"
    "select set_config(name, '0', false) from pg_catalog.pg_settings"
    " where name in ('transaction_timeout', 'idle_session_timeout')"
)
# Seconds that a reader waits for a lock. An ALTER TABLE that waits for the holder of our snapshot makes later readers
# wait for it, and the server sees no deadlock, because the holder is idle. So the run gives way, and is tried again.
_LOCKED = 5
_WRITING = (
    "set default_transaction_read_only = off;"
    "select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'"
)


class Session:
    """A connection with its thread's work on it. `writes`: errors are worded for a target."""

    def __init__(self, args: ConnectionArgs, *, writes: bool = False) -> None:
        self.args, self.writes = args, writes
        self.place = f"connection {args.name}"
        self._database = PostgresDatabase(args)
        self.connection = self._database.connection
        self.due = _NEVER  # when the watch hangs up
        self.gone = False
        _watch.add(self)
        with self.sorted():
            self.connection.execute(_SETTINGS)
            patience = max(1, args.silent_seconds) if writes else _LOCKED
            self.connection.execute("select set_config('lock_timeout', %s, false)", (f"{patience}s",))
            if writes:
                self.connection.execute(_WRITING)

    # -- state

    @property
    def version(self) -> int:
        """15.4 is 150004."""
        return self.connection.info.server_version

    @property
    def usable(self) -> bool:
        """Whether it can be used again: open, and in no transaction."""
        return not self.connection.closed and (
            self.connection.info.transaction_status == pq.TransactionStatus.IDLE and not self.gone
        )

    def close(self) -> None:
        self._database.close()

    def rollback(self) -> None:
        """End a transaction; the connection is closed where that fails."""
        if self.connection.closed or self.connection.info.transaction_status == pq.TransactionStatus.IDLE:
            return
        try:
            with self.patience(self.args.silent_seconds):
                self.connection.execute("rollback")
        except (psycopg.Error, Retry):
            self.close()

    # -- statements

    @contextlib.contextmanager
    def sorted(self) -> Iterator[None]:
        """The driver's errors leave the block in our words."""
        try:
            yield
        except psycopg.Error as error:
            raise self.classify(error) from None

    def classify(self, error: Exception) -> SyncError:
        return errors.classify_writing(error, self.place) if self.writes else errors.classify(error, self.place)

    def ask(self, sql: str, params: Sequence[Any] | None = None, seconds: float | None = None) -> list[tuple[Any, ...]]:
        """Run a statement (or, without parameters, several) and return the rows of the last one."""
        with self.sorted(), self.patience(seconds):
            cursor = self.connection.execute(cast(Any, sql), params)
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []

    def count(self, sql: str, params: Sequence[Any] | None = None) -> int:
        """Run a statement that changes rows and return how many."""
        with self.sorted(), self.patience():
            return max(0, self.connection.execute(cast(Any, sql), params).rowcount)

    def together(self, sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Several statements in one round trip, parameters quoted by the driver; the rows of the last that has any."""
        with self.sorted(), self.patience():
            cursor = psycopg.ClientCursor(self.connection)
            cursor.execute(cast(Any, sql), params)
            rows: list[tuple[Any, ...]] = cursor.fetchall() if cursor.description else []
            while cursor.nextset():
                rows = cursor.fetchall() if cursor.description else rows
            return rows

    # -- COPY

    def copy_out(self, sql: str, seconds: float) -> Iterator[bytes]:
        """The data of a COPY TO STDOUT in blocks of whole rows. `seconds` is the longest silence.

        When the caller stops early with much left, the connection is closed.
        """
        try:
            with self._heard():
                yield from wire.copy_out(self.connection.pgconn, sql, seconds)
        finally:
            if self.connection.info.transaction_status == pq.TransactionStatus.ACTIVE:
                self.close()

    def copy_in(self, sql: str, blocks: Iterable[bytes], seen: Callable[[int], None]) -> int:
        """Send blocks to a COPY FROM STDIN. Returns the rows. The COPY is undone whole when the blocks fail."""
        seconds = self.args.query_seconds + self.args.silent_seconds
        with self._heard():
            return wire.copy_in(self.connection.pgconn, sql, blocks, seen, seconds)

    @contextlib.contextmanager
    def _heard(self) -> Iterator[None]:
        try:
            with self.sorted():
                yield
        except wire.Silent as silence:
            self.close()
            raise self._unheard(silence.seconds) from None

    def _unheard(self, seconds: float) -> Retry:
        return Retry(f"{self.place}: the server said nothing for {seconds:.0f} s", hint="check it", after=1)

    # -- patience

    @contextlib.contextmanager
    def patience(self, seconds: float | None = None) -> Iterator[None]:
        """Hang up when the server says nothing for longer. libpq has no timeout for reading and writing, and a peer
        that vanished behind a proxy keeps its connection alive. Default: as long as a statement may run, and more."""
        limit = self.args.query_seconds + self.args.silent_seconds if seconds is None else seconds
        self.due = time.monotonic() + limit
        try:
            yield
        except psycopg.Error:
            if self.gone:
                raise self._unheard(limit) from None
            raise
        finally:
            self.due = _NEVER

    def hang_up(self) -> None:
        self.gone, self.due = True, _NEVER
        with contextlib.suppress(OSError, psycopg.Error):
            line = socket.socket(fileno=os.dup(self.connection.fileno()))
            line.shutdown(socket.SHUT_RDWR)
            line.close()


class _Watch:
    """One thread that hangs up for all sessions of the process; a timer for each block would cost more than it."""

    def __init__(self) -> None:
        self._sessions: weakref.WeakSet[Session] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, session: Session) -> None:
        with self._lock:
            self._sessions.add(session)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._look, name="postgres watch", daemon=True)
                self._thread.start()

    def _look(self) -> None:
        idle = threading.Event()
        while True:
            idle.wait(0.5)
            with self._lock:
                sessions = [s for s in self._sessions if not s.connection.closed]
                if not sessions:
                    self._thread = None
                    return
            for session in sessions:
                if session.due < time.monotonic():
                    session.hang_up()


_watch = _Watch()


class Pool:
    """Idle sessions of one run, so that many small tables do not cost a login each."""

    def __init__(self, args: ConnectionArgs) -> None:
        self.args = args
        self.pids: set[int] = set()
        self._idle: dict[bool, list[Session]] = {False: [], True: []}
        self._open: set[Session] = set()
        self._lock = threading.Lock()

    def take(self, *, writes: bool = False) -> Session:
        """An idle session, or a new one."""
        with self._lock:
            while self._idle[writes]:
                session = self._idle[writes].pop()
                if session.usable:
                    return session
        session = Session(self.args, writes=writes)
        with self._lock:
            self._open.add(session)
            self.pids.add(session.connection.info.backend_pid)
        return session

    def give(self, session: Session) -> None:
        """Back into the pool, if it still can be used."""
        session.rollback()
        with self._lock:
            if not session.usable:
                session.close()
                self._open.discard(session)
                return
            self._idle[session.writes].append(session)

    def close(self) -> None:
        with self._lock:
            for idle in self._idle.values():
                idle.clear()
            for session in self._open:
                session.close()
            self._open.clear()
