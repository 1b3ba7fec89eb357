"""Reports of a fleet from a control database: figures, pages and tables, and that they never say more than is known."""

from __future__ import annotations

import csv
import io
import stat
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest

from sync_assets.engine.errors import Stop
from sync_assets.fleet.guard import ShrinkLimit
from sync_assets.fleet.model import (
    CapacityReading,
    DatabaseSize,
    Grant,
    Membership,
    PrincipalKind,
    ScopeKind,
    SectionKey,
    SectionName,
    SectionState,
    ServerFact,
    Status,
    TableSize,
)
from sync_assets.project.fleet.report import accounts, capacity, making, table_file
from sync_assets.project.load import load_project
from sync_assets.store.fleet.accounts import AccountStore
from sync_assets.store.fleet.capacity import CapacityStore
from sync_assets_tests.fix_fleet import MORNING, FleetBox, account, account_reading
from sync_assets_tests.fix_fleet_site import FleetSite

LAST = date(2026, 3, 31)
ZONE = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 3, 31, 10, tzinfo=UTC)
GB = 10**9
HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "=cmd|' /C calc'!A0", "a\u202egnp", "王五")
SERVER = ServerFact("mysql", "MariaDB", (10, 11, 8))
PLUGIN = (("plugin", "mysql_native_password"),)
INSTANCES = ("客户库", "quiet", "<b>shop</b>", "down")


class Site:
    """A fleet whose readings are written by hand."""

    def __init__(self, box: FleetBox, folder: Path) -> None:
        self.box, self.folder = box, folder
        self.sizes, self.accounts = CapacityStore(box.store.sessions), AccountStore(box.store.sessions)
        entries = "".join(f"    - {{name: '{n}', type: mysql, host: 127.0.0.1, port: 9, volume: 100GB}}\n" for n in INSTANCES)  # fmt: skip  # noqa: E501
        (folder / "defs" / "f").mkdir(parents=True)
        (folder / "defs" / "f" / "defs.yaml").write_text(
            "type: sync_assets.components.DatabaseFleet\nattributes:\n  name: servers\n  title: 生产 <i>库</i>\n"
            "  time_zone: Asia/Shanghai\n  logins: {default: {user: x}}\n  instances:\n" + entries,
            encoding="utf-8",
        )

    def size(self, instance: str, day: date, *sizes: int | None) -> None:
        """A day with databases d0, d1, ... of these sizes."""
        listed = tuple(DatabaseSize(f"d{at}", bytes=n) for at, n in enumerate(sizes))
        state = SectionState(Status.OK) if None not in sizes else SectionState(Status.DENIED, "no right")
        sections = {SectionKey(SectionName.DATABASES): SectionState(Status.OK), SectionKey(SectionName.SIZES): state}
        at = datetime(day.year, day.month, day.day, 3, tzinfo=UTC)
        table = TableSize("d0", "", "订单", 7 * GB, None)
        reading = CapacityReading(SERVER, at, sections, listed, (), (table,))
        self.sizes.record("servers", instance, day, "r", reading)

    def look(
        self, instance: str, *principals: Any, grants: Any = (), members: Any = (), at: Any = MORNING, bad: Any = ()
    ):
        reading = account_reading(principals, grants, members, at=at, bad=bad, server=SERVER)
        snapshot = self.accounts.stage("servers", instance, "r", at.date(), reading)
        return self.accounts.publish(snapshot, reading, ShrinkLimit(1, 100))

    @property
    def placed(self) -> Any:
        project = load_project(self.folder / "defs")
        return project, project.fleet("servers")

    def capacity(self, day: date | None = LAST) -> capacity.CapacityReport:
        return capacity.capacity_report(*self.placed, self.box.store, LAST, day)

    def known(self, at: datetime = NOW, past: bool = False) -> dict[str, accounts.InstanceAccounts]:
        day = at.astimezone(ZONE).date()
        found = accounts.account_report(*self.placed, self.box.store, at, day, past)
        return {one.member.name: one for one in found.instances}

    def text(self, what: Literal["accounts", "capacity"], form: Literal["html", "csv"], day: date | None = None) -> str:
        return making.report(*self.placed, self.box.store, what, form, NOW, day)

    def table(self, what: Literal["accounts", "capacity"], day: date | None = None) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.text(what, "csv", day)[1:], newline="")))


