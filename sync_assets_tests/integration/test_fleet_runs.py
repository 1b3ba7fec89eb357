"""Runs over real servers: each instance comes out once, in its own state, with its line of history and its gap."""

from __future__ import annotations

import threading
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from sync_assets.engine.errors import Stop
from sync_assets.fleet.periods import local_day, period_of
from sync_assets.project.fleet import Item, ItemState, aggregate, classify, counted, due_periods, look_up
from sync_assets.store.fleet.accounts import AccountStore
from sync_assets.store.fleet.capacity import CapacityStore
from sync_assets.testing.proxy import Proxy
from sync_assets_tests.fix_fleet_site import FleetSite

ZONE = ZoneInfo("Asia/Shanghai")


def this_day() -> date:
    return local_day(datetime.now(UTC), ZONE)


def states(items: dict[str, Item]) -> dict[str, str]:
    return {name: str(item.state) for name, item in items.items()}


GOOD = ("ok", "degraded")  # other tests make databases on these servers that this login may not enter


# -- accounts


def test_one_sick_instance_holds_nobody_up(fleet_site: FleetSite) -> None:
    found = fleet_site.accounts(asked_by="nightly")
    assert found["my"].state in GOOD
    assert found["pg"].state in GOOD
    assert (found["down"].state, found["down"].reason, found["down"].attempts) == (ItemState.FAILED, "refused", 3)
    seen = AccountStore(fleet_site.store.sessions).newest("prod")
    assert set(seen) == {"my", "pg"}
    assert fleet_site.user in AccountStore(fleet_site.store.sessions).current("prod", "pg").principals
    gaps = CapacityStore(fleet_site.store.sessions).gaps("prod")
    assert [(g.instance, g.kind, g.reason, g.day) for g in gaps] == [("down", "accounts", "refused", this_day())]
    assert fleet_site.history() == {
        ("prod/accounts", "my"): "finished", ("prod/accounts", "pg"): "finished", ("prod/accounts", "down"): "failed",
    }  # fmt: skip
    assert {who for (who,) in fleet_site.rows("select asked_by from sync_assets.run")} == {"nightly"}


def test_as_many_items_as_instances_and_every_write_has_its_run(fleet_site: FleetSite) -> None:
    """D5, D15: processed = ok + empty + degraded + failed + skipped + blocked; what a person starts is no exception."""
    found = fleet_site.accounts(run_id="by-hand", asked_by="me")
    sizes = fleet_site.capacity(this_day(), run_id="by-hand", asked_by="me")
    for items in (found, sizes):
        assert sum(counted(items.values()).values()) == len(items) == 3
    ids = "select run_id from sync_assets.fleet_snapshot union select run_id from sync_assets.fleet_capacity"
    assert fleet_site.rows(f"{ids} union select run_id from sync_assets.fleet_gap") == [("by-hand",)]
    ((items, bad, who),) = fleet_site.rows(
        "select sum(items), sum(failed), max(asked_by) from sync_assets.sessions where run_id = 'by-hand'"
    )
    assert (items, bad, who) == (6, 2, "me")
    kept = fleet_site.rows("select databases from sync_assets.fleet_capacity where instance = 'my'")
    assert kept == [(sizes["my"].counts["databases"],)], "what is told is what was written"


def test_a_later_success_closes_the_gap(fleet_site: FleetSite) -> None:
    """D3, D13: what was down in one moment is dialled anew, by the next attempt and by the next run."""
    with Proxy("127.0.0.1", fleet_site.servers["pg"].port) as proxy:
        fleet_site.ports = {"pg": proxy.port}
        fleet_site.write("pg")
        proxy.refuse()
        assert states(fleet_site.accounts()) == {"pg": "failed"}
        assert len(CapacityStore(fleet_site.store.sessions).gaps("prod")) == 1
        proxy.heal()
        assert fleet_site.accounts()["pg"].state in GOOD
    assert CapacityStore(fleet_site.store.sessions).gaps("prod") == []


