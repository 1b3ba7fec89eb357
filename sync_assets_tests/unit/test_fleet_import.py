"""Rules of the original system, taken over: what they meant, and a word about everything that is not as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sync_assets.engine.errors import Stop
from sync_assets.fleet.model import (
    AccountState,
    Grant,
    Membership,
    Principal,
    PrincipalKind,
    ScopeKind,
    SectionName,
    SectionState,
    Status,
)
from sync_assets.fleet.model import SectionKey as Key
from sync_assets.fleet.rules.documents import SHIPPED, load, shipped
from sync_assets.fleet.rules.evaluation import classify
from sync_assets.fleet.rules.facts import instance_facts
from sync_assets.fleet.rules.importer import GENERAL, Imported, import_rules, listed_notes
from sync_assets_tests.unit.test_fleet_rules_accounts import NOW

DATABASE, TABLE, TABLESPACE = ScopeKind.DATABASE, ScopeKind.TABLE, ScopeKind.TABLESPACE


def rule(db_type: str, expression: Any, name: str = "规则 1", **more: Any) -> dict[str, Any]:
    return {"rule_name": name, "db_type": db_type, "rule_expression": expression, "classification": "super"} | more


def imported(*rules: Any, classes: list[Any] | None = None) -> Imported:
    return import_rules(json.dumps({"classifications": classes or [], "rules": list(rules)}))


def notes(found: Imported) -> list[str]:
    return [n.text for n in found.notes if n.text != GENERAL]


def matches(found: Imported, db_type: str, *rows: Any, **flags: Any) -> bool:
    """Whether the rule that was imported holds for an account ``me`` with these rights and roles."""
    engine = {"postgresql": "postgres"}.get(db_type, db_type)
    me = "me@%" if engine == "mysql" else "me"
    flags = {"can_login": True, "superuser": False, "locked": False} | flags
    one = Principal(me, PrincipalKind.USER, attributes=tuple(sorted(flags.pop("attributes", {}).items())), **flags)
    grants = [Grant(me, *row) for row in rows if isinstance(row, tuple)]
    roles = [Membership(me, row) for row in rows if isinstance(row, str)]
    principals = {p.name: p for p in (one, *(Principal(r.role, PrincipalKind.ROLE) for r in roles))}
    state = AccountState(principals, {r.key: r for r in roles}, {g.key: g for g in grants})
    keys = (Key(SectionName.PRINCIPALS), Key(SectionName.MEMBERSHIPS), Key(SectionName.GRANTS))
    facts = instance_facts(state, dict.fromkeys(keys, SectionState(Status.OK)), engine=engine, now=NOW)
    result = classify(found.rules, facts)
    assert not [u for u in result.undecided if u.rule in found.taken]
    return any(a.rule in found.taken and a.principal == me for a in result.assignments)


def may(privilege: str, scope: ScopeKind = ScopeKind.GLOBAL, *path: str) -> tuple[Any, ...]:
    return (scope, path, privilege)


# -- version 4


PRIVILEGED = {"version": 4, "expr": {"op": "or", "args": [{"fn": " is_superuser "}, {"fn": "has_capability", "args": {"name": "GRANT_ADMIN"}}]}}  # fmt: skip  # noqa: E501
READER = {"version": 4, "expr": {"op": "AND", "args": [
    {"fn": "db_type_in", "args": {"types": ["mysql", "postgresql"]}},
    {"fn": "has_privilege", "args": {"name": "SELECT", "scope": "Global", "database": None}},
    {"op": "NOT", "args": [{"fn": "has_privilege", "args": {"name": "INSERT", "scope": "global"}}]}]}}  # fmt: skip


def test_expressions_of_version_4_mean_the_same() -> None:
    found = imported(rule("mysql", json.dumps(READER)))
    assert notes(found) == []
    assert matches(found, "mysql", may("SELECT"))
    assert not matches(found, "mysql", may("SELECT"), may("INSERT"))
    assert not matches(found, "mysql")
    assert matches(imported(rule("mysql", PRIVILEGED)), "mysql", superuser=True)
    assert matches(imported(rule("mysql", PRIVILEGED)), "mysql", (ScopeKind.GLOBAL, (), "GRANT OPTION"))
    assert not matches(imported(rule("mysql", PRIVILEGED)), "mysql", may("SELECT"))


def test_locked_of_postgres_meant_something_else() -> None:
    locked = {"version": 4, "expr": {"fn": "has_capability", "args": {"name": "LOCKED"}}}
    found = imported(rule("postgresql", locked))
    assert "may not log in or has expired" in notes(found)[0]
    assert matches(found, "postgresql", can_login=False)
    assert matches(found, "postgresql", attributes={"valid_until": "2020-01-01"})
    assert not matches(found, "postgresql")
    assert matches(imported(rule("mysql", locked)), "mysql", locked=True)


def test_attributes_that_were_capabilities() -> None:
    for word, attribute in (
        ("can_create_role", "create_role"),
        ("can_create_db", "create_db"),
        ("can_bypass_rls", "bypass_rls"),
    ):
        found = imported(rule("postgresql", {"version": 4, "expr": {"fn": "has_capability", "args": {"name": word}}}))
        assert matches(found, "postgresql", attributes={attribute: True})
        assert not matches(found, "postgresql", attributes={attribute: False})


def test_rights_of_sql_server_that_were_never_found() -> None:
    control = {"version": 4, "expr": {"fn": "has_privilege", "args": {"name": "CONTROL", "scope": "database"}}}
    found = imported(rule("sqlserver", control))
    assert "never found, so that this never matched; it will now" in notes(found)[0]
    assert matches(found, "sqlserver", may("CONTROL", DATABASE, "shop"))


@pytest.mark.parametrize(
    ("expr", "reason"),
    [
        ({"op": "AND", "args": []}, "AND of nothing, which matched every account"),
        ({"op": "OR", "args": []}, "OR of nothing, which matched nobody"),
        ({"op": "NOT", "args": [{"fn": "is_boss"}]}, "is no known function"),
        ({"op": "NOT", "args": [{"fn": "is_superuser"}, {"fn": "is_superuser"}]}, "has several nodes"),
        ({"fn": "has_capability", "args": {"name": "FLY"}}, "capability or attribute that is not known"),
        ({"fn": "has_privilege", "args": {"name": " ", "scope": "global"}}, "names an empty privilege"),
        ({"fn": "has_privilege", "args": {"name": "A", "scope": "galaxy"}}, "expr.args.scope: is not known"),
        ({"fn": "has_role"}, "expr.args.name: is missing"),
        ([], "is no node"),
    ],
)
def test_6_what_matched_everybody_or_nobody_is_not_taken_over(expr: Any, reason: str) -> None:
    found = imported(rule("mysql", {"version": 4, "expr": expr}), rule("mysql", READER, "good"))
    assert found.taken == ("imported/good",)
    assert found.left_out == ("规则 1",)
    (note,) = [n for n in found.notes if not n.imported]
    assert reason in note.text
    assert str(note).startswith('rule "规则 1": NOT IMPORTED: ')


# -- flat


@pytest.mark.parametrize(
    ("db_type", "flat", "fits", "not_fits"),
    [
        ("mysql", {"global_privileges": ["SELECT", "insert"]}, [may("INSERT")], [may("DROP")]),
        ("mysql", {"global_privileges": ["SELECT", "INSERT"], "operator": "AND"},
         [may("SELECT"), may("INSERT")], [may("SELECT")]),
        ("mysql", {"global_privileges": ["SELECT"], "exclude_privileges": ["INSERT", "DROP"]}, [may("SELECT")],
         [may("SELECT"), may("DROP")]),
        ("mysql", {"database_privileges": ["SELECT"]}, [may("SELECT", DATABASE, "x")], [may("SELECT")]),
        ("mysql", {"database_privileges": [{"database": "shop", "privileges": ["SELECT"]}]},
         [may("SELECT", DATABASE, "shop")], [may("SELECT", DATABASE, "x")]),
        ("mysql", {"database_privileges": [{"database": "*", "privileges": ["SELECT", "DROP"]}], "operator": "AND"},
         [may("SELECT", DATABASE, "x"), may("DROP", DATABASE, "x")], [may("SELECT", DATABASE, "x")]),
        ("mysql", {"table_privileges": [{"database": "shop", "table": "t", "privileges": ["SELECT"]}]},
         [may("SELECT", TABLE, "shop", "t")], [may("SELECT", TABLE, "shop", "u")]),
        ("mysql", {"roles": ["dba"], "global_privileges": ["SELECT"]}, ["dba@", may("SELECT")], ["dba@"]),
        ("postgresql", {"predefined_roles": ["pg_monitor", "pg_read_all_data"]},
         ["pg_monitor", "pg_read_all_data"], ["pg_monitor"]),
        ("postgresql", {"predefined_roles": ["a"], "database_privileges": ["TEMP"]},
         [may("TEMPORARY", DATABASE, "d")], []),
        ("postgresql", {"predefined_roles": ["a"], "database_privileges": ["CREATE"], "operator": "AND"},
         ["a", may("CREATE", DATABASE, "d")], ["a"]),
        ("postgresql", {"tablespace_privileges": ["CREATE"]},
         [may("CREATE", TABLESPACE, "t")], [may("CREATE", DATABASE, "d")]),
        ("sqlserver", {"server_roles": ["sysadmin", "dbcreator"]}, ["sysadmin", "dbcreator"], ["sysadmin"]),
        ("sqlserver", {"database_roles": ["db_owner", "db_ddladmin"]}, ["[a].[db_ddladmin]"], ["db_other"]),
        ("sqlserver", {"server_permissions": ["A", "B"], "operator": "AND"}, [may("A"), may("B")], [may("B")]),
        ("sqlserver", {"database_permissions": ["CONTROL"]}, [may("CONTROL", DATABASE, "d")], []),
        ("oracle", {"roles": ["DBA", "X"]}, ["DBA", "X"], ["DBA"]),
        ("oracle", {"system_privileges": ["ALTER USER", "X"]}, [may("ALTER USER", DATABASE, "PDB")], []),
        ("oracle", {"object_privileges": [{"privilege": "SELECT", "object_name": "T"}]},
         [may("SELECT", TABLE, "P", "O", "T")], [may("SELECT", TABLE, "P", "O", "U")]),
        ("oracle", {"object_privileges": [{"privilege": "SELECT", "object_name": "*"}]},
         [may("SELECT", TABLE, "P", "O", "T")], []),
        ("oracle", {"tablespace_privileges": [{"privilege": "*", "tablespace_name": "*"}]},
         [may("QUOTA", TABLESPACE, "P", "T")], [may("CREATE TABLE")]),
    ],
)  # fmt: skip
def test_flat_rules_mean_what_was_meant(
    db_type: str, flat: dict[str, Any], fits: list[Any], not_fits: list[Any]
) -> None:
    found = imported(rule(db_type, flat))
    assert len(found.taken) == 1, notes(found)
    assert matches(found, db_type, *fits)
    assert not matches(found, db_type, *not_fits)


def test_attributes_of_flat_rules() -> None:
    found = imported(rule("postgresql", {"role_attributes": ["can_create_db", "CREATEROLE"]}))
    assert matches(found, "postgresql", attributes={"create_db": True, "create_role": True})
    assert not matches(found, "postgresql", attributes={"create_db": True, "create_role": False})
    assert imported(rule("postgresql", {"role_attributes": ["can_fly"]})).taken == ()


@pytest.mark.parametrize("db_type", ["mysql", "postgresql", "sqlserver", "oracle"])
@pytest.mark.parametrize(
    "flat", [{"operator": "OR"}, {"globl_privileges": ["SELECT"]}, {"roles": [], "server_roles": []}]
)
def test_6_a_flat_rule_without_a_condition_matched_everybody_and_is_left_out(
    db_type: str, flat: dict[str, Any]
) -> None:
    found = imported(rule(db_type, flat))
    assert found.taken == ()
    assert notes(found) == ["it has no condition that was looked at, and so matched every account"]


@pytest.mark.parametrize(
    ("db_type", "flat", "words"),
    [
        ("mysql", {"table_privileges": ["SELECT"]}, "table_privileges never had data, so that this never matched"),
        ("mysql", {"roles": ["dba"]}, "roles never had data"),
        ("sqlserver", {"database_permissions": ["CONTROL"]}, "database_permissions never had data"),
        ("oracle", {"object_privileges": [{"privilege": "SELECT"}]}, "object_privileges never had data"),
        ("oracle", {"roles": ["DBA"]}, "so that it matched every account; not here"),
        (
            "postgresql",
            {"predefined_roles": ["a"], "schema_privileges": ["USAGE"]},
            "schema_privileges: not looked at before",
        ),
        ("mysql", {"database_privileges": [{"database": "SHOP", "privileges": ["SELECT"]}]}, "turned into capitals"),
        ("mysql", {"database_privileges": ["SELECT"], "operator": "AND"}, "may now lie in different databases"),
    ],
)
def test_quirks_are_told(db_type: str, flat: dict[str, Any], words: str) -> None:
    found = imported(rule(db_type, flat))
    assert len(found.taken) == 1
    assert any(words in text for text in notes(found)), notes(found)


# -- what stands around them


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (rule("mongodb", READER), "its db_type is none of"),
        (rule("mysql", "{broken"), "broken JSON; it was skipped without a word"),
        (rule("mysql", {}), "empty; it was skipped without a word"),
        (rule("mysql", None), "empty; it was skipped without a word"),
        (rule("mysql", READER, is_active=False), "it was not active"),
        (rule("mysql", READER, superseded_at="2026-01-01"), "it was not active"),
        (rule("mysql", READER, classification=None), "it names no class"),
        (rule("mysql", {"version": 3, "expr": {}}), "of no known version"),
        (7, "it is no mapping"),
    ],
)
def test_rules_that_cannot_be_taken_over_say_why(row: Any, reason: str) -> None:
    found = imported(row)
    assert (found.taken, len(found.left_out)) == ((), 1)
    assert reason in notes(found)[0]


def test_classes_come_with_their_risk() -> None:
    classes = [
        {"id": 7, "name": "特权账户", "risk_level": "high", "priority": 3},
        {"id": 8, "name": "super", "risk_level": 1},
        {"id": 9, "name": "low", "risk_level": "medium"},
        {"id": 10, "name": "?? !!", "risk_level": "high"},
    ]
    rows = [rule("mysql", READER, str(n), classification=None, classification_id=n) for n in (7, 8, 9, 10)]
    found = imported(*rows, rule("mysql", READER, "own", classification="自定义"), classes=classes)
    classes_now = {r.id: found.rules.classes[r.code] for r in found.rules.rules if r.id in found.taken}
    assert [(c.code, c.title, c.risk, c.priority) for _, c in sorted(classes_now.items())] == [
        ("特权账户", "特权账户", 2, 3), ("super", "Superuser · 超级账户", 1, 100),
        ("imported/low", "low", 4, 0), ("自定义", "自定义", 6, 0),
    ]  # fmt: skip
    assert found.left_out == ("10",)
    assert "its class has another risk than the shipped one, and is imported/low here" in notes(found)
    assert "its class has no risk that is known: 6, the lowest" in notes(found)


def test_the_document_stands_beside_the_shipped_one() -> None:
    found = imported(rule("mysql", READER), rule("mysql", READER), rule("oracle", {"roles": ["DBA"]}, "规则/二"))
    assert found.taken == ("imported/规则-1", "imported/规则-1-2", "imported/规则/二")
    again = load([(SHIPPED, shipped()), ("imported.yaml", found.text)])
    assert again.digest == found.rules.digest


def test_yaml_and_bare_lists_are_read() -> None:
    text = "- {rule_name: a, db_type: mysql, classification: super, rule_expression: {global_privileges: [SUPER]}}"
    assert import_rules(text).taken == ("imported/a",)
    assert import_rules(json.dumps(rule("mysql", READER, "b"))).taken == ("imported/b",)
    assert import_rules("[]").taken == ()


@pytest.mark.parametrize("text", ["", "5", "null", "{rules: 5}", "{classes: []}", "a: [", "[" * 3000, '"x"'])
def test_a_text_without_rules_is_refused_or_empty(text: str) -> None:
    try:
        found = import_rules(text)
    except Stop as stop:
        assert stop.hint
    else:
        assert found.taken == ()


def test_notes_as_lines_begin_with_what_was_left_out() -> None:
    found = imported(rule("mysql", READER, "good"), rule("mysql", {}, "bad"), rule("oracle", {"roles": ["DBA"]}, "odd"))
    lines = list(listed_notes(found.notes))
    assert [line.split(":")[0] for line in lines] == ['rule "bad"', "all rules", 'rule "odd"']
