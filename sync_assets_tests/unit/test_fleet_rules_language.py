"""The language of rules: Kleene's truth tables whole, and every fault of an expression said with its place."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_assets.fleet.rules.documents import RuleSet, RulesInvalid, load, shipped
from sync_assets.fleet.rules.language import Call, Combined, Invalid, Node, decide, parse, written
from sync_assets.fleet.rules.logic import Verdict, all_of, any_of, negation, true, unknown
from sync_assets.fleet.rules.registry import FUNCTIONS, SIGNATURES

T, F, U = true("seen"), Verdict(False), unknown(["grants is denied"])
VALUES: dict[bool | None, Verdict] = {True: T, False: F, None: U}
RANK: dict[bool | None, int] = {False: 0, None: 1, True: 2}  # AND is the least of them, OR the greatest


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_kleene_and_or_whole(count: int) -> None:
    for values in product(VALUES, repeat=count):
        verdicts = [VALUES[v] for v in values]
        assert all_of(verdicts).value is min(values, key=RANK.__getitem__), values
        assert any_of(verdicts).value is max(values, key=RANK.__getitem__), values


def test_kleene_not_and_de_morgan() -> None:
    assert [negation(v).value for v in (T, F, U)] == [False, True, None]
    for one, other in product(VALUES.values(), repeat=2):
        assert negation(all_of([one, other])).value is any_of([negation(one), negation(other)]).value


def test_what_is_unknown_says_why_and_nothing_else_does() -> None:
    other = unknown(["memberships is denied"])
    assert all_of([T, U, other, U]).reasons == ("grants is denied", "memberships is denied")
    assert all_of([F, U]).reasons == () == any_of([F, F]).reasons
    assert any_of([U, T]).reasons == ("seen",)
    assert negation(U).reasons == ("grants is denied",)
    with pytest.raises(ValueError, match="needs a reason"):
        unknown([])


def test_and_or_of_nothing_has_no_value() -> None:
    for join in (all_of, any_of):
        with pytest.raises(ValueError, match="need an argument"):
            join([])


nodes: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from("abc").map(lambda name: Call("has_role", (("name", name),))),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["AND", "OR"]), st.lists(inner, min_size=1, max_size=3)).map(
            lambda pair: Combined(pair[0], tuple(pair[1]))
        ),
        inner.map(lambda node: Combined("NOT", (node,))),
    ),
    max_leaves=12,
)


def plain(node: Node, values: dict[str, bool]) -> bool:
    """The same with two values, as Python does it."""
    if isinstance(node, Call):
        return values[str(dict(node.arguments)["name"])]
    found = [plain(one, values) for one in node.nodes]
    return not found[0] if node.op == "NOT" else all(found) if node.op == "AND" else any(found)


@given(nodes, st.fixed_dictionaries({name: st.sampled_from([True, False, None]) for name in "abc"}))
def test_an_answer_holds_whatever_the_unknown_turns_out_to_be(node: Node, values: dict[str, bool | None]) -> None:
    def say(call: Call) -> Verdict:
        return VALUES[values[str(dict(call.arguments)["name"])]]

    found = decide(node, say).value
    loose = [name for name, value in values.items() if value is None]
    for guess in product([True, False], repeat=len(loose)):
        known = {name: bool(value) for name, value in values.items()} | dict(zip(loose, guess, strict=True))
        assert found is None or found is plain(node, known)


@given(nodes)
def test_what_is_written_is_read_again(node: Node) -> None:
    assert parse(written(node), SIGNATURES) == node
    assert parse({"version": 4, "expr": written(node)}, SIGNATURES) == node


def many(count: int) -> Any:
    node: Any = {"fn": "is_locked"}
    for _ in range(count):
        node = {"op": "NOT", "args": [node]}
    return node


@pytest.mark.parametrize(
    ("raw", "way", "words"),
    [
        ({"op": "AND", "args": []}, "expr.args", "AND of nothing would decide for every account"),
        ({"op": "OR", "args": []}, "expr.args", "OR of nothing"),
        ({"op": "NOT", "args": []}, "expr.args", "NOT of nothing"),
        ({"op": "NOT", "args": [{"fn": "is_locked"}, {"fn": "is_locked"}]}, "expr.args", "NOT takes one"),
        ({"op": "XOR", "args": [{"fn": "is_locked"}]}, "expr.op", "is none of AND, OR, NOT"),
        ({"op": ["AND"], "args": [{"fn": "is_locked"}]}, "expr.op", "is none of AND, OR, NOT"),
        ({"op": "AND"}, "expr.args", "is no list"),
        ({"op": "AND", "args": [{"fn": "is_locked"}, 7]}, "expr.args[1]", "is no node"),
        ({"op": "AND", "args": [{"fn": "is_locked"}], "fn": "is_locked"}, "expr", "has both op and fn"),
        ({}, "expr", "has neither op nor fn"),
        ([], "expr", "is no node"),
        ({"fn": "is_superusr"}, "expr.fn", "did you mean is_superuser?"),
        ({"fn": ["is_locked"]}, "expr.fn", "is no known function"),
        ({"fn": "is_locked", "arg": {}}, "expr.arg", "is not known here"),
        ({"fn": "is_locked", "args": []}, "expr.args", "is no mapping"),
        ({"fn": "is_locked", "args": {"name": "x"}}, "expr.args.name", "is not known here"),
        ({"fn": "has_role"}, "expr.args.name", "is missing"),
        ({"fn": "has_role", "args": {"name": 7}}, "expr.args.name", "is no text"),
        ({"fn": "has_role", "args": {"name": ""}}, "expr.args.name", "is no text"),
        ({"fn": "has_role", "args": {"name": "a\x00b"}}, "expr.args.name", "is no text"),
        ({"fn": "db_type_in", "args": {"types": "mysql"}}, "expr.args.types", "is no list of texts"),
        ({"fn": "db_type_in", "args": {"types": []}}, "expr.args.types", "is no list of texts"),
        ({"fn": "db_type_in", "args": {"types": ["mysql", "postgresql"]}}, "expr.args.types", "mean postgres?"),
        ({"fn": "has_capability", "args": {"name": "ROOT"}}, "expr.args.name", "known: SUPERUSER, GRANT_ADMIN"),
        ({"fn": "has_privilege", "args": {"name": "SELECT", "scope": "globe"}}, "expr.args.scope", "mean global?"),
        ({"fn": "password_age_gt", "args": {"days": True}}, "expr.args.days", "is no whole number"),
        ({"fn": "password_age_gt", "args": {"days": -1}}, "expr.args.days", "is no whole number"),
        ({"fn": "password_age_gt", "args": {"days": 1.5}}, "expr.args.days", "is no whole number"),
        ({"version": 3, "expr": {"fn": "is_locked"}}, "expr.version", "is not 4"),
        ({"version": True, "expr": {"fn": "is_locked"}}, "expr.version", "is not 4"),
        ({"version": 4, "expr": {"fn": "is_locked"}, "more": 1}, "expr.more", "is not known here"),
        (many(50), "expr" + ".args[0]" * 40, "nested deeper than 40"),
    ],
)
def test_6_a_wrong_expression_is_refused_with_its_place(raw: Any, way: str, words: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse(raw, SIGNATURES)
    assert [(p.way, True) for p in caught.value.problems if words in str(p)] == [(way, True)], str(caught.value)


def test_all_faults_are_said_at_once() -> None:
    with pytest.raises(Invalid) as caught:
        parse({"op": "AND", "args": [{"fn": "a"}, {"op": "OR", "args": []}, {"fn": "has_role"}]}, SIGNATURES)
    assert [p.way for p in caught.value.problems] == ["expr.args[0].fn", "expr.args[1].args", "expr.args[2].args.name"]


DOCUMENT = """\
version: 4
classes:
  - {code: dba, title: 管理员, risk: 1, priority: 9}
