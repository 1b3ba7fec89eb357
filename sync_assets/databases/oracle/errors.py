"""Oracle's errors, sorted by what to do next. Reads numbers (ORA-01017, DPY-6005), never texts: those quote names.

The numbers are those of docs.oracle.com/error-help and of python-oracledb's own list (DPY). A login that is refused is
never tried again: FAILED_LOGIN_ATTEMPTS would lock the account.
"""

from __future__ import annotations

import socket
from typing import Any

from sync_assets.engine.errors import Retry, Stop, SyncError

_Rule = tuple[type[SyncError], str, str, str]  # with the class of trouble, where it is one of the fleet's
_AUTH: _Rule = (Stop, "auth", "the login was refused", "check user and password; it was tried once")
_SERVICE: _Rule = (
    Stop,
    "refused",
    "the listener knows no such service",
    "check database: the service name (lsnrctl services)",
)
_REFUSED: _Rule = (
    Retry,
    "refused",
    "nothing listens at this address",
    "check host and port, and that the listener runs",
)
_LOST: _Rule = (Retry, "protocol", "the connection was lost", "")
_SILENT: _Rule = (Retry, "timeout", "the server does not answer", "check host, port and firewall")
_TLS: _Rule = (
    Stop,
    "protocol",
    "TLS could not be agreed on",
    "see that the port is the listener's TCPS port, and check ca",
)
_RIGHT: _Rule = (
    Stop,
    "privilege",
    "a right is missing",
    "grant select_catalog_role, or select on the views of the how-to",
)
_CODES: dict[str, _Rule] = {
    "ORA-01017": _AUTH,
    "ORA-01005": _AUTH,
    "ORA-28000": (Stop, "auth", "the account is locked", "unlock it, and see who tried wrong passwords"),
    "ORA-28001": (Stop, "auth", "the password of the account has expired", "set a new one"),
    "ORA-01045": (Stop, "privilege", "the account may not log in", "grant create session to it"),
    "ORA-00942": _RIGHT,
    "ORA-01031": _RIGHT,
    "ORA-41900": _RIGHT,
    "ORA-12514": _SERVICE,
    "ORA-12505": _SERVICE,
    "DPY-6001": _SERVICE,
    "DPY-6003": _SERVICE,
    "ORA-12541": _REFUSED,
    "DPY-6000": (Retry, "refused", "the listener refused the connection", "look at the listener's log"),
    "DPY-6005": (Retry, "refused", "no connection came about", "check host and port, and look at the listener's log"),
    "ORA-12170": _SILENT,
    "ORA-12545": (Retry, "dns", "the host's name cannot be resolved", "check host"),
    "DPY-4024": (Retry, "timeout", "a statement ran longer than it may", "a higher statement_seconds"),
    "DPY-4011": _LOST,
    "ORA-03113": _LOST,
    "ORA-03114": _LOST,
    "ORA-12537": _LOST,
    "ORA-01033": (Retry, "", "the server is starting or stopping", ""),
    "ORA-01034": (Retry, "", "the database is not running", ""),
    "ORA-01089": (Retry, "", "the server is stopping", ""),
    "ORA-12528": (Retry, "", "the database takes no connections just now", ""),
    "ORA-12516": (Retry, "", "the server has no connection left", "fewer parallel runs, or more processes"),
    "ORA-12519": (Retry, "", "the server has no connection left", "fewer parallel runs, or more processes"),
    "ORA-00018": (Retry, "", "the server has no session left", "fewer parallel runs, or more sessions"),
    "ORA-00020": (Retry, "", "the server has no process left", "fewer parallel runs, or more processes"),
    "ORA-01555": (Retry, "", "the server no longer has the moment that was read", "more undo, or another hour"),
    "DPY-3010": (Stop, "version", "the server is too old for the driver's thin mode", "Oracle 12.1 or newer is needed"),
    "DPY-3015": (Stop, "auth", "the account has only a password of 10G", "set its password again, for 11G or 12C"),
    "DPY-6002": (Stop, "protocol", "the certificate does not bear the server's name", "host: as in the certificate"),
    "DPY-3001": (Stop, "protocol", "the server wants native encryption; thin mode has none", "use tls: require"),
}  # fmt: skip


def classify(error: BaseException, place: str) -> SyncError:
    """The driver's or the system's error in our words. `code` is auth, privilege, refused ..., or else the number."""
    if isinstance(error, SyncError):
        return error
    system = _system_cause(error)
    number = "" if system is not None else code_of(error)
    unknown: _Rule = (Stop, "", "the server refused the question", "look at the server's log")
    rule = _system_rule(system) if system is not None else _CODES.get(number, unknown)
    kind, word, message, hint = rule
    text = f"{place}: {message}" + (f" ({number})" if number else "")
    code = word or number
    return Retry(text, hint=hint, code=code, after=1) if kind is Retry else kind(text, hint=hint, code=code)


def _system_cause(error: BaseException) -> OSError | None:
    """The operating system's error behind the driver's, where the driver says no more than that it has none."""
    if isinstance(error, OSError):
        return error
    cause = error.__cause__
    return cause if code_of(error) == "DPY-6005" and isinstance(cause, OSError) else None


def _system_rule(error: OSError) -> _Rule:
    import ssl

    if isinstance(error, ConnectionResetError | ConnectionAbortedError | ssl.SSLEOFError):
        return _LOST
    if isinstance(error, ssl.SSLError):
        return _TLS
    if isinstance(error, socket.gaierror):
        return _CODES["ORA-12545"]
    return _SILENT if isinstance(error, TimeoutError) else _REFUSED


def code_of(error: BaseException) -> str:
    """ORA-01017, DPY-6005, ...: the server's number before the driver's own for the same thing; "" for none."""
    detail: Any = error.args[0] if error.args else None
    number = getattr(detail, "code", 0)
    if isinstance(number, int) and number:
        return f"ORA-{number:05}"
    full = getattr(detail, "full_code", "")
    return full if isinstance(full, str) else ""
