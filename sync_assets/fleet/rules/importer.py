"""Rules of the system that this one replaces, as documents of ours: its expressions of version 4, and the flat ones.

What a rule did there and does not do here, or the other way round, is said in a note. A rule that matched everybody
or nobody by mistake is never taken over without a word: one without any condition is left out; one whose condition
was never looked at is taken over as it was meant, and the note says that it will match now. Must not know accounts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from sync_assets.engine.errors import Stop
from sync_assets.fleet.rules.documents import SHIPPED, RuleClass, RuleSet, load, shipped
from sync_assets.fleet.rules.flat import translate
from sync_assets.fleet.rules.fourth import modernised
from sync_assets.fleet.rules.language import Invalid, parse
from sync_assets.fleet.rules.legacy import ENGINES, NotImportable
from sync_assets.fleet.rules.registry import SIGNATURES
from sync_assets.fleet.rules.text import read

_RISKS = {"critical": 1, "high": 2, "medium": 4, "low": 6}
_RULE_LISTS = ("rules", "classification_rules")
_CLASS_LISTS = ("classifications", "account_classifications", "classes")
GENERAL = "rights that come by a role or by PUBLIC count now, not only an account's own"


@dataclass(frozen=True, slots=True)
class Note:
    """What a person should know of one rule (or class, or of all: ""). `imported`: whether it was taken over."""

    rule: str
    text: str
    imported: bool = True

    def __str__(self) -> str:
        place = f'rule "{self.rule}"' if self.rule else "all rules"
        return f"{place}: {'' if self.imported else 'NOT IMPORTED: '}{self.text}"


@dataclass(frozen=True, slots=True)
class Imported:
    """`rules`: what was taken over, together with the shipped rules. `text`: a document to name beside `shipped`."""

    rules: RuleSet
    text: str
    taken: tuple[str, ...]
    left_out: tuple[str, ...]
    notes: tuple[Note, ...]


def import_rules(text: str) -> Imported:
    """Read an export: JSON or YAML, a list of rules or ``{classifications: [...], rules: [...]}``.

    A rule has ``rule_name``, ``db_type``, ``rule_expression`` (a mapping, or JSON as text), and its class by
    ``classification`` or ``classification_id``. Raises `Stop` for a text in which no rule can be found.
    """
    rows, classes = _parts(_plain(text))
    work = _Import(_classes(classes))
    for at, row in enumerate(rows):
        work.take(row, f"number {at + 1}")
    document = {"version": 4, "classes": list(work.classes.values()), "rules": work.rules}
    rules = load([(SHIPPED, shipped()), ("imported", json.dumps(document))])
    notes = (*((Note("", GENERAL),) if work.rules else ()), *work.notes)
    taken = tuple(rule["id"] for rule in work.rules)
    left_out = tuple(dict.fromkeys(n.rule for n in work.notes if not n.imported))
    shown = yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=120)
    return Imported(rules, shown, taken, left_out, notes)


def _plain(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        document = read(text)
    if document.problems:
        hint = "export the tables of classifications and rules as JSON"
        raise Stop("the rules to import are neither JSON nor YAML", hint=hint, code="rules")
    return document.value


def _parts(value: Any) -> tuple[list[Any], list[Any]]:
    if isinstance(value, Mapping) and not any(name in value for name in _RULE_LISTS):
        value = [value]
    if isinstance(value, list):
        return value, []
    lists: dict[str, Any] = (
        {name: value[name] for name in (*_RULE_LISTS, *_CLASS_LISTS) if name in value}
        if isinstance(value, Mapping)
        else {}
    )
    rows = next((lists[name] for name in _RULE_LISTS if name in lists), None)
    classes: Any = next((lists[name] for name in _CLASS_LISTS if name in lists), [])
    if not isinstance(rows, list) or not isinstance(classes, list):
        hint = "write a list of rules, or {classifications: [...], rules: [...]}"
        raise Stop("there are no rules to import", hint=hint, code="rules")
    return rows, classes


def _classes(rows: Iterable[Any]) -> dict[str, Mapping[str, Any]]:
    """By whatever a rule may call it: id, code, name."""
    found: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        if isinstance(row, Mapping):
            for key in ("id", "code", "name"):
                if row.get(key) not in (None, ""):
                    found.setdefault(str(row[key]), row)
    return found


def _identity(text: str) -> str:
    return re.sub(r"[^\w./-]+", "-", text).strip("-")[:90]


@dataclass(slots=True)
class _Import:
    known: Mapping[str, Mapping[str, Any]]
    classes: dict[str, dict[str, Any]] = field(default_factory=dict)
    rules: list[dict[str, Any]] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    shipped: Mapping[str, RuleClass] = field(default_factory=lambda: load([(SHIPPED, shipped())]).classes)

    def take(self, row: Any, place: str) -> None:
        name = str(row.get("rule_name") or row.get("name") or place) if isinstance(row, Mapping) else place
        try:
            rule, notes = self._rule(row, name)
        except NotImportable as error:
            self.notes.append(Note(name, str(error), False))
            return
        self.rules.append(rule)
        self.notes.extend(Note(name, text) for text in notes)

    def _rule(self, row: Any, name: str) -> tuple[dict[str, Any], list[str]]:
        if not isinstance(row, Mapping):
            raise NotImportable("it is no mapping")
        if row.get("is_active") in (False, 0, "false", "0") or row.get("superseded_at"):
            raise NotImportable("it was not active")
        engine = ENGINES.get(str(row.get("db_type", "")).strip().lower())
        if engine is None:
            raise NotImportable("its db_type is none of mysql, postgresql, sqlserver, oracle")
        expression = _expression(row)
        found = modernised(expression, engine) if "expr" in expression else translate(expression, engine)
        try:
            parse(found.node, SIGNATURES)
        except Invalid as error:
            raise NotImportable("; ".join(map(str, error.problems))) from None
        code, notes = self._class(row, name)
        rule = {"id": self._free(_identity(name)), "class": code, "engines": [engine], "about": _line(name),
                "expr": found.node}  # fmt: skip
        return rule, [*notes, *found.notes]

    def _free(self, wanted: str) -> str:
        taken = {rule["id"] for rule in self.rules} | set(self.classes) | set(self.shipped)
        base = f"imported/{wanted or 'rule'}"
        return next(n for n in (base, *(f"{base}-{at}" for at in range(2, 10**6))) if n not in taken)

    def _class(self, row: Mapping[str, Any], name: str) -> tuple[str, list[str]]:
        keys = ("classification", "classification_code", "classification_name", "class", "classification_id")
        called = next((str(row[key]) for key in keys if row.get(key) not in (None, "")), "")
        if not called:
            raise NotImportable("it names no class")
        found: Mapping[str, Any] = self.known.get(called, {})
        code = _identity(str(found.get("code") or found.get("name") or called))
        if not code:
            raise NotImportable("its class has no name")
        risk, notes = _risk(found, row)
        if code in self.shipped:
            if not found or self.shipped[code].risk == risk:
                return code, []
            code = f"imported/{code}"
            notes = [*notes, f"its class has another risk than the shipped one, and is {code} here"]
        title = _line(str(found.get("display_name") or found.get("title") or found.get("name") or called))
        priority = found.get("priority")
        whole = priority if isinstance(priority, int) and -1000 <= priority <= 1000 else 0
        self.classes.setdefault(code, {"code": code, "title": title or code, "risk": risk, "priority": whole})
        return code, notes


def _risk(found: Mapping[str, Any], row: Mapping[str, Any]) -> tuple[int, list[str]]:
    raw = found.get("risk_level", row.get("risk_level"))
    if isinstance(raw, int) and not isinstance(raw, bool) and 1 <= raw <= 6:
        return raw, []
    word = str(raw).strip().lower()
    if word in _RISKS:
        return _RISKS[word], []
    return (int(word), []) if word in set("123456") else (6, ["its class has no risk that is known: 6, the lowest"])


def _line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text).strip()


def _expression(row: Mapping[str, Any]) -> Mapping[str, Any]:
    raw = next((row[key] for key in ("rule_expression", "expression", "expr") if key in row), None)
    if isinstance(raw, str):
        try:
            raw = json.loads(raw)
        except (ValueError, RecursionError):
            raise NotImportable("its expression is broken JSON; it was skipped without a word") from None
    if not isinstance(raw, Mapping) or not raw:
        raise NotImportable("its expression is empty; it was skipped without a word")
    return raw


def listed_notes(notes: Iterable[Note]) -> Iterator[str]:
    """The notes as lines, what was not imported first."""
    yield from map(str, sorted(notes, key=lambda n: (n.imported, n.rule != "", n.rule)))
