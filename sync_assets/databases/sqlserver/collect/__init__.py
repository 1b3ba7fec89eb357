"""The collector of SQL Server, 2012 (11) to 2025, and Azure SQL Managed Instance: two trips for each question.

Written from the documentation of the catalog views and tested on rows made from it; not yet run against a live server.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from sync_assets.databases.base import ConnectionArgs
from sync_assets.databases.sqlserver.collect import accounts, batches, sizes
from sync_assets.databases.sqlserver.collect.probe import Probe, read_probe
from sync_assets.databases.sqlserver.collect.rows import Rows
from sync_assets.databases.sqlserver.collect.session import Session, dial
from sync_assets.fleet.collecting import Clock
from sync_assets.fleet.model import AccountReading, CapacityReading


def open_collector(args: ConnectionArgs) -> SqlServerCollector:
    return SqlServerCollector(args)


def _now() -> datetime:
    return datetime.now(UTC)


class SqlServerCollector:
    """`fleet.collecting.Collector`. `connect` makes the session, at the first question."""

    def __init__(
        self, args: ConnectionArgs, connect: Callable[[ConnectionArgs], Session] = dial, clock: Clock = _now
    ) -> None:
        self._args = args
        self._connect = connect
        self._clock = clock
        self._session: Session | None = None

    def accounts(self) -> AccountReading:
        """Raises `Stop` or `Retry` when nobody answers or lets us in."""
        at, probe = self._clock(), self._probe()
        short = accounts.refused(probe, at)
        if short is not None:
            return short
        return accounts.reading(probe, Rows(self.session.rows(batches.accounts(probe.major))), at)

    def capacity(self, top_tables: int = 20) -> CapacityReading:
        """Raises `Stop` or `Retry` when nobody answers or lets us in."""
        at, probe = self._clock(), self._probe()
        short = sizes.refused(probe, at)
        if short is not None:
            return short
        rows = Rows(self.session.rows(batches.capacity(probe.major, top_tables)))
        return sizes.reading(probe, rows, top_tables, at)

    def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    @property
    def session(self) -> Session:
        if self._session is None:
            self._session = self._connect(self._args)
        return self._session

    def _probe(self) -> Probe:
        return read_probe(self.session.rows(batches.probe())[0])
