"""The commands of a fleet as a user runs them: what they print, what they return, what they leave behind."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from sync_assets.fleet.periods import local_day
from sync_assets_tests.fix_fleet_site import FleetSite

TODAY = local_day(datetime.now(UTC), ZoneInfo("Asia/Shanghai"))


@pytest.fixture
def site(fleet_site: FleetSite) -> FleetSite:
    """With a database 订单 on MariaDB, a table in it, and an account 张三 that may read it."""
    server, boss = fleet_site.servers["my"], fleet_site.user
    fleet_site.extra = f"张三_{boss[-6:]}"
    server.execute(
        "create database if not exists `订单`", "create table if not exists `订单`.`明细` (id int)",
        f"create user '{fleet_site.extra}'@'10.%' identified by 'x'",
        f"grant select on `订单`.`明细` to '{fleet_site.extra}'@'10.%' with grant option",
    )  # fmt: skip
    return fleet_site


@pytest.fixture(autouse=True)
def tidy(fleet_site: FleetSite):  # type: ignore[no-untyped-def]
    yield
    if fleet_site.extra:
        fleet_site.servers["my"].execute(
            f"drop user if exists '{fleet_site.extra}'@'10.%'", "drop database if exists `订单`"
        )


def account(site: FleetSite) -> str:
    return f"{site.extra}@10.%"


def test_collecting_tells_each_instance_and_the_exit_code_the_gravest(site: FleetSite) -> None:
    said = site.command("fleet", "collect", "prod", "accounts")
    assert said.code == 3, said.all  # one is down, and that passes
    assert "adopted: down, my, pg" in said.err
    assert re.search(r"^my: (ok|degraded), MariaDB [\d.]+, \d+ principals", said.out, re.M), said.out
    assert re.search(r"down: failed", said.out)
    assert "[refused]" in said.out
    assert re.search(r"^3: .*1 failed", said.out, re.M)
    site.write("my", "pg")
    again = site.command("fleet", "collect", "prod", "accounts", "--instance", "my", "--json")
    assert again.code == 0
    assert "retired: down" in again.err
    (item,) = json.loads(again.out)
    assert (item["instance"], item["state"] in ("ok", "degraded")) == ("my", True)


def test_what_is_known_can_be_asked(site: FleetSite) -> None:
    site.write("my")
    assert site.command("fleet", "collect", "prod", "accounts").code == 0
    listed = site.command("fleet", "list")
    assert "my" in listed.out
    assert f"127.0.0.1:{site.servers['my'].port}" in listed.out
    shown = site.command("fleet", "show", "prod", "my")
    assert account(site) in shown.out
    whole = json.loads(site.command("fleet", "show", "prod", "my", "--json").out)
    assert account(site) in {one["name"] for one in whole["principals"]}
    who = site.command("fleet", "who", "prod", "-i", "my", "--privilege", "select", "--path", "订单.明细")
    assert re.search(rf"{re.escape(account(site))}[^\n]*\n\s+SELECT on table 订单\.明细", who.out), who.all
    nobody = site.command("fleet", "who", "prod", "-i", "my", "--privilege", "select", "--path", "订单.别的", "--json")
    assert account(site) not in {one["principal"] for one in json.loads(nobody.out)}


def test_times_are_those_of_the_zone_of_the_fleet_and_say_so(site: FleetSite) -> None:
    """A zone that is no whole number of hours away from UTC, so that nothing is right by chance."""
    site.write(text=site.yaml("my").replace("Asia/Shanghai", "Asia/Kathmandu"))
    site.command("fleet", "collect", "prod", "accounts")
    ((at,),) = site.rows("select max(observed_at) from sync_assets.fleet_snapshot")
    seen = f"{at.astimezone(ZoneInfo('Asia/Kathmandu')):%Y-%m-%d %H:%M}"
    listed = site.command("fleet", "list").out
    assert "accounts seen (Asia/Kathmandu)" in listed
    assert seen in listed
    shown = site.command("fleet", "show", "prod", "my").out
    assert f"Asia/Kathmandu; last seen {seen}" in shown
    assert "first seen (Asia/Kathmandu)" in shown
    assert "confirmed (Asia/Kathmandu)" in shown
    assert f"{at:%Y-%m-%d %H:%M}" not in listed + shown
    who = site.command("fleet", "who", "prod", "-i", "my", "--privilege", "select", "--path", "订单.明细").out
    assert re.search(r"as of [\d: -]+ Asia/Kathmandu\n", who), who
    assert f"seen since {seen}" in who
    site.servers["my"].execute(f"drop user '{site.extra}'@'10.%'")
    site.command("fleet", "collect", "prod", "accounts")
    today = str(local_day(datetime.now(UTC), ZoneInfo("Asia/Kathmandu")))
    log = site.command("fleet", "changes", "prod", "--from", today, "--log").out
    assert re.search(r"to [\d: -]+ Asia/Kathmandu: \d+ changes", log), log
    assert "began (Asia/Shanghai)" in site.command("sessions").out, "those of all fleets: the deployment's zone"


def test_what_changed_is_told_in_one_line_each(site: FleetSite) -> None:
    site.write("my")
    site.command("fleet", "collect", "prod", "accounts")
    site.servers["my"].execute(f"drop user '{site.extra}'@'10.%'")
    site.command("fleet", "collect", "prod", "accounts")
    yesterday = str(TODAY - timedelta(days=1))
    log = site.command("fleet", "changes", "prod", "--from", yesterday, "--log")
    assert f"my: dropped {account(site)}" in log.out
    assert f"my: revoked {account(site)}: SELECT on table 订单.明细 with grant option" in log.out
    net = site.command("fleet", "changes", "prod", "--from", yesterday)
    assert f"my: dropped {account(site)}" in net.out, "from the first look on: it was there then"
    assert "added" not in net.out, "what was there at the first look is no change"
    assert "(note) my: its first look was at" in net.out
    one = site.command("fleet", "changes", "prod", "--from", yesterday, "-i", "my").out
    assert one.splitlines()[1:] == net.out.splitlines()[1:]


def test_sizes_gaps_and_periods(site: FleetSite) -> None:
    said = site.command("fleet", "collect", "prod", "capacity")
    assert said.code == 3
    assert re.search(r"^my: .* databases.* of data", said.out, re.M), said.out
    gaps = site.command("fleet", "gaps", "prod")
    assert gaps.code == 3
    assert re.search(rf"{TODAY}\s+capacity\s+down\s+refused", gaps.out), gaps.out
    due = site.command("fleet", "aggregate", "prod", "--due")
    assert due.code == 0
    day = site.command("fleet", "aggregate", "prod", "--period", f"day:{TODAY}")
    assert day.code == 2
    assert "is not over" in day.out
    assert site.command("fleet", "aggregate", "prod", "--period", "weekly:2026-11-16").code == 2
    assert site.command("fleet", "aggregate", "prod").code == 2


def test_a_fleet_that_was_never_looked_at_says_so_and_what_to_do(site: FleetSite) -> None:
    gaps = site.command("fleet", "gaps", "prod")
    assert gaps.code == 0
    assert "never looked at: down, my, pg\n  -> sync-assets fleet collect prod accounts" in gaps.out
    changes = site.command("fleet", "changes", "prod", "--from", str(TODAY - timedelta(days=2)))
    assert "0 changes" in changes.out
    assert "my: its accounts were never read" in changes.out
    for what in ("accounts", "capacity"):
        report = site.command("report", "prod", what)
        assert report.code == 2
        assert "nothing is known of the fleet prod yet" in report.err
        assert "-> sync-assets fleet collect prod accounts, and the same with capacity" in report.err


def test_a_fleet_of_no_instances_says_so_and_is_not_just_silent(site: FleetSite) -> None:
    pg = site.servers["pg"]
    pg.execute("create table if not exists no_servers (name text, type text, host text)")
    connection = (
        "type: sync_assets.components.Connections\nattributes:\n  connections:\n"
        f"    - {{type: postgres, name: cmdb, host: 127.0.0.1, port: {pg.port}, database: {pg.database},"
        f' user: {pg.user}, password: "env:CMDB_WORD"}}\n'
    )
    (site.folder / ".env").write_text(f"CMDB_WORD={pg.password}\n", encoding="utf-8")
    head = site.yaml().rpartition("  instances:")[0]
    site.write(text=f"{connection}---\n{head}  instances_from: {{connection: cmdb, table: no_servers}}\n")
    for words in (["collect", "prod", "accounts"], ["list", "prod"], ["gaps", "prod"], ["classify", "prod"]):
        said = site.command("fleet", *words)
        assert said.code == 0, said.all
        assert "prod has no instance today\n  -> write servers into instances" in said.out, words
    assert "it has none" in site.command("fleet", "show", "prod", "my").err


def test_the_list_says_what_the_newest_try_came_to(site: FleetSite) -> None:
    """A wrong password on one of two: it is told beside the instance, not only where gaps are asked for."""
    site.write("my", "pg")
    site.servers["pg"].execute(f"alter user \"{site.user}\" password 'another'")
    said = site.command("fleet", "collect", "prod", "accounts")
    assert said.code == 2
    assert "check user and password" in said.out
    listed = site.command("fleet", "list", "prod").out
    assert re.search(r"^pg .*accounts missing: auth", listed, re.M), listed
    assert not re.search(r"^my .*missing", listed, re.M), listed


def test_a_day_of_the_past_is_answered_with_the_first_that_is_known(site: FleetSite) -> None:
    since, before = TODAY - timedelta(days=5), TODAY - timedelta(days=9)
    site.write(text=site.yaml("my").replace("name: my,", f"name: my, adopted_on: {since},"))
    site.command("fleet", "collect", "prod", "accounts")
    shown = site.command("fleet", "show", "prod", "my", "--on", str(since))
    assert shown.code == 2
    assert f"-> its first look was at {TODAY}" in shown.err
    for what in ("accounts", "capacity"):
        report = site.command("report", "prod", what, "--on", str(before))
        assert report.code == 2
        assert f"no instance belongs to the fleet prod on {before}" in report.err
        assert f"-> its first instance was adopted on {since}: give a later day" in report.err
    assert site.command("report", "prod", "capacity", "--on", str(TODAY + timedelta(days=1))).code == 2


def test_a_privilege_that_nobody_has_may_be_a_slip_of_the_keys(site: FleetSite) -> None:
    site.write("my")
    site.command("fleet", "collect", "prod", "accounts")
    asked = ["fleet", "who", "prod", "-i", "my", "--path", "订单.明细", "--privilege"]
    assert "(note) nobody holds any right named SELEC here" in site.command(*asked, "selec").out
    assert "(note)" not in site.command(*asked, "select").out
    assert site.command(*asked, " ").code == 2


def test_days_before_the_first_look_are_not_observed_yet_and_no_gaps(site: FleetSite) -> None:
    since = TODAY - timedelta(days=40)
    site.write(text=site.yaml("my").replace("name: my,", f"name: my, adopted_on: {since},"))
    site.command("fleet", "collect", "prod", "capacity")
    gaps = site.command("fleet", "gaps", "prod")
    assert gaps.code == 0, gaps.all
    assert "no gaps" in gaps.out
    assert f"my: not observed yet from {since} to {TODAY - timedelta(days=1)}, before its first look" in gaps.out


def test_classes_by_rule_and_by_hand(site: FleetSite) -> None:
    site.write("my")
    assert site.command("fleet", "classify", "prod").code == 0  # nothing was published yet: skipped
    site.command("fleet", "collect", "prod", "accounts")
    done = site.command("fleet", "classify", "prod")
    assert done.code == 0
    assert re.search(r"^my: .*accounts", done.out, re.M), done.out
    assert site.command("fleet", "assign", "prod", "my", account(site), "sensitive", "--note", "审计").code == 0
    kept = site.rows(
        "select class, origin, note, assigned_by from sync_assets.fleet_assignment where origin = 'manual'"
    )
    assert [row[:3] for row in kept] == [("sensitive", "manual", "审计")]
    assert "command line" in kept[0][3]
    assert site.command("fleet", "classify", "prod").code == 0
    assert site.rows("select count(*) from sync_assets.fleet_assignment where origin = 'manual'") == [(1,)]
    assert site.command("fleet", "unassign", "prod", "my", account(site), "sensitive").code == 0
    assert site.command("fleet", "unassign", "prod", "my", account(site), "sensitive").code == 2
    assert site.command("fleet", "assign", "prod", "my", account(site), "no_such").code == 2


def test_sessions_tell_who_asked_and_what_came_of_it(site: FleetSite) -> None:
    site.command("fleet", "collect", "prod", "accounts")
    said = site.command("sessions")
    assert re.search(r"partial\s+prod/accounts\s+3\s+2\s+1\s+.*\(command line\)", said.out), said.out
    (one,) = json.loads(site.command("sessions", "--json").out)
    items = site.command("sessions", one["run_id"][:12])
    assert re.search(r"failed\s+prod/accounts\s+down\s+.*refused", items.out), items.out
    assert site.command("sessions", "nonsense").code == 2
    assert re.search(r"prod/accounts\s+down", site.command("runs", "prod").out)


def test_check_tries_every_server_and_writes_nothing(site: FleetSite) -> None:
    said = site.command("check", "prod")
    assert said.code == 2
    assert re.search(r"ok my: MariaDB", said.out), said.out
    assert re.search(r"rules of classes", said.out)
    assert "nothing listens" in said.out or "refused" in said.out
    assert site.rows("select count(*) from sync_assets.fleet_instance") == [(0,)]
    site.write("my")
    site.servers["my"].execute(f"revoke process on *.* from '{site.user}'@'%'")
    missing = site.command("check")
    assert missing.code == 2
    assert "PROCESS" in missing.out.upper()


def test_the_guard_is_passed_by_name(site: FleetSite) -> None:
    site.settings = "  accounts: {shrink_guard: {share: 0.0, count: 0}}\n"
    site.write("my")
    site.command("fleet", "collect", "prod", "accounts")
    site.servers["my"].execute(f"drop user '{site.extra}'@'10.%'")
    blocked = site.command("fleet", "collect", "prod", "accounts")
    assert blocked.code == 2
    assert "sync-assets fleet accept prod my" in blocked.out
    assert site.command("fleet", "accept", "prod", "my").code == 0
    assert account(site) not in site.command("fleet", "show", "prod", "my").out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["collect", "prd", "accounts"], "did you mean prod"),
        (["collect", "prod", "accounts", "-i", "mx"], "has no instance 'mx'"),
        (["show", "prod", "nope"], "has no instance 'nope'"),
        (["show", "prod", "my"], "nothing was published of my"),
        (["changes", "prod", "--from", "yesterday"], "is no day"),
        (["changes", "prod", "--from", "2099-01-01"], "has not come yet"),
        (["changes", "prod", "--from", "2026-02-02", "--to", "2026-02-01"], "is before"),
        (["assign", "prod", "my", "a", "b"], "there is no class b"),
    ],
)
def test_mistakes_are_answered_with_what_would_be_right(site: FleetSite, words: list[str], says: str) -> None:
    said = site.command("fleet", *words)
    assert said.code == 2
    assert says in said.err, said.all
    assert "->" in said.err


def test_rules_of_the_original_are_imported(site: FleetSite) -> None:
    file = site.folder / "rules.json"
    rule = {"db_type": "mysql", "rule_name": "超级", "classification": "super",
            "rule_expression": {"version": 4, "expr": {"fn": "is_superuser", "args": {}}}}  # fmt: skip
    file.write_text(json.dumps([rule]), encoding="utf-8")
    said = site.command("fleet", "import-rules", str(file))
    assert said.code == 0, said.all
    assert "is_superuser" in said.out
