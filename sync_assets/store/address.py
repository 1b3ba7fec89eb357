"""Where the two databases are: the control database and Dagster's own storage.

    SYNC_ASSETS_PG_HOST      unset: the embedded PostgreSQL (`store.embedded`), started when it is needed
    SYNC_ASSETS_PG_PORT      5432
    SYNC_ASSETS_PG_USER      required with a host
    SYNC_ASSETS_PG_PASSWORD  the password, or env:NAME, or file:PATH; unset: what libpq finds (.pgpass, peer)
    SYNC_ASSETS_PG_DB        sync_assets
    SYNC_ASSETS_PG_SSLMODE   libpq's: disable, prefer (default), require, verify-ca, verify-full

    DAGSTER_PG_HOST, ...     the same six for Dagster's storage. Without DAGSTER_PG_HOST each one that is unset is
                             taken from SYNC_ASSETS_PG_*, except the database, which is `dagster`

The databases must exist (`createdb sync_assets; createdb dagster`); tables are made at first use. An address is never
turned into a text with a password in it here, so that none reaches a log or the list of processes. Must not know
what is stored in the databases.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sync_assets.engine.errors import Stop
from sync_assets.store.secrets import Secret, is_reference, resolve

CONTROL_DATABASE = "sync_assets"
DAGSTER_DATABASE = "dagster"


@dataclass(frozen=True, slots=True)
class Address:
    """One PostgreSQL database. `host` may be a folder: then it is a Unix socket in it."""

    host: str
    port: int
    user: str
    database: str
    password: Secret | None = None
    sslmode: str = "prefer"

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments for `psycopg.connect` and `psycopg2.connect`; the only place that opens the password."""
        known: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "dbname": self.database,
        }
        if not self.host.startswith("/"):
            known["sslmode"] = self.sslmode
        if self.password is not None:
            known["password"] = self.password.reveal()
        return known

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}/{self.database}"


def control_is_embedded(environ: Mapping[str, str] = os.environ) -> bool:
    return not environ.get("SYNC_ASSETS_PG_HOST")


def dagster_is_embedded(environ: Mapping[str, str] = os.environ) -> bool:
    return control_is_embedded(environ) and not environ.get("DAGSTER_PG_HOST")


def control_address(environ: Mapping[str, str] = os.environ) -> Address:
    """Of the control database; starts the embedded server where the environment names none. Raises `Stop`."""
    if control_is_embedded(environ):
        return _embedded(CONTROL_DATABASE)
    return _from_environment(environ, ("SYNC_ASSETS_PG_",), CONTROL_DATABASE)


def dagster_address(environ: Mapping[str, str] = os.environ) -> Address:
    """Of Dagster's storage; see `control_address`."""
    if environ.get("DAGSTER_PG_HOST"):
        return _from_environment(environ, ("DAGSTER_PG_",), DAGSTER_DATABASE)
    if dagster_is_embedded(environ):
        return _embedded(DAGSTER_DATABASE)
    named = {k: v for k, v in environ.items() if k != "SYNC_ASSETS_PG_DB"}
    return _from_environment(named, ("DAGSTER_PG_", "SYNC_ASSETS_PG_"), DAGSTER_DATABASE)


def _embedded(database: str) -> Address:
    from sync_assets.store import embedded

    return embedded.ensure_running(database)


def is_host(text: str) -> bool:
    """A host's name, an IP address or the folder of a socket; not an address with a user, a port or a path in it."""
    if text.startswith("/"):
        return True
    if re.search(r"[\s@/?#\\{}]", text) or text.count(":") == 1:
        return False
    try:
        text.encode("idna")  # as the drivers do; a label has 63 characters at most
    except UnicodeError:
        return False
    return True


def _from_environment(environ: Mapping[str, str], prefixes: tuple[str, ...], database: str) -> Address:
    def value(name: str, default: str = "") -> str:
        return next((environ[p + name] for p in prefixes if environ.get(p + name)), default)

    port, user, password = value("PORT", "5432"), value("USER"), value("PASSWORD")
    if not port.isdigit():
        raise Stop(f"{prefixes[0]}PORT is not a number", hint="set it to the port of PostgreSQL, 5432 as a rule")
    if not is_host(value("HOST")):
        hint = "write the name or IP address alone; user, password and port have variables of their own"
        raise Stop(f"{prefixes[0]}HOST is no name of a host", hint=hint)
    if password.startswith("store:"):
        hint = "write env:NAME or file:PATH: what is stored is in the database that this opens"
        raise Stop(f"{prefixes[0]}PASSWORD cannot be a stored secret", hint=hint)
    if not user:
        raise Stop(f"{prefixes[-1]}HOST is set, but {prefixes[-1]}USER is not", hint=f"set {prefixes[-1]}USER")
    return Address(
        host=value("HOST"),
        port=int(port),
        user=user,
        database=value("DB", database),
        password=(resolve(password) if is_reference(password) else Secret(password)) if password else None,
        sslmode=value("SSLMODE", "prefer"),
    )
