"""kill -9 of a process that works on a fleet, at several points: nothing stays running, nothing is half there."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from sync_assets.fleet.periods import local_day
from sync_assets.project.history import reconcile
from sync_assets.store.fleet.accounts import AccountStore
from sync_assets.store.fleet.capacity import CapacityStore
from sync_assets_tests.fix_fleet_site import FleetSite

# The child dies of its own hand where it is told to: at the nth time that it comes to that place.
CHILD = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from sync_assets.fleet.periods import local_day
from sync_assets.project import fleet as work
from sync_assets.project.fleet import asking
from sync_assets.project.load import load_project
from sync_assets.store.fleet import accounts, capacity

what, point = sys.argv[1:]

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def before(owner, name):
    setattr(owner, name, die)

def after(owner, name):
    real = getattr(owner, name)
    def done(*a, **k):
        real(*a, **k)
        die()
    setattr(owner, name, done)

{
    "begun": lambda: before(asking.Round, "run"),
    "asked": lambda: after(asking.Round, "_begin"),
    "staged": lambda: after(accounts.AccountStore, "stage"),
    "publishing": lambda: after(accounts.publication, "publish"),  # its transaction is still open
    "published": lambda: after(accounts.AccountStore, "publish"),
    "writing": lambda: after(capacity, "_write"),  # its transaction is still open
    "recorded": lambda: after(capacity.CapacityStore, "record"),
}.get(point, lambda: None)()
project = load_project(Path(os.environ["SYNC_ASSETS_DEFS"]))
fleet = project.fleet("prod")
day = local_day(datetime.now(UTC), fleet.time_zone)
if what == "accounts":
    items = work.collect_accounts(project, fleet, run_id="child", asked_by="child")
else:
    items = work.collect_capacity(project, fleet, day, run_id="child", asked_by="child")
for number, item in enumerate(items, 1):
    if point == f"item {number}":
        die()
"""
POINTS = [
    *[("accounts", point) for point in ("begun", "asked", "staged", "publishing", "published", "item 1", "item 3")],
    *[("capacity", point) for point in ("begun", "asked", "writing", "recorded", "item 1", "item 3")],
]


def killed(site: FleetSite, what: str, point: str) -> None:
    words = [sys.executable, "-c", CHILD, what, point]
    done = subprocess.run(words, env=site.environment, cwd=Path(__file__).parents[2], timeout=60, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


@pytest.mark.parametrize(("what", "point"), POINTS)
def test_nothing_stays_running_and_what_was_not_done_is_a_gap(fleet_site: FleetSite, what: str, point: str) -> None:
    """D2: the next start, of anything at all, closes what a killed process left open."""
    killed(fleet_site, what, point)
    before = fleet_site.history()
    assert set(before) == {(f"prod/{what}", line(what, name)) for name in ("my", "pg", "down")}
    ended = {name for name in ("my", "pg", "down") if before[f"prod/{what}", line(what, name)] != "running"}
    assert len(ended) == {"item 1": 1, "item 3": 3}.get(point, 0)
    found = fleet_site.accounts(["my"]) if what == "capacity" else fleet_site.capacity(today(), ["my"])
    assert found["my"].state.good
    after = {key: outcome for key, outcome in fleet_site.history().items() if key in before}
    assert after == {key: "lost" if outcome == "running" else outcome for key, outcome in before.items()}
    there = set(fleet_site.rows(KEPT[what]))
    gaps = CapacityStore(fleet_site.store.sessions).gaps("prod", kind="accounts" if what == "accounts" else "capacity")
    assert {(gap.instance,) for gap in gaps} | there == {("my",), ("pg",), ("down",)}
    assert all(gap.reason == "lost" for gap in gaps if (gap.instance,) not in there and gap.instance not in ended)


@pytest.mark.parametrize("point", ["staged", "publishing", "published"])
def test_a_kill_leaves_the_state_of_before_or_after_and_the_next_run_makes_it_whole(
    fleet_site: FleetSite, point: str
) -> None:
    """D1, D2: no account without its rights, wherever the process died."""
    fleet_site.write("my")
    killed(fleet_site, "accounts", point)
    state = AccountStore(fleet_site.store.sessions).current("prod", "my")
    assert bool(state.principals) == bool(state.grants) == (point == "published")
    assert fleet_site.accounts()["my"].state.good
    assert AccountStore(fleet_site.store.sessions).current("prod", "my").grants
    assert CapacityStore(fleet_site.store.sessions).gaps("prod") == []


def test_what_runs_is_not_called_lost(fleet_site: FleetSite) -> None:
    """By another start on this machine, nor on another one, as long as the lease is held."""
    from sync_assets.project.fleet import collect_accounts

    items = collect_accounts(*fleet_site.load(), run_id="alive", store=fleet_site.store)
    next(items)
    assert reconcile(fleet_site.store) == 0
    assert reconcile(fleet_site.store, here=lambda holder: False) == 0
    assert all(run.leased for run in fleet_site.store.runs(running=True))
    list(items)
    assert "running" not in fleet_site.history().values()
    free = fleet_site.rows("select count(*) from sync_assets.lease where owner is not null")
    assert free == [(0,)]


KEPT = {
    "accounts": "select instance from sync_assets.fleet_snapshot where state = 'published'",
    "capacity": "select instance from sync_assets.fleet_capacity",
}


def line(what: str, name: str) -> str:
    return name if what == "accounts" else f"{today()}|{name}"


def today() -> object:
    return local_day(datetime.now(UTC), ZoneInfo("Asia/Shanghai"))
