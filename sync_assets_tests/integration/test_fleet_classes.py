"""Assignments in the control database: swapped whole or not at all, of one instance, never those made by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import psycopg
import pytest

from sync_assets.engine.errors import Stop
from sync_assets.fleet.guard import ShrinkLimit
from sync_assets.fleet.rules.documents import RuleKind, RuleSet, load, shipped
from sync_assets.fleet.rules.evaluation import NO_RULES, Assignment, Classification, Undecided
from sync_assets.store.control import open_store
from sync_assets.store.fleet.accounts import AccountStore
from sync_assets.store.fleet.classes import ClassStore
from sync_assets.store.session import Cursor, Sessions
from sync_assets_tests.fix_fleet import MORNING, FleetBox, account, account_reading


@pytest.fixture
def classes(fleet_box: FleetBox) -> ClassStore:
    return ClassStore(fleet_box.store.sessions)


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load([("shipped", shipped())])


def found(
    *names: str, code: str = "super", rule: str = "super/any-way", undecided: tuple[str, ...] = ()
) -> Classification:
    """Everybody of `names` in one class; `undecided` could not be decided by the same rule."""
    return Classification(
        accounts=len(names) + len(undecided),
        assignments=tuple(Assignment(n, code, rule, RuleKind.CLASS, 1, "hash", "why") for n in names),
        undecided=tuple(Undecided(n, rule, code, "grants(global) is denied") for n in undecided),
    )


def auto(classes: ClassStore, box: FleetBox, instance: str | None = None) -> set[tuple[str, str, bool]]:
    kept = classes.assignments(box.fleet, instance or box.instance)
    return {(a.principal, a.rule, a.stale) for a in kept if a.origin == "auto"}


def everything(box: FleetBox) -> str:
    names = ("assignment", "undecided", "classified", "rules")
    asked = (f"select t::text from sync_assets.fleet_{name} t order by 1" for name in names)
    return "\n--\n".join("\n".join(row[0] for row in box.rows(query)) for query in asked)


def publish(box: FleetBox, *names: str) -> None:
    accounts = AccountStore(box.store.sessions)
    reading = account_reading([account(n) for n in names])
    accounts.publish(
        accounts.stage(box.fleet, box.instance, "run", MORNING.date(), reading), reading, ShrinkLimit(0.5, 3)
    )


def test_a_version_of_rules_is_kept_once_and_never_changes(
    classes: ClassStore, fleet_box: FleetBox, rules: RuleSet
) -> None:
    first = classes.version(fleet_box.fleet, rules)
    other = load([("own", "version: 4\nclasses: [{code: a, title: 甲, risk: 3}]\nrules: [{id: r, class: a, engines: [mysql], expr: {fn: is_locked}}]")])  # fmt: skip  # noqa: E501
    second = classes.version(fleet_box.fleet, other)

    assert (classes.version(fleet_box.fleet, rules), second) == (first, second)
    assert first != second
    assert classes.rules(fleet_box.fleet, first) == rules
    assert classes.rules(fleet_box.fleet, second).digest == other.digest
    for statement in ("update sync_assets.fleet_rules set digest = 'x'", "delete from sync_assets.fleet_rules"):
        with (
            psycopg.connect(**fleet_box.address.arguments()) as connection,
            pytest.raises(psycopg.errors.CheckViolation, match="never changes"),
        ):
            connection.execute(statement.encode())
    with pytest.raises(Stop, match="no rules of version"):
        classes.rules(fleet_box.fleet, 999)


def test_d9_a_swap_replaces_what_rules_said_of_this_instance_only(
    classes: ClassStore, fleet_box: FleetBox, rules: RuleSet
) -> None:
    fleet_box.adopt("other")
    publish(fleet_box, "alice", "bob")
    version = classes.version(fleet_box.fleet, rules)
    classes.swap(fleet_box.fleet, "other", version, found("zoe"), facts_at=MORNING, run_id="1")
    classes.swap(fleet_box.fleet, fleet_box.instance, version, found("alice", "bob"), facts_at=MORNING, run_id="1")
    classes.assign(fleet_box.fleet, fleet_box.instance, "alice", "low", rules, by="王芳", note="审计")
    classes.assign(fleet_box.fleet, fleet_box.instance, "bob", "super", rules, by="王芳")

    classes.swap(fleet_box.fleet, fleet_box.instance, version, found("bob"), facts_at=MORNING, run_id="2")

    assert auto(classes, fleet_box) == {("bob", "super/any-way", False)}
    assert auto(classes, fleet_box, "other") == {("zoe", "super/any-way", False)}
    by_hand = [a for a in classes.assignments(fleet_box.fleet) if a.origin == "manual"]
    assert [(a.principal, a.code, a.assigned_by, a.note) for a in by_hand] == [
        ("alice", "low", "王芳", "审计"),
        ("bob", "super", "王芳", ""),
    ]


class Broken(Exception):
    """What a test injects."""


class BreakingCursor:
    """Lets so many statements pass, and breaks at the next one: before it, or after it was carried out."""

    def __init__(self, cursor: Cursor, passing: int, after: bool) -> None:
        self._cursor, self._left, self._after = cursor, passing, after
        self.rowcount = 0

    def execute(self, *arguments: Any) -> Any:
        if self._left == 0 and not self._after:
            raise Broken
        answer = self._cursor.execute(*arguments)
        if self._left == 0:
            raise Broken
        self._left -= 1
        return answer


class BreakingSessions:
    """Sessions whose transactions break at one statement."""

    def __init__(self, sessions: Sessions, passing: int, after: bool) -> None:
        self._sessions, self._passing, self._after = sessions, passing, after
        self.broke = False

    def run(self, work: Callable[[Any], Any]) -> Any:
        try:
            return self._sessions.run(lambda cursor: work(BreakingCursor(cursor, self._passing, self._after)))
        except Broken:
            self.broke = True


def test_d9_a_failure_at_any_statement_leaves_the_old_set(
    classes: ClassStore, fleet_box: FleetBox, rules: RuleSet
) -> None:
    publish(fleet_box, "alice", "bob", "carol")
    version = classes.version(fleet_box.fleet, rules)
    old = found("alice", "bob", undecided=("carol",))
    classes.swap(fleet_box.fleet, fleet_box.instance, version, old, facts_at=MORNING, run_id="1")
    classes.assign(fleet_box.fleet, fleet_box.instance, "carol", "low", rules, by="me")
    before = everything(fleet_box)
    points = 0
    for after in (False, True):
        for passing in range(50):
            broken = BreakingSessions(fleet_box.store.sessions, passing, after)
            new = found("carol", undecided=("bob",))
            ClassStore(broken).swap(fleet_box.fleet, fleet_box.instance, version, new, facts_at=MORNING, run_id="2")  # type: ignore[arg-type]
            if not broken.broke:
                break
            points += 1
            assert everything(fleet_box) == before, f"statement {passing}, after: {after}"
        if not after:  # it came through: put the old set back for the second round
            classes.swap(fleet_box.fleet, fleet_box.instance, version, old, facts_at=MORNING, run_id="1")
            before = everything(fleet_box)
    assert points == 18  # 9 statements, before and after each
    assert auto(classes, fleet_box) == {("carol", "super/any-way", False), ("bob", "super/any-way", True)}


def test_an_undecided_rule_keeps_its_assignment_and_marks_it_stale(
    classes: ClassStore, fleet_box: FleetBox, rules: RuleSet
) -> None:
    version = classes.version(fleet_box.fleet, rules)

    def swap(one: Classification) -> Any:
        return classes.swap(fleet_box.fleet, fleet_box.instance, version, one, facts_at=MORNING, run_id="1")

    swap(found("alice", "bob"))
    since = {a.principal: a.assigned_at for a in classes.assignments(fleet_box.fleet)}
    swapped = swap(found("bob", undecided=("alice", "new")))

    assert auto(classes, fleet_box) == {("alice", "super/any-way", True), ("bob", "super/any-way", False)}
    assert swapped.counts["stale"] == 1
    missing = classes.undecided(fleet_box.fleet, fleet_box.instance)
    assert [(u.principal, u.rule, u.reason) for u in missing] == [
        ("alice", "super/any-way", "grants(global) is denied"),
        ("new", "super/any-way", "grants(global) is denied"),
    ]
    swap(found("alice", "bob"))
    assert auto(classes, fleet_box) == {("alice", "super/any-way", False), ("bob", "super/any-way", False)}
    assert classes.undecided(fleet_box.fleet) == []
    assert {a.principal: a.assigned_at for a in classes.assignments(fleet_box.fleet)} == since


def test_18_two_rules_of_one_class_both_stay(classes: ClassStore, fleet_box: FleetBox, rules: RuleSet) -> None:
    one, two = found("alice"), found("alice", rule="super/other")
    both = Classification(1, one.assignments + two.assignments, ())
    version = classes.version(fleet_box.fleet, rules)
    counts = classes.swap(fleet_box.fleet, fleet_box.instance, version, both, facts_at=MORNING, run_id="1").counts

    assert auto(classes, fleet_box) == {("alice", "super/any-way", False), ("alice", "super/other", False)}
    assert counts["class:super"] == 1, "an account counts once for a class"


def test_19_counts_are_of_matched_accounts(classes: ClassStore, fleet_box: FleetBox, rules: RuleSet) -> None:
    version = classes.version(fleet_box.fleet, rules)
    wide = Classification(50, found("alice", "bob").assignments, ())
    classes.swap(fleet_box.fleet, fleet_box.instance, version, wide, facts_at=MORNING, run_id="r7")
    standing = classes.standing(fleet_box.fleet)[fleet_box.instance]

    assert (standing.counts["accounts"], standing.counts["matched"]) == (50, 2)
    assert standing.counts["matched"] == len({a.principal for a in classes.assignments(fleet_box.fleet)})
    assert (standing.run_id, standing.version, standing.facts_at) == ("r7", version, MORNING)


def test_17_trouble_with_the_database_is_raised(classes: ClassStore, fleet_box: FleetBox, rules: RuleSet) -> None:
    version = classes.version(fleet_box.fleet, rules)
    with pytest.raises(Stop, match="has never had an instance"):
        classes.swap(fleet_box.fleet, "nowhere", version, found("alice"), facts_at=MORNING, run_id="1")
    bad = Classification(1, (Assignment("a", "", "r", RuleKind.CLASS, 1, ""),), ())
    with pytest.raises(psycopg.errors.CheckViolation):
        classes.swap(fleet_box.fleet, fleet_box.instance, version, bad, facts_at=MORNING, run_id="1")


def test_older_facts_never_replace_newer_ones(classes: ClassStore, fleet_box: FleetBox, rules: RuleSet) -> None:
    version = classes.version(fleet_box.fleet, rules)
    classes.swap(fleet_box.fleet, fleet_box.instance, version, found("new"), facts_at=MORNING, run_id="2")
    earlier = MORNING - timedelta(seconds=1)
    late = classes.swap(fleet_box.fleet, fleet_box.instance, version, found("old"), facts_at=earlier, run_id="1")

    assert late.superseded
    assert auto(classes, fleet_box) == {("new", "super/any-way", False)}


def test_d20_two_at_once_give_the_state_of_one(fleet_box: FleetBox, rules: RuleSet) -> None:
    with open_store(lambda: fleet_box.address) as store:
        classes = ClassStore(store.sessions)
        version = classes.version(fleet_box.fleet, rules)
        together, troubles = Barrier(4), list[BaseException]()

        def work(number: int) -> None:
            names = [f"user{n}" for n in range(number % 2, 40, 2)]
            try:
                for _ in range(5):
                    together.wait(10)
                    classes.swap(
                        fleet_box.fleet, fleet_box.instance, version, found(*names), facts_at=MORNING, run_id="1"
                    )
            except BaseException as error:
                troubles.append(error)

        threads = [Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        kept = {a.principal for a in classes.assignments(fleet_box.fleet)}
    assert not troubles
    assert kept in ({f"user{n}" for n in range(0, 40, 2)}, {f"user{n}" for n in range(1, 40, 2)})


def test_assigning_by_hand(classes: ClassStore, fleet_box: FleetBox, rules: RuleSet) -> None:
    publish(fleet_box, "李雷")
    with pytest.raises(Stop, match="there is no class supper") as caught:
        classes.assign(fleet_box.fleet, fleet_box.instance, "李雷", "supper", rules, by="me")
    assert "did you mean super?" in caught.value.hint
    with pytest.raises(Stop, match='no account "韩梅梅"'):
        classes.assign(fleet_box.fleet, fleet_box.instance, "韩梅梅", "super", rules, by="me")
    with pytest.raises(Stop, match="there is no class anonymous-login"):
        classes.assign(fleet_box.fleet, fleet_box.instance, "李雷", "anonymous-login", rules, by="me")

    classes.assign(fleet_box.fleet, fleet_box.instance, "李雷", "sensitive", rules, by="me")
    classes.assign(fleet_box.fleet, fleet_box.instance, "李雷", "sensitive", rules, by="you", note="again")
    (kept,) = classes.assignments(fleet_box.fleet)
    assert (kept.risk, kept.origin, kept.assigned_by, kept.note, kept.version) == (3, "manual", "you", "again", None)
    assert classes.risks(fleet_box.fleet) == {fleet_box.instance: {3: 1}}
    assert classes.unassign(fleet_box.fleet, fleet_box.instance, "李雷", "sensitive")
    assert not classes.unassign(fleet_box.fleet, fleet_box.instance, "李雷", "sensitive")


def test_taking_back_by_hand_leaves_what_rules_say(classes: ClassStore, fleet_box: FleetBox, rules: RuleSet) -> None:
    version = classes.version(fleet_box.fleet, rules)
    classes.swap(fleet_box.fleet, fleet_box.instance, version, found("alice"), facts_at=MORNING, run_id="1")

    assert not classes.unassign(fleet_box.fleet, fleet_box.instance, "alice", "super")
    assert auto(classes, fleet_box) == {("alice", "super/any-way", False)}


def test_the_effective_risk_is_that_of_the_worst_class(
    classes: ClassStore, fleet_box: FleetBox, rules: RuleSet
) -> None:
    version = classes.version(fleet_box.fleet, rules)
    rows = [("a", 5, RuleKind.CLASS), ("a", 2, RuleKind.CLASS), ("b", 6, RuleKind.CLASS), ("b", 1, RuleKind.HINT)]
    many = tuple(Assignment(n, f"c{risk}", f"r{risk}", kind, risk, "h") for n, risk, kind in rows)
    classes.swap(
        fleet_box.fleet, fleet_box.instance, version, Classification(2, many, ()), facts_at=MORNING, run_id="1"
    )

    assert classes.risks(fleet_box.fleet) == {fleet_box.instance: {2: 1, 6: 1}}


def test_d11_accounts_without_rules_have_a_row(classes: ClassStore, fleet_box: FleetBox, rules: RuleSet) -> None:
    none = Classification(1, (), (Undecided("alice", NO_RULES, "", "no_rules: there is none"),))
    version = classes.version(fleet_box.fleet, rules)
    swapped = classes.swap(fleet_box.fleet, fleet_box.instance, version, none, facts_at=MORNING, run_id="1")

    assert swapped.counts["no_rules"] == 1
    assert [(u.principal, u.rule) for u in classes.undecided(fleet_box.fleet)] == [("alice", "")]


def test_hostile_names_are_kept(classes: ClassStore, fleet_box: FleetBox, rules: RuleSet) -> None:
    names = ["a'b\"c", "表;drop table x--", "\ud800半", "nul\0", "🙂@%", "x" * 300]
    version = classes.version(fleet_box.fleet, rules)
    one = found(*names, undecided=("'未定'\0",))
    classes.swap(fleet_box.fleet, fleet_box.instance, version, one, facts_at=MORNING, run_id="1")

    kept = {a.principal for a in classes.assignments(fleet_box.fleet)}
    assert kept == {"a'b\"c", "表;drop table x--", "?半", "nul␀", "🙂@%", "x" * 300}
    assert json.dumps([u.principal for u in classes.undecided(fleet_box.fleet)], ensure_ascii=False) == "[\"'未定'␀\"]"
