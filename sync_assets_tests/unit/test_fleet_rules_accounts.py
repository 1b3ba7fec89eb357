"""What functions say of accounts, and what rules make of it: known, unknown with the reason, always the same."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sync_assets.fleet.model import (
    AccountState,
    Effect,
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
from sync_assets.fleet.rules.documents import RuleSet, load, shipped
from sync_assets.fleet.rules.evaluation import Classification, classify, effective_risk
from sync_assets.fleet.rules.facts import InstanceFacts, instance_facts
from sync_assets.fleet.rules.language import decide, parse
from sync_assets.fleet.rules.logic import Verdict
from sync_assets.fleet.rules.registry import FUNCTIONS, SIGNATURES, ask

ONE = """
version: 4
classes: [{code: c, title: t, risk: 2}]
rules: [{id: r, class: c, engines: [mysql], expr: {fn: FN}}]
"""
NOW = datetime(2026, 3, 3, 17, tzinfo=UTC)
G, D = ScopeKind.GLOBAL, ScopeKind.DATABASE
OK = SectionState(Status.OK)
BAD = {
    Status.DENIED: SectionState(Status.DENIED, "grant SELECT on mysql.*"),
    Status.ERROR: SectionState(Status.ERROR, "it broke"),
}
MYSQL_PARTS = ("global", "dynamic", "restriction", "database", "table", "column", "routine", "proxy")


def user(name: str, **facts: Any) -> Principal:
    base: dict[str, Any] = {"kind": PrincipalKind.USER, "can_login": True, "superuser": False, "locked": False,
                            "has_password": True}  # fmt: skip
    attributes = tuple(sorted(facts.pop("attributes", {}).items()))
    return Principal(name, attributes=attributes, **(base | facts))


def role(name: str, **facts: Any) -> Principal:
    return user(name, **{"kind": PrincipalKind.ROLE, "can_login": False} | facts)


def public(name: str = "PUBLIC") -> Principal:
    return Principal(name, PrincipalKind.PUBLIC, can_login=False, superuser=False, locked=False)


def grant(principal: str, privilege: str, scope: ScopeKind = G, *path: str, **more: Any) -> Grant:
    return Grant(principal, scope, path, privilege, **more)


def seen(
    principals: Iterable[Principal], grants: Iterable[Grant] = (), memberships: Iterable[Membership] = (), *,
    engine: str = "mysql", bad: Mapping[str, Status] | None = None, now: datetime = NOW, flavour: str = "",
    databases: list[str] | None = None,
) -> InstanceFacts:  # fmt: skip
    """Facts of an instance all of whose sections are ok, but for those in `bad`: ``grants(table)``."""
    keys = [SectionKey(SectionName.PRINCIPALS), SectionKey(SectionName.MEMBERSHIPS)]
    grants = [replace(g, part=g.part or ("global" if engine == "mysql" else "")) for g in grants]
    parts = {*(MYSQL_PARTS if engine == "mysql" else ("",)), *(g.part for g in grants)}
    keys += [SectionKey(SectionName.GRANTS, part) for part in sorted(parts)]
    state = {name: SectionState(status, "why") for name, status in (bad or {}).items()}
    sections = {key: state.get(str(key), OK) for key in keys}
    sections |= {SectionKey(SectionName.GRANTS, n[7:-1]): s for n, s in state.items() if n.startswith("grants(")}
    known = AccountState({p.name: p for p in principals}, {m.key: m for m in memberships}, {g.key: g for g in grants})
    return instance_facts(known, sections, engine=engine, flavour=flavour, now=now, databases=databases)


def says(facts: InstanceFacts, account: str, fn: str, /, **args: Any) -> Verdict:
    node = parse({"fn": fn, "args": args} if args else {"fn": fn}, SIGNATURES)
    return decide(node, lambda call: ask(facts.account(account), call))


def value(facts: InstanceFacts, account: str, fn: str, /, **args: Any) -> bool | None:
    return says(facts, account, fn, **args).value


# -- flags


def test_flags_of_an_account() -> None:
    facts = seen([user("a@%"), user("b@h", can_login=False, locked=True, has_password=False), user("c@%", locked=None)])
    assert [value(facts, n, "can_login") for n in ("a@%", "b@h")] == [True, False]
    assert [value(facts, n, "is_locked") for n in ("a@%", "b@h", "c@%")] == [False, True, None]
    assert [value(facts, n, "has_password") for n in ("a@%", "b@h")] == [True, False]
    assert says(facts, "c@%", "is_locked").reasons == ("the server does not tell whether it is locked",)


@pytest.mark.parametrize("status", [Status.DENIED, Status.ERROR])
@pytest.mark.parametrize(
    "fn", ["can_login", "has_password", "is_locked", "is_expired", "is_anonymous", "is_system", "is_superuser"]
)
def test_2_nothing_is_said_of_accounts_that_could_not_be_read(fn: str, status: Status) -> None:
    facts = seen([user("a@%", superuser=True)], bad={"principals": status})
    found = says(facts, "a@%", fn)
    assert found.value is None
    assert f"principals is {status}" in found.reasons


def test_23_expiry_goes_by_the_moment_that_is_asked_about() -> None:
    attributes = {"valid_until": "2026-03-03T17:00:00+00:00"}
    for moment, expected in ((NOW - timedelta(seconds=1), False), (NOW, True), (NOW + timedelta(days=900), True)):
        facts = seen([user("a", attributes=attributes)], engine="postgres", now=moment)
        assert value(facts, "a", "is_expired") is expected
        assert value(facts, "a", "has_capability", name="EXPIRED") is expected


@pytest.mark.parametrize(
    ("attributes", "expired"),
    [
        ({}, False),
        ({"valid_until": "infinity"}, False),
        ({"password_expired": True}, True),
        ({"password_changed_at": "2026-01-01T00:00:00+00:00", "password_lifetime_days": 60}, True),
        ({"password_changed_at": "2026-01-01T00:00:00+00:00", "password_lifetime_days": 62}, False),
        ({"password_changed_at": "2026-01-01T00:00:00+00:00", "password_lifetime_days": 0}, False),
        # Oracle: EXPIRED(GRACE) may still log in
        ({"password_changed_at": "2026-01-01T00:00:00", "password_lifetime_days": 9, "password_expired": False}, False),
    ],
)
def test_when_an_account_has_expired(attributes: dict[str, Any], expired: bool) -> None:
    assert value(seen([user("a@%", attributes=attributes)]), "a@%", "is_expired") is expired


def test_12_a_role_that_may_not_log_in_is_not_locked() -> None:
    facts = seen([role("team", locked=False)], engine="postgres")
    assert value(facts, "team", "is_locked") is False
    assert value(facts, "team", "has_capability", name="LOCKED") is False
    assert value(facts, "team", "can_login") is False


def test_ages_are_whole_days_and_unknown_without_a_date() -> None:
    one = user("a@%", attributes={"password_changed_at": "2026-03-01T18:00:00+00:00", "last_seen_at": "2025-03-03"})
    facts = seen([one, user("b@%")])
    assert [value(facts, "a@%", "password_age_gt", days=d) for d in (0, 1, 2)] == [True, False, False]
    assert value(facts, "a@%", "last_seen_gt", days=364) is True
    assert value(facts, "b@%", "last_seen_gt", days=1) is None


def test_passwords_that_never_expire() -> None:
    facts = seen([user("a@%", attributes={"password_lifetime_days": 0}), user("b@%")])
    assert [value(facts, n, "password_never_expires") for n in ("a@%", "b@%")] == [True, False]


def test_hosts_plugins_and_names() -> None:
    attributes = {"plugin": "unix_socket", "other_plugins": "ed25519, mysql_native_password"}
    facts = seen(
        [user("o'b@x@%", attributes=attributes), user("李@10.0.%"), user("@localhost")], flavour="MariaDB 10.11"
    )
    assert value(facts, "o'b@x@%", "host_matches", pattern="%") is True
    assert value(facts, "李@10.0.%", "host_matches", pattern="%") is False
    assert value(facts, "李@10.0.%", "host_matches", pattern="10.*") is True
    assert value(facts, "李@10.0.%", "name_matches", pattern="李") is True
    assert value(facts, "o'b@x@%", "name_matches", pattern="*@x") is True
    assert [value(facts, n, "is_anonymous") for n in ("@localhost", "李@10.0.%")] == [True, False]
    assert value(facts, "o'b@x@%", "auth_plugin_in", plugins=["mysql_native_password"]) is True
    assert value(facts, "o'b@x@%", "auth_plugin_in", plugins=["native"]) is False
    assert value(facts, "o'b@x@%", "attribute_in", name="plugin", values=["unix_socket"]) is True
    assert [value(facts, "李@10.0.%", "db_type_in", types=[t]) for t in ("mysql", "mariadb", "oracle")] == [
        True,
        True,
        False,
    ]
    assert value(seen([user("a@%")], flavour="MySQL"), "a@%", "db_type_in", types=["mariadb"]) is False
    assert value(seen([user("a@h")], engine="postgres"), "a@h", "host_matches", pattern="*") is False


# -- roles


def test_roles_by_themselves_by_others_and_by_set_role() -> None:
    facts = seen(
        [user("app@%"), role("reader@"), role("base@"), role("sleeping@")],
        [grant("base@", "SELECT"), grant("sleeping@", "DELETE")],
        [Membership("app@%", "reader@", default=True), Membership("reader@", "base@", default=False),
         Membership("app@%", "sleeping@", default=False)],
    )  # fmt: skip
    assert [value(facts, "app@%", "has_role", name=n) for n in ("reader", "reader@", "base")] == [True, True, False]
    assert [value(facts, "app@%", "member_of", role=n) for n in ("reader", "base", "app")] == [True, True, False]
    assert value(facts, "app@%", "member_of", role="sleeping", via="effective") is False
    assert value(facts, "app@%", "member_of", role="sleeping") is True
    assert says(facts, "app@%", "has_privilege", name="select", scope="global").reasons == (
        "SELECT on global * by reader@ > base@",
    )
    assert value(facts, "app@%", "has_privilege", name="SELECT", scope="global", via="direct") is False
    assert value(facts, "app@%", "has_privilege", name="DELETE", scope="global") is False
    assert value(facts, "app@%", "has_privilege", name="DELETE", scope="global", via="reachable") is True
    assert value(facts, "app@%", "has_inactive_role") is True


def test_names_of_roles_without_what_stands_around_them() -> None:
    facts = seen([user("[店].[u]")], [], [Membership("[店].[u]", "[店].[db_owner]")], engine="sqlserver")
    assert value(facts, "[店].[u]", "has_role", name="db_owner") is True
    facts = seen([user("PDB.U")], [], [Membership("PDB.U", "PDB.DBA")], engine="oracle")
    assert value(facts, "PDB.U", "has_role", name="DBA") is True
    assert value(facts, "PDB.U", "has_role", name="BA") is False


def test_roles_that_could_not_be_read_are_unknown_not_absent() -> None:
    facts = seen([user("a@%")], [], [Membership("a@%", "dba@")], bad={"memberships": Status.DENIED})
    for fn, args in (("has_role", {"name": "dba"}), ("member_of", {"role": "dba"}), ("has_inactive_role", {})):
        found = says(facts, "a@%", fn, **args)
        assert (found.value, found.reasons) == (None, ("memberships is denied",)), fn


# -- rights


def test_rights_by_scope_place_and_option() -> None:
    facts = seen(
        [user("a@%")],
        [
            grant("a@%", "SELECT", D, "shop", grantable=True),
            grant("a@%", "INSERT", ScopeKind.DATABASE_PATTERN, "sh\\_p%"),
            grant("a@%", "UPDATE", ScopeKind.TABLE, "shop", "订单"),
            grant("a@%", "UPDATE", ScopeKind.COLUMN, "shop", "客户", "name"),
        ],
    )

    def may(name: str, scope: str, **where: Any) -> bool | None:
        return value(facts, "a@%", "has_privilege", name=name, scope=scope, **where)

    assert [may("SELECT", s) for s in ("database", "global", "server", "table", "any")] == [
        True,
        False,
        False,
        False,
        True,
    ]
    assert [may("SELECT", "database", database=d) for d in ("shop", "SHOP")] == [True, False]
    assert [may("INSERT", "database", database=d) for d in ("sh_p1", "shop1", "sh_")] == [True, False, False]
    assert [may("UPDATE", "table", object=o) for o in ("订单", "客户")] == [True, False]
    assert may("UPDATE", "column", object="客户", database="shop") is True
    assert may("UPDATE", "any", object="shop") is False
    assert [may("SELECT", "database", grantable=True), may("INSERT", "database", grantable=True)] == [True, False]
    assert value(facts, "a@%", "has_any_privilege", names=["DROP", "UPDATE"], scope="table") is True
    assert [value(facts, "a@%", "count_grants_gt", count=n) for n in (3, 4)] == [True, False]
    assert value(facts, "a@%", "count_grants_gt", count=0, scope="routine") is False
    assert value(facts, "a@%", "has_pattern_grant") is True


def test_schemas_of_postgres() -> None:
    rows = [grant("a", "USAGE", ScopeKind.SCHEMA, "db", "web", part="db"),
            grant("a", "SELECT", ScopeKind.TABLE, "db", "web", "t", part="db")]  # fmt: skip
    facts = seen([user("a")], rows, engine="postgres")
    assert [value(facts, "a", "has_privilege", name="USAGE", scope="schema", schema=s) for s in ("web", "x")] == [
        True,
        False,
    ]
    for schema, expected in (("web", True), ("db", False)):
        asked = {"name": "SELECT", "scope": "table", "schema": schema, "object": "t"}
        assert value(facts, "a", "has_privilege", **asked) is expected


def test_everybody_has_what_public_has() -> None:
    facts = seen([user("nobody@%"), public("PUBLIC@")], [grant("PUBLIC@", "SELECT")])
    assert value(facts, "nobody@%", "has_privilege", name="SELECT", scope="global") is True
    assert value(facts, "nobody@%", "has_privilege", name="SELECT", scope="global", via="direct") is False


def test_10_a_deny_goes_before_a_grant() -> None:
    rows = [grant("a", "SELECT", D, "shop"), grant("a", "SELECT", D, "shop", effect=Effect.DENY)]
    assert (
        value(seen([user("a")], rows[:1], engine="sqlserver"), "a", "has_privilege", name="SELECT", scope="database")
        is True
    )
    assert (
        value(seen([user("a")], rows, engine="sqlserver"), "a", "has_privilege", name="SELECT", scope="database")
        is False
    )
    by_role = [rows[0], grant("r", "SELECT", effect=Effect.DENY)]
    facts = seen([user("a"), role("r")], by_role, [Membership("a", "r")], engine="sqlserver")
    assert value(facts, "a", "has_privilege", name="SELECT", scope="database") is False


def test_4_a_partial_revoke_is_no_grant_and_takes_its_database_away() -> None:
    revoke = grant("a@%", "SELECT", D, "mysql", effect=Effect.PARTIAL_REVOKE)
    only = seen([user("a@%")], [revoke])
    assert value(only, "a@%", "has_privilege", name="SELECT", scope="any") is False
    facts = seen([user("a@%")], [grant("a@%", "SELECT"), revoke])
    assert value(facts, "a@%", "has_privilege", name="SELECT", scope="global") is True
    inside = [value(facts, "a@%", "has_privilege", name="SELECT", scope="global", database=d) for d in ("mysql", "x")]
    assert inside == [False, True]


@pytest.mark.parametrize("status", [Status.DENIED, Status.ERROR])
def test_2_a_section_that_failed_is_unknown_and_so_is_its_opposite(status: Status) -> None:
    facts = seen(
        [user("a@%")],
        [grant("a@%", "SELECT", ScopeKind.TABLE, "shop", "t", part="table")],
        bad={"grants(table)": status},
    )
    found = says(facts, "a@%", "has_privilege", name="SELECT", scope="table")
    assert (found.value, found.reasons) == (None, (f"grants(table) is {status}",)), "old rows prove nothing"
    node = parse(
        {"op": "NOT", "args": [{"fn": "has_privilege", "args": {"name": "SELECT", "scope": "any"}}]}, SIGNATURES
    )
    assert decide(node, lambda call: ask(facts.account("a@%"), call)).value is None
    assert value(facts, "a@%", "has_privilege", name="SELECT", scope="global") is False, "another table of the server"


def test_what_was_seen_counts_although_another_part_failed() -> None:
    facts = seen([user("a@%")], [grant("a@%", "SELECT")], bad={"grants(table)": Status.DENIED})
    assert value(facts, "a@%", "has_privilege", name="SELECT", scope="any") is True


def test_what_the_server_does_not_have_is_known_to_be_empty() -> None:
    bad = {"grants(template0)": Status.UNSUPPORTED}
    facts = seen([user("a")], engine="postgres", bad=bad)
    assert value(facts, "a", "has_privilege", name="SELECT", scope="any") is False


def test_a_denied_database_says_nothing_of_the_others() -> None:
    facts = seen([user("a")], engine="postgres", bad={"grants(sales)": Status.DENIED, "grants(shop)": Status.OK})
    ask_in = {"name": "SELECT", "scope": "table"}
    assert value(facts, "a", "has_privilege", **ask_in, database="shop") is False
    assert value(facts, "a", "has_privilege", **ask_in, database="sales") is None
    assert value(facts, "a", "has_privilege", name="CONNECT", scope="database") is False, "kept by the cluster"


def test_no_sections_at_all_is_no_proof() -> None:
    facts = instance_facts(AccountState({"a": user("a")}, {}, {}), {}, engine="postgres", now=NOW)
    assert says(facts, "a", "is_locked").reasons == ("principals was not read",)
    assert value(facts, "a", "has_privilege", name="SELECT", scope="any") is None
    assert value(facts, "a", "is_superuser") is None


# -- superusers


def test_superusers_by_whatever_way() -> None:
    facts = seen(
        [user("root", superuser=True), user("a"), role("r", superuser=True), user("b", superuser=None)],
        [], [Membership("a", "r", can_set=True)], engine="postgres",
    )  # fmt: skip
    assert [value(facts, n, "is_superuser") for n in ("root", "a", "b")] == [True, True, None]
    assert says(facts, "a", "is_superuser").reasons[0].startswith("superuser: a -> r")
    denied = seen([user("a")], bad={"memberships": Status.DENIED})
    assert says(denied, "a", "is_superuser").reasons == ("memberships is denied",)


def test_grant_admins() -> None:
    rows = [
        grant("a@%", "SELECT", grantable=True),
        grant("b@%", "SELECT"),
        grant("c@%", "SELECT", D, "x", grantable=True),
    ]
    facts = seen([user(n) for n in ("a@%", "b@%", "c@%")], rows)
    assert [value(facts, n, "has_capability", name="GRANT_ADMIN") for n in ("a@%", "b@%", "c@%")] == [
        True,
        False,
        False,
    ]
    facts = seen([user("a", attributes={"create_role": True})], engine="postgres")
    assert value(facts, "a", "has_capability", name="GRANT_ADMIN") is True
    facts = seen([user("a"), role("securityadmin")], [], [Membership("a", "securityadmin")], engine="sqlserver")
    assert value(facts, "a", "has_capability", name="GRANT_ADMIN") is True


# -- hints


def test_dangling_rights_need_the_list_of_databases() -> None:
    rows = [grant("a@%", "SELECT", D, "gone"), grant("b@%", "SELECT", D, "shop"), grant("c@%", "SELECT")]
    names = ("a@%", "b@%", "c@%")
    facts = seen([user(n) for n in names], rows, databases=["shop"])
    assert [value(facts, n, "has_dangling_grant") for n in names] == [True, False, False]
    facts = seen([user(n) for n in names], rows)
    assert [value(facts, n, "has_dangling_grant") for n in names] == [None, None, False]
    assert says(facts, "a@%", "has_dangling_grant").reasons == ("databases were not read",)


def test_the_same_user_on_other_hosts() -> None:
    rows = [grant("a@h1", "SELECT"), grant("a@h2", "SELECT"), grant("b@h1", "SELECT")]
    facts = seen([user(n) for n in ("a@h1", "a@h2", "b@h1", "b@h2", "c@h1")], rows)
    assert [value(facts, n, "differs_by_host") for n in ("a@h1", "b@h1", "b@h2", "c@h1")] == [False, True, True, False]


def test_unused_roles() -> None:
    joined = [Membership("a@%", "used@"), Membership("root@%", "lone@", admin=True)]
    facts = seen([role("lone@"), role("used@"), user("a@%")], [], joined)
    assert [value(facts, n, "is_unused_role") for n in ("lone@", "used@", "a@%")] == [True, False, False]


# -- rules


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load([("shipped", shipped())])


def classes_of(found: Classification, name: str, kind: str = "class") -> list[str]:
    return [a.code for a in found.assignments if a.principal == name and a.kind == kind]


def test_the_shipped_rules_on_mariadb(rules: RuleSet) -> None:
    by = {"attributes": {"plugin": "mysql_native_password", "password_changed_at": "2024-01-01T00:00:00+00:00"}}
    everywhere = [user("root@%", superuser=True, **by), user("报表@10.%"), user("写@%"), user("nobody@%"),
                  user("@localhost", has_password=False, **by), public("PUBLIC@")]  # fmt: skip
    rows = [
        grant("root@%", "SUPER"),
        grant("报表@10.%", "SELECT", D, "shop"),
        grant("写@%", "INSERT", D, "shop", grantable=True),
    ]
    found = classify(rules, seen(everywhere, rows))
    assert classes_of(found, "root@%")[:2] == ["super", "highly"]
    assert classes_of(found, "报表@10.%") == ["low"]
    assert classes_of(found, "写@%") == ["medium"]
    assert classes_of(found, "nobody@%") == ["public"]
    assert set(classes_of(found, "root@%", "hint")) == {"superuser-from-anywhere", "old-password", "weak-proof"}
    assert classes_of(found, "写@%", "hint") == ["grants-outside-superusers"]
    assert {"anonymous-login", "login-without-password"} <= set(classes_of(found, "@localhost", "hint"))
    assert effective_risk(found.assignments) == {"root@%": 1, "报表@10.%": 5, "写@%": 4, "nobody@%": 6, "@localhost": 6}


def test_the_shipped_rules_on_the_other_engines(rules: RuleSet) -> None:
    rows = [grant("web", "SELECT", ScopeKind.TABLE, "db", "public", "t", part="db")]
    found = classify(rules, seen([user("web"), user("dev", attributes={"create_db": True})], rows, engine="postgres"))
    assert [classes_of(found, n) for n in ("web", "dev")] == [["low"], ["sensitive", "public"]]
    rows = [grant("ops", "CONTROL SERVER")]
    found = classify(rules, seen([user("ops"), user("x")], rows, engine="sqlserver"))
    assert [classes_of(found, n) for n in ("ops", "x")] == [["super", "highly", "highly"], ["public"]]
    rows = [grant("PDB.APP", "SELECT ANY TABLE", D, "PDB"), grant("HR", "CREATE USER")]
    found = classify(rules, seen([user("PDB.APP"), user("HR")], rows, engine="oracle"))
    assert classes_of(found, "PDB.APP")[:1] == ["sensitive"]
    assert classes_of(found, "HR")[:1] == ["highly"]


def test_d12_what_is_not_decided_names_account_rule_and_section(rules: RuleSet) -> None:
    found = classify(rules, seen([user("a@%"), user("b@%")], bad={"grants(table)": Status.DENIED}))
    rows = {(u.principal, u.rule): u.reason for u in found.undecided}
    assert rows["a@%", "low/mysql-reads"] == rows["b@%", "low/mysql-reads"] == "grants(table) is denied"
    assert ("a@%", "sensitive/mysql-all-data") not in rows, "another table of the server"
    assert "public" not in classes_of(found, "a@%"), "no right was seen, and that is no proof"


def test_d11_an_engine_without_rules_has_a_row_for_every_account(rules: RuleSet) -> None:
    only = load([("x", ONE.replace("FN", "is_locked"))])
    found = classify(only, seen([user("a"), user("b"), role("r")], engine="postgres"))
    assert [(u.principal, u.rule, u.reason) for u in found.undecided] == [
        ("a", "", "no_rules: there is no rule of a class for postgres"),
        ("b", "", "no_rules: there is no rule of a class for postgres"),
    ]
    assert found.counts()["no_rules"] == 2
    for engine in ("mysql", "postgres", "sqlserver", "oracle"):
        named = classify(rules, seen([user("a@%")], engine=engine))
        assert {a.principal for a in named.assignments} | {u.principal for u in named.undecided} == {"a@%"}


def test_18_both_rules_of_a_class_are_told() -> None:
    text = """
