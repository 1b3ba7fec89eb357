"""Made-up history: sizes of the fleet's servers before the demo began, for nobody can wait a month for a month.

Written through the same store as real sizes, and derived from what the servers measure today. Made up, and said so:
everything of today is real.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from random import Random

from sync_assets.demo.servers import COPY, DEAD, FLEET, SHOP, Servers
from sync_assets.demo.shop import ZONE
from sync_assets.fleet.model import (
    CapacityReading,
    DatabaseSize,
    SectionKey,
    SectionName,
    SectionState,
    ServerFact,
    Status,
)
from sync_assets.project.fleet import look_up
from sync_assets.project.load import Project
from sync_assets.store.control import PostgresStore
from sync_assets.store.fleet.capacity import CapacityStore

MONTHS, SILENT_DAYS = 4, 9  # how far back it goes; since when the dead server is dead
RUN = "made-up-history"
_GROWN = {SHOP: 0.4, COPY: 0.15, DEAD: 0.05}  # of today's size, over the whole time
_WEEKEND, _NOISE = 0.004, 0.003  # less on Saturdays and Sundays; some days more, some less
_DEAD_SIZE = 12_000_000


@dataclass(frozen=True, slots=True)
class History:
    """`real` are today's readings of the servers that answer."""

    real: Mapping[str, CapacityReading]
    today: date

    @property
    def begins(self) -> date:
        """The first day of the history: that of a month, so that the first one is whole."""
        return (self.today.replace(day=1) - timedelta(days=31 * MONTHS - 20)).replace(day=1)

    @property
    def sizes(self) -> dict[str, int]:
        return {name: reading.total_bytes for name, reading in self.real.items()}

    def write(self, project: Project, store: PostgresStore) -> int:
        """Adopt the fleet, and give it a past; how many days of servers that was."""
        fleet = project.fleet(FLEET)
        look_up(project, fleet, store, self.today)
        capacity, first = CapacityStore(store.sessions), self.begins
        days = (self.today - first).days
        for name, last in {**self.real, DEAD: _dead()}.items():
            for day, share in _shares(first, days, _GROWN[name], Random(name)):  # noqa: S311 - sizes, no secret
                if name == DEAD and day >= self.today - timedelta(days=SILENT_DAYS):
                    capacity.gap(FLEET, name, "capacity", day, "refused", "nothing listens there (made up)", RUN)
                else:
                    capacity.record(FLEET, name, day, RUN, _scaled(last, day, share))
        return days * len(_GROWN)


def measured(servers: Servers) -> History:
    """The history that ends in what the servers measure now."""
    real = {}
    for name, server in ((SHOP, servers.shop), (COPY, servers.copy)):
        with closing(servers.collector(server)) as collector:
            real[name] = collector.capacity(top_tables=0)
    return History(real, datetime.now(ZONE).date())


def _shares(first: date, days: int, grown: float, random: Random) -> Iterator[tuple[date, float]]:
    """Every day before today, and its size as a share of today's."""
    for number in range(days):
        day = first + timedelta(days=number)
        share = 1 - grown * (days - number) / days
        yield day, share - (_WEEKEND if day.weekday() >= 5 else 0) + random.gauss(0, _NOISE)


def _scaled(reading: CapacityReading, day: date, share: float) -> CapacityReading:
    """The reading as it might have been at three in the morning of that day."""
    databases = tuple(replace(d, bytes=None if d.bytes is None else int(d.bytes * share)) for d in reading.databases)
    at = datetime.combine(day, time(3), ZONE).astimezone(UTC)
    return replace(reading, observed_at=at, databases=databases, logs=(), tables=())


def _dead() -> CapacityReading:
    """What the server had that answers no more."""
    databases = (DatabaseSize("报表", bytes=_DEAD_SIZE), DatabaseSize("归档", bytes=_DEAD_SIZE // 3))
    sections = {SectionKey(SectionName.DATABASES): SectionState(Status.OK, rows=len(databases))}
    server = ServerFact("mysql", "MySQL", (5, 7, 44))
    return CapacityReading(server, datetime.now(UTC), sections, databases)