@pytest.fixture
def site(fleet_box: FleetBox, tmp_path: Path) -> Site:
    fleet_box.adopt(*INSTANCES, engine="mysql", day=LAST - timedelta(days=29))
    gone = "update sync_assets.fleet_span set adopted_on = '2025-01-01', retired_on = '2025-06-01'"
    fleet_box.rows(f"{gone} where instance = '订单库' returning 1")
    return Site(fleet_box, tmp_path)


def grown(site: Site, *instances: str, days: int = 30, newest: int = 0) -> None:
    """Each a gigabyte a day, up to 60."""
    for back in range(newest, days):
        for instance in instances:
            site.size(instance, LAST - timedelta(days=back), (60 - back) * GB)


class Seen(HTMLParser):
    """Elements and attributes of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(name)
        self.attributes += attributes

    def handle_data(self, data: str) -> None:
        self.words += data


# -- capacity


def test_a_fleet_that_is_known_whole_has_its_total_growth_and_days_to_full(site: Site) -> None:
    grown(site, *INSTANCES)
    found = site.capacity()
    assert (found.days[-1].bytes, found.days[-1].expected) == (240 * GB, 4)
    assert found.outlook is not None
    assert found.outlook.slope == 4 * GB
    assert {one.change(7) for one in found.instances} == {7 * GB}
    assert {one.change(30) for one in found.instances} == {None}, "the day before the first is not known"
    assert {one.outlook and one.outlook.days_to_full for one in found.instances} == {40.0}
    assert {(one.present, one.expected) for one in found.instances} == {(30, 30)}


def test_total_with_an_instance_missing_is_unknown_and_says_how_much_is_known(site: Site) -> None:
    """5.3: a sum over those who answered looks like a shrinking fleet."""
    grown(site, *INSTANCES[:3])
    found = site.capacity()
    assert (found.days[-1].bytes, found.days[-1].known, found.days[-1].present) == (None, 180 * GB, 3)
    words = Seen(site.text("capacity", "html")).words
    assert "not complete: 168 GiB in 3 of 4 instances" in words
    (fleet, *_) = site.table("capacity")
    assert (fleet["bytes"], fleet["known_bytes"], fleet["change_7_days"]) == ("unknown", str(180 * GB), "unknown")


def test_an_instance_with_a_database_of_unknown_size_has_no_total(site: Site) -> None:
    grown(site, "quiet", newest=1)
    site.size("quiet", LAST, 60 * GB, None)
    one = next(i for i in site.capacity().instances if i.member.name == "quiet")
    assert LAST not in one.points
    assert [(m.first, m.reason) for m in one.missing if m.last == LAST] == [(LAST, "privilege")]
    assert "1 of 2 databases without a size, at least 55.9 GiB" in Seen(site.text("capacity", "html")).words


def test_sizes_of_which_nothing_is_known_are_not_zero(site: Site) -> None:
    site.size("quiet", LAST, None, None)
    rows = {(r["level"], r["instance"], r["database"]): r for r in site.table("capacity")}
    assert (rows["instance", "quiet", ""]["bytes"], rows["instance", "quiet", ""]["known_bytes"]) == ("unknown",) * 2
    assert rows["database", "quiet", "d0"]["bytes"] == "unknown"


def test_missing_days_are_named_with_the_reason(site: Site) -> None:
    grown(site, "quiet", days=10)
    site.sizes.gap("servers", "quiet", "capacity", LAST - timedelta(days=10), "timeout", "it did not answer", "r")
    one = next(i for i in site.capacity().instances if i.member.name == "quiet")
    assert [(m.days, m.reason) for m in one.missing] == [(19, capacity.NOT_ASKED), (1, "timeout")]
    assert "it did not answer" in Seen(site.text("capacity", "html")).words


def test_days_before_the_first_look_are_called_not_observed_yet(site: Site) -> None:
    """Adopted a month ago by the YAML, known here for three days: plain and counted, but nobody's failure."""
    site.box.rows("update sync_assets.fleet_instance set known_on = %s returning 1", LAST - timedelta(days=2))
    grown(site, "quiet", days=1)
    grown(site, "down", days=5)
    found = {one.member.name: one for one in site.capacity().instances}
    told = {name: [(m.days, m.reason) for m in one.missing] for name, one in found.items()}
    assert told["quiet"] == [(27, capacity.NOT_OBSERVED), (2, capacity.NOT_ASKED)]
    assert told["down"] == [(25, capacity.NOT_OBSERVED)], "what is there was observed"
    assert (found["quiet"].present, found["quiet"].expected) == (1, 30)
    words = Seen(site.text("capacity", "html")).words
    assert "not observed yet" in words
    assert "before the first look" in words
    missing = {r["instance"]: r["missing"] for r in site.table("capacity") if r["level"] == "instance"}
    assert missing["quiet"].startswith(f"{LAST - timedelta(days=29)} to {LAST - timedelta(days=3)} not observed yet; ")


