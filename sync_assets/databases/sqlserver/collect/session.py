"""One connection to a SQL Server, by pymssql (`pip install 'sync-assets[sqlserver]'`): rows of texts, read only.

Knows nothing of catalogs. pymssql keeps what goes wrong during a login in one place for the whole process
(`_mssql.pyx`, err_handler), so two logins at once could be given each other's error, a wrong password taken for a lost
line and tried again. Hence: who cannot be reached at all is found by a plain connection first, at once for all, and
logins then go one after another. Not yet run against a live server.
"""

from __future__ import annotations

import importlib
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from sync_assets.databases.base import ConnectionArgs
from sync_assets.databases.sqlserver import errors
from sync_assets.engine.errors import Stop

Cells = Sequence[str | None]
_ENCRYPTION = {"off": "off", "prefer": "request", "require": "require"}
_LOGIN = threading.Lock()


class Session(Protocol):
    """Asks one server. Raises `Stop` or `Retry`."""

    def rows(self, sql: str) -> Sequence[Cells]:
        """The one result of a batch, every cell a text or None."""
        ...

    def close(self) -> None: ...


def _pymssql() -> Any:
    return importlib.import_module("pymssql")


def dial(args: ConnectionArgs, load: Callable[[], Any] = _pymssql) -> Session:
    """Connect and log in, once. Raises `Stop` for what a person must mend, `Retry` for what passes."""
    place = f"connection {args.name}"
    try:
        driver = load()
    except ImportError:
        hint = "pip install 'sync-assets[sqlserver]'"
        raise Stop(f"{place}: the driver for SQL Server is not installed", hint=hint, code="driver") from None
    if args.tls == "verify":
        raise Stop(
            f"{place}: the driver for SQL Server cannot verify certificates", hint="use tls: require", code="protocol"
        )
    try:
        socket.create_connection((args.host, args.port or 1433), args.connect_seconds).close()
        with _LOGIN:
            return DriverSession(_log_in(driver, args), place, driver.Error)
    except (OSError, driver.Error) as error:
        raise errors.classify(error, place) from None


def _log_in(driver: Any, args: ConnectionArgs) -> Any:
    driver.set_max_connections(1000)  # of the process; its own limit of 25 is below `parallel`
    return driver.connect(
        server=args.host, port=str(args.port or 1433), user=args.user, password=args.password,
        database=args.database or "master", login_timeout=args.connect_seconds, timeout=args.query_seconds,
        charset="UTF-8", appname="sync_assets", encryption=_ENCRYPTION[args.tls], autocommit=True,
    )  # fmt: skip


class DriverSession:
    """`Session` on a connection of pymssql."""

    def __init__(self, connection: Any, place: str, failure: type[Exception]) -> None:
        self._connection = connection
        self._place = place
        self._failure = failure

    def rows(self, sql: str) -> Sequence[Cells]:
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql)
                found: list[Cells] = cursor.fetchall()
                return found
        except self._failure as error:
            raise errors.classify(error, self._place) from None

    def close(self) -> None:
        self._connection.close()
