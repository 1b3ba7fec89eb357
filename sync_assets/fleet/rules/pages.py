"""The reference of the rule language as Markdown, from the registry and the rules that are shipped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sync_assets.fleet.rules.documents import SHIPPED, Rule, RuleKind, RuleSet, load, shipped
from sync_assets.fleet.rules.functions import CAPABILITIES
from sync_assets.fleet.rules.language import Parameter
from sync_assets.fleet.rules.registry import FUNCTIONS, Function
from sync_assets.fleet.rules.watched import every_right

_HEAD = """\
# Rules of classes

A fleet's accounts are put into classes by rules. `classification.rules` of a fleet lists where they are: `shipped`, or
files beside the YAML of the fleet. A file is one document:

    version: 4
    classes:
      - {code: dba, title: "DBA · 管理员", risk: 2, priority: 95}   # risk: 1 is the highest, 6 the lowest
    rules:
      - id: dba/by-name
        class: dba                       # of this or of another document, shipped ones included
        engines: [mysql, postgres]
        of: [user, external]             # kinds of principals; this is the default
        expr:
          op: AND                        # AND, OR, NOT; NOT takes one node
          args:
            - {fn: name_matches, args: {pattern: "dba_*"}}
            - {op: NOT, args: [{fn: is_locked}]}
    hints:                               # told with their advice, and no class
      - {id: dba-without-password, title: "...", advice: "...", risk: 1, engines: [mysql], expr: {fn: is_anonymous}}

An account may be in several classes; its risk is that of the worst. Every fault of a document is told at once, with its
line, before anything is classified; nothing that is not known here is let through, and `AND` or `OR` of nothing is a
fault.

**Known, unknown.** An answer is true, false, or unknown: where a section that could hold it was denied or failed.
What is unknown stays so under `NOT`; `AND` is false if one part is, `OR` true if one part is (Kleene's logic). An
account for which a rule is unknown is listed with the section that is missing, and keeps what that rule said before,
marked `stale`. What was read proves what it shows, even when another part failed.

**Repeatable.** Rules are kept by version and never changed. The same version and the same facts give the same classes;
each assignment has both (`version`, `facts_hash`). Ages and expiry are asked for the moment of the look, not of the
clock.
"""
_ALERTS = """\
## What is told

Besides classes, a fleet with `alerts` tells of a publication: a new superuser by whatever way, an account without a
name or without a password, and the gain of one of these rights, by itself or by a role: {rights}; and to hand on a
role, or the rights in a database. The first look at an instance is one summary. Each is told once while it lasts, and
so is its end.
"""


def rules_page() -> str:
    """The page, without its note."""
    rules = load([(SHIPPED, shipped())])
    capabilities = ", ".join(f"`{name}`" for name in CAPABILITIES)
    parts = [
        _HEAD,
        "## Functions\n\n| function | is true when | arguments |\n|---|---|---|",
        "\n".join(_function(f) for f in FUNCTIONS.values()) + "\n",
        f"Abilities: {capabilities}.\n",
        "## Classes that are shipped\n",
        "| class | title | risk | rules |\n|---|---|---|---|\n" + "\n".join(_classes(rules)) + "\n",
        "## Hints that are shipped\n",
        "| hint | risk | engines | what to do |\n|---|---|---|---|\n" + "\n".join(_hints(rules)) + "\n",
        _ALERTS.format(rights=", ".join(every_right())),
    ]
    return "\n".join(parts)


def _function(one: Function) -> str:
    arguments = "; ".join(map(_parameter, one.signature.parameters)) or "none"
    return _row(f"`{one.signature.name}`", one.about, arguments)


def _parameter(one: Parameter) -> str:
    words = f" ({', '.join(f'`{w}`' for w in one.words)})" if one.words and one.name != "via" else ""
    return f"`{one.name}`{'' if one.needed else ' (may be left out)'}: {one.about}{words}"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _classes(rules: RuleSet) -> Iterator[str]:
    found = [c for c in rules.classes.values() if c.kind is RuleKind.CLASS]
    for one in sorted(found, key=lambda c: (c.risk, c.code)):
        mine = [r for r in rules.rules if r.code == one.code]
        yield _row(f"`{one.code}`", one.title, str(one.risk), "; ".join(f"`{r.id}` {_about(r)}".strip() for r in mine))


def _about(rule: Rule) -> str:
    return f"({rule.about})" if rule.about else ""


def _hints(rules: RuleSet) -> Iterable[str]:
    for rule in sorted(rules.rules, key=lambda r: (rules.classes[r.code].risk, r.id)):
        one = rules.classes[rule.code]
        if one.kind is RuleKind.HINT:
            yield _row(f"`{one.code}`: {one.title}", str(one.risk), ", ".join(rule.engines), one.advice)