def test_an_instance_that_left_is_not_missing_afterwards(site: Site) -> None:
    assert "订单库" not in {one.member.name for one in site.capacity().instances}


def test_a_report_of_a_past_day_knows_nothing_later(site: Site) -> None:
    grown(site, *INSTANCES)
    found = site.capacity(LAST - timedelta(days=10))
    assert found.days[-1].bytes == 200 * GB
    assert {d.bytes for d in found.databases} == {50 * GB}


def test_a_day_that_is_not_over_is_told_so_far_with_its_latest_look(site: Site) -> None:
    assert f"{LAST} so far, without a look yet. " in Seen(site.text("capacity", "html", LAST)).words
    grown(site, *INSTANCES)
    words = Seen(site.text("capacity", "html")).words
    assert f"{LAST} so far, latest look {LAST} 11:00. " in words
    assert "at the end of" not in words
    over = LAST - timedelta(days=1)
    assert f"at the end of {over}. " in Seen(site.text("capacity", "html", over)).words


def test_a_fleet_without_anything_says_so(site: Site) -> None:
    assert "unknown" in Seen(site.text("capacity", "html")).words
    site.box.rows("delete from sync_assets.fleet_span returning 1")
    with pytest.raises(Stop, match="nothing is known"):
        site.text("capacity", "html")


# -- accounts


def people(site: Site, instance: str = "quiet", **more: Any) -> None:
    """A superuser by a role, an open login, everybody, and somebody who may pass rights on."""
    site.look(
        instance,
        account("boss@%", superuser=True, has_password=True),
        account("dev@%", has_password=False, attributes=PLUGIN),
        account("hidden@%", has_password=None, attributes=PLUGIN),
        account("gone@%", has_password=False, locked=True),
        account("dba@", kind=PrincipalKind.ROLE, can_login=False),
        account("ops@10.%", has_password=True),
        account("PUBLIC@", kind=PrincipalKind.PUBLIC, can_login=False, system=True),
        grants=[
            Grant("dba@", ScopeKind.GLOBAL, (), "SUPER"),
            Grant("dev@%", ScopeKind.DATABASE, ("订单",), "SELECT", grantable=True),
            Grant("PUBLIC@", ScopeKind.DATABASE, ("test",), "INSERT"),
        ],
        members=[Membership("ops@10.%", "dba@", default=True, inherits=True)],
        **more,
    )


def test_who_is_strong_open_and_generous(site: Site) -> None:
    people(site)
    one = site.known()["quiet"]
    assert {(s.account, s.path, s.usable) for s in one.strong} == {
        ("boss@%", "superuser", True), ("dba@", "SUPER", False), ("ops@10.%", "ops@10.% -> dba@: SUPER", True),
    }  # fmt: skip
    assert [p.name for p in one.open] == ["dev@%"], "who is locked is not open"
    assert one.unsure == ("hidden@%",)
    assert [(r.account, r.path, r.privileges) for r in one.grantable] == [("dev@%", ("订单",), ("SELECT",))]
    assert [(r.account, r.path, r.privileges) for r in one.public] == [("PUBLIC@", ("test",), ("INSERT",))]
    assert one.doubts == {}


