"""One connection to an Oracle server, by python-oracledb in thin mode (`pip install 'sync-assets[oracle]'`).

Knows no views. All questions of a look are asked in one read-only transaction, so the data dictionary is of one moment
(V$ views are not). The password never travels readable, not even without TLS. Not yet run against a live server.
"""

from __future__ import annotations

import importlib
import ssl
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, Protocol

from sync_assets.databases.base import ConnectionArgs
from sync_assets.databases.oracle import errors
from sync_assets.engine.errors import Stop

Cells = Sequence[str | None]
_ROWS_A_TRIP = 5_000


class Session(Protocol):
    """Asks one server. Raises `Stop` or `Retry`; their code is `privilege` where a view may not be read."""

    @property
    def version(self) -> tuple[int, ...]: ...

    def begin(self) -> None:
        """All questions until the next begin see one moment."""
        ...

    def rows(self, sql: str) -> Sequence[Cells]: ...

    def close(self) -> None: ...


def _oracledb() -> Any:
    return importlib.import_module("oracledb")


def dial(args: ConnectionArgs, load: Callable[[], Any] = _oracledb) -> Session:
    """Connect and log in, once. Raises `Stop` for what a person must mend, `Retry` for what passes."""
    place = f"connection {args.name}"
    try:
        driver = load()
    except ImportError:
        hint = "pip install 'sync-assets[oracle]'"
        raise Stop(f"{place}: the driver for Oracle is not installed", hint=hint, code="driver") from None
    if not args.database:
        raise Stop(f"{place}: Oracle is reached by a service", hint="write database: the service name", code="protocol")
    if driver.is_thin_mode():
        driver.enable_thin_mode()  # else everybody waits for the first login of the process, however silent its host
    try:
        connection = _in_time(lambda: _log_in(driver, args), args.connect_seconds + args.silent_seconds)
        connection.call_timeout = args.query_seconds * 1000
    except (OSError, driver.Error) as error:
        raise errors.classify(error, place) from None
    return DriverSession(connection, place, driver.Error)


def _in_time(log_in: Callable[[], Any], seconds: float) -> Any:
    """What `log_in` returns. Raises TimeoutError when it takes longer.

    The driver bounds only the making of the TCP connection: a listener that takes it and says nothing would hold us
    for ever. The thread of such a login is left behind, and what it may still bring is closed.
    """
    done: Future[Any] = Future()

    def run() -> None:
        try:
            connection = log_in()
        except BaseException as error:
            done.set_exception(error)
        else:
            done.set_result(connection)

    threading.Thread(target=run, name="oracle-login", daemon=True).start()
    try:
        return done.result(seconds)
    except FutureTimeout:
        if not done.done():
            done.add_done_callback(_close_late)
            raise TimeoutError from None
        raise


def _close_late(late: Future[Any]) -> None:
    if late.exception() is None:
        late.result().close()


def _log_in(driver: Any, args: ConnectionArgs) -> Any:
    secure = args.tls in ("require", "verify")
    more: dict[str, Any] = {"ssl_context": _context(args)} if secure else {}
    return driver.connect(
        user=args.user, password=args.password, host=args.host, port=args.port or (2484 if secure else 1521),
        service_name=args.database, protocol="tcps" if secure else "tcp", ssl_server_dn_match=args.tls == "verify",
        tcp_connect_timeout=args.connect_seconds, retry_count=0, **more,
    )  # fmt: skip


def _context(args: ConnectionArgs) -> ssl.SSLContext:
    """The driver checks the name itself (ssl_server_dn_match), so the context does not."""
    context = ssl.create_default_context(cafile=args.ca)
    context.check_hostname = False
    if args.tls == "require":
        context.verify_mode = ssl.CERT_NONE
    return context


class DriverSession:
    """`Session` on a connection of python-oracledb."""

    def __init__(self, connection: Any, place: str, failure: type[Exception]) -> None:
        self._connection = connection
        self._place = place
        self._failure = failure

    @property
    def version(self) -> tuple[int, ...]:
        return tuple(int(n) for n in self._connection.version.split("."))

    def begin(self) -> None:
        try:
            self._connection.rollback()
        except self._failure as error:
            raise errors.classify(error, self._place) from None
        self._execute("set transaction read only", fetch=False)

    def rows(self, sql: str) -> Sequence[Cells]:
        return self._execute(sql, fetch=True)

    def _execute(self, sql: str, fetch: bool) -> Sequence[Cells]:
        try:
            with self._connection.cursor() as cursor:
                cursor.arraysize = cursor.prefetchrows = _ROWS_A_TRIP
                cursor.execute(sql)
                found: list[Cells] = cursor.fetchall() if fetch else []
                return found
        except self._failure as error:
            raise errors.classify(error, self._place) from None

    def close(self) -> None:
        self._connection.close()