def test_what_fails_twice_is_there_once(fleet_site: FleetSite) -> None:
    """D3, D13: k failures of N are no gap, and each attempt is a connection of its own."""
    with Proxy("127.0.0.1", fleet_site.servers["my"].port) as proxy:
        fleet_site.ports = {"my": proxy.port}
        fleet_site.write("my")
        proxy.refuse()

        def heal(seconds: float) -> None:
            fleet_site.hurry.sleep(seconds)
            if sum(wait > 0.6 for wait in fleet_site.hurry.waits) >= 2:  # less is the spread of beginnings
                proxy.heal()

        item = fleet_site.capacity(this_day(), sleep=heal)["my"]
        assert (item.attempts, proxy.counters.refused, proxy.counters.connections) == (3, 2, 1)
    assert item.state in GOOD
    assert fleet_site.rows("select count(*) from sync_assets.fleet_capacity") == [(1,)]
    assert fleet_site.rows("select count(*) from sync_assets.fleet_gap where closed_at is null") == [(0,)]


@pytest.mark.parametrize("name", ["my", "pg"])
def test_a_connection_that_broke_is_not_used_again(fleet_site: FleetSite, name: str) -> None:
    """D13: what failed once in the middle of an answer leaves nothing behind that the next attempt would trip over."""
    with Proxy("127.0.0.1", fleet_site.servers[name].port) as proxy:
        fleet_site.ports = {name: proxy.port}
        fleet_site.write(name)
        proxy.cut_after(1500, "down")
        item = fleet_site.accounts()[name]
        assert proxy.counters.cuts == 1
    assert item.state in GOOD
    assert item.attempts == 2


