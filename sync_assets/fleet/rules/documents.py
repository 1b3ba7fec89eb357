"""Classes, rules and hints, as documents say them: read, checked whole, put in order, and told apart by a digest.

A document is YAML: ``version: 4``, ``classes`` (code, title, risk 1 to 6 with 1 the highest, priority), ``rules`` (id,
class, engines, expr) and ``hints`` (id, title, advice, risk, engines, expr). Must not know accounts.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from importlib import resources
from types import MappingProxyType
from typing import Any

from sync_assets.engine.errors import Stop
from sync_assets.fleet.model import PrincipalKind
from sync_assets.fleet.rules.language import VERSION, Invalid, Node, Problem, listed, parse, written
from sync_assets.fleet.rules.registry import SIGNATURES
from sync_assets.fleet.rules.text import Document, read

ENGINES = ("mysql", "postgres", "sqlserver", "oracle")
KINDS = tuple(str(kind) for kind in PrincipalKind)
DEFAULT_OF = ("external", "user")
SHIPPED = "shipped"
_ID = re.compile(r"[\w./-]{1,100}")


class RulesInvalid(Stop):
    """Rules are wrong; `faults` says all of it, each with its file and line."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        lines = "".join(f"\n  {fault}" for fault in self.faults)
        super().__init__(f"{count} in the rules of classes, nothing was classified:{lines}", code="rules")


class RuleKind(StrEnum):
    CLASS = "class"
    HINT = "hint"


