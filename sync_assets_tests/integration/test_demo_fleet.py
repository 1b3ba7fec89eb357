"""The demo's fleet: what is made up about it adds up, and what people do to it is found."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, time, timedelta
from pathlib import Path

import pytest

from sync_assets.demo import history, servers
from sync_assets.demo.deployment import Deployment
from sync_assets.demo.history import SILENT_DAYS
from sync_assets.demo.servers import COPY, DEAD, FLEET, SHOP, Servers
from sync_assets.demo.shop import ZONE, Shop
from sync_assets.demo.warehouse import SCHEMA, warehouse
from sync_assets.fleet.effective import superusers
from sync_assets.fleet.model import AccountState
from sync_assets.fleet.periods import closed_since, period_of
from sync_assets.fleet.state import completed, diff
from sync_assets.project.fleet import aggregate, due_periods
from sync_assets.project.load import load_project
from sync_assets.store.control import PostgresStore
from sync_assets.store.fleet.periods import PeriodStore
from sync_assets.testing.bitable import Config, Emulator
from sync_assets.testing.servers import Server, mariadb_server, postgres_server


@pytest.fixture(scope="module", params=[mariadb_server, postgres_server], ids=["mariadb", "postgres"])
def fleet(request: pytest.FixtureRequest) -> Iterator[Servers]:
    """The demo's servers with their accounts, and the customers that were copied."""
    with request.param() as server, warehouse("word-of-the-loader") as copy:
        Shop(server, random.Random(3)).open("word-of-the-reader")
        found = Servers(server, copy.server, "word-of-the-watch")
        found.open()
        copy.server.execute(
            f"create schema {SCHEMA}", f"create table {SCHEMA}.customers (id int)", database="warehouse"
        )
        yield found


def test_a_past_that_adds_up_to_weeks_and_a_forecast(fleet: Servers, store: PostgresStore, tmp_path: Path) -> None:
    past = history.measured(fleet)
    files = Deployment(tmp_path, {}, "", "", "", "")
    with Emulator.start(Config()) as emulator:
        servers.write(files, fleet, emulator, past.sizes, past.begins)
    project = load_project(files.defs)
    placed = project.fleet(FLEET)
    assert past.write(project, store) == 3 * (past.today - past.begins).days
    monday = datetime.combine(period_of("week", past.today).ends, time(0, 5), ZONE)  # the demo is started right after
    due = [one for one in due_periods(project, placed, monday, store=store) if one.name == "week"]
    assert due == list(closed_since("week", past.begins, monday, ZONE))
    weeks = list(closed_since("week", past.begins, datetime.now(ZONE), ZONE))
    found: dict[bool, set[str]] = {True: set(), False: set()}
    for item in aggregate(project, placed, weeks, run_id="r", store=store):
        assert item.summary is not None
        found[item.period.ends <= past.today - timedelta(days=SILENT_DAYS)].add(item.summary.status)
        assert item.summary.status == "complete" or item.summary.missing_instances == (DEAD,)
    assert found == {True: {"complete"}, False: {"partial"}}
    forecasts = PeriodStore(store.sessions).forecasts(FLEET)
    days, soonest = forecasts[SHOP].days_to_full, forecasts[SHOP].full_soonest
    assert days is not None and soonest is not None and 10 < soonest < days < 60
    assert forecasts[DEAD].days_to_full is None


def state(fleet: Servers, server: Server) -> AccountState:
    with closing(fleet.collector(server)) as collector:
        reading = collector.accounts()
    assert all(s.ok or s.status == "unsupported" for s in reading.sections.values()), reading.sections
    return completed(AccountState(), reading)


def test_what_is_done_in_a_hurry_is_found(fleet: Servers) -> None:
    before = {name: state(fleet, server) for name, server in ((SHOP, fleet.shop), (COPY, fleet.copy))}
    person = {name: "小王@%" if "小王@%" in one.principals else "小李" for name, one in before.items()}
    assert not any(person[name] in superusers(one) for name, one in before.items())
    fleet.be_careless()
    after = {SHOP: state(fleet, fleet.shop), COPY: state(fleet, fleet.copy)}
    for name, one in after.items():
        assert "值班" in superusers(one)[person[name]], name
        everybody_was_in = name == SHOP and fleet.shop.kind == "postgres"  # of its schema public
        assert len(diff(before[name], one)) == (2 if everybody_was_in else 3)
    if fleet.shop.kind == "mysql":
        assert after[SHOP].principals["legacy@%"].has_password is False
    assert any(g.principal == "public" and g.path[-1] == "customers" for g in after[COPY].grants.values())


def test_a_private_mariadb_lets_nobody_in_without_a_password() -> None:
    """Its installer makes root accounts without one, for whoever is on this machine."""
    with mariadb_server() as server:
        rows = server.execute(
            "select user, host from mysql.global_priv where user <> 'mariadb.sys' and "
            "coalesce(json_value(priv, '$.account_locked'), '0') not in ('1', 'true') and "
            "coalesce(json_value(priv, '$.authentication_string'), '') in ('', 'invalid')"
        )
    assert rows == []