def test_a_wrong_password_is_tried_once(fleet_site: FleetSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """D18, 5.3 3: a refused login is no failed connection, and is not repeated: servers lock accounts for that."""
    monkeypatch.setenv("WATCH_PASSWORD", "wr0ng-passw0rd")
    fleet_site.write("my", "pg")
    found = fleet_site.accounts()
    assert {name: (i.reason, i.attempts) for name, i in found.items()} == {"my": ("auth", 1), "pg": ("auth", 1)}
    assert "wr0ng-passw0rd" not in str([item.error for item in found.values()])
    assert {reason for (reason,) in fleet_site.rows("select reason from sync_assets.fleet_gap")} == {"auth"}


@pytest.mark.parametrize(("host", "reason"), [("no-such-host.invalid", "dns"), ("env:NO_SUCH_VARIABLE", "other")])
def test_each_trouble_has_its_reason(fleet_site: FleetSite, host: str, reason: str) -> None:
    text = fleet_site.yaml("pg", "my").replace("host: 127.0.0.1", f"host: '{host}'", 1)
    fleet_site.write(text=text)
    found = fleet_site.accounts()
    assert (found["pg"].state, found["pg"].reason) == (ItemState.FAILED, reason)
    assert found["my"].state in GOOD


def test_a_silent_server_costs_its_own_time_only(fleet_site: FleetSite) -> None:
    with Proxy("127.0.0.1", fleet_site.servers["my"].port) as proxy:
        proxy.silence()
        fleet_site.ports = {"silent": proxy.port}
        fleet_site.settings = "  connect_seconds: 1\n"
        fleet_site.write("silent", "my")
        order = list(fleet_site.accounts())
        assert order == ["my", "silent"]
        assert fleet_site.accounts(["silent"])["silent"].reason == "timeout"


def test_a_denied_section_is_degraded_and_says_what_to_grant(fleet_site: FleetSite) -> None:
    fleet_site.servers["my"].execute(f"revoke select on *.* from '{fleet_site.user}'@'%'")
    fleet_site.write("my")
    item = fleet_site.accounts()["my"]
    assert item.state in (ItemState.FAILED, ItemState.DEGRADED)
    assert any("grant" in state.reason.lower() for state in item.sections.values() if not state.ok)
    assert AccountStore(fleet_site.store.sessions).current("prod", "my").principals == {}


def test_the_guard_blocks_and_a_person_accepts(fleet_site: FleetSite) -> None:
    names = [f"w6_{n}_{fleet_site.user[-6:]}" for n in range(4)]
    server = fleet_site.servers["pg"]
    for name in names:
        server.create_user(name, "x")
    fleet_site.settings = "  accounts: {shrink_guard: {share: 0.01, count: 1}}\n"
    fleet_site.write("pg")
    fleet_site.accounts()
    for name in names:
        server.drop_user(name)
    blocked = fleet_site.accounts()["pg"]
    assert (blocked.state, blocked.reason) == (ItemState.BLOCKED, "blocked")
    assert "sync-assets fleet accept prod pg" in str(blocked.error)
    assert names[0] in AccountStore(fleet_site.store.sessions).current("prod", "pg").principals
    assert fleet_site.accounts(accept=True)["pg"].state in GOOD
    assert names[0] not in AccountStore(fleet_site.store.sessions).current("prod", "pg").principals
    assert fleet_site.rows("select count(*) from sync_assets.fleet_gap where closed_at is null") == [(0,)]


def test_two_runs_at_once_leave_what_one_would(fleet_site: FleetSite) -> None:
    """D20: a schedule and a person start the same work in the same moment."""
    fleet_site.write("my", "pg")
    found: list[dict[str, Item]] = []
    threads = [threading.Thread(target=lambda: found.append(fleet_site.accounts())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert all(item.state.good for items in found for item in items.values())
    twice = "select fleet, instance, name from sync_assets.fleet_principal where valid_to is null group by 1, 2, 3"
    assert fleet_site.rows(f"{twice} having count(*) > 1") == []
    assert Counter(fleet_site.history().values()) == {"finished": 2}
    assert fleet_site.rows("select count(*) from sync_assets.run where outcome = 'finished'") == [(6,)]


def test_many_instances_are_asked_at_the_same_time(fleet_site: FleetSite) -> None:
    """5.3 20: ten servers that are slow cost the time of one, not of ten."""
    with Proxy("127.0.0.1", fleet_site.servers["my"].port) as proxy:
        proxy.latency(0.15)
        names = [f"m{n}" for n in range(10)]
        fleet_site.ports = dict.fromkeys(names, proxy.port)
        fleet_site.write(*names)
        began = time.monotonic()
        found = fleet_site.accounts(names)
        took = time.monotonic() - began
    assert all(item.state.good for item in found.values())
    assert took < sum(item.seconds for item in found.values()) / 2


def test_who_stops_listening_leaves_a_whole_history(fleet_site: FleetSite) -> None:
    from sync_assets.project.fleet import collect_accounts

    items = collect_accounts(*fleet_site.load(), run_id="r", store=fleet_site.store)
    next(items)
    items.close()
    assert sorted(fleet_site.history().values()) in (["failed", "failed", "finished"], ["failed"] * 3)
    assert "running" not in fleet_site.history().values()


def test_an_unknown_name_is_refused_before_anything_is_dialled(fleet_site: FleetSite) -> None:
    with pytest.raises(Stop, match="did you mean down"):
        fleet_site.accounts(["dwon"])
    assert fleet_site.history() == {}


def test_what_has_left_is_skipped_and_says_since_when(fleet_site: FleetSite) -> None:
    fleet_site.accounts(["my"])
    fleet_site.write("pg")
    look_up(*fleet_site.load(), fleet_site.store, this_day())
    found = fleet_site.accounts(["my"])
    assert states(found) == {"my": "skipped"}
    assert str(this_day()) in str(found["my"].error)


# -- capacity: the label is the day that was asked for


def test_sizes_are_labelled_with_the_day_that_was_asked_for(fleet_site: FleetSite) -> None:
    """5.3 14: at midnight and in retries the partition stays what it is, and late ones are marked."""
    day = this_day() - timedelta(days=1)
    fleet_site.settings = "  capacity: {grace: 48}\n"
    fleet_site.write("my")
    fleet_site.store.prepare()
    adopt(fleet_site, "my", day)
    assert fleet_site.capacity(day)["my"].late
    assert fleet_site.rows("select day, late from sync_assets.fleet_capacity") == [(day, True)]


def adopt(site: FleetSite, name: str, day: date) -> None:
    look_up(*site.load(), site.store, day)


def test_too_late_is_a_gap_and_nobody_is_dialled(fleet_site: FleetSite) -> None:
    day = this_day() - timedelta(days=3)
    with Proxy("127.0.0.1", fleet_site.servers["my"].port) as proxy:
        fleet_site.ports = {"my": proxy.port}
        fleet_site.write("my")
        adopt(fleet_site, "my", day)
        item = fleet_site.capacity(day)["my"]
        assert proxy.counters.connections == 0
    assert (item.state, item.reason) == (ItemState.FAILED, "too_late")
    assert fleet_site.rows("select day, reason from sync_assets.fleet_gap") == [(day, "too_late")]
    assert fleet_site.rows("select count(*) from sync_assets.fleet_capacity") == [(0,)]


def test_midnight_between_the_question_and_the_answer_is_a_gap(fleet_site: FleetSite) -> None:
    """The sizes of today are none of yesterday, however they were asked for."""
    day = this_day() - timedelta(days=1)
    fleet_site.write("my")
    adopt(fleet_site, "my", day)
    before_midnight = datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=ZONE)
    item = fleet_site.capacity(day, now=lambda: before_midnight)["my"]
    assert (item.state, item.reason, item.attempts) == (ItemState.FAILED, "too_late", 1)
    assert fleet_site.rows("select count(*) from sync_assets.fleet_capacity") == [(0,)]


def test_tomorrow_is_refused(fleet_site: FleetSite) -> None:
    with pytest.raises(Stop, match="before that day"):
        fleet_site.capacity(this_day() + timedelta(days=1))
    assert fleet_site.history() == {}


def test_a_past_day_that_is_there_is_not_made_a_gap(fleet_site: FleetSite) -> None:
    day = this_day()
    fleet_site.write("my")
    fleet_site.capacity(day)
    later = datetime(day.year, day.month, day.day, tzinfo=ZONE) + timedelta(days=3)
    assert states(fleet_site.capacity(day, now=lambda: later)) == {"my": "skipped"}
    assert fleet_site.rows("select count(*) from sync_assets.fleet_gap") == [(0,)]


# -- periods and classes


def test_a_day_with_a_missing_instance_is_partial_and_due_again_when_it_is_there(fleet_site: FleetSite) -> None:
    fleet_site.write("my", "down")
    fleet_site.capacity(this_day())
    later = datetime.now(UTC) + timedelta(days=1)
    project, fleet = fleet_site.load()
    day = period_of("day", this_day())
    night = later + timedelta(hours=7)
    assert day in due_periods(project, fleet, night, store=fleet_site.store)
    (item,) = aggregate(project, fleet, [day], run_id="a", store=fleet_site.store, now=lambda: later)
    assert item.summary is not None
    assert (item.state, item.summary.missing_instances) == (ItemState.DEGRADED, ("down",))
    assert day not in due_periods(project, fleet, night, store=fleet_site.store)
    fleet_site.ports = {"down": fleet_site.servers["pg"].port}
    fleet_site.write("my", "down")
    fleet_site.capacity(this_day(), ["down"])
    assert day in due_periods(project, fleet, night, store=fleet_site.store)
    (item,) = aggregate(project, fleet, [day], run_id="b", store=fleet_site.store, now=lambda: later)
    assert item.state is ItemState.OK
    assert fleet_site.history()["prod/aggregation", str(day)] == "finished"


def test_a_period_that_is_not_over_fails_by_itself(fleet_site: FleetSite) -> None:
    fleet_site.write("my")
    fleet_site.capacity(this_day())
    days = [period_of("day", this_day()), period_of("day", this_day() - timedelta(days=1))]
    items = {i.period: i for i in aggregate(*fleet_site.load(), days, run_id="a", store=fleet_site.store)}
    assert items[days[0]].state is ItemState.FAILED
    assert items[days[1]].state is not ItemState.FAILED


def test_accounts_are_classified_and_what_was_never_published_is_skipped(fleet_site: FleetSite) -> None:
    fleet_site.accounts()
    found = {i.instance: i for i in classify(*fleet_site.load(), run_id="c", store=fleet_site.store)}
    assert found["down"].state is ItemState.SKIPPED
    assert found["my"].counts["accounts"] > 0
    assert found["pg"].counts["matched"] > 0
    assert fleet_site.history()["prod/classification", "pg"] == "finished"
