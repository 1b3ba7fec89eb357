"""From rules and facts to assignments: pure, and the same every time.

What cannot be decided is said for each account and rule, with the section that is missing; what was assigned by that
rule before is kept by the store, and marked stale. Must not know where assignments are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sync_assets.fleet.model import PrincipalKind
from sync_assets.fleet.rules.documents import Rule, RuleKind, RuleSet
from sync_assets.fleet.rules.facts import AccountFacts, InstanceFacts
from sync_assets.fleet.rules.language import decide
from sync_assets.fleet.rules.registry import ask

NO_RULES = ""  # the rule of an account for whose engine there is none
_MOST_REASONS = 20  # shown of each verdict
PEOPLE = (PrincipalKind.USER, PrincipalKind.EXTERNAL)


@dataclass(frozen=True, slots=True)
class Assignment:
    """An account is in a class by a rule. `why` is what showed it."""

    principal: str
    code: str
    rule: str
    kind: RuleKind
    risk: int
    facts_hash: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Undecided:
    """A rule (of the class `code`) could not be decided for an account; `NO_RULES`: there is none for its engine."""

    principal: str
    rule: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Classification:
    """What rules say of one instance: by account, then in the order of the rules."""

    accounts: int
    assignments: tuple[Assignment, ...]
    undecided: tuple[Undecided, ...]

    def counts(self) -> dict[str, int]:
        """Accounts looked at, accounts in some class, accounts of each class (each once), and those not decided."""
        classes = {(a.principal, a.code) for a in self.assignments if a.kind is RuleKind.CLASS}
        hints = Counter(f"hint:{a.code}" for a in self.assignments if a.kind is RuleKind.HINT)
        of_class = Counter(f"class:{code}" for _, code in classes)
        return {
            "accounts": self.accounts,
            "matched": len({name for name, _ in classes}),
            "undecided": len({u.principal for u in self.undecided if u.rule != NO_RULES}),
            "no_rules": sum(u.rule == NO_RULES for u in self.undecided),
            **dict(sorted(of_class.items())),
            **dict(sorted(hints.items())),
        }


def classify(rules: RuleSet, facts: InstanceFacts) -> Classification:
    """Ask every rule of the instance's engine about every principal of the kinds that the rule is for."""
    mine = [rule for rule in rules.rules if facts.engine in rule.engines]
    covered = rules.has_rules_for(facts.engine)
    assignments: list[Assignment] = []
    undecided: list[Undecided] = []
    for name in sorted(facts.known):
        account = facts.account(name)
        if not covered and account.principal.kind in PEOPLE:
            undecided.append(Undecided(name, NO_RULES, "", f"no_rules: there is no rule of a class for {facts.engine}"))
        found = list(_of_account(rules, mine, account))
        assignments.extend(one for one in found if isinstance(one, Assignment))
        undecided.extend(one for one in found if isinstance(one, Undecided))
    accounts = sum(p.kind in PEOPLE for p in facts.known.values())
    return Classification(accounts, tuple(assignments), tuple(undecided))


def _of_account(rules: RuleSet, mine: Iterable[Rule], account: AccountFacts) -> Iterable[Assignment | Undecided]:
    asked = [rule for rule in mine if account.principal.kind in rule.of]
    digest = account.hash() if asked else ""
    for rule in asked:
        verdict = decide(rule.node, lambda call: ask(account, call))
        reasons = "; ".join(verdict.reasons[:_MOST_REASONS])
        if verdict.value is None:
            yield Undecided(account.name, rule.id, rule.code, reasons)
        elif verdict.value:
            one = rules.classes[rule.code]
            yield Assignment(account.name, rule.code, rule.id, one.kind, one.risk, digest, reasons)


def effective_risk(assignments: Iterable[Assignment]) -> Mapping[str, int]:
    """The risk of each account that is in a class: the highest of its classes, which is the smallest number."""
    found: dict[str, int] = {}
    for one in assignments:
        if one.kind is RuleKind.CLASS:
            found[one.principal] = min(one.risk, found.get(one.principal, one.risk))
    return found
