"""Accounts in the control database: two phases and one publication, broken at every statement; history as queries."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest

from sync_assets.engine.errors import Retry, Stop
from sync_assets.fleet.guard import ShrinkLimit
from sync_assets.fleet.model import (
    AccountReading,
    AccountState,
    Grant,
    Membership,
    ScopeKind,
    SectionKey,
    SectionName,
)
from sync_assets.fleet.state import ChangeKind, apply, completed, diff
from sync_assets.store.fleet.accounts import AccountStore, Publication
from sync_assets.store.session import Cursor, Sessions
from sync_assets_tests.fix_fleet import MORNING, FleetBox, account, account_reading

DAY = date(2026, 3, 4)
GUARD = ShrinkLimit()
FIRST = account_reading(
    [account("app", incarnation="1"), account("审计", incarnation="2"), account("old", incarnation="3")],
    [Grant("app", ScopeKind.TABLE, ("shop", "s", "t"), "SELECT", part="shop"),
     Grant("old", ScopeKind.TABLE, ("shop", "s", "t"), "INSERT", part="shop")],
    [Membership("app", "审计", admin=True)],
)  # fmt: skip
SECOND = account_reading(  # renames, drops, recreates, adds, alters, grants, revokes, joins and leaves
    [account("application", incarnation="1"), account("审计", incarnation="9"), account("new", incarnation="4")],
    [Grant("application", ScopeKind.TABLE, ("shop", "s", "t"), "SELECT", grantable=True, part="shop"),
     Grant("new", ScopeKind.SCHEMA, ("shop", "s"), "USAGE", part="shop")],
    [Membership("new", "审计")],
    at=MORNING + timedelta(days=1),
)  # fmt: skip


class Wire(Sessions):
    """The control database's connections, where every statement passes `before` and `after` with its number."""

    def __init__(self, real: Sessions, before: Callable[[int, Cursor], None], after: Callable[[int], None]) -> None:
        self._real, self._before, self._after, self.statements = real, before, after, 0

    def run(self, work: Callable[[Cursor], Any]) -> Any:
        return self._real.run(lambda cursor: work(_Watched(cursor, self)))  # type: ignore[arg-type]

    @contextmanager
    def counted(self, cursor: Cursor) -> Iterator[None]:
        self.statements += 1
        number = self.statements
        self._before(number, cursor)
        yield
        self._after(number)


class _Watched:
    def __init__(self, cursor: Cursor, wire: Wire) -> None:
        self._cursor, self._wire = cursor, wire

    def execute(self, *args: Any) -> Any:
        with self._wire.counted(self._cursor):
            return self._cursor.execute(*args)

    def executemany(self, *args: Any) -> Any:
        with self._wire.counted(self._cursor):
            return self._cursor.executemany(*args)

    @contextmanager
    def copy(self, *args: Any) -> Iterator[Any]:
        with self._wire.counted(self._cursor), self._cursor.copy(*args) as copy:
            yield copy


class Broken(Exception):
    """The failure that is injected."""


def collect(store: AccountStore, box: FleetBox, reading: AccountReading, run: str = "run", **more: Any) -> Publication:
    number = store.stage(box.fleet, box.instance, run, DAY, reading)
    return store.publish(number, reading, GUARD, **more)


def seen(box: FleetBox) -> AccountState:
    return AccountStore(box.store.sessions).current(box.fleet, box.instance)


@pytest.fixture
def accounts(fleet_box: FleetBox) -> AccountStore:
    return AccountStore(fleet_box.store.sessions)


# -- two phases, one publication


def test_d1_a_failure_at_any_statement_leaves_the_published_state_byte_for_byte(
    fleet_box: FleetBox, accounts: AccountStore
) -> None:
    collect(accounts, fleet_box, FIRST)
    silent = lambda *_: None  # noqa: E731
    for late, reading in ((False, SECOND), (True, FIRST)):  # not sent; or carried out, and its answer lost
        before = fleet_box.published()
        for at in range(1, 100):
            fail = _failing(at)
            store = AccountStore(Wire(fleet_box.store.sessions, silent if late else fail, fail if late else silent))
            try:
                collect(store, fleet_box, reading)
            except Broken:
                assert fleet_box.published() == before, f"statement {at}, late={late}"
            else:
                break
        assert 16 < at < 99  # stage, three to begin, six to load and so on: with COPY, each was broken
        assert fleet_box.published() != before
        assert seen(fleet_box) == completed(AccountState(), reading)


