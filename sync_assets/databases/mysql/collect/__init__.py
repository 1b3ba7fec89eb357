"""MySQL and MariaDB as members of a fleet: accounts and sizes, each in at most three statements, set-up included.

MariaDB 10.11 is what this is tested on. MySQL 5.7 to 9 is read after its documentation: its rows are tested as the
documentation shows them, and have not yet been read from a live server. There capacity takes one statement more
where the right PROCESS is missing. What the reader needs: SELECT on mysql.*, and on *.* PROCESS, SHOW DATABASES,
SHOW VIEW (which shows the sizes of all tables and none of their rows), REPLICATION CLIENT.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from sync_assets.databases.base import ConnectionArgs
from sync_assets.databases.mysql.collect.accounts import read_accounts
from sync_assets.databases.mysql.collect.capacity import read_capacity
from sync_assets.databases.mysql.collect.line import Line
from sync_assets.fleet.model import AccountReading, CapacityReading


def open_collector(args: ConnectionArgs) -> MySQLCollector:
    return MySQLCollector(args)


class MySQLCollector:
    """`fleet.collecting.Collector`. `now` is the clock of `observed_at`."""

    def __init__(self, args: ConnectionArgs, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._line = Line(args)
        self._now = now

    def accounts(self) -> AccountReading:
        return read_accounts(self._line, self._now)

    def capacity(self, top_tables: int = 20) -> CapacityReading:
        return read_capacity(self._line, self._now, top_tables)

    def close(self) -> None:
        self._line.close()
