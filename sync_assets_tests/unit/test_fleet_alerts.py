"""Alerts: what is told of accounts, sizes and gaps, and that it is told once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from sync_assets.engine.control import ControlStore
from sync_assets.fleet.account_alerts import watch_accounts, watch_publication
from sync_assets.fleet.alerts import (
    Alert,
    AlertKind,
    Settled,
    Watch,
    incident_name,
    settle_alerts,
    shown_bytes,
    summed_up,
    watch_full,
    watch_gaps,
    watch_growth,
)
from sync_assets.fleet.capacity import Gap
from sync_assets.fleet.forecast import Forecast
from sync_assets.fleet.model import (
    AccountState,
    Grant,
    Membership,
    Principal,
    PrincipalKind,
    ScopeKind,
    SectionKey,
    SectionName,
)
from sync_assets.testing.memory import MemoryStore
from sync_assets_tests.fix_store import TwinClock

DAY = date(2026, 3, 10)
GB = 10**9
NOBODY = AccountState()


def state(*rows: Principal | Grant | Membership) -> AccountState:
    return AccountState(
        {r.name: r for r in rows if isinstance(r, Principal)},
        {r.key: r for r in rows if isinstance(r, Membership)},
        {r.key: r for r in rows if isinstance(r, Grant)},
    )


def user(name: str, **facts: Any) -> Principal:
    base: dict[str, Any] = {"kind": PrincipalKind.USER, "can_login": True, "superuser": False, "locked": False,
                            "has_password": True}  # fmt: skip
    return Principal(name, attributes=tuple(sorted(facts.pop("attributes", {}).items())), **(base | facts))


def role(name: str, **facts: Any) -> Principal:
    return user(name, kind=PrincipalKind.ROLE, can_login=False, **facts)


def grant(principal: str, privilege: str, *path: str, grantable: bool = False, part: str = "") -> Grant:
    scope = ScopeKind.DATABASE if path else ScopeKind.GLOBAL
    return Grant(principal, scope, path, privilege, grantable=grantable, part=part)


PUBLIC = Principal("PUBLIC", PrincipalKind.PUBLIC, can_login=False, superuser=False)
CALM = (user("root@%", superuser=True), user("李雷@%"), user("han@%"), role("dba@"), PUBLIC)
BASE = state(*CALM)


def changed(*rows: Principal | Grant | Membership, of: AccountState = BASE) -> AccountState:
    """`of` with rows added or replaced."""
    more = state(*rows)
    return AccountState(
        {**of.principals, **more.principals}, {**of.memberships, **more.memberships}, {**of.grants, **more.grants}
    )


def told(before: AccountState, after: AccountState, engine: str = "mysql", **more: Any) -> list[tuple[str, str]]:
    watch = watch_accounts("f", "i", engine, before, after, **more)
    return [(str(a.kind), a.subject) for a in watch.alerts]


# -- superusers, by whatever way


@pytest.mark.parametrize(
    ("after", "way"),
    [
        (changed(user("李雷@%", superuser=True)), '"superuser"'),
        (changed(grant("李雷@%", "SUPER")), '"SUPER"'),
        (changed(role("dba@", superuser=True), Membership("李雷@%", "dba@", default=True)), "李雷@% -> dba@"),
        (changed(role("dba@"), Membership("李雷@%", "dba@", default=False), grant("dba@", "SUPER")), "after SET ROLE"),
        (
            changed(role("x@"), Membership("李雷@%", "x@"), Membership("x@", "dba@"), grant("dba@", "SUPER")),
            "x@ -> dba@",
        ),
    ],
)
def test_22_an_account_that_was_there_and_becomes_superuser_is_told(after: AccountState, way: str) -> None:
    watch = watch_accounts("f", "i", "mysql", BASE, after)
    (alert,) = [a for a in watch.alerts if a.kind is AlertKind.SUPERUSER]
    assert alert.subject == "李雷@%"
    assert alert.text.startswith('on "i" "李雷@%" is a superuser now, by ')
    assert way in alert.text
    assert watch_accounts("f", "i", "mysql", after, after).alerts == ()


def test_a_new_superuser_is_told_and_nothing_else_of_it() -> None:
    assert told(BASE, changed(user("new@%", superuser=True), grant("new@%", "SELECT"))) == [("superuser", "new@%")]


def test_superusers_by_public_are_told_of_public_only() -> None:
    found = told(BASE, changed(grant("PUBLIC", "SUPER")))
    assert ("superuser", "PUBLIC") in found
    assert {name for _, name in found} == {"PUBLIC"}


def test_an_account_made_again_is_a_new_one_and_a_renamed_one_is_not() -> None:
    before = state(user("a", superuser=True, incarnation="1"), user("b", incarnation="2"))
    again = state(user("a", superuser=True, incarnation="3"), user("b", incarnation="2"))
    renamed = state(user("ä", superuser=True, incarnation="1"), user("b", incarnation="2"))
    name = incident_name("f", "i", AlertKind.SUPERUSER, "a")

    watch = watch_accounts("f", "i", "postgres", before, again)
    assert [(a.incident, a.subject) for a in watch.alerts] == [(name, "a")]
    assert watch.over == (name,), "the old one is closed first, so that the new one is told"
    watch = watch_accounts("f", "i", "postgres", before, renamed)
    assert (watch.alerts, watch.over) == ((), ())
    assert watch.moved == {name: incident_name("f", "i", AlertKind.SUPERUSER, "ä")}


def test_what_ended_is_over() -> None:
    rich = changed(user("李雷@%", superuser=True), user("han@%", has_password=False), grant("han@%", "CREATE USER"))
    watch = watch_accounts("f", "i", "mysql", rich, BASE)
    assert watch.alerts == ()
    assert set(watch.over) == {
        incident_name("f", "i", AlertKind.SUPERUSER, "李雷@%"),
        incident_name("f", "i", AlertKind.OPEN_LOGIN, "han@%"),
        incident_name("f", "i", AlertKind.GROWN, "han@%", "manage accounts"),
    }
    gone = state(*(p for p in CALM if p.name != "李雷@%"))
    assert incident_name("f", "i", AlertKind.SUPERUSER, "李雷@%") in watch_accounts("f", "i", "mysql", rich, gone).over


# -- watched rights


@pytest.mark.parametrize(
    ("engine", "rows", "words"),
    [
        ("mysql", [grant("han@%", "INSERT")], "may write everywhere now"),
        ("mysql", [grant("han@%", "SELECT")], "may read everywhere now"),
        ("mysql", [Grant("han@%", ScopeKind.DATABASE_PATTERN, ("%",), "DELETE")], "may write everywhere now"),
        ("mysql", [grant("han@%", "USAGE", grantable=True)], "may hand on rights everywhere now"),
        ("mysql", [grant("han@%", "GRANT OPTION", "shop")], "may hand on rights in shop now"),
        ("mysql", [grant("han@%", "SELECT", "shop", grantable=True)], "may hand on rights in shop now"),
        ("mysql", [Membership("han@%", "dba@", admin=True)], "may hand on the role dba@ now"),
        ("mysql", [Membership("han@%", "dba@"), grant("dba@", "FILE")], 'reach the server\'s files now, by "dba@"'),
        ("postgres", [user("han@%", attributes={"create_role": True})], "may manage accounts now"),
        ("postgres", [user("han@%", attributes={"bypass_rls": True})], "may pass row security now"),
        ("postgres", [role("pg_read_all_data"), Membership("han@%", "pg_read_all_data")], "may read everywhere now"),
        ("sqlserver", [role("securityadmin"), Membership("han@%", "securityadmin")], "may manage accounts now"),
        ("sqlserver", [grant("han@%", "ALTER ANY LOGIN")], "may manage accounts now"),
        ("oracle", [grant("han@%", "DROP ANY TABLE", "PDB")], "may write everywhere now"),
        ("oracle", [grant("han@%", "CREATE USER")], "may manage accounts now"),
    ],
)
def test_22_growth_of_an_account_that_was_there_is_told(engine: str, rows: list[Any], words: str) -> None:
    watch = watch_accounts("f", "i", engine, BASE, changed(*rows))
    assert [a.kind for a in watch.alerts] == [AlertKind.GROWN]
    assert watch.alerts[0].subject == "han@%"
    assert words in watch.alerts[0].text


def test_small_rights_are_not_told() -> None:
    assert told(BASE, changed(grant("han@%", "SELECT", "shop"), grant("han@%", "PROCESS"), user("new@%"))) == []


def test_another_way_to_the_same_right_is_no_news() -> None:
    before = changed(grant("han@%", "INSERT"))
    assert told(before, changed(grant("han@%", "UPDATE"), Membership("han@%", "dba@"), of=before)) == []


# -- open logins


def test_anonymous_and_passwordless_logins() -> None:
    assert told(BASE, changed(user("@localhost"))) == [("open_login", "@localhost")]
    assert told(BASE, changed(user("new@%", has_password=False))) == [("open_login", "new@%")]
    assert told(BASE, changed(user("new@%", has_password=False, locked=True))) == []
    assert told(BASE, changed(user("new@%", has_password=None))) == [], "not known is not open"
    assert told(BASE, changed(role("r@", has_password=False))) == []
    assert told(BASE, changed(user("@localhost")), engine="postgres") == [], "a name like another one there"
    assert told(BASE, changed(user("new", has_password=False)), engine="postgres") == [], "nobody gets in by it"


# -- the first look


def many(count: int) -> AccountState:
    return state(*(user(f"u{n}@%", superuser=True, has_password=n > 2) for n in range(count)))


def test_the_first_publication_is_one_summary_not_a_hundred_alerts() -> None:
    for watch in (
        watch_accounts("f", "甲", "mysql", NOBODY, many(100)),
        watch_accounts("f", "甲", "mysql", BASE, many(100), baseline=True),
    ):
        (alert,) = watch.alerts
        assert alert.kind is AlertKind.BASELINE
        assert alert.text.startswith('accounts of "甲" are watched from now on: 100 accounts, 100 superusers ("u0@%", ')
        assert '"u18@%" and 90 more)' in alert.text
        assert '3 logins without a proof ("u0@%", "u1@%", "u2@%")' in alert.text


def test_a_part_read_for_the_first_time_is_no_news() -> None:
    after = changed(grant("han@%", "CREATE USER", part="global"), user("李雷@%", superuser=True))
    new = SectionKey(SectionName.GRANTS, "global")
    assert told(BASE, after, new_parts=[new]) == [("superuser", "李雷@%")]
    assert ("grown", "han@%") in told(BASE, after)
    assert watch_accounts("f", "i", "mysql", changed(), after, new_parts=[new]).over == ()


@dataclass(frozen=True)
class Published:
    state: str
    before: AccountState = BASE
    after: AccountState = field(default_factory=lambda: changed(user("李雷@%", superuser=True)))
    message: str = "12 of 14 accounts are gone"
    baseline: bool = False


def test_a_refused_publication_is_told_and_ends_with_the_next_one() -> None:
    blocked = incident_name("f", "i", AlertKind.BLOCKED)
    (alert,) = watch_publication("f", "i", "mysql", Published("refused")).alerts
    assert (alert.incident, alert.kind) == (blocked, AlertKind.BLOCKED)
    assert "12 of 14 accounts are gone" in alert.text
    good = watch_publication("f", "i", "mysql", Published("published"))
    assert [a.kind for a in good.alerts] == [AlertKind.SUPERUSER]
    assert blocked in good.over
    assert watch_publication("f", "i", "mysql", Published("superseded")) == Watch()


# -- names


def test_incident_names_tell_accounts_apart_and_texts_stay_on_one_line() -> None:
    hostile = ["a/b", "a%2Fb", "a", "a\nb", "a\x00b", 'a"b', "表", "\ud800", "a\u202eb", " a"]
    names = {incident_name("f", "i", AlertKind.SUPERUSER, n) for n in hostile}
    assert len(names) == len(hostile)
    assert incident_name("f", "i/superuser", AlertKind.GAP) != incident_name("f", "i", AlertKind.SUPERUSER, "gap")
    after = changed(*(user(n, superuser=True) for n in hostile))
    for alert in watch_accounts("f", '\n店"', "mysql", BASE, after).alerts:
        assert alert.text.isprintable()
        alert.incident.encode()
    long = watch_accounts("f", "i", "mysql", BASE, changed(user("x" * 5000, superuser=True))).alerts[0]
    assert len(long.text) < 300


# -- sizes


def series(*sizes: int | None, last: date = DAY) -> list[tuple[date, int | None]]:
    return [(last - timedelta(days=len(sizes) - 1 - at), size) for at, size in enumerate(sizes)]


def growth(points: list[tuple[date, int | None]], **limits: Any) -> Watch:
    return watch_growth("f", "i", DAY, points, **({"share": 0.3, "size": None, "days": 3} | limits))


OVER = Watch(over=(incident_name("f", "i", AlertKind.GROWTH),))


def test_growth_by_share_or_by_bytes() -> None:
    (alert,) = growth(series(100 * GB, 110 * GB, 120 * GB, 130 * GB)).alerts
    assert alert.text == '"i" grew by 30.0 GB, 30% of it, from 2026-03-07 to 2026-03-10; it holds 130.0 GB now'
    assert growth(series(100, 110, 120, 129)) == OVER
    assert growth(series(100, 100, 100, 110), size=10).alerts
    assert growth(series(100, 100, 100, 109), size=10) == OVER
    assert growth(series(100, 100, 100, 110), share=None, size=None) == OVER
    assert growth(series(200, 100)) == OVER
    assert growth(series(0, 100), size=1000) == OVER, "of nothing there is no share"
    assert growth(series(0, 5000), size=1000).alerts
    assert growth(series(1, 1, 100, 100, 100, 100)) == OVER, "before the window"


def test_a_missing_day_neither_opens_nor_closes() -> None:
    assert growth([]) == Watch()
    assert growth(series(100, 110, 120, None)) == Watch(), "a day without a size is no size of 0"
    assert growth(series(100, 110, 120, last=DAY - timedelta(days=1))) == Watch()
    assert growth(series(None, None, None, 500)) == Watch(), "nothing to compare with"
    assert growth(series(100, None, None, 500)).alerts, "both ends are known"
    assert growth(series(None, None, 480, 500)) == OVER, "the next day stands for a missing one"


def test_days_to_full() -> None:
    fine = Forecast(DAY, 90, 80 * GB, 1e9, 0.5e9, 2e9, 100 * GB, 20.0, 10.0, 40.0)
    full = incident_name("f", "i", AlertKind.FULL)
    (alert,) = watch_full("f", "i", fine, within=30).alerts
    assert alert.text.startswith('the disk of "i" is full in 20 days, 10 at the soonest')
    assert "80.0 GB of 100.0 GB are used" in alert.text
    assert watch_full("f", "i", fine, within=19) == Watch(over=(full,))
    assert watch_full("f", "i", replace(fine, days_to_full=None), within=30) == Watch(over=(full,)), "it does not grow"
    for unknown in (None, replace(fine, volume_bytes=None), replace(fine, slope=None)):
        assert watch_full("f", "i", unknown, within=30) == Watch()
    assert watch_full("f", "i", fine, within=None) == Watch()


def test_bytes_for_people() -> None:
    assert [shown_bytes(n) for n in (0, 999, 1000, 15 * 10**5, 2 * 10**12)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "1.5 MB",
        "2.0 TB",
    ]


# -- gaps


def gap(instance: str, day: date = DAY, **more: Any) -> Gap:
    at = datetime(2026, 3, 10, tzinfo=UTC)
    return Gap(instance, "capacity", day, "refused", "nobody answers", 3, "run", at, **more)


def test_gaps_of_a_day() -> None:
    gaps = [gap("b"), gap("c", closed_at=datetime(2026, 3, 10, tzinfo=UTC)), gap("d", DAY - timedelta(days=1))]
    watch = watch_gaps("f", DAY, "capacity", gaps, present={"a", "c"}, expected={"a", "b", "c", "e"})
    assert [(a.instance, a.text) for a in watch.alerts] == [
        ("b", 'capacity of "b" is missing for 2026-03-10 (refused): nobody answers'),
        ("e", 'capacity of "e" is missing for 2026-03-10, and nothing says why'),
    ]
    assert watch.over == tuple(incident_name("f", n, AlertKind.GAP, "capacity") for n in ("a", "c"))
    assert watch_gaps("f", DAY, "accounts", gaps, present=()) == Watch()


# -- once an incident


def settled(store: ControlStore, *watches: Watch) -> tuple[list[str], int]:
    found = settle_alerts(store, watches)
    return [a.subject or a.instance for a in found.new], len(found.over)


def test_an_incident_is_told_once_and_its_end_once(twin: tuple[ControlStore, TwinClock]) -> None:
    store, _ = twin
    dead = watch_gaps("f", DAY, "capacity", [gap("b")], ())
    next_day = watch_gaps("f", DAY + timedelta(days=1), "capacity", [gap("b", DAY + timedelta(days=1))], ())
    alive = watch_gaps("f", DAY + timedelta(days=2), "capacity", [], {"b"})

    assert [settled(store, w) for w in (dead, dead, next_day)] == [(["b"], 0), ([], 0), ([], 0)]
    assert [settled(store, w) for w in (alive, alive)] == [([], 1), ([], 0)]
    assert settled(store, dead) == (["b"], 0)


def test_a_superuser_is_told_once_and_again_when_made_again(twin: tuple[ControlStore, TwinClock]) -> None:
    store, _ = twin
    calm = state(user("a", incarnation="1"), user("z"))
    strong = state(user("a", superuser=True, incarnation="1"), user("z"))
    renamed = state(user("b/b", superuser=True, incarnation="1"), user("z"))
    again = state(user("b/b", superuser=True, incarnation="9"), user("z"))
    steps = [(calm, strong), (calm, strong), (strong, strong), (strong, renamed), (strong, renamed), (renamed, again)]
    results = [settled(store, watch_accounts("f", "i", "postgres", *step)) for step in steps]
    assert results == [(["a"], 0), ([], 0), ([], 0), ([], 0), ([], 0), (["b/b"], 0)]
    end = state(user("b/b", incarnation="9"), user("z"))
    assert settled(store, watch_accounts("f", "i", "postgres", again, end)) == ([], 1)


def test_a_summary_leaves_no_incident_open() -> None:
    store = MemoryStore()
    watch = watch_accounts("f", "i", "mysql", NOBODY, many(3))
    assert settled(store, watch) == (["i"], 0)
    assert store.close_incident(watch.alerts[0].incident) is None


def test_many_alerts_of_a_kind_are_summed_up() -> None:
    watch = watch_accounts("f", "i", "mysql", BASE, changed(*(user(f"n{n}@%", superuser=True) for n in range(25))))
    texts = summed_up(watch.alerts, most=10)
    assert len(texts) == 11
    assert texts[-1].startswith('15 more of this kind (superuser) on "i": "n1')
    assert texts[-1].endswith("and 5 more")
    assert summed_up(Settled().new) == []


def test_nothing_of_a_row_is_in_a_text() -> None:
    """Only names of principals, roles and databases: attributes are not quoted."""
    secret = {"create_role": True, "settings": "app.password=hunter2", "search_path": "hunter2"}
    after = changed(user("han@%", attributes=secret))
    texts: Mapping[str, str] = {a.incident: a.text for a in watch_accounts("f", "i", "postgres", BASE, after).alerts}
    assert texts
    assert "hunter2" not in str(texts)


def test_alerts_are_in_the_same_order_every_time() -> None:
    rows = [user(f"n{n}@%", superuser=n % 2 == 0, has_password=n % 3 == 0) for n in range(9)]
    one = watch_accounts("f", "i", "mysql", BASE, changed(*rows))
    other = watch_accounts("f", "i", "mysql", BASE, changed(*reversed(rows)))
    assert one == other
    assert isinstance(one.alerts[0], Alert)