def _failing(at: int) -> Callable[..., None]:
    def fail(number: int, *_: Any) -> None:
        if number == at:
            raise Broken

    return fail


@pytest.mark.parametrize("times", [1, 2])
def test_d1_a_connection_ended_by_the_server_at_any_statement(
    fleet_box: FleetBox, accounts: AccountStore, times: int
) -> None:
    """Once: the transaction is done again, and nothing is there twice. Twice: nothing has happened."""
    collect(accounts, fleet_box, FIRST)
    before = fleet_box.published()
    for at in range(1, 100):
        left = [times]

        def end(number: int, cursor: Cursor, at: int = at, left: list[int] = left) -> None:
            if number >= at and left[0]:
                left[0] -= 1
                fleet_box.rows("select pg_terminate_backend(%s, 5000)", cursor.connection.info.backend_pid)

        other = SECOND if "app" in seen(fleet_box).principals else FIRST
        reading = replace(other, observed_at=MORNING + timedelta(days=at))
        try:
            collect(AccountStore(Wire(fleet_box.store.sessions, end, lambda *_: None)), fleet_box, reading)
        except Retry:
            assert times == 2
            assert fleet_box.published() == before, f"statement {at}"
            continue
        assert seen(fleet_box) == completed(AccountState(), reading)
        before = fleet_box.published()
        if left[0]:
            break
    assert 16 < at < 99


def test_d1_what_is_staged_is_not_seen(fleet_box: FleetBox, accounts: AccountStore) -> None:
    collect(accounts, fleet_box, FIRST)
    before = fleet_box.published()
    accounts.stage(fleet_box.fleet, fleet_box.instance, "second", DAY, SECOND)
    assert fleet_box.published() == before
    assert accounts.current(fleet_box.fleet, fleet_box.instance) == completed(AccountState(), FIRST)


def test_d14_a_look_is_not_completed_by_another_reading(fleet_box: FleetBox, accounts: AccountStore) -> None:
    number = accounts.stage(fleet_box.fleet, fleet_box.instance, "run", DAY, FIRST)
    with pytest.raises(ValueError, match="another one"):
        accounts.publish(number, SECOND, GUARD)


def test_all_that_a_publication_says_is_in_the_tables(fleet_box: FleetBox, accounts: AccountStore) -> None:
    first, second = collect(accounts, fleet_box, FIRST), collect(accounts, fleet_box, SECOND)
    assert (first.baseline, second.baseline) == (True, False)
    assert second.after == completed(first.after, SECOND) == seen(fleet_box)
    assert apply(second.changes, second.before) == second.after
    logged = accounts.log(fleet_box.fleet, first.valid_at or MORNING, second.valid_at or MORNING)
    assert tuple(one.change for one in logged) == second.changes == diff(second.before, second.after)
    assert {c.kind for c in second.changes} >= set(ChangeKind) - {ChangeKind.RENAMED, ChangeKind.ALTERED} - {
        ChangeKind.GRANTED
    }


def test_d5_counts_are_those_of_the_rows(fleet_box: FleetBox, accounts: AccountStore) -> None:
    for reading in (FIRST, SECOND):
        one = collect(accounts, fleet_box, reading)
        for name in ("principals", "memberships", "grants"):
            table = f"sync_assets.fleet_{name.removesuffix('s')}"
            assert fleet_box.rows(f"select count(*) from {table} where valid_to is null") == [(one.counts[name],)]
        opened, closed = (
            sum(
                fleet_box.rows(f"select count(*) from sync_assets.fleet_{t} where {column} = %s", one.valid_at)[0][0]
                for t in ("principal", "membership", "grant")
            )
            for column in ("valid_from", "valid_to")
        )
        assert (opened, closed) == (one.counts["opened"], one.counts["closed"])
        kinds = dict(
            fleet_box.rows(
                "select kind, count(*) from sync_assets.fleet_change where snapshot = %s group by 1", one.snapshot
            )
        )
        assert kinds == {k: n for k, n in one.counts.items() if k in set(ChangeKind)}