def test_a_list_that_rests_on_a_denied_part_is_not_none(site: Site) -> None:
    """5.1 D5: what was not read must not look like nothing."""
    site.look("quiet", account("app@%", has_password=True), bad=["grants"])
    one = site.known()["quiet"]
    assert set(one.doubts or ()) == {accounts.Topic.SUPERUSERS, accounts.Topic.GRANTABLE, accounts.Topic.PUBLIC}
    words = Seen(site.text("accounts", "html")).words
    assert "Superusers: unknown" in words
    assert "grants not known" in words
    assert "Accounts without a password: 0" in words
    doubts = {r["what"]: r["doubt"] for r in site.table("accounts") if r["finding"] == "incomplete list"}
    assert doubts["superusers"] == "grants not known"


def test_what_an_earlier_look_knew_is_told_as_old(site: Site) -> None:
    people(site)
    people(site, at=MORNING + timedelta(days=1), bad=["memberships"])
    one = site.known()["quiet"]
    assert one.doubts == {accounts.Topic.SUPERUSERS: "memberships from an earlier look"}
    assert "Superusers: at least 3" in Seen(site.text("accounts", "html")).words


def test_of_postgresql_nobody_is_told_to_be_open_or_safe(site: Site) -> None:
    """Its pg_hba.conf decides who is let in without a password, and that is not read."""
    file = site.folder / "defs" / "f" / "defs.yaml"
    file.write_text(file.read_text("utf-8").replace("type: mysql", "type: postgres"), "utf-8")
    people(site)
    words = Seen(site.text("accounts", "html")).words
    assert "Accounts without a password: unknown" in words
    assert "No password is kept for dev@%" in words
    assert "not complete: unknown in 4 instances" in words


def test_an_instance_that_was_never_read_says_so_everywhere(site: Site) -> None:
    people(site)
    site.sizes.gap("servers", "down", "accounts", LAST, "auth", "the login was refused", "r")
    page = Seen(site.text("accounts", "html")).words
    assert "1 of 4" in page
    rows = {r["instance"]: r for r in site.table("accounts") if r["finding"] == "never read"}
    assert set(rows) == set(INSTANCES) - {"quiet"}
    assert any(r["finding"] == "not read" and r["what"] == "auth" for r in site.table("accounts"))


def test_the_first_look_is_no_change_and_what_came_after_is(site: Site) -> None:
    first = NOW - timedelta(days=3)
    people(site, at=first)
    assert site.known()["quiet"].changes == ()
    site.look("quiet", account("boss@%", superuser=True), account("新人@%"), at=NOW - timedelta(days=1))
    found = site.known()["quiet"]
    assert found.new
    assert ("added", "新人@%") in {(c.change.kind, c.change.principal) for c in found.changes}
    assert "revoked" in {c.change.kind for c in found.changes}
    words = Seen(site.text("accounts", "html")).words
    assert f"Changes in 7 days: {len(found.changes)}" in words
    assert "not complete: not known for all of it in 4 instances" in words


def test_a_past_day_has_its_accounts_and_no_classes_of_today(site: Site) -> None:
    people(site)
    site.look("quiet", account("only@%"), at=MORNING + timedelta(days=5))
    page = Seen(site.text("accounts", "html", date(2026, 3, 5))).words
    assert "boss@%" in page
    assert "only@%" not in page
    assert "Classes and hints are kept only as they are now" in page


# -- both, in the face of names


@pytest.fixture
def hostile(site: Site) -> Site:
    """Names that are markup, formulas or turn the line around, as accounts, things, databases and instances."""
    grown(site, "<b>shop</b>", days=3)
    grants = [Grant(n, ScopeKind.DATABASE, (n,), "SELECT", grantable=True) for n in HOSTILE]
    site.look("<b>shop</b>", *(account(n, superuser=True, has_password=False) for n in HOSTILE), grants=grants)
    site.sizes.gap("servers", "down", "capacity", LAST, "other", "<script>x</script>", "r")
    return site


