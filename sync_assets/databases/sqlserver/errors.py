"""SQL Server's errors, sorted by what to do next. Reads numbers, never texts: those quote names and values.

Numbers below 20100 that FreeTDS makes itself (20002 to 20047) stand for the line, all others are the server's:
learn.microsoft.com, "Database engine events and errors". A login that is refused is never tried again.
"""

from __future__ import annotations

import socket

from sync_assets.engine.errors import Retry, Stop, SyncError

_Rule = tuple[type[SyncError], str, str, str]  # with the class of trouble, where it is one of the fleet's
_AUTH: _Rule = (Stop, "auth", "the login was refused", "check user and password; it was tried once")
_NUMBERS: dict[int, _Rule] = {
    18456: _AUTH,
    18452: (Stop, "auth", "the login is from an untrusted domain", "use a login of SQL Server: user and password"),
    18470: (Stop, "auth", "the login is disabled", "alter login ... enable"),
    18486: (Stop, "auth", "the login is locked", "unlock it, and see who tried wrong passwords"),
    18487: (Stop, "auth", "the password of the login has expired", "set a new one"),
    18488: (Stop, "auth", "the password of the login must be changed", "set a new one"),
    4060: (
        Stop,
        "privilege",
        "the database cannot be opened by this login",
        "leave database out, or map the login to a user there",
    ),
    4064: (
        Stop,
        "privilege",
        "the login's default database cannot be opened",
        "alter login ... with default_database = master",
    ),
    229: (
        Stop,
        "privilege",
        "a right is missing",
        "grant view any definition, view server state, connect any database",
    ),
    230: (Stop, "privilege", "a right on a column is missing", "grant view any definition"),
    262: (Stop, "privilege", "a right in a database is missing", "grant view server state and view any definition"),
    297: (Stop, "privilege", "a right is missing", "grant view server state"),
    300: (Stop, "privilege", "a right on the server is missing", "grant view server state"),
    916: (Stop, "privilege", "a database may not be entered", "grant connect any database"),
    1205: (Retry, "", "the server ended the statement in favour of another", ""),
    1222: (Retry, "timeout", "a lock was not to be had in time", "see who changes definitions just now"),
    40197: (Retry, "", "the service is busy with itself", ""),
    40501: (Retry, "", "the service is busy", ""),
    40613: (Retry, "", "the database is not available just now", ""),
    17142: (Retry, "", "the server is pausing", ""),
    6005: (Retry, "", "the server is shutting down", ""),
    17830: (Retry, "protocol", "the connection was lost while logging in", ""),
    20002: (Retry, "protocol", "the connection was lost while logging in", ""),
    20003: (
        Retry,
        "timeout",
        "a statement ran longer than it may, or the server does not answer",
        "a higher statement_seconds",
    ),
    20004: (Retry, "protocol", "the connection was lost", ""),
    20006: (Retry, "protocol", "the connection was lost", ""),
    20047: (Retry, "protocol", "the connection was lost", ""),
    20009: (Retry, "refused", "nothing answers at this address", "check host and port, and that the server runs"),
}
_REFUSED_RIGHTS = frozenset({229, 230, 262, 297, 300, 371, 916})


def classify(error: Exception, place: str) -> SyncError:
    """The driver's or the system's error in our words. `code` is auth, privilege, refused ..., or else the number."""
    if isinstance(error, SyncError):
        return error
    if isinstance(error, OSError):
        return _unreachable(error, place)
    number = number_of(error)
    unknown: _Rule = (Stop, "", "the server refused the question", "look at the server's log")
    kind, word, message, hint = _NUMBERS.get(number, unknown)
    text = f"{place}: {message}" + (f" (error {number})" if number else "")
    code = word or (str(number) if number else "")
    return Retry(text, hint=hint, code=code, after=1) if kind is Retry else kind(text, hint=hint, code=code)


def _unreachable(error: OSError, place: str) -> SyncError:
    if isinstance(error, socket.gaierror):
        word, message, hint = "dns", "the host's name cannot be resolved", "check host"
    elif isinstance(error, TimeoutError):
        word, message, hint = "timeout", "the server does not answer", "check host, port and firewall"
    elif isinstance(error, ConnectionResetError | ConnectionAbortedError):
        word, message, hint = "protocol", "the connection was lost", ""
    else:
        word, message, hint = (
            "refused",
            "nothing listens at this address",
            "check host and port, and that the server runs",
        )
    return Retry(f"{place}: {message}", hint=hint, code=word, after=1)


def number_of(error: Exception) -> int:
    """The number of a driver's error: the first argument, perhaps inside of a pair (number, text). 0: none."""
    first = error.args[0] if error.args else 0
    if isinstance(first, tuple):
        first = first[0] if first else 0
    return first if isinstance(first, int) else 0


def is_denied(number: int) -> bool:
    """Whether the number says that a right is missing."""
    return number in _REFUSED_RIGHTS
