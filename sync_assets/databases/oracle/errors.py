"""Oracle's errors, sorted by what to do next. Reads numbers (ORA-01017, DPY-6005), never texts: those quote names.

The numbers are those of docs.oracle.com/error-help and of python-oracledb's own list (DPY). A login that is refused is
never tried again: FAILED_LOGIN_ATTEMPTS would lock the account.
"""

from __future__ import annotations

import socket
from typing import Any

from sync_assets.engine.errors import Retry, Stop, SyncError

_Rule = tuple[type[SyncError], str, str]
_AUTH: _Rule = (Stop, "the login was refused", "check user and password; it was tried once")
_SERVICE: _Rule = (Stop, "the listener knows no such service", "check database: the service name (lsnrctl services)")
_REFUSED: _Rule = (Retry, "nothing listens at this address", "check host and port, and that the listener runs")
_LOST: _Rule = (Retry, "the connection was lost", "")
_SILENT: _Rule = (Retry, "the server does not answer", "check host, port and firewall")
_TLS: _Rule = (Stop, "TLS could not be agreed on", "see that the port is the listener's TCPS port, and check ca")
_RIGHT: _Rule = (Stop, "a right is missing", "grant select_catalog_role, or select on the views of the how-to")
_CODES: dict[str, _Rule] = {
    "ORA-01017": _AUTH,
    "ORA-01005": _AUTH,
    "ORA-28000": (Stop, "the account is locked", "unlock it, and see who tried wrong passwords"),
    "ORA-28001": (Stop, "the password of the account has expired", "set a new one"),
    "ORA-01045": (Stop, "the account may not log in", "grant create session to it"),
    "ORA-00942": _RIGHT,
    "ORA-01031": _RIGHT,
    "ORA-41900": _RIGHT,
    "ORA-12514": _SERVICE,
    "ORA-12505": _SERVICE,
    "DPY-6001": _SERVICE,
    "DPY-6003": _SERVICE,
    "ORA-12541": _REFUSED,
    "DPY-6000": (Retry, "the listener refused the connection", "look at the listener's log"),
    "DPY-6005": (Retry, "no connection came about", "check host and port, and look at the listener's log"),
    "ORA-12170": _SILENT,
    "ORA-12545": (Retry, "the host's name cannot be resolved", "check host"),
    "DPY-4024": (Retry, "a statement ran longer than it may", "a higher statement_seconds"),
    "DPY-4011": _LOST,
    "ORA-03113": _LOST,
    "ORA-03114": _LOST,
    "ORA-12537": _LOST,
    "ORA-01033": (Retry, "the server is starting or stopping", ""),
    "ORA-01034": (Retry, "the database is not running", ""),
    "ORA-01089": (Retry, "the server is stopping", ""),
    "ORA-12528": (Retry, "the database takes no connections just now", ""),
    "ORA-12516": (Retry, "the server has no connection left", "fewer parallel runs, or more processes"),
    "ORA-12519": (Retry, "the server has no connection left", "fewer parallel runs, or more processes"),
    "ORA-00018": (Retry, "the server has no session left", "fewer parallel runs, or more sessions"),
    "ORA-00020": (Retry, "the server has no process left", "fewer parallel runs, or more processes"),
    "ORA-01555": (Retry, "the server no longer has the moment that was read", "more undo, or another hour"),
    "DPY-3010": (Stop, "the server is too old for the driver's thin mode", "Oracle 12.1 or newer is needed"),
    "DPY-3015": (Stop, "the account has only a password of 10G", "set its password again; 11G or 12C verifiers work"),
    "DPY-6002": (Stop, "the server's certificate does not bear its name", "host: must be the name in the certificate"),
    "DPY-3001": (Stop, "the server wants native encryption, which the thin mode has not", "use tls: require (TCPS)"),
}  # fmt: skip
_DENIED = frozenset({"ORA-00942", "ORA-01031", "ORA-41900"})


def classify(error: BaseException, place: str) -> SyncError:
    """The driver's or the system's error in our words. `code` is dns, refused, timeout, or the ORA or DPY number."""
    if isinstance(error, SyncError):
        return error
    system = _system_cause(error)
    if system is not None:
        return _unreachable(system, place)
    code = code_of(error)
    unknown: _Rule = (Stop, "the server refused the question", "look at the server's log")
    kind, message, hint = _CODES.get(code, unknown)
    if kind is Retry:
        return Retry(f"{place}: {message}", hint=hint, code=code, after=1)
    return kind(f"{place}: {message}", hint=hint, code=code)


def _system_cause(error: BaseException) -> OSError | None:
    """The operating system's error behind the driver's, where the driver says no more than that it has none."""
    if isinstance(error, OSError):
        return error
    cause = error.__cause__
    return cause if code_of(error) == "DPY-6005" and isinstance(cause, OSError) else None


def _unreachable(error: OSError, place: str) -> SyncError:
    import ssl

    if isinstance(error, ConnectionResetError | ConnectionAbortedError | ssl.SSLEOFError):
        return Retry(f"{place}: {_LOST[1]}", code="lost", after=1)
    if isinstance(error, ssl.SSLError):
        return Stop(f"{place}: {_TLS[1]}", hint=_TLS[2], code="tls")
    if isinstance(error, socket.gaierror):
        return Retry(f"{place}: the host's name cannot be resolved", hint="check host", code="dns", after=1)
    if isinstance(error, TimeoutError):
        return Retry(f"{place}: {_SILENT[1]}", hint=_SILENT[2], code="timeout", after=1)
    return Retry(f"{place}: {_REFUSED[1]}", hint=_REFUSED[2], code="refused", after=1)


def code_of(error: BaseException) -> str:
    """ORA-01017, DPY-6005, ...: the server's number before the driver's own for the same thing; "" for none."""
    detail: Any = error.args[0] if error.args else None
    number = getattr(detail, "code", 0)
    if isinstance(number, int) and number:
        return f"ORA-{number:05}"
    full = getattr(detail, "full_code", "")
    return full if isinstance(full, str) else ""


def is_slow(code: str) -> bool:
    """Whether a statement was ended for its time: the same one would be ended again."""
    return code == "DPY-4024"


def is_denied(code: str) -> bool:
    """Whether the code says that a right is missing; a view that may not be seen does not exist (ORA-00942)."""
    return code in _DENIED
