"""The collector of Oracle, 11.2 to 23ai: a constant number of questions, whatever there is.

Log in to the root of a multitenant database to see all its containers, or to one of them to see that one. The driver's
thin mode reaches 12.1 and newer; the older texts are kept for a session that reaches further back. Written from the
documentation of the data dictionary and tested on rows made from it; not yet run against a live server.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from sync_assets.databases.base import ConnectionArgs
from sync_assets.databases.oracle.collect import accounts, places, sizes
from sync_assets.databases.oracle.collect.accounts import Asker
from sync_assets.databases.oracle.collect.places import Places
from sync_assets.databases.oracle.collect.questions import Questions
from sync_assets.databases.oracle.collect.session import Session, dial
from sync_assets.fleet.collecting import Clock
from sync_assets.fleet.model import (
    AccountReading,
    CapacityReading,
    SectionKey,
    SectionName,
    Sections,
    SectionState,
    ServerFact,
)

_ROOT = "1"


def open_collector(args: ConnectionArgs) -> OracleCollector:
    return OracleCollector(args)


def _now() -> datetime:
    return datetime.now(UTC)


class OracleCollector:
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
        at, asker = self._clock(), Asker(self.session)
        server, asked, where = self._find_out(asker)
        if isinstance(where, SectionState):
            names = (SectionName.PRINCIPALS, SectionName.MEMBERSHIPS, SectionName.GRANTS, SectionName.DATABASES)
            return AccountReading(server, at, _all(names, where), trips=asker.trips)
        return accounts.reading(asker, server, asked, where, at)

    def capacity(self, top_tables: int = 20) -> CapacityReading:
        """Raises `Stop` or `Retry` when nobody answers or lets us in."""
        at, asker = self._clock(), Asker(self.session)
        server, asked, where = self._find_out(asker)
        if isinstance(where, SectionState):
            names = (SectionName.DATABASES, SectionName.SIZES, SectionName.LOGS, SectionName.TABLES)
            return CapacityReading(server, at, _all(names, where), trips=asker.trips)
        return sizes.reading(asker, server, asked, where, top_tables, at)

    def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    @property
    def session(self) -> Session:
        if self._session is None:
            self._session = self._connect(self._args)
        return self._session

    def _find_out(self, asker: Asker) -> tuple[ServerFact, Questions, Places | SectionState]:
        """Begin a moment; where we are, and what containers there are, or why that cannot be known."""
        version = self.session.version
        server = ServerFact("oracle", "Oracle", version)
        asker.begin()
        here = asker.ask(Questions(version).where_we_are)
        if isinstance(here, SectionState):
            return server, Questions(version), here
        number, name = here[0]
        if number != _ROOT:
            return server, Questions(version), places.single(name or "")
        rows = asker.ask(Questions(version).containers)
        found = rows if isinstance(rows, SectionState) else places.several(rows)
        return server, Questions(version, root=True), found


def _all(names: tuple[SectionName, ...], state: SectionState) -> Sections:
    return {SectionKey(name): state for name in names}
