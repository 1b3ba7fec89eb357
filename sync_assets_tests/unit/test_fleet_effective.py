"""What explicit rights amount to: closures, superusers by any path, who may what; by the rules of each database."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

from sync_assets.fleet.containment import pattern_matches
from sync_assets.fleet.effective import Holder, closure, superusers, who
from sync_assets.fleet.model import (
    AccountState,
    Effect,
    Grant,
    Membership,
    Principal,
    PrincipalKind,
    ScopeKind,
)
from sync_assets_tests.fix_fleet import account

NOW = datetime(2026, 3, 3, tzinfo=UTC)
TABLE = ("shop", "dbo", "t")


def role(name: str, **facts: Any) -> Principal:
    return account(name, kind=PrincipalKind.ROLE, can_login=False, **facts)


def public(name: str = "public") -> Principal:
    return account(name, kind=PrincipalKind.PUBLIC, can_login=False, system=True)


def state(
    people: Iterable[Principal], grants: Iterable[Grant] = (), members: Iterable[Membership] = ()
) -> AccountState:
    return AccountState({p.name: p for p in people}, {m.key: m for m in members}, {g.key: g for g in grants})


def names(holders: Iterable[Holder], now: bool = True) -> set[str]:
    return {h.principal for h in holders if h.now or not now}


def may(found: AccountState, engine: str, privilege: str, *path: str) -> set[str]:
    return names(who(found, engine, privilege, path, NOW))


# -- closures


def test_what_is_had_now_and_what_can_be_become() -> None:
    """fleet.md 1.3: app -> ro -> grp (NOINHERIT) -> pg_read_all_data gives MEMBER, and not USAGE."""
    found = state(
        [account("app"), role("ro"), role("grp"), role("pg_read_all_data", system=True), public()],
        members=[
            Membership("app", "ro", inherits=True, can_set=True),
            Membership("ro", "grp", inherits=True, can_set=True),
            Membership("grp", "pg_read_all_data", inherits=False, can_set=True),
        ],
    )
    reached = closure(found, "app")
    assert {name: (one.now, one.become) for name, one in reached.items()} == {
        "app": (True, True),
        "ro": (True, True),
        "grp": (True, True),
        "public": (True, True),
        "pg_read_all_data": (False, True),
    }
    assert reached["pg_read_all_data"].path == ("app", "ro", "grp", "pg_read_all_data")
    assert may(found, "postgres", "SELECT", *TABLE) == {"pg_read_all_data"}
    assert names(who(found, "postgres", "SELECT", TABLE, NOW), now=False) == {"pg_read_all_data", "grp", "ro", "app"}


def test_a_membership_that_may_neither_be_inherited_nor_become_gives_nothing() -> None:
    found = state(
        [account("app"), role("ro")], members=[Membership("app", "ro", inherits=False, can_set=False, admin=True)]
    )
    assert set(closure(found, "app")) == {"app"}


def test_roles_that_hold_each_other_do_not_go_round_for_ever() -> None:
    found = state([role("a"), role("b")], members=[Membership("a", "b"), Membership("b", "a")])
    assert {name: one.path for name, one in closure(found, "a").items()} == {"a": ("a",), "b": ("a", "b")}


def test_a_role_of_mysql_that_is_not_default_is_had_after_set_role_and_one_within_it_with_it() -> None:
    members = [
        Membership("app@%", "r@%", default=False, inherits=True),
        Membership("r@%", "s@%", inherits=True, can_set=False),
    ]
    found = state([account("app@%"), role("r@%"), role("s@%")], members=members)
    assert {name: one.now for name, one in closure(found, "app@%").items()} == {
        "app@%": True,
        "r@%": False,
        "s@%": False,
    }
    on = state(
        [account("app@%"), role("r@%"), role("s@%")], members=[Membership("app@%", "r@%", default=True), members[1]]
    )
    assert all(one.now for one in closure(on, "app@%").values())


# -- superusers


def test_5_3_22_superusers_by_every_path() -> None:
    found = state(
        [
            account("root", superuser=True),
            account("member"),
            account("noinherit"),
            account("cannot"),
            account("app@%"),
            role("boss@%"),
            account("proxy"),
            account("cloud", attributes=(("cloud_superuser", True),)),
            account("plain"),
            account("escape"),
            role("pg_write_server_files", system=True),
        ],
        [
            Grant("boss@%", ScopeKind.GLOBAL, (), "SUPER"),
            Grant("plain", ScopeKind.DATABASE, ("d",), "ALL"),
            Grant("proxy", ScopeKind.PROXY, ("root",), "PROXY"),
        ],
        [
            Membership("member", "root", inherits=True),
            Membership("noinherit", "root", inherits=False),
            Membership("cannot", "root", inherits=True, can_set=False),
            Membership("app@%", "boss@%", default=True),
            Membership("escape", "pg_write_server_files"),
        ],
    )
    assert superusers(found) == {
        "app@%": "app@% -> boss@%: SUPER",
        "boss@%": "SUPER",
        "cloud": "superuser",
        "escape": "escape -> pg_write_server_files: runs or writes as the server",
        "member": "member -> root: superuser",
        "noinherit": "noinherit -> root: superuser (after SET ROLE or as a proxy)",
        "proxy": "proxy -> root: superuser (after SET ROLE or as a proxy)",
        "root": "superuser",
    }


def test_what_public_is_everybody_is() -> None:
    found = state([account("a@%"), public("PUBLIC@")], [Grant("PUBLIC@", ScopeKind.GLOBAL, (), "SUPER")])
    assert superusers(found) == {"a@%": "a@% -> PUBLIC@: SUPER"}
    assert superusers(state([account("a@%"), public("PUBLIC@")])) == {}


# -- who may what


def test_a_superuser_of_postgres_must_be_become_and_one_of_mysql_reads_nothing() -> None:
    people = [account("root", superuser=True), account("m")]
    found = state(people, members=[Membership("m", "root", inherits=True, can_set=True)])
    holders = {h.principal: h.now for h in who(found, "postgres", "SELECT", TABLE, NOW)}
    assert holders == {"root": True, "m": False}
    assert who(found, "mysql", "SELECT", ("shop", "t"), NOW) == ()
    assert may(found, "oracle", "SELECT", *TABLE) == {"root", "m"}


@pytest.mark.parametrize(
    ("pattern", "name", "there"),
    [
        ("a_b", "axb", True),
        (r"a\_b", "axb", False),
        (r"a\_b", "a_b", True),
        ("a%", "a", True),
        ("a%", "ba", False),
        ("%", "任何", True),
        ("a.b", "axb", False),
        (r"a\\b", "a\\b", True),
        ("A_", "ab", False),
        ("a\n_", "a\nb", True),
    ],
)
def test_patterns_of_names(pattern: str, name: str, there: bool) -> None:
    assert pattern_matches(pattern, name) is there


def test_scopes_of_mysql_reach_down_and_case_counts() -> None:
    rights = [
        Grant("g", ScopeKind.GLOBAL, (), "SELECT"),
        Grant("d", ScopeKind.DATABASE, ("Shop",), "SELECT"),
        Grant("p", ScopeKind.DATABASE_PATTERN, ("sh%",), "SELECT"),
        Grant("t", ScopeKind.TABLE, ("shop", "t"), "SELECT"),
        Grant("c", ScopeKind.COLUMN, ("shop", "t", "id"), "SELECT"),
        Grant("i", ScopeKind.GLOBAL, (), "INSERT"),
    ]
    found = state([account(n) for n in "gdptci"], rights)
    holders = who(found, "mysql", "SELECT", ("shop", "t"), NOW)
    assert {h.principal: h.columns for h in holders} == {"g": (), "p": (), "t": (), "c": ("id",)}
    assert may(found, "mysql", "SELECT", "shop", "t", "id") == {"g", "p", "t", "c"}
    assert may(found, "mysql", "SELECT", "shop", "t", "other") == {"g", "p", "t"}


def test_partial_revokes_take_a_database_out_of_what_is_held_on_everything_only() -> None:
    revoke = [Grant(n, ScopeKind.DATABASE, ("shop",), "SELECT", Effect.PARTIAL_REVOKE) for n in ("a", "b")]
    rights = [
        Grant("a", ScopeKind.GLOBAL, (), "SELECT"),
        Grant("b", ScopeKind.GLOBAL, (), "SELECT"),
        Grant("b", ScopeKind.TABLE, ("shop", "t"), "SELECT"),
        Grant("r", ScopeKind.GLOBAL, (), "SELECT"),
    ]
    found = state(
        [account("a"), account("b"), role("r"), account("c")], [*revoke, *rights], [Membership("c", "r", default=True)]
    )
    assert may(found, "mysql", "SELECT", "shop", "t") == {"b", "r", "c"}
    assert may(found, "mysql", "SELECT", "other", "t") == {"a", "b", "r", "c"}


def test_a_denial_of_sql_server_wins_over_rights_by_whatever_role_but_not_over_sysadmin() -> None:
    people = [
        account("app"),
        role("[shop].[readers]"),
        role("[shop].[banned]"),
        role("[shop].[db_datareader]", system=True),
        role("[other].[db_datareader]", system=True),
        account("sa"),
        role("sysadmin", superuser=True, system=True),
        account("auditor"),
        account("elsewhere"),
        account("col"),
    ]
    rights = [
        Grant("[shop].[readers]", ScopeKind.SCHEMA, ("shop", "dbo"), "SELECT"),
        Grant("app", ScopeKind.DATABASE, ("shop",), "CONTROL"),
        Grant("[shop].[banned]", ScopeKind.TABLE, TABLE, "SELECT", Effect.DENY),
        Grant("auditor", ScopeKind.GLOBAL, (), "SELECT ALL USER SECURABLES"),
        Grant("col", ScopeKind.DATABASE, ("shop",), "SELECT"),
        Grant("col", ScopeKind.COLUMN, (*TABLE, "id"), "SELECT", Effect.DENY),
    ]
    members = [
        Membership("app", "[shop].[readers]"),
        Membership("app", "[shop].[banned]"),
        Membership("sa", "sysadmin"),
        Membership("sa", "[shop].[banned]"),
        Membership("elsewhere", "[other].[db_datareader]"),
        Membership("auditor", "[shop].[db_datareader]"),
    ]
    found = state(people, rights, members)
    granted = may(found, "sqlserver", "SELECT", *TABLE)
    assert granted == {"[shop].[readers]", "sa", "sysadmin", "auditor", "[shop].[db_datareader]", "col"}
    assert "app" in may(found, "sqlserver", "SELECT", "shop", "dbo", "other")
    assert "elsewhere" in may(found, "sqlserver", "SELECT", "other", "dbo", "t")
    assert "col" not in may(found, "sqlserver", "SELECT", *TABLE, "id")


def test_oracle_any_table_read_and_containers() -> None:
    rights = [
        Grant("a", ScopeKind.GLOBAL, (), "SELECT ANY TABLE"),
        Grant("PDB1.b", ScopeKind.DATABASE, ("PDB1",), "READ ANY TABLE"),
        Grant("PDB2.b", ScopeKind.DATABASE, ("PDB2",), "READ ANY TABLE"),
        Grant("c", ScopeKind.TABLE, ("PDB1", "HR", "EMP"), "READ"),
        Grant("d", ScopeKind.SCHEMA, ("PDB1", "HR"), "SELECT ANY TABLE"),
        Grant("e", ScopeKind.TABLE, ("PDB1", "HR", "EMP"), "UPDATE"),
    ]
    people = [*map(account, ["a", "PDB1.b", "PDB2.b", "c", "d", "e"]), account("PDB2.SYS", superuser=True, part="PDB2")]
    found = state(people, rights)
    assert may(found, "oracle", "SELECT", "PDB1", "HR", "EMP") == {"a", "PDB1.b", "c", "d"}
    assert may(found, "oracle", "UPDATE", "PDB1", "HR", "EMP") == {"e"}
    assert "PDB2.SYS" in may(found, "oracle", "UPDATE", "PDB2", "HR", "EMP")


def test_sql_server_takes_a_column_out_of_a_right_on_its_table() -> None:
    rights = [
        Grant("app", ScopeKind.TABLE, TABLE, "SELECT"),
        Grant("app", ScopeKind.COLUMN, (*TABLE, "id"), "SELECT", Effect.PARTIAL_REVOKE),
    ]
    found = state([account("app")], rights)
    assert may(found, "sqlserver", "SELECT", *TABLE, "name") == {"app"}
    assert may(found, "sqlserver", "SELECT", *TABLE, "id") == set()


def test_owners_of_postgres_may_all_but_what_they_took_from_themselves() -> None:
    rights = [
        Grant("o", ScopeKind.TABLE, TABLE, "OWNERSHIP"),
        Grant("o", ScopeKind.TABLE, TABLE, "SELECT", Effect.PARTIAL_REVOKE),
    ]
    found = state([account("o")], rights)
    assert may(found, "postgres", "SELECT", *TABLE) == set()
    assert may(found, "postgres", "INSERT", *TABLE) == {"o"}


def test_a_right_on_a_schema_of_postgres_is_none_on_its_tables_and_is_needed_besides() -> None:
    found = state(
        [account("app"), account("other")],
        [Grant("app", ScopeKind.TABLE, TABLE, "SELECT"), Grant("other", ScopeKind.SCHEMA, TABLE[:2], "USAGE")],
    )
    (one,) = who(found, "postgres", "select", TABLE, NOW)
    assert (one.principal, one.lacks) == ("app", ('CONNECT on database "shop"', 'USAGE on schema "dbo"'))


def test_a_right_after_set_role_does_not_hide_a_column_that_is_had_now() -> None:
    found = state(
        [account("app"), role("r")],
        [
            Grant("app", ScopeKind.COLUMN, ("shop", "t", "id"), "SELECT"),
            Grant("r", ScopeKind.TABLE, ("shop", "t"), "SELECT"),
        ],
        [Membership("app", "r", default=False)],
    )
    app = next(h for h in who(found, "mysql", "SELECT", ("shop", "t"), NOW) if h.principal == "app")
    assert (app.now, app.columns, [way.now for way in app.ways]) == (True, ("id",), [True, False])


@pytest.mark.parametrize(
    ("facts", "usable"),
    [
        ({}, True),
        ({"locked": True}, False),
        ({"can_login": False}, False),
        ({"can_login": None}, None),
        ({"attributes": (("valid_until", "2026-03-02T23:59:59+00:00"),)}, False),
        ({"attributes": (("valid_until", "2026-03-03T00:00:01+00:00"),)}, True),
    ],
)
def test_5_3_23_whether_an_account_can_log_in_depends_on_the_moment_that_is_asked_about(
    facts: Any, usable: bool | None
) -> None:
    found = state([account("app", **facts)], [Grant("app", ScopeKind.TABLE, TABLE, "SELECT")])
    assert [h.usable for h in who(found, "postgres", "SELECT", TABLE, NOW)] == [usable]


def test_5_3_12_a_role_that_cannot_log_in_is_not_a_locked_account() -> None:
    found = state([role("group")], [Grant("group", ScopeKind.TABLE, TABLE, "SELECT")])
    (one,) = who(found, "postgres", "SELECT", TABLE, NOW)
    assert (one.usable, found.principals["group"].locked) == (False, False)


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        who(state([]), "postgres", "SELECT", TABLE, datetime(2026, 3, 3))
