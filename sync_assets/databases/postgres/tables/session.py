"""One connection for tables: settings, statements, COPY at the level of libpq, and the patience with a silent server.

Knows nothing of tables. Errors come sorted, worded for reading or for writing.
"""

from __future__ import annotations

import contextlib
import os
import select as readiness
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, cast

import psycopg
from psycopg import pq
from psycopg.errors import error_from_result

from sync_assets.databases.base import ConnectionArgs
from sync_assets.databases.postgres import PostgresDatabase, errors
from sync_assets.engine.errors import Retry, SyncError

BLOCK = 128 * 1024
_NEVER = float("inf")
_SETTINGS = (
    "set timezone = 'UTC'; set intervalstyle = iso_8601; set client_min_messages = error;"
    "select set_config(name, '0', false) from pg_catalog.pg_settings"
    " where name in ('transaction_timeout', 'idle_session_timeout')"
)
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
            if writes:
                self.connection.execute(_WRITING)
                self.connection.execute(
                    "select set_config('lock_timeout', %s, false)", (f"{max(1, args.silent_seconds)}s",)
                )

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
        """The data of a COPY TO STDOUT in blocks of whole rows. A block that nobody waits for is not read.

        `seconds` is the longest silence. When the caller stops early the connection is closed: the rest of the rows
        would have to be read.
        """
        wire = self.connection.pgconn
        done = False
        try:
            with self.sorted():
                with self.patience(seconds):
                    _begun(wire.exec_(sql.encode()), pq.ExecStatus.COPY_OUT)
                more = True
                while more:
                    with self.patience(seconds):
                        block, more = _gathered(wire)
                    if block:
                        yield block
                with self.patience(seconds):
                    _finished(wire)
                done = True
        finally:
            if not done and wire.transaction_status == pq.TransactionStatus.ACTIVE:
                self.close()

    def copy_in(self, sql: str, blocks: Iterable[bytes], seen: Callable[[int], None]) -> int:
        """Send blocks to a COPY FROM STDIN. Returns the rows. The COPY is undone whole when the blocks fail."""
        wire = self.connection.pgconn
        wire.nonblocking = 0
        try:
            with self.sorted():
                with self.patience():
                    _begun(wire.exec_(sql.encode()), pq.ExecStatus.COPY_IN)
                whole = self._send(wire, blocks, seen)
                with self.patience():
                    wire.put_copy_end(None if whole else b"ended early")
                    return _finished(wire)
        finally:
            if not self.connection.closed:
                wire.nonblocking = 1

    def _send(self, wire: Any, blocks: Iterable[bytes], seen: Callable[[int], None]) -> bool:
        """Whether all were sent. Not, when the server speaks up: it has refused a row, and tells why at the end."""
        answered = _answered(wire)
        try:
            for block in blocks:
                with self.patience():
                    wire.put_copy_data(block)
                seen(len(block))
                if answered():
                    return False
            return True
        except psycopg.Error:
            raise
        except BaseException:
            with contextlib.suppress(psycopg.Error, Retry), self.patience(self.args.silent_seconds):
                wire.put_copy_end(b"the source failed")
                _finished(wire)
            raise

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
                raise Retry(f"{self.place}: the server said nothing for {limit:.0f} s", hint="check it") from None
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


def _begun(result: Any, wanted: pq.ExecStatus) -> None:
    if result.status != wanted:
        raise error_from_result(result)


def _gathered(wire: Any) -> tuple[bytes, bool]:
    """Rows up to a block's size, and whether there may be more. Row by row through Python would cost four times."""
    parts: list[memoryview] = []
    size = 0
    read = wire.get_copy_data
    while size < BLOCK:
        count, data = read(0)
        if count < 0:
            return b"".join(parts), False
        parts.append(data)
        size += count
    return b"".join(parts), True


def _finished(wire: Any) -> int:
    """Take all results of a COPY that has ended. Returns its rows. Raises the server's error."""
    rows, failed = 0, None
    while (result := wire.get_result()) is not None:
        if result.status == pq.ExecStatus.COMMAND_OK:
            rows = result.command_tuples or 0
        elif result.status in (pq.ExecStatus.COPY_IN, pq.ExecStatus.COPY_OUT):
            break  # the connection broke in the middle
        else:
            failed = result
    if failed is not None:
        raise error_from_result(failed)
    if wire.status == pq.ConnStatus.BAD:
        raise psycopg.OperationalError("the connection was lost")
    return rows


def _answered(wire: Any) -> Callable[[], bool]:
    """Whether the server has spoken up during a COPY FROM: hardly ever but to refuse. Not seen through TLS."""
    if wire.ssl_in_use or not hasattr(readiness, "poll"):
        return lambda: False
    poll = readiness.poll()
    poll.register(wire.socket, readiness.POLLIN)
    return lambda: bool(poll.poll(0))


class Pool:
    """Idle sessions of one run, so that many small tables do not cost a login each."""

    def __init__(self, args: ConnectionArgs) -> None:
        self.args = args
        self.pids: set[int] = set()
        self._idle: dict[bool, list[Session]] = {False: [], True: []}
        self._open: weakref.WeakSet[Session] = weakref.WeakSet()
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
        if not session.usable:
            session.close()
            return
        with self._lock:
            self._idle[session.writes].append(session)

    def close(self) -> None:
        with self._lock:
            for idle in self._idle.values():
                idle.clear()
            for session in list(self._open):
                session.close()
