"""Connections to the control database, one a thread, and its errors in our own words.

A transaction that broke before its COMMIT was sent is done again once, on a new connection. One whose COMMIT got no
answer is not: it may have been carried out (`Unclear`). Must not know the statements.

Whoever must not miss a change is a `Witness`: it has a part in each transaction of its context.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, LiteralString, Protocol, TypeVar

import psycopg
from psycopg.conninfo import make_conninfo

from sync_assets.engine.errors import Retry, Stop, SyncError, Unclear
from sync_assets.store.address import Address

Connection = psycopg.Connection[tuple[Any, ...]]
Cursor = psycopg.Cursor[tuple[Any, ...]]
Result = TypeVar("Result")


class Witness(Protocol):
    """`sign` is the last that is done in a transaction, and undone with it; `signed` comes after a COMMIT that was
    answered. What `sign` raises undoes the transaction."""

    def sign(self, cursor: Cursor) -> None: ...

    def signed(self) -> None: ...


witness: ContextVar[Witness | None] = ContextVar("witness", default=None)  # of whoever calls; threads begin without
_PASSING = ("08", "53", "57", "40", "55")  # connection, resources, shutdown, serialisation, locks
_LIVENESS: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "application_name": "sync_assets",
    "prepare_threshold": None,  # works behind PgBouncer, too
}


class Sessions:
    """Opens connections late, finds broken ones, closes those of threads that are gone."""

    def __init__(self, address: Callable[[], Address], set_up: LiteralString) -> None:
        self._address = address
        self._set_up = set_up
        self._open: dict[threading.Thread, Connection] = {}
        self._lock = threading.Lock()
        self.where = "(not connected yet)"

    def run(self, work: Callable[[Cursor], Result]) -> Result:
        """Do `work` in one transaction. Raises `Retry`, `Unclear`, `Stop`, and what `work` raises (rolled back)."""
        with self.errors():
            try:
                result, connection = self._try(work)
            except (psycopg.OperationalError, psycopg.InterfaceError):
                if not self._drop_if_broken():
                    raise
                result, connection = self._try(work)
            self._commit(connection)
            if present := witness.get():
                present.signed()
            return result

    def _try(self, work: Callable[[Cursor], Result]) -> tuple[Result, Connection]:
        connection = self._mine()
        try:
            with connection.cursor() as cursor:
                result = work(cursor)
                if present := witness.get():
                    present.sign(cursor)
                return result, connection
        except BaseException:
            if not connection.broken:
                connection.rollback()
            raise

    def _commit(self, connection: Connection) -> None:
        try:
            connection.commit()
        except (psycopg.OperationalError, psycopg.InterfaceError):
            if self._drop_if_broken():
                raise Unclear(
                    f"the control database {self.where} did not say whether it kept a change",
                    hint="the run looks again before it goes on",
                ) from None
            raise

    def _mine(self) -> Connection:
        me = threading.current_thread()
        connection = self._open.get(me)
        if connection is not None and not connection.closed:
            return connection
        connection = self.connect()
        with self._lock:
            gone = [thread for thread in self._open if not thread.is_alive()]
            left = [self._open.pop(thread) for thread in gone]
            self._open[me] = connection
        for old in left:
            old.close()
        return connection

    def connect(self) -> Connection:
        """A new connection of the caller's own, not in a transaction."""
        address = self._address()
        self.where = str(address)
        try:
            connection: Connection = psycopg.connect(**address.arguments(), **_LIVENESS)
        except psycopg.OperationalError as error:
            raise _not_connected(address, error) from None
        connection.execute(self._set_up)
        connection.commit()
        return connection

    def _drop_if_broken(self) -> bool:
        me = threading.current_thread()
        connection = self._open.get(me)
        if connection is None or not (connection.broken or connection.closed):
            return False
        with self._lock:
            del self._open[me]
        connection.close()
        return True

    def close(self) -> None:
        with self._lock:
            connections, self._open = list(self._open.values()), {}
        for connection in connections:
            connection.close()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Driver errors in our words: the driver's own texts may hold values, so they are not passed on."""
        try:
            yield
        except SyncError:
            raise
        except psycopg.Error as error:
            raise self._sorted(error) from None

    def _sorted(self, error: psycopg.Error) -> SyncError | psycopg.Error:
        state = error.sqlstate or ""
        if state == "42501":
            return _stop(self.where, "denies a right", "let the user own the schema sync_assets", state)
        if state.startswith("42P01") or state == "3F000":
            return _stop(self.where, "has no tables", "open it with open_store(), which makes them", state)
        passing = state.startswith(_PASSING) or not state
        if passing and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            after = 60.0 if state.startswith("53") else 1.0  # a full disk is not emptied in a second
            text = f"the control database {self.where} cannot be used now ({type(error).__name__})"
            return Retry(text, after=after, hint="is PostgreSQL running and reachable?", code=state)
        return error


def _not_connected(address: Address, error: psycopg.OperationalError) -> SyncError:
    """libpq gives no SQLSTATE for a failed login: ask the server, without a login, whether it would talk to us.

    It would: then it refused us, and a password that is wrong is not tried again. That it had no connection left
    is known by text only; in another language it is taken for a refusal.
    """
    where = f"the control database {address}"
    target = make_conninfo(host=address.host, port=address.port, connect_timeout=5)
    full = "too many" in str(error) or "connection slots" in str(error)
    if not full and psycopg.pq.PGconn.ping(target.encode()) == psycopg.pq.Ping.OK:
        hint = f"check user and password, and that the database exists: createdb {address.database}"
        return Stop(f"{where} refuses the login", hint=hint, code="login")
    return Retry(f"{where} cannot be reached", after=1.0, hint="is PostgreSQL running and reachable?", code="connect")


def _stop(where: str, trouble: str, hint: str, state: str) -> Stop:
    return Stop(f"the control database {where} {trouble}", hint=hint, code=state)