version: 4
classes: [{code: c, title: t, risk: 2}]
rules:
  - {id: one, class: c, engines: [mysql], expr: {fn: is_superuser}}
  - {id: two, class: c, engines: [mysql], expr: {op: NOT, args: [{fn: is_locked}]}}
"""
    found = classify(load([("x", text)]), seen([user("a@%", superuser=True)]))
    assert [(a.code, a.rule) for a in found.assignments] == [("c", "one"), ("c", "two")]
    assert (found.counts()["matched"], found.counts()["class:c"]) == (1, 1)


def test_19_matched_accounts_are_counted_not_all() -> None:
    text = ONE.replace("FN", "is_superuser")
    found = classify(load([("x", text)]), seen([user("a@%", superuser=True), *(user(f"u{n}@%") for n in range(9))]))
    assert (found.counts()["accounts"], found.counts()["matched"]) == (10, 1)


def test_d10_the_result_depends_on_rules_and_facts_only(rules: RuleSet) -> None:
    text = ONE.replace("FN", "is_locked")
    facts = seen([user("a@%", locked=True)])
    first = load([("x", text)])
    assert classes_of(classify(first, facts), "a@%") == ["c"]
    changed = load([("x", ONE.replace("FN", "is_anonymous"))])
    assert classes_of(classify(changed, facts), "a@%") == []
    assert changed.digest != first.digest
    assert classify(first, facts) == classify(first, facts)


_TWICE = """
import sys
from sync_assets.fleet.rules.documents import load, shipped
from sync_assets.fleet.rules.evaluation import classify
sys.path.insert(0, {tests!r})
from sync_assets_tests.unit.test_fleet_rules_accounts import hostile
rules = load([("shipped", shipped())])
print(rules.digest, ascii(classify(rules, hostile())))
"""


def hostile() -> InstanceFacts:
    """Many accounts with names that are hard to keep."""
    names = ["a'b@%", 'q"@%', "表@10.0.%", "🙂@%", "x@y@h", "nul\0@%", "\ud800@%"]
    rows = [grant(n, p, D, d) for n in names for p in ("SELECT", "INSERT", "DROP") for d in ("shop", "`b`")]
    rows += [grant(n, p) for n in names for p in ("SELECT", "UPDATE", "DROP", "TRIGGER")]
    return seen([user(n) for n in names] + [role("r@")], rows, [Membership(n, "r@") for n in names], databases=["shop"])


def test_the_same_input_gives_the_same_bytes_in_any_process() -> None:
    """Another process has other hashes of texts, and so another order of sets."""
    root = str(Path(__file__).parents[2])
    runs = {
        subprocess.run(
            [sys.executable, "-c", _TWICE.format(tests=root)], check=True, capture_output=True, cwd=root,
            env={"PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin"},
        ).stdout
        for seed in ("1", "2", "77")
    }  # fmt: skip
    assert len(runs) == 1
    assert len(next(iter(runs))) > 1000


def test_the_hash_of_facts_follows_what_rules_can_see() -> None:
    rows = [grant("a@%", "SELECT", D, "shop")]
    base = seen([user("a@%")], rows).account("a@%").hash()
    assert seen([user("a@%"), user("other@%")], [*rows, grant("other@%", "DROP")]).account("a@%").hash() == base
    others = [
        seen([user("a@%", locked=True)], rows),
        seen([user("a@%")], [grant("a@%", "SELECT", D, "shop", grantable=True)]),
        seen([user("a@%")], rows, bad={"grants(table)": Status.DENIED}),
        seen([user("a@%"), role("r@")], rows, [Membership("a@%", "r@")]),
        seen([user("a@%"), public()], [*rows, grant("PUBLIC", "SELECT")]),
        seen([user("a@%"), user("a@h")], rows),
        seen([user("a@%")], rows, databases=["shop"]),
        seen([user("a@%")], rows, flavour="MariaDB"),
        seen([user("a@%", attributes={"password_changed_at": "2026-03-01"})], rows),
        seen([user("a@%", attributes={"password_changed_at": "2026-03-01"})], rows, now=NOW + timedelta(days=1)),
    ]
    hashes = {facts.account("a@%").hash() for facts in others}
    assert len(hashes | {base}) == len(others) + 1


def test_every_function_is_asked_somewhere_here() -> None:
    text = Path(__file__).read_text("utf-8")
    assert [name for name in FUNCTIONS if f'"{name}"' not in text] == []


def test_kinds() -> None:
    facts = seen([user("a@%"), role("r@")])
    assert [value(facts, n, "kind_in", kinds=["role", "public"]) for n in ("a@%", "r@")] == [False, True]
