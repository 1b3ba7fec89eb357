"""Classes of trouble with a server, by the code of an error, and whether trying again may help.

Collectors give the class as the code where they know it; otherwise it is read from the driver's own number. Knows no
driver.
"""

from __future__ import annotations

from typing import cast, get_args

from sync_assets.engine.errors import Retry, SyncError
from sync_assets.fleet.capacity import GapReason as Reason

__all__ = ["Reason", "passes", "reason_of"]

_WORDS = frozenset(get_args(Reason))
_NEVER = frozenset({"auth", "privilege", "version", "too_late", "blocked"})
_LOGIN = ("1045", "1698", "1862", "3118", "1820", "4151", "1251", "1524", "1130", "1129")  # of MySQL and MariaDB
_CODES: dict[str, Reason] = {
    **dict.fromkeys(_LOGIN, "auth"),
    **dict.fromkeys(("1044", "1142", "1143", "1227", "42501"), "privilege"),
    **dict.fromkeys(("2002", "2003", "connect"), "refused"),
    **dict.fromkeys(("1969", "3024", "1317", "57014", "silent"), "timeout"),
    **dict.fromkeys(("2006", "2013", "2014", "2026", "2055", "tls", "certificate"), "protocol"),
    "2005": "dns",
    "login": "auth",
}


def reason_of(error: SyncError) -> Reason:
    """The class of an error, ``other`` where its code tells nothing."""
    if error.code in _WORDS:
        return cast(Reason, error.code)
    return _CODES.get(error.code) or ("auth" if error.code.startswith("28") and len(error.code) == 5 else "other")


def passes(error: SyncError) -> bool:
    """Whether the same may go well a little later. Never for a refused login, whatever the error says of itself."""
    return isinstance(error, Retry) and reason_of(error) not in _NEVER
