"""A year of a fleet's sizes added up: ours, period by period, beside one statement by hand for each kind of period.

    python -m benchmarks.fleet_aggregate [--quick] [--instances 1000] [--databases 20] [--json FILE]

Fills a private PostgreSQL with a year of days in which every size changes every day (the worst case for Theil-Sen:
nothing is constant) and one day of fifty is missing. Ours is `PeriodStore.aggregate` over all weeks, months and
quarters that are over, each a transaction with its expected days, missing days, hashes and comparison with what is
stored. By hand is one INSERT ... SELECT for all weeks, one for all months, one for all quarters, with as much memory as
it likes, which does the same numbers and knows nothing of what is missing. The numbers of both are compared. `again` is
ours once more, with nothing to write;
`due` is finding out that there is nothing to do. `of cpu` is the ratio of processor seconds, for a machine that does
other things besides. `peak` is the most private memory of the server's process, in MB.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from benchmarks.fleet_aggregate_sql import COMPARE, FILL, HAND, TABLE
from sync_assets.fleet.periods import Period, PeriodName, closed_since
from sync_assets.store.address import Address
from sync_assets.store.control import PostgresStore, open_store
from sync_assets.store.fleet.periods import PeriodStore
from sync_assets.store.secrets import Secret
from sync_assets.testing.servers import Server, postgres_server

ZONE = ZoneInfo("Asia/Shanghai")
FIRST, NOW = date(2025, 1, 1), datetime(2026, 1, 1, tzinfo=ZONE)
KINDS: tuple[PeriodName, ...] = ("week", "month", "quarter")
SETTINGS = ("shared_buffers=1GB", "max_wal_size=8GB", "checkpoint_timeout=30min", "synchronous_commit=off")


@dataclass(frozen=True)
class Result:
    kind: str
    periods: int
    rows: int
    ours: Cost
    hand: Cost
    again: Cost
    wrong: int

    @property
    def ratio(self) -> float:
        return self.ours.seconds / self.hand.seconds

    @property
    def cpu_ratio(self) -> float:
        return self.ours.cpu / self.hand.cpu


class Peak(threading.Thread):
    """The most private memory of a process, looked at every 20 ms."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._status, self._over, self.peak = Path(f"/proc/{pid}/status"), threading.Event(), 0.0

    def run(self) -> None:
        while not self._over.wait(0.02):
            lines = self._status.read_text().splitlines()
            self.peak = max(self.peak, *(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon")))

    def stop(self) -> float:
        self._over.set()
        self.join()
        return self.peak


@dataclass(frozen=True)
class Cost:
    """Seconds on the wall, seconds of the server process's processor, and its most private memory in MB."""

    seconds: float
    cpu: float
    peak: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.seconds + other.seconds, self.cpu + other.cpu, max(self.peak, other.peak))


def timed(pid: int, work: Callable[[], Any]) -> Cost:
    watch = Peak(pid)
    watch.start()
    started, before = time.perf_counter(), processor(pid)
    work()
    return Cost(time.perf_counter() - started, processor(pid) - before, watch.stop())


def processor(pid: int) -> float:
    """Seconds so far; fields 14 and 15 of /proc/PID/stat, counted from behind the name."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def control_database() -> Iterator[tuple[Server, PostgresStore, psycopg.Connection[Any]]]:
    with postgres_server(options=SETTINGS) as server:
        address = Address(server.host, server.port, server.user, server.database, Secret(server.password))
        with open_store(lambda: address) as store, psycopg.connect(**address.arguments(), autocommit=True) as admin:
            store.prepare()
            yield server, store, admin


def fill(admin: psycopg.Connection[Any], instances: int, databases: int) -> int:
    """A year of rows; constraints look away meanwhile, as in any restore."""
    admin.execute("set session_replication_role = replica")
    for statement in FILL:
        admin.execute(statement, {"instances": instances, "databases": databases, "first": FIRST, "until": NOW.date()})
    admin.execute("set session_replication_role = origin")
    admin.execute("vacuum analyze")
    row = admin.execute("select count(*) from sync_assets.fleet_database_size").fetchone()
    return int(row[0]) if row else 0


def case(kind: PeriodName, store: PostgresStore, admin: psycopg.Connection[Any]) -> Result:
    periods = list(closed_since(kind, FIRST, NOW, ZONE))
    ours = PeriodStore(store.sessions)
    pid = store.sessions.run(lambda cursor: cursor.connection.info.backend_pid)
    admin.execute(TABLE)
    admin.execute("set work_mem = '1GB'")  # so that it need not sort its rows on disk
    by_hand = timed(admin.info.backend_pid, lambda: admin.execute(HAND, {"kind": kind, "until": NOW.date()}))
    first, again = (timed(pid, lambda: all_of(ours, periods)) for _ in range(2))
    rows, wrong = admin.execute(COMPARE, {"kind": kind}).fetchone() or (0, -1)
    return Result(kind, len(periods), rows, first, by_hand, again, wrong)


def all_of(store: PeriodStore, periods: list[Period]) -> None:
    for period in periods:
        store.aggregate("f", period, 0.8, ZONE)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--quick", action="store_true", help="100 instances, within two minutes")
    words.add_argument("--instances", type=int, default=1000)
    words.add_argument("--databases", type=int, default=20)
    words.add_argument("--json", type=Path)
    given = words.parse_args()
    with control_database() as (_, store, admin):
        started = time.perf_counter()
        count = fill(admin, 100 if given.quick else given.instances, given.databases)
        print(f"{count:,} rows of databases, filled in {time.perf_counter() - started:.0f} s")
        print(f"{'kind':<9}{'periods':>8}{'rows':>10}{'ours s':>9}{'hand s':>9}{'ratio':>7}{'of cpu':>8}{'again s':>9}"
              f"{'peak MB':>9}{'by hand':>9}  check")  # fmt: skip
        results = []
        for kind in KINDS:
            results.append(case(kind, store, admin))
            show(results[-1])
        show(total(results))
        print(f"due: {timed(admin.info.backend_pid, lambda: print(due(store))).seconds:.1f} s")
    if given.json:
        given.json.write_text(json.dumps([asdict(r) | {"ratio": r.ratio} for r in results], indent=2))


def due(store: PostgresStore) -> str:
    left = PeriodStore(store.sessions).due("f", KINDS, NOW.astimezone(UTC), ZONE, 0)
    return f"{len(left)} periods are due"


def total(results: list[Result]) -> Result:
    ours, hand, again = (reduce(add, [getattr(r, name) for r in results]) for name in ("ours", "hand", "again"))
    counts = [sum(getattr(r, name) for r in results) for name in ("periods", "rows", "wrong")]
    return Result("all", counts[0], counts[1], ours, hand, again, counts[2])


def show(r: Result) -> None:
    check = "equal" if r.wrong == 0 else f"WRONG: {r.wrong} rows"
    print(f"{r.kind:<9}{r.periods:>8}{r.rows:>10,}{r.ours.seconds:>9.1f}{r.hand.seconds:>9.1f}{r.ratio:>7.2f}"
          f"{r.cpu_ratio:>8.2f}{r.again.seconds:>9.1f}{r.ours.peak:>9.0f}{r.hand.peak:>9.0f}  {check}",
          flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