def test_a_look_that_changes_nothing_writes_no_row_and_confirms(fleet_box: FleetBox, accounts: AccountStore) -> None:
    collect(accounts, fleet_box, FIRST)
    later = replace(FIRST, observed_at=MORNING + timedelta(days=3))
    again = collect(accounts, fleet_box, later)
    assert (again.changes, again.counts["opened"], again.counts["closed"]) == ((), 0, 0)
    then = accounts.as_of(fleet_box.fleet, fleet_box.instance, later.observed_at)
    assert then.confirmed[SectionKey(SectionName.GRANTS, "shop")] == later.observed_at
    assert then.since["app"] == MORNING


def test_d20_two_runs_at_the_same_time_give_the_state_of_one(fleet_box: FleetBox, accounts: AccountStore) -> None:
    collect(accounts, fleet_box, FIRST)
    start, ends = threading.Barrier(4), []

    def run(number: int) -> None:
        reading = replace(SECOND, observed_at=SECOND.observed_at + timedelta(seconds=number))
        start.wait()
        ends.append(collect(accounts, fleet_box, reading, run=f"run{number}"))

    threads = [threading.Thread(target=run, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ends) == 4
    assert seen(fleet_box) == completed(AccountState(), SECOND)
    assert sum(bool(one.changes) for one in ends) == 1
    doubled = fleet_box.rows("select principal, path, privilege from sync_assets.fleet_grant where valid_to is null "
                             "group by 1, 2, 3 having count(*) > 1")  # fmt: skip
    assert doubled == []


def test_d20_publications_of_one_instance_take_turns(fleet_box: FleetBox, accounts: AccountStore) -> None:
    """A second one that starts in the middle of the first waits for it, and then sees what it made."""
    collect(accounts, fleet_box, FIRST)
    other: list[Publication] = []
    waiting: list[threading.Thread] = []

    def begin(number: int, cursor: Cursor) -> None:
        if number == 6:  # inside the publication, with the lock held
            thread = threading.Thread(
                target=lambda: other.append(collect(accounts, fleet_box, replace(SECOND, observed_at=later)))
            )
            waiting.append(thread)
            thread.start()
            thread.join(1)
            assert not other

    later = SECOND.observed_at + timedelta(seconds=5)
    one = collect(AccountStore(Wire(fleet_box.store.sessions, begin, lambda *_: None)), fleet_box, SECOND)
    waiting[0].join(20)
    assert (str(one.state), str(other[0].state)) == ("published", "published")
    assert other[0].changes == ()
    assert other[0].before == one.after


def test_an_older_look_never_overwrites_a_newer(fleet_box: FleetBox, accounts: AccountStore) -> None:
    old = accounts.stage(fleet_box.fleet, fleet_box.instance, "slow", DAY, FIRST)
    collect(accounts, fleet_box, SECOND)
    before = fleet_box.published()
    late = accounts.publish(old, FIRST, GUARD)
    assert (str(late.state), late.changes) == ("superseded", ())
    assert fleet_box.published() == before


def test_a_commit_without_an_answer_is_asked_about_and_not_repeated(
    fleet_box: FleetBox, accounts: AccountStore
) -> None:
    collect(accounts, fleet_box, FIRST)
    number = accounts.stage(fleet_box.fleet, fleet_box.instance, "run", DAY, SECOND)
    one = accounts.publish(number, SECOND, GUARD)
    before = fleet_box.published()
    assert accounts.publish(number, SECOND, GUARD) == one
    assert fleet_box.published() == before


def test_moments_grow_when_the_clock_was_set_back(fleet_box: FleetBox, accounts: AccountStore) -> None:
    one = collect(accounts, fleet_box, SECOND)
    back = collect(accounts, fleet_box, FIRST)
    assert back.valid_at is not None and one.valid_at is not None
    assert back.valid_at - one.valid_at == timedelta(microseconds=1)
    assert seen(fleet_box) == completed(one.after, FIRST)


def test_an_instance_that_was_never_adopted_is_refused(fleet_box: FleetBox, accounts: AccountStore) -> None:
    with pytest.raises(Stop, match="never had an instance 别的"):
        accounts.stage(fleet_box.fleet, "别的", "run", DAY, FIRST)


# -- the guard


def test_d16_mass_disappearance_blocks_the_publication_until_it_is_accepted(
    fleet_box: FleetBox, accounts: AccountStore
) -> None:
    collect(accounts, fleet_box, account_reading([account(f"a{n}") for n in range(20)]))
    before = fleet_box.published()
    few = account_reading([account("a1")], at=MORNING + timedelta(days=1))
    refused = collect(accounts, fleet_box, few)
    assert (str(refused.state), refused.changes, refused.after) == ("refused", (), refused.before)
    assert "19 of 20 accounts would vanish" in refused.message
    assert "fleet accept servers 订单库" in refused.message
    assert fleet_box.published() == before
    assert accounts.newest(fleet_box.fleet)[fleet_box.instance].blocked == refused.message
    accepted = collect(accounts, fleet_box, few, accept=True)
    assert accepted.counts["dropped"] == 19
    assert accounts.newest(fleet_box.fleet)[fleet_box.instance].blocked == ""


@pytest.mark.parametrize("accept", [False, True])
def test_5_3_1_an_empty_list_deactivates_nobody(fleet_box: FleetBox, accounts: AccountStore, accept: bool) -> None:
    collect(accounts, fleet_box, FIRST)
    before = fleet_box.published()
    empty = account_reading(at=MORNING + timedelta(days=1))
    assert str(collect(accounts, fleet_box, empty, accept=accept).state) == "refused"
    assert fleet_box.published() == before


def test_5_3_2_a_denied_section_changes_nothing_and_its_status_is_kept(
    fleet_box: FleetBox, accounts: AccountStore
) -> None:
    collect(accounts, fleet_box, FIRST)
    later = MORNING + timedelta(days=1)
    denied = account_reading(
        FIRST.principals, FIRST.grants[:1], at=later, bad=["grants", "grants(shop)", "memberships"]
    )
    denied = replace(denied, grants=())
    one = collect(accounts, fleet_box, denied)
    assert one.changes == ()
    newest = accounts.newest(fleet_box.fleet)[fleet_box.instance]
    assert str(newest.sections[SectionKey(SectionName.GRANTS, "shop")].status) == "denied"
    confirmed = accounts.as_of(fleet_box.fleet, fleet_box.instance, later).confirmed
    assert confirmed[SectionKey(SectionName.PRINCIPALS)] == later
    assert confirmed[SectionKey(SectionName.GRANTS, "shop")] == MORNING


# -- names, and what is kept of them


HOSTILE = ["大写", "MixedCase", "mixedcase", 'quo"te', "o'neil@%", "back`tick", "tab\there", "new\nline", "a\\b", "\\N",
           "{array,like}", "NULL", "🙂", "a\0b", "\ud800x", "%_", "' or 1=1 --", " ", "é", "e\u0301"]  # fmt: skip


def test_hostile_names_come_back_as_they_were(fleet_box: FleetBox, accounts: AccountStore) -> None:
    reading = account_reading(
        [account(name, attributes=((name, name), ("n", 1), ("x", None))) for name in HOSTILE],
        [Grant(name, ScopeKind.COLUMN, (name, name, "c"), "SELECT", grantor=name, part=name) for name in HOSTILE],
        [Membership(name, other, name, default=None, part=name) for name, other in pairwise(HOSTILE)],
    )
    one = collect(accounts, fleet_box, reading)
    assert seen(fleet_box) == one.after
    assert len(one.after.principals) == len(HOSTILE)
    kept = {n.replace("\0", "␀").encode("utf-8", "replace").decode() for n in HOSTILE}
    assert set(one.after.principals) == kept
    again = collect(accounts, fleet_box, replace(reading, observed_at=MORNING + timedelta(days=1)))
    assert again.changes == ()
    logged = accounts.log(fleet_box.fleet, MORNING - timedelta(days=1), MORNING)
    assert tuple(one.change for one in logged) == one.changes


def test_d17_system_accounts_are_kept_and_marked(fleet_box: FleetBox, accounts: AccountStore) -> None:
    collect(
        accounts, fleet_box, account_reading([account("mysql.sys@localhost", system=True), account("mysqlbackup@%")])
    )
    marked = dict(fleet_box.rows("select name, (facts ->> 'system')::bool from sync_assets.fleet_accounts"))
    assert marked == {"mysql.sys@localhost": True, "mysqlbackup@%": False}


def test_other_instances_and_fleets_are_not_touched(fleet_box: FleetBox, accounts: AccountStore) -> None:
    fleet_box.adopt("other")
    collect(accounts, fleet_box, FIRST)
    other = replace(fleet_box, instance="other")
    collect(accounts, other, SECOND)
    assert seen(fleet_box) == completed(AccountState(), FIRST)
    assert seen(other) == completed(AccountState(), SECOND)
    first, last = MORNING - timedelta(days=1), MORNING + timedelta(days=9)
    assert set(accounts.changes(fleet_box.fleet, first, last)) == {fleet_box.instance, "other"}
    assert set(accounts.changes(fleet_box.fleet, first, last, "other")) == {"other"}
    assert {one.instance for one in accounts.log(fleet_box.fleet, first, last, "other")} == {"other"}


def test_since_outlives_renames_and_alterations_but_not_a_new_account(
    fleet_box: FleetBox, accounts: AccountStore
) -> None:
    collect(accounts, fleet_box, FIRST)
    collect(accounts, fleet_box, SECOND)
    then = accounts.as_of(fleet_box.fleet, fleet_box.instance, SECOND.observed_at)
    right = next(key for key in then.state.grants if key.principal == "application")
    assert (then.since["application"], then.since[right]) == (MORNING, MORNING)
    assert then.since["审计"] == SECOND.observed_at


def test_5_000_accounts_with_25_rights_each(fleet_box: FleetBox, accounts: AccountStore) -> None:
    """Written in bulk: a handful of statements whatever the number of rows."""
    people = [account(f"u{n}@%") for n in range(5000)]
    rights = [
        Grant(p.name, ScopeKind.TABLE, ("shop", f"t{n}"), "SELECT", part="table") for p in people for n in range(25)
    ]
    reading = account_reading(people, rights)
    wire = Wire(fleet_box.store.sessions, lambda *_: None, lambda *_: None)
    one = collect(AccountStore(wire), fleet_box, reading)
    assert one.counts["opened"] == 130_000
    assert wire.statements < 20
    changed = account_reading(people, rights[25:], at=MORNING + timedelta(days=1))
    assert collect(accounts, fleet_box, changed).counts["revoked"] == 25


def test_reading_the_state_while_it_is_published_never_shows_a_mix(fleet_box: FleetBox, accounts: AccountStore) -> None:
    states = [completed(AccountState(), FIRST), completed(AccountState(), SECOND)]
    collect(accounts, fleet_box, FIRST)
    stop, mixes, looks = threading.Event(), [], []

    def read() -> None:
        while not stop.is_set():
            found = accounts.current(fleet_box.fleet, fleet_box.instance)
            looks.append(found)
            mixes.extend([found] if found not in states else [])

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 31):
        at = MORNING + timedelta(days=number)
        collect(accounts, fleet_box, replace((FIRST, SECOND)[number % 2], observed_at=at))
    stop.set()
    reader.join()
    assert looks and not mixes
