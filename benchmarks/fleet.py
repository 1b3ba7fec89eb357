"""The accounts of a simulated fleet: ours beside the original's way of asking, on the same servers.

    python -m benchmarks.fleet [--quick] [--instances 300] [--accounts 60] [--trip 30] [--dead 5] [--sample 8]

Real MariaDB and PostgreSQL servers, a few shared by many proxied addresses; the proxy adds `--trip` milliseconds to a
round trip, and `--dead` percent of the instances take connections and say nothing. Ours is `collect_accounts`: read,
staged and published in a control database, 16 servers at once, every failure tried three times. The original's way is
one server after another and one to four queries an account; it stores nothing. It is measured on `--sample` instances
of each kind (and one dead one) and scaled, unless `--sample` reaches them all. `first` has everything to write,
`again` nothing. `peak` is the most memory of our process in MB, and what it was before.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg
import pymysql

from benchmarks import fleet_original
from benchmarks.fleet_site import PASSWORD, USER, Instance, Site, simulated
from sync_assets.project.fleet import collect_accounts
from sync_assets.project.load import load_project


@dataclass(frozen=True)
class Ours:
    seconds: float
    states: dict[str, int]
    accounts: int


@dataclass(frozen=True)
class Original:
    seconds: float
    measured: int
    of: int
    trips: int


def main() -> None:
    """Measure and print."""
    options = _options()
    with simulated(options.instances, options.accounts, options.trip / 1000, options.dead / 100) as site:
        before = _memory()
        first, again = _ours(site, "first"), _ours(site, "again")
        peak = _memory()
        original = _original(site, options.sample)
    found = {"first": asdict(first), "again": asdict(again), "original": asdict(original), "peak": [peak, before]}
    _print(first, again, original, peak, before)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    _check(first, options.instances, options.dead)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the original's way on 1 instance of each kind")
    parser.add_argument("--instances", type=int, default=300)
    parser.add_argument("--accounts", type=int, default=60)
    parser.add_argument("--trip", type=float, default=30, help="milliseconds")
    parser.add_argument("--dead", type=float, default=5, help="percent")
    parser.add_argument("--sample", type=int, default=8)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    options.sample = 1 if options.quick else options.sample
    return options


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _ours(site: Site, run_id: str) -> Ours:
    project = load_project(site.folder / "defs")
    began = time.monotonic()
    items = list(collect_accounts(project, project.fleet("prod"), run_id=run_id, store=site.store))
    took = time.monotonic() - began
    states = Counter(str(item.state) for item in items)
    return Ours(took, dict(states), sum(item.counts.get("principals", 0) for item in items))


def _original(site: Site, sample: int) -> Original:
    """The mean of each kind, times how many there are of it."""
    seconds, measured, trips = 0.0, 0, 0
    for kind, ask in (("mysql", fleet_original.mysql), ("postgres", fleet_original.postgres)):
        alive, dead = site.some(kind), site.some(kind, dead=True)
        times, counts = zip(*(_timed(ask, one) for one in alive[:sample]), strict=True)
        seconds += statistics.mean(times) * len(alive)
        trips += round(statistics.mean(counts) * len(alive))
        measured += len(times)
        if dead:
            seconds += _timed(ask, dead[0])[0] * len(dead)
            measured += 1
    return Original(seconds, measured, len(site.instances), trips)


def _timed(ask: Callable[[str, int, str, str], int], one: Instance) -> tuple[float, int]:
    began = time.monotonic()
    try:
        trips = ask(one.address, one.port, USER, PASSWORD)
    except (pymysql.MySQLError, psycopg.Error):
        if not one.dead:
            raise
        trips = 0
    return time.monotonic() - began, trips


def _print(first: Ours, again: Ours, original: Original, peak: float, before: float) -> None:
    rows: Sequence[tuple[str, Ours]] = (("first", first), ("again", again))
    print(f"{'':10}{'seconds':>9}{'ratio':>8}  states")
    for name, one in rows:
        print(
            f"{name:10}{one.seconds:9.1f}{original.seconds / one.seconds:8.0f}  {one.states}, {one.accounts} accounts"
        )
    how = "measured" if original.measured == original.of else f"scaled from {original.measured} measured"
    where = f"{how} of {original.of}, one after another, {original.trips} statements"
    print(f"{'original':10}{original.seconds:9.1f}{'':8}  {where}")
    print(f"peak {peak:.0f} MB, {before:.0f} MB before")


def _check(first: Ours, instances: int, dead: float) -> None:
    failed = first.states.get("failed", 0)
    if sum(first.states.values()) != instances or failed != instances // round(100 / dead) * bool(dead):
        raise SystemExit(f"not every instance came out as it should: {first.states}")


if __name__ == "__main__":
    main()