@pytest.mark.parametrize("what", ["accounts", "capacity"])
def test_hostile_names_are_only_text_and_the_page_loads_nothing(hostile: Site, what: Any) -> None:
    text = hostile.text(what, "html")
    page = Seen(text)
    assert not page.tags & {"script", "img", "b-shop", "i", "iframe", "link", "object", "form"}
    assert "<b>shop</b>" in page.words
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in ("src", "action", "srcdoc")]
    assert all(value and value.startswith("#") for name, value in page.attributes if name == "href")
    assert "url(" not in text
    assert "@import" not in text
    if what == "accounts":
        assert all(name.replace("\u202e", "\\x202e") in page.words for name in HOSTILE)
        assert "\u202e" not in text


def test_hostile_names_are_no_formulas_in_a_table(hostile: Site) -> None:
    rows = hostile.table("accounts")
    assert {r["account"] for r in rows if r["finding"] == "superuser"} == {
        n.replace("\u202e", "\\x202e") if not n.startswith("=") else f"'{n}" for n in HOSTILE
    }
    cells = [cell for r in (*rows, *hostile.table("capacity")) for cell in r.values()]
    assert not [c for c in cells if c.startswith(("=", "+", "@", "\t")) or (c.startswith("-") and not c[1:].isdigit())]


def test_every_row_has_all_columns(hostile: Site) -> None:
    for what, head in (("accounts", table_file.ACCOUNTS_HEAD), ("capacity", table_file.CAPACITY_HEAD)):
        rows = list(csv.reader(io.StringIO(hostile.text(what, "csv")[1:], newline="")))
        assert {len(row) for row in rows} == {len(head)}


def test_a_file_is_written_whole_and_for_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "报告.html"
    file.write_text("old", encoding="utf-8")
    making.put(file, "新")
    assert file.read_bytes() == "新".encode()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["报告.html"]
    with pytest.raises(Stop, match="cannot be written"):
        making.put(tmp_path / "nowhere" / "x.html", "x")


def test_classes_hints_and_what_was_not_decided(site: Site) -> None:
    from sync_assets.project.fleet import classify

    people(site)
    done = list(classify(*site.placed, ["quiet"], run_id="r", store=site.box.store, now=lambda: NOW))
    assert [one.instance for one in done] == ["quiet"]
    words = Seen(site.text("accounts", "html")).words
    assert "Superuser" in words
    assert "Login without a password" in words
    one = site.known()["quiet"]
    assert one.standing is not None
    assert {a.principal for a in one.classes if a.risk == 1} >= {"boss@%"}
    assert "hidden@%" in {u.principal for u in one.undecided}
    assert "Not decided: " in words
    assert any(r["finding"] == "class" and r["risk"] == "1" for r in site.table("accounts"))


# -- the command


def test_the_command_writes_what_real_servers_said(fleet_site: FleetSite) -> None:
    site = fleet_site
    for what in ("accounts", "capacity"):
        assert site.command("fleet", "collect", "prod", what).code == 3, "one is down"
        done = site.command("report", "prod", what, "--out", f"{what}.html")
        assert (done.code, done.out.strip()) == (0, f"written: {what}.html"), done.all
        words = Seen((site.folder / f"{what}.html").read_text("utf-8")).words
        assert "refused" in words
        assert "not complete" in words
    table = site.command("report", "prod", "accounts", "--format", "csv")
    assert table.out.startswith(table_file.BOM + ",".join(table_file.ACCOUNTS_HEAD))
    assert f"superuser,{site.servers['my'].user}@%" in table.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nobody", "accounts"], "there is no fleet"), (["prod", "accounts", "--on", "soon"], "is no day"),
        (["prod", "capacity", "--on", "2999-01-01"], "has not come yet"), (["prod", "capacity"], "nothing is known"),
        (["prod", "accounts", "--out", "nowhere/x.html"], "cannot be written"),
    ],
)  # fmt: skip
def test_the_command_refuses_what_makes_no_sense(fleet_site: FleetSite, words: list[str], said: str) -> None:
    done = fleet_site.command("report", *words)
    assert done.code == 2, done.all
    assert said in done.err
