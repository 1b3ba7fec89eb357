"""States of accounts: completed by what was known, compared, changed; the guard against mass disappearance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_assets.fleet.guard import ShrinkLimit, Suspicion, suspicion
from sync_assets.fleet.model import (
    AccountReading,
    AccountState,
    Grant,
    Membership,
    Principal,
    PrincipalKind,
    ScopeKind,
    SectionKey,
    SectionName,
    SectionState,
    Status,
)
from sync_assets.fleet.state import Change, ChangeKind, apply, completed, diff
from sync_assets_tests.fix_fleet import MORNING, account, account_reading

NAMES = ["app", "App", "审计", 'o"neil', "ro"]


def grant(
    principal: str, privilege: str = "SELECT", path: tuple[str, ...] = ("shop", "public", "t"), **more: Any
) -> Grant:
    return Grant(principal, ScopeKind.TABLE, path, privilege, part=path[0], **more)


def state(
    principals: Iterable[Principal] = (), grants: Iterable[Grant] = (), memberships: Iterable[Membership] = ()
) -> AccountState:
    return AccountState({p.name: p for p in principals}, {m.key: m for m in memberships}, {g.key: g for g in grants})


def kinds(changes: Iterable[Change]) -> list[tuple[str, str]]:
    return [(str(c.kind), c.principal) for c in changes]


names = st.sampled_from(NAMES)
principals = st.lists(
    st.builds(Principal, names, st.sampled_from(PrincipalKind), st.sampled_from(["", "1", "2", "3", "4", "5"]),
              superuser=st.sampled_from([True, False, None]), part=st.sampled_from(["", "", "shop"])),
    unique_by=lambda p: p.name,
)  # fmt: skip
grants = st.lists(
    st.builds(
        Grant, names,
        st.sampled_from([ScopeKind.TABLE, ScopeKind.DEFAULT, ScopeKind.PROXY]),
        st.sampled_from([("shop", "s", "t"), ("shop", "s", "app"), ("app",), ("Shop", "ro", "ro")]),
        st.sampled_from(["SELECT", "INSERT"]),
        grantor=st.sampled_from(["", "app", "ro"]),
        grantable=st.booleans(),
        part=st.sampled_from(["", "shop", "Shop"]),
    ),
    max_size=12,
)  # fmt: skip
memberships = st.lists(
    st.builds(
        Membership, names, names, st.sampled_from(["", "ro"]), admin=st.booleans(), part=st.sampled_from(["", "shop"])
    ),
    max_size=8,
)
states = st.builds(state, principals, grants, memberships)
bad_parts = st.sets(
    st.sampled_from(["principals", "memberships", "grants", "memberships(shop)", "grants(shop)", "grants(Shop)"])
)
readings = st.builds(lambda p, g, m, bad: account_reading(p, g, m, bad=bad), principals, grants, memberships, bad_parts)


# -- the algebra


@settings(max_examples=600, deadline=None)
@given(states, states)
def test_changes_of_two_states_lead_from_one_to_the_other(a: AccountState, b: AccountState) -> None:
    assert apply(diff(a, b), a) == b


@settings(max_examples=200, deadline=None)
@given(states)
def test_a_state_does_not_differ_from_itself(a: AccountState) -> None:
    assert diff(a, a) == ()


@settings(max_examples=300, deadline=None)
@given(states, readings)
def test_a_look_that_is_read_again_changes_nothing(a: AccountState, reading: AccountReading) -> None:
    once = completed(a, reading)
    assert completed(once, reading) == once


@settings(max_examples=300, deadline=None)
@given(states, states)
def test_the_order_of_changes_does_not_depend_on_that_of_rows(a: AccountState, b: AccountState) -> None:
    def turned(rows: Mapping[Any, Any]) -> dict[Any, Any]:
        return dict(reversed(list(rows.items())))

    other = AccountState(turned(b.principals), turned(b.memberships), turned(b.grants))
    assert diff(a, other) == diff(a, b)


# -- parts that are not ok


def _named(reading: AccountReading) -> set[str]:
    return {p.name for p in reading.principals if p.part}


@settings(max_examples=400, deadline=None)
@given(states, readings)
def test_5_3_1_denied_accounts_deactivate_nobody(a: AccountState, reading: AccountReading) -> None:
    denied = dict(reading.sections)
    denied[SectionKey(SectionName.PRINCIPALS)] = SectionState(Status.DENIED, "a right is missing")
    after = completed(a, replace(reading, sections=denied))
    kept = {n: p for n, p in a.principals.items() if not p.part}
    assert {n: p for n, p in after.principals.items() if n in kept and n not in _named(reading)} == {
        n: p for n, p in kept.items() if n not in _named(reading)
    }


@settings(max_examples=400, deadline=None)
@given(states, readings)
def test_5_3_2_a_denied_part_revokes_nothing(a: AccountState, reading: AccountReading) -> None:
    sections = dict(reading.sections)
    after = completed(a, reading)
    for change in diff(a, after):
        row = change.row
        if change.kind is ChangeKind.REVOKED and isinstance(row, Grant):
            key = SectionKey(SectionName.GRANTS, row.part)
            gone_account = row.principal in a.principals and any(
                c.kind in (ChangeKind.DROPPED, ChangeKind.RECREATED) and c.before == a.principals[row.principal]
                for c in diff(a, after)
            )
            gone_database = key not in sections and row.path[:1] == (row.part,)
            lost_to_rename = any(c.kind is ChangeKind.RENAMED for c in diff(a, after))
            assert gone_account or gone_database or lost_to_rename or sections[key].ok


def test_a_part_that_is_not_named_stays() -> None:
    before = state([account("app")], [Grant("app", ScopeKind.COLUMN, ("shop", "t", "c"), "SELECT", part="column")])
    assert diff(before, completed(before, account_reading([account("app")]))) == ()


def test_grants_of_a_database_that_is_gone_go_with_it_and_only_when_the_list_of_databases_is_whole() -> None:
    before = state([account("app")], [grant("app")])
    gone = completed(before, account_reading([account("app")]))
    unknown = completed(before, account_reading([account("app")], bad=["databases"]))
    assert (len(gone.grants), len(unknown.grants)) == (0, 1)


def test_what_is_kept_of_a_denied_part_follows_a_rename_without_a_word() -> None:
    before = state([account("app", incarnation="7")], [grant("app")])
    after = completed(before, account_reading([account("应用", incarnation="7")], bad=["grants(shop)"]))
    assert [g.principal for g in after.grants.values()] == ["应用"]
    assert kinds(diff(before, after)) == [("renamed", "应用")]


def test_what_is_kept_of_a_denied_part_does_not_pass_to_an_account_made_again() -> None:
    before = state(
        [account("app", incarnation="7"), account("ro")], [grant("app"), grant("gone")], [Membership("app", "ro")]
    )
    reading = account_reading([account("app", incarnation="8"), account("ro")], bad=["grants(shop)", "memberships"])
    after = completed(before, reading)
    assert [g.principal for g in after.grants.values()] == ["gone"]  # never listed: nothing proves it gone
    assert not after.memberships
    assert kinds(diff(before, after)) == [("recreated", "app"), ("left", "app"), ("revoked", "app")]


# -- identities


def test_5_3_24_a_rename_is_one_change_and_its_rights_follow() -> None:
    owner = Grant("ro", ScopeKind.DEFAULT, ("shop", "", "app", "tables"), "SELECT", grantor="app", part="shop")
    before = state(
        [account("app", incarnation="7"), account("ro")],
        [grant("app", grantor="app"), owner],
        [Membership("app", "ro", "app")],
    )
    owned = replace(owner, path=("shop", "", "App", "tables"), grantor="App")
    after = state(
        [account("App", incarnation="7"), account("ro")],
        [grant("App", grantor="App"), owned],
        [Membership("App", "ro", "App")],
    )
    assert kinds(diff(before, after)) == [("renamed", "App")]


def test_names_that_were_exchanged_are_two_renames() -> None:
    before = state([account("a", incarnation="1"), account("b", incarnation="2")], [grant("a"), grant("b", "INSERT")])
    after = state([account("a", incarnation="2"), account("b", incarnation="1")], [grant("b"), grant("a", "INSERT")])
    assert kinds(diff(before, after)) == [("renamed", "b"), ("renamed", "a")]
    assert apply(diff(before, after), before) == after


def test_drop_and_create_between_two_looks_gives_all_rights_anew() -> None:
    before = state([account("app", incarnation="7")], [grant("app")], [Membership("app", "ro")])
    after = state([account("app", incarnation="8")], [grant("app")], [Membership("app", "ro")])
    assert kinds(diff(before, after)) == [
        ("recreated", "app"), ("left", "app"), ("joined", "app"), ("revoked", "app"), ("granted", "app"),
    ]  # fmt: skip


def test_a_renamed_account_whose_name_another_one_took() -> None:
    before = state([account("app", incarnation="7")], [grant("app")])
    after = state([account("old", incarnation="7"), account("app", incarnation="8")], [grant("old"), grant("app")])
    assert kinds(diff(before, after)) == [("renamed", "old"), ("added", "app"), ("granted", "app")]


def test_without_incarnations_a_new_password_is_only_altered() -> None:
    before = state([account("app@%", attributes=(("password_changed_at", "2026-01-01"),))], [grant("app@%")])
    after = state([account("app@%", attributes=(("password_changed_at", "2026-03-01"),))], [grant("app@%")])
    assert kinds(diff(before, after)) == [("altered", "app@%")]


def test_incarnations_that_are_shared_tell_nothing() -> None:
    before = state([account("pdb1.APP", incarnation="0"), account("pdb2.APP", incarnation="0")])
    after = state([account("pdb3.APP", incarnation="0")])
    assert {str(c.kind) for c in diff(before, after)} == {"dropped", "added"}


def test_5_3_7_every_right_that_comes_or_goes_is_a_change() -> None:
    before = state([account("app")], [grant("app"), grant("app", "INSERT")], [Membership("app", "ro")])
    after = state([account("ro")], [grant("ro", grantable=True)])
    assert kinds(diff(before, after)) == [
        ("dropped", "app"), ("added", "ro"), ("left", "app"), ("revoked", "app"), ("revoked", "app"), ("granted", "ro"),
    ]  # fmt: skip


def test_grant_option_and_admin_option_are_alterations() -> None:
    before = state([account("app")], [grant("app")], [Membership("app", "ro")])
    after = state([account("app")], [grant("app", grantable=True)], [Membership("app", "ro", admin=True)])
    assert kinds(diff(before, after)) == [("altered", "app"), ("altered", "app")]


def test_5_3_23_the_same_rows_at_another_time_are_the_same_state() -> None:
    until = account("app", attributes=(("valid_until", "2026-03-04"),))
    first = account_reading([until], [grant("app")])
    later = account_reading([until], [grant("app")], at=MORNING + timedelta(days=400))
    assert completed(AccountState(), first) == completed(AccountState(), later)


# -- the guard


def looked(before: AccountState, left: int, accept: bool = False) -> Suspicion | None:
    reading = account_reading(list(before.principals.values())[:left], before.grants.values())
    return suspicion(before, completed(before, reading), reading, ShrinkLimit(), accept)


@pytest.mark.parametrize(("known", "left", "stopped"), [(4, 1, False), (10, 7, False), (10, 6, True), (20, 15, False)])
def test_d16_mass_disappearance_needs_both_limits_passed(known: int, left: int, stopped: bool) -> None:
    before = state([account(f"a{n}") for n in range(known)])
    assert (looked(before, left) is not None) is stopped
    assert looked(before, left, accept=True) is None


@pytest.mark.parametrize("accept", [False, True])
def test_d16_an_empty_list_of_known_accounts_is_always_refused(accept: bool) -> None:
    found = looked(state([account("only")]), 0, accept=accept)
    assert found is not None
    assert found.final


def test_a_denied_list_of_accounts_is_not_an_empty_one() -> None:
    before = state([account("only")])
    reading = account_reading(bad=["principals"])
    assert suspicion(before, completed(before, reading), reading, ShrinkLimit()) is None


def test_all_rights_gone_at_once_is_suspicious() -> None:
    before = state([account("app")], [grant("app", p) for p in ("SELECT", "INSERT", "UPDATE", "DELETE")])
    reading = account_reading([account("app")], bad=[])
    after = completed(before, reading)
    assert suspicion(before, after, reading, ShrinkLimit()) is not None
    assert suspicion(before, after, reading, ShrinkLimit(), accept=True) is None


def test_renamed_and_recreated_accounts_have_not_vanished() -> None:
    before = state([account(f"a{n}", incarnation=f"{n}") for n in range(10)])
    renamed = account_reading([account(f"b{n}", incarnation=f"{n}") for n in range(10)])
    again = account_reading([account(f"a{n}", incarnation=f"new{n}") for n in range(10)])
    for reading in (renamed, again):
        assert suspicion(before, completed(before, reading), reading, ShrinkLimit()) is None


def test_users_of_a_database_that_is_denied_stay_and_those_of_one_that_is_gone_go_unguarded() -> None:
    people = [account("sa"), *(account(f"[shop].[u{n}]", part="shop") for n in range(9))]
    before = state(people)
    denied = account_reading([people[0], account("[shop].[new]", part="shop")], bad=["principals(shop)"])
    assert completed(before, denied) == before
    dropped = account_reading(people[:1])
    after = completed(before, dropped)
    assert list(after.principals) == ["sa"]
    assert suspicion(before, after, dropped, ShrinkLimit()) is None
    hidden = replace(
        dropped, sections={**dropped.sections, SectionKey(SectionName.PRINCIPALS, "shop"): SectionState(Status.OK)}
    )
    assert suspicion(before, completed(before, hidden), hidden, ShrinkLimit()) is not None
