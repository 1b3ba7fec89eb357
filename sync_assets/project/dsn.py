"""A whole address in one text, `mysql://user:password@host:port/database`, taken apart.

The text is a secret: no message quotes any part of it. What could be read in two ways is refused, because a password
with a bare @ or / would otherwise end up in the host's name, which messages do show.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, unquote

from sync_assets.databases.base import Tls
from sync_assets.engine.errors import Stop
from sync_assets.store.address import is_host
from sync_assets.store.secrets import Secret

_KINDS: dict[str, Literal["mysql", "postgres"]] = {
    "mysql": "mysql",
    "mariadb": "mysql",
    "postgres": "postgres",
    "postgresql": "postgres",
}
_PORTS = {"mysql": 3306, "postgres": 5432}
_FORM = "mysql://USER:PASSWORD@HOST:PORT/DATABASE or postgres://..., where @ : / ? # % and blanks inside a part are" \
        " percent-encoded (%40 for @)"  # fmt: skip
_DSN = re.compile(
    r"""(?P<scheme>[A-Za-z]+)(\+[A-Za-z0-9_]+)?://          # mysql+pymysql, as SQLAlchemy writes it
        (?P<user>[^\s:@/?\#]+)(:(?P<password>[^\s:@/?\#]*))?@
        (?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:@/?\#\[\]]+)(:(?P<port>[0-9]{1,5}))?
        /(?P<database>[^\s:@/?\#]+)
        (\?(?P<query>[^\s:@/?\#]*))?""",
    re.VERBOSE,
)
_TLS: dict[str, Tls] = {
    "off": "off",
    "disable": "off",
    "disabled": "off",
    "allow": "prefer",
    "prefer": "prefer",
    "preferred": "prefer",
    "require": "require",
    "required": "require",
    "verify": "verify",
    "verify-full": "verify",
    "verify_identity": "verify",
}
_TLS_NAMES = ("tls", "sslmode", "ssl-mode", "ssl_mode")


@dataclass(frozen=True, slots=True)
class Dsn:
    """`tls` is None where the address says nothing of it."""

    type: Literal["mysql", "postgres"]
    host: str
    port: int
    database: str
    user: str
    password: Secret | None
    tls: Tls | None = None


def parse(text: str, what: str = "the address") -> Dsn:
    """Take the address apart. Raises `Stop`, which calls it `what` and quotes nothing of it."""
    found = _DSN.fullmatch(text.strip())
    kind = _KINDS.get(found["scheme"].lower()) if found else None
    if found is None or kind is None:
        raise _wrong(f"{what} is not of the form that is expected", _FORM)
    host = found["host"].strip("[]")
    port = int(found["port"] or _PORTS[kind])
    if not (is_host(found["host"]) or found["host"].startswith("[")) or not 1 <= port <= 65535:
        raise _wrong(f"{what} has no right host or port", _FORM)
    password = _decoded(found["password"] or "", what)
    return Dsn(
        type=kind,
        host=host,
        port=port,
        database=_decoded(found["database"], what),
        user=_decoded(found["user"], what),
        password=Secret(password) if password else None,
        tls=_tls(found["query"] or "", what),
    )


def _decoded(part: str, what: str) -> str:
    if re.search(r"%(?![0-9A-Fa-f]{2})", part):
        raise _wrong(f"{what} has a % that begins no percent-encoding", _FORM)
    try:
        return unquote(part, errors="strict")
    except UnicodeDecodeError:
        raise _wrong(f"{what} is not UTF-8 after percent-decoding", _FORM) from None


def _tls(query: str, what: str) -> Tls | None:
    tls: Tls | None = None
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name.lower() not in (*_TLS_NAMES, "charset"):
            raise _wrong(f"{what} has a parameter that is not known here", "known are sslmode (or tls) and charset")
        if name.lower() in _TLS_NAMES:
            tls = _TLS.get(value.lower())
            if tls is None:
                hint = "known are off, prefer, require, verify, and disable, allow and verify-full"
                raise _wrong(f"{what} asks for a kind of TLS that is not known here", hint)
    return tls


def _wrong(message: str, hint: str) -> Stop:
    return Stop(message, hint=hint, code="dsn")