rules:
  - id: dba/any
    class: dba
    engines: [mysql]
    expr: {fn: is_superuser}
"""


def test_a_document_is_read() -> None:
    rules = load([("own.yaml", DOCUMENT)])
    assert rules.classes["dba"].title == "管理员"
    assert [(r.id, r.code, r.engines, r.of) for r in rules.rules] == [
        ("dba/any", "dba", ("mysql",), ("external", "user"))
    ]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("version: 4", "version: 5", "own.yaml:1: version: is not 4"),
        ("risk: 1", "risk: 7", 'own.yaml:3: class "dba": risk: is wrong -> write a number from 1'),
        ("risk: 1, ", "", 'own.yaml:3: class "dba": risk: is missing'),
        ("risk: 1", "risky: 1", 'own.yaml:3: class "dba": risky: is not known here -> known: code, title, risk'),
        ("class: dba", "class: dbb", 'rule "dba/any": class dbb is not defined -> known: dba (did you mean dba?)'),
        ("engines: [mysql]", "engines: [mariadb]", 'own.yaml:7: rule "dba/any": engines: is wrong'),
        ("engines: [mysql]", "engines: []", 'own.yaml:7: rule "dba/any": engines: is wrong'),
        ("is_superuser", "is_super_user", 'own.yaml:8: rule "dba/any": expr.fn: is no known function'),
        ("{fn: is_superuser}", "{op: AND, args: []}", 'own.yaml:8: rule "dba/any": expr.args: is empty'),
        ("id: dba/any", "id: ''", "own.yaml:5: rule number 1: id: is wrong"),
        ("    class: dba\n", "    class: dba\n    class: dba\n", "own.yaml:7: rule \"dba/any\": class: stands twice"),
        ("rules:", "rulez:", "own.yaml:4: rulez: is not known here -> known: version, classes, rules, hints"),
        ("version: 4\n", "version: 4\nrules: 5\n", "rules: stands twice"),
        ("rules:", "hints: 5\nrules:", "own.yaml:4: hints: is no list"),
        ("- id: dba/any", "- 5\n  - id: dba/any", "own.yaml:5: rule number 1: is no mapping"),
        ("title: 管理员", "title: [", "own.yaml:3: is no YAML"),
    ],
)  # fmt: skip
def test_a_wrong_document_says_file_line_and_rule(old: str, new: str, fault: str) -> None:
    assert old in DOCUMENT
    with pytest.raises(RulesInvalid) as caught:
        load([("own.yaml", DOCUMENT.replace(old, new))])
    assert any(one.startswith(fault) or f" {fault}" in one for one in caught.value.faults), caught.value.faults


def test_no_rule_at_all_is_a_fault() -> None:
    for text in ("", "5", "version: 4", "a: &a [*a]", "[" * 5000):
        with pytest.raises(RulesInvalid):
            load([("own.yaml", text)])


def test_a_name_is_given_once_over_all_documents() -> None:
    with pytest.raises(RulesInvalid) as caught:
        load([("a.yaml", DOCUMENT), ("b.yaml", DOCUMENT)])
    assert [f.split(" -> ")[0] for f in caught.value.faults] == [
        'b.yaml:3: class "dba": code: is there already',
        'b.yaml:5: rule "dba/any": id: is there already',
    ]


def two(first: int, second: int) -> RuleSet:
    more = f"  - {{code: ops, title: O, risk: 2, priority: {second}}}\n"
    head, tail = DOCUMENT.replace("priority: 9", f"priority: {first}").split("rules:\n")
    rule = "  - {id: aa, class: ops, engines: [mysql], expr: {fn: is_locked}}\n"
    return load([("own.yaml", f"{head}{more}rules:\n{tail}{rule}")])


def test_rules_are_asked_by_priority_and_then_by_id() -> None:
    assert [r.id for r in two(9, 5).rules] == ["dba/any", "aa"]
    assert [r.id for r in two(5, 9).rules] == ["aa", "dba/any"]
    assert [r.id for r in two(5, 5).rules] == ["aa", "dba/any"]


def test_a_digest_is_of_what_rules_say_and_not_of_how_they_are_written() -> None:
    rules = load([("a", DOCUMENT)])
    spread = DOCUMENT.replace("{fn: is_superuser}", "\n      fn: is_superuser\n      args: {}\n").replace(
        "[mysql]", "[mysql, mysql]"
    )
    assert load([("b", "# a comment\n" + spread)]).digest == rules.digest
    digests = {rules.digest}
    for old, new in (
        ("risk: 1", "risk: 2"),
        ("is_superuser", "is_locked"),
        ("管理员", "管理"),
        ("priority: 9", "priority: 8"),
    ):
        digests.add(load([("c", DOCUMENT.replace(old, new))]).digest)
    assert len(digests) == 5


def test_the_shipped_rules_are_whole() -> None:
    rules = load([("shipped", shipped())])
    risks = {c.code: (c.risk, c.priority) for c in rules.classes.values() if c.kind == "class"}
    assert risks == {"super": (1, 100), "highly": (2, 90), "sensitive": (3, 80), "medium": (4, 70), "low": (5, 60),
                     "public": (6, 50)}  # fmt: skip
    for engine in ("mysql", "postgres", "sqlserver", "oracle"):
        assert {r.code for r in rules.rules if engine in r.engines} >= set(risks), engine
    assert all(c.advice for c in rules.classes.values() if c.kind == "hint")


def test_every_function_says_what_it_is_for() -> None:
    for name, function in FUNCTIONS.items():
        assert function.about and function.signature.name == name
        assert all(p.about for p in function.signature.parameters)


def test_the_example_of_the_page_is_right() -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "fleet-rules.md").read_text("utf-8")
    lines = text.split("one document:")[1].split("An account may")[0].splitlines()
    example = "\n".join(line[4:] for line in lines)
    rules = load([("shipped", shipped()), ("example", example)])
    assert {"dba/by-name", "dba-without-password"} <= {r.id for r in rules.rules}
