"""What every database can do, as one protocol, and how one is opened by name.

Adding a database stays one folder: `sync_assets/databases/<name>/__init__.py` with a function `open_database(args)`.
Nothing here imports a driver, and nothing outside the folder knows what it is called there.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast
from zoneinfo import ZoneInfo

from sync_assets.engine.errors import Stop, SyncError
from sync_assets.engine.model import Batch, Finding, Row, Schema
from sync_assets.engine.tables.writing import TableTarget

if TYPE_CHECKING:
    from sync_assets.fleet.collecting import Collector

Dialect = Literal["postgres", "mysql", "sqlite"]
Tls = Literal["off", "prefer", "require", "verify"]
Params = Mapping[str, Any]
UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True, repr=False)
class ConnectionArgs:
    """Where a database is and who we are there. The password is opened at the last moment and never kept.

    `query_seconds` is the longest that one statement may run on the server; `silent_seconds` how long we wait for
    a server that says nothing, in connecting and in reading.
    """

    name: str
    host: str = "127.0.0.1"
    port: int = 0
    database: str = ""
    user: str = ""
    open_password: Callable[[], str] | None = None
    tls: Tls = "prefer"
    ca: str | None = None
    socket: str | None = None
    path: str = ""
    query_seconds: int = 3600
    silent_seconds: int = 60
    connect_seconds: int = 10

    @property
    def password(self) -> str:
        return self.open_password() if self.open_password else ""

    @property
    def address(self) -> str:
        return self.path or self.socket or f"{self.host}:{self.port}"

    def __repr__(self) -> str:
        return f"ConnectionArgs({self.name}: {self.user}@{self.address}/{self.database}, tls {self.tls})"


class Database(Protocol):
    """One connection to one database, opened late, for reading. Not for several threads at once.

    SQL comes in with named parameters in the driver's own style (`sources.query` writes it). `zone` is the session's
    time zone: wall clocks in the text of a query mean that zone's. A parameter that is an aware datetime in `zone`
    itself may be compared with a wall clock or an instant, as the query likes; one in UTC is only an instant.
    """

    args: ConnectionArgs
    dialect: Dialect

    def connect(self) -> None:
        """Log in, once. Raises `Stop` for what a person must mend, `Retry` for what passes."""
        ...

    def describe_table(self, name: str) -> Schema: ...

    def describe_query(self, sql: str, params: Params, zone: ZoneInfo = UTC) -> Schema:
        """Columns of the result, without running the query."""
        ...

    def stream(
        self, sql: str, params: Params, batch_rows: int = 5000, zone: ZoneInfo = UTC, schema: Schema = ()
    ) -> Iterator[Batch]:
        """Yield the result in batches, as one consistent snapshot, with bounded memory."""
        ...

    def observe(self, sql: str, params: Params, zone: ZoneInfo = UTC, limit: int = 1000) -> Sequence[Row]:
        """The rows of a small result; more than `limit` are cut off."""
        ...

    def quote(self, name: str) -> str: ...

    def check(self) -> list[Finding]:
        """Try everything that a sync needs, and say what is missing and what to do. Never raises a `SyncError`."""
        ...

    def classify(self, error: Exception) -> SyncError:
        """The driver's error in our words: where, what, what next. Never the driver's text: it may quote values."""
        ...

    def close(self) -> None: ...


def open_database(name: str, args: ConnectionArgs) -> Database:
    """Load exactly the folder of database `name` and open nothing yet. Raises `Stop` for an unknown name."""
    if name not in installed():
        raise Stop(
            f"connection {args.name}: there is no database {name!r}", hint=f"use one of {', '.join(installed())}"
        )
    module = importlib.import_module(f"{__package__}.{name}")
    return cast(Database, module.open_database(args))


def open_tables(name: str, args: ConnectionArgs) -> TableTarget:
    """Database `name` as source and target of whole tables (`databases/<name>/tables/`); nothing is dialled yet."""
    open_database(name, args)  # refuses an unknown name
    module = importlib.import_module(f"{__package__}.{name}.tables")
    return cast(TableTarget, module.open_tables(args))


def open_collector(name: str, args: ConnectionArgs) -> Collector:
    """Database `name` as a member of a fleet (`databases/<name>/collect/`); nothing is dialled yet. Raises `Stop`."""
    if name not in collected():
        raise Stop(f"connection {args.name}: there is no collector for {name!r}", hint=f"use {', '.join(collected())}")
    module = importlib.import_module(f"{__package__}.{name}.collect")
    return cast("Collector", module.open_collector(args))


def installed() -> list[str]:
    """The databases that rows can be read from: folders beside this file with their types."""
    return sorted(p.parent.name for p in Path(__file__).parent.glob("*/types.py"))


def collected() -> list[str]:
    """The databases that can be members of a fleet."""
    return sorted(p.parent.parent.name for p in Path(__file__).parent.glob("*/collect/__init__.py"))


def reachable(args: ConnectionArgs, usual_port: int) -> Finding:
    """Whether something answers at the address, before any login is tried."""
    import socket

    address = (args.host, args.port or usual_port)
    what = f"address {address[0]}:{address[1]}"
    try:
        socket.create_connection(address, args.connect_seconds).close()
    except socket.gaierror:
        return Finding(False, f"{what}: the host's name cannot be resolved", "check host")
    except TimeoutError:
        return Finding(False, f"{what}: no answer", "check host, port and firewall")
    except OSError:
        return Finding(False, f"{what}: nothing listens there", "check host and port, and that the server runs")
    return Finding(True, what)


_PIECE = re.compile(r'"((?:[^"]|"")+)"|`((?:[^`]|``)+)`|([^."`][^.]*)')


def name_parts(name: str) -> list[str]:
    """`schema.table` as its parts; a part may be quoted to hold a dot: "my.schema".orders. Raises `Stop`."""
    parts, at = [], 0
    while True:
        match = _PIECE.match(name, at)
        if match is None:
            raise Stop(f"{name!r} is not a table name", hint='write table or schema.table; quote odd parts: "a.b".c')
        double, back, plain = match.groups()
        parts.append(double.replace('""', '"') if double else back.replace("``", "`") if back else plain)
        at = match.end()
        if at == len(name):
            return parts
        if name[at] != ".":
            raise Stop(f"{name!r} is not a table name", hint='write table or schema.table; quote odd parts: "a.b".c')
        at += 1


def distinct(schema: Schema, where: str) -> Schema:
    """The schema, if no two columns share a name. Raises `Stop`."""
    seen: set[str] = set()
    for column in schema:
        if column.name in seen:
            raise Stop(f"{where}: two columns are called {column.name!r}", hint="give one another name with AS")
        seen.add(column.name)
    return schema
