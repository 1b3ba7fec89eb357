"""What a database's folder offers to the fleet: one look at a server, set-based, in a constant number of round trips.

`databases/<name>/collect/__init__.py` has ``open_collector(args)``; `databases.base.open_collector` finds it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from sync_assets.fleet.model import AccountReading, CapacityReading

Clock = Callable[[], datetime]


class Collector(Protocol):
    """One server, read only. Connects at the first question; not for several threads at once.

    Both questions raise `Stop` or `Retry` when nobody answers or lets us in; what fails after that is the status of
    its section. A section is `ok` only if what was read is proven whole: an empty or short answer of a view that
    hides what the reader may not see is `DENIED`. Never raises for a missing right.
    """

    def accounts(self) -> AccountReading:
        """Principals, memberships, grants and databases, all of one moment where the server can do that."""
        ...

    def capacity(self, top_tables: int = 20) -> CapacityReading:
        """Databases, sizes, logs, and the largest tables of each database."""
        ...

    def close(self) -> None: ...
