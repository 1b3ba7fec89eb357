"""From a named connection to a database that can be talked to. Secrets are opened here, as late as possible."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sync_assets.databases.base import ConnectionArgs
from sync_assets.databases.base import Database as DatabaseProtocol
from sync_assets.databases.base import open_database as open_named
from sync_assets.databases.base import open_tables as open_named_tables
from sync_assets.engine.errors import Stop
from sync_assets.engine.tables.writing import TableTarget
from sync_assets.project.dsn import Dsn
from sync_assets.project.dsn import parse as parse_dsn
from sync_assets.project.load import PlacedSync, Project
from sync_assets.project.spec import KeyRanges, MySQL, Partitions, Postgres, SQLite
from sync_assets.sources.sql import SqlSource
from sync_assets.store.address import is_host
from sync_assets.store.secrets import expand, opener, resolve


def open_database(project: Project, name: str) -> DatabaseProtocol:
    """The database behind a connection; nothing is dialled yet."""
    return open_named(*connection_args(project, name))


def open_tables(project: Project, name: str) -> TableTarget:
    """The same as source and target of whole tables."""
    return open_named_tables(*connection_args(project, name))


def connection_args(project: Project, name: str) -> tuple[str, ConnectionArgs]:
    """The type of a database connection, and what it is opened with. Raises `Stop` for a connection of another kind,
    and where something that it refers to is missing."""
    spec = project.connection(name)
    if isinstance(spec, SQLite):
        return spec.type, ConnectionArgs(name, path=expand(spec.path))
    if not isinstance(spec, MySQL | Postgres):
        raise Stop(f"connection {name} is no database", hint="choose one of type mysql, postgres or sqlite")
    return spec.type, _by_dsn(spec, spec.dsn) if spec.dsn else _by_parts(spec)


def _by_parts(spec: MySQL | Postgres) -> ConnectionArgs:
    of = f"of connection {spec.name}"
    args = ConnectionArgs(
        spec.name,
        host=checked(expand(spec.host), is_host, f"the host {of}", "the name or IP address alone"),
        port=int(checked(expand(str(spec.port)), str.isdecimal, f"the port {of}", "a number")),
        database=expand(spec.database or ""),
        user=expand(spec.user or ""),
        open_password=opener(spec.password) if spec.password else None,
        tls=spec.tls,
        ca=spec.ca,
    )
    return replace(args, socket=expand(spec.socket)) if isinstance(spec, MySQL) and spec.socket else args


def _by_dsn(spec: MySQL | Postgres, ref: str) -> ConnectionArgs:
    """The address is opened now; the password in it anew at each login."""
    what = f"the dsn of connection {spec.name}"
    found = parse_dsn(resolve(ref).reveal(), what)
    if found.type != spec.type:
        raise Stop(f"{what} is of type {found.type}, the connection of type {spec.type}", hint="make them agree")
    args = args_of(found, spec.name, lambda: _password(parse_dsn(resolve(ref).reveal(), what)))
    return replace(args, tls=spec.tls if "tls" in spec.model_fields_set else args.tls, ca=spec.ca)


def args_of(dsn: Dsn, name: str, open_password: Callable[[], str]) -> ConnectionArgs:
    """An address as what a database is opened with."""
    return ConnectionArgs(
        name,
        host=dsn.host,
        port=dsn.port,
        database=dsn.database,
        user=dsn.user,
        open_password=open_password if dsn.password else None,
        tls=dsn.tls or "prefer",
    )


def _password(dsn: Dsn) -> str:
    return dsn.password.reveal() if dsn.password else ""


def checked(text: str, right: Callable[[str], bool], what: str, form: str) -> str:
    """What a variable holds is named in messages later on, so that it must not be a secret in the wrong place."""
    if not right(text):
        raise Stop(f"{what} has a wrong form", hint=f"write {form}")
    return text


def open_source(project: Project, placed: PlacedSync) -> SqlSource:
    """The source of a sync."""
    spec = placed.spec
    return SqlSource(
        spec.name,
        open_database(project, placed.source),
        table=spec.table,
        query=spec.query,
        time_zone=placed.time_zone,
        partitions=_column(spec.partitions),
        watermark=spec.watermark,
    )


def _column(parts: Partitions | None) -> str | None:
    """The column that a source cuts by; ranges of a key are looked at as a whole."""
    return None if parts is None or isinstance(parts, KeyRanges) else parts.column