@dataclass(frozen=True, slots=True)
class RuleClass:
    """What an account is assigned to. A hint is a class of its own, with one rule. `risk`: 1 is the highest."""

    code: str
    title: str
    risk: int
    priority: int = 0
    kind: RuleKind = RuleKind.CLASS
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `engines`: for which it is; `of`: for which kinds of principals; both sorted."""

    id: str
    code: str
    engines: tuple[str, ...]
    of: tuple[str, ...]
    node: Node
    about: str = ""


@dataclass(frozen=True)
class RuleSet:
    """All rules of a fleet. `rules` are in the order of evaluation: priority downwards, then id."""

    classes: Mapping[str, RuleClass]
    rules: tuple[Rule, ...]

    def as_json(self) -> dict[str, Any]:
        """The same rules as one document; `load` of it gives this set again."""
        kinds = {kind: [r for r in self.rules if self.classes[r.code].kind is kind] for kind in RuleKind}
        classes = [c for _, c in sorted(self.classes.items()) if c.kind is RuleKind.CLASS]
        return {
            "version": VERSION,
            "classes": [
                {"code": c.code, "title": c.title, "risk": c.risk, "priority": c.priority, "advice": c.advice}
                for c in classes
            ],
            "rules": [{"class": r.code, **_rule_json(r)} for r in kinds[RuleKind.CLASS]],
            "hints": [_rule_json(r) | _hint_json(self.classes[r.code]) for r in kinds[RuleKind.HINT]],
        }

    @cached_property
    def digest(self) -> str:
        """Of what the rules say, whatever the files and the order they came in."""
        text = json.dumps(self.as_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def has_rules_for(self, engine: str) -> bool:
        """Whether some class can be found for an account of this engine."""
        return any(engine in r.engines and self.classes[r.code].kind is RuleKind.CLASS for r in self.rules)


def _rule_json(rule: Rule) -> dict[str, Any]:
    node = written(rule.node)
    return {"id": rule.id, "engines": [*rule.engines], "of": [*rule.of], "about": rule.about, "expr": node}


def _hint_json(one: RuleClass) -> dict[str, Any]:
    return {"title": one.title, "advice": one.advice, "risk": one.risk}


def shipped() -> str:
    """The text of the rules that come with the package."""
    return (resources.files("sync_assets.fleet") / "shipped" / "rules.yaml").read_text(encoding="utf-8")


def load(documents: Iterable[tuple[str, str]]) -> RuleSet:
    """The rules of several documents, each a name for messages and a text. Raises `RulesInvalid` with every fault."""
    reading = _Loading({}, {}, [])
    for name, text in documents:
        reading.document(name, read(text))
    reading.faults.extend(_unused(reading))
    if reading.faults:
        raise RulesInvalid(reading.faults)
    order = sorted(reading.rules.values(), key=lambda r: (-reading.classes[r.code].priority, r.id))
    return RuleSet(MappingProxyType(reading.classes), tuple(order))


def _unused(reading: _Loading) -> Iterator[str]:
    for rule in reading.rules.values():
        if rule.code not in reading.classes:
            known = listed((c for c, one in reading.classes.items() if one.kind is RuleKind.CLASS), rule.code)
            yield f'rule "{rule.id}": class {rule.code} is not defined -> known: {known}'
    if not reading.rules and not reading.faults:
        yield "there is no rule -> write one, or name shipped"


@dataclass(frozen=True, slots=True)
class _Field:
    check: Callable[[object], Any]
    what: str
    needed: bool = True
    default: Any = None


def _words(known: Sequence[str]) -> Callable[[object], tuple[str, ...] | None]:
    def check(raw: object) -> tuple[str, ...] | None:
        fine = isinstance(raw, list) and bool(raw) and all(isinstance(w, str) and w in known for w in raw)
        return tuple(sorted(set(raw))) if fine and isinstance(raw, list) else None

    return check


def _number(low: int, high: int) -> Callable[[object], int | None]:
    return lambda raw: raw if isinstance(raw, int) and not isinstance(raw, bool) and low <= raw <= high else None


def _line_of_text(raw: object) -> str | None:
    return raw.strip() if isinstance(raw, str) and raw.strip() and raw.strip().isprintable() else None


def _maybe_text(raw: object) -> str | None:
    return "" if raw == "" else _line_of_text(raw)


def _identity(raw: object) -> str | None:
    return raw if isinstance(raw, str) and _ID.fullmatch(raw) else None


_NAME = _Field(_identity, "a name of letters, digits and . _ - /, at most 100")
_TITLE = _Field(_line_of_text, "a text of one line")
_RISK = _Field(_number(1, 6), "a number from 1 (highest) to 6")
_ADVICE = _Field(_maybe_text, "a text of one line", False, "")
_RULE: Mapping[str, _Field] = {
    "id": _NAME,
    "engines": _Field(_words(ENGINES), f"a list of {', '.join(ENGINES)}"),
    "of": _Field(_words(KINDS), f"a list of {', '.join(KINDS)}", False, DEFAULT_OF),
    "about": _ADVICE,
    "expr": _Field(
        lambda raw: raw if isinstance(raw, Mapping) else None, "a node: {op: ..., args: [...]} or {fn: ...}"
    ),
}
_FIELDS: Mapping[str, Mapping[str, _Field]] = {
    "classes": {"code": _NAME, "title": _TITLE, "risk": _RISK, "advice": _ADVICE,
                "priority": _Field(_number(-1000, 1000), "a number from -1000 to 1000", False, 0)},
    "rules": {**_RULE, "class": _NAME},
    "hints": {**_RULE, "title": _TITLE, "advice": _ADVICE, "risk": _RISK},
}  # fmt: skip
_KEYS = {"classes": "code", "rules": "id", "hints": "id"}


@dataclass(frozen=True, slots=True)
class _Loading:
    classes: dict[str, RuleClass]
    rules: dict[str, Rule]
    faults: list[str]

    def document(self, name: str, document: Document) -> None:
        problems = list(document.problems)
        if not problems:
            problems = list(self._whole(document.value))
        self.faults.extend(f"{name}:{document.line(p.way)}: {_named(document.value, p)}" for p in problems)

    def _whole(self, value: object) -> Iterator[Problem]:
        if not isinstance(value, Mapping):
            yield Problem("", "is no document of rules", "write version: 4, classes, rules, hints")
            return
        if value.get("version") != VERSION or isinstance(value.get("version"), bool):
            yield Problem("version", "is not 4", "write version: 4")
        for key in value:
            if key not in ("version", *_FIELDS):
                yield Problem(str(key), "is not known here", f"known: {listed(('version', *_FIELDS), str(key))}")
        for part in _FIELDS:
            yield from self._part(part, value.get(part, []))

    def _part(self, part: str, entries: object) -> Iterator[Problem]:
        if not isinstance(entries, list):
            yield Problem(part, "is no list", "begin each entry with a dash")
            return
        for at, entry in enumerate(entries):
            way = f"{part}[{at}]"
            problems, found = _checked(part, entry, way)
            if not problems:
                problems = list(self._add(part, found, way))
            yield from problems

    def _add(self, part: str, found: Mapping[str, Any], way: str) -> Iterator[Problem]:
        key = found[_KEYS[part]]
        if (part != "rules" and key in self.classes) or (part != "classes" and key in self.rules):
            yield Problem(f"{way}.{_KEYS[part]}", "is there already", "give it another name")
            return
        if part != "rules":
            kind = RuleKind.CLASS if part == "classes" else RuleKind.HINT
            priority = found.get("priority", 0)
            self.classes[key] = RuleClass(key, found["title"], found["risk"], priority, kind, found["advice"])
        if part != "classes":
            try:
                node = parse(found["expr"], SIGNATURES, f"{way}.expr")
            except Invalid as error:
                yield from error.problems
                return
            code = found.get("class", key)
            self.rules[key] = Rule(key, code, found["engines"], found["of"], node, found["about"])


def _checked(part: str, entry: object, way: str) -> tuple[list[Problem], dict[str, Any]]:
    if not isinstance(entry, Mapping):
        return [Problem(way, "is no mapping", f"write {', '.join(_FIELDS[part])}")], {}
    fields = _FIELDS[part]
    problems = [
        Problem(f"{way}.{k}", "is not known here", f"known: {listed(fields, str(k))}") for k in entry if k not in fields
    ]
    found: dict[str, Any] = {}
    for name, one in fields.items():
        value = one.check(entry[name]) if name in entry else one.default
        found[name] = value
        if value is None:
            missing = "is missing" if name not in entry else "is wrong"
            problems.append(Problem(f"{way}.{name}", missing, f"write {one.what}"))
    return problems, found


def _named(value: object, problem: Problem) -> str:
    """The problem, with the name of its rule in place of its number where it has one."""
    match = re.match(r"(classes|rules|hints)\[(\d+)\]\.?", problem.way)
    if not match or not isinstance(value, Mapping):
        return str(problem) if problem.way else str(problem).removeprefix(": ")
    part, at = match[1], int(match[2])
    entry = value[part][at]
    name = entry.get(_KEYS[part]) if isinstance(entry, Mapping) else None
    shown = f'"{name}"' if _identity(name) else f"number {at + 1}"
    rest = Problem(problem.way[match.end() :], problem.message, problem.hint)
    return f"{ {'classes': 'class', 'rules': 'rule', 'hints': 'hint'}[part] } {shown}: {str(rest).removeprefix(': ')}"
