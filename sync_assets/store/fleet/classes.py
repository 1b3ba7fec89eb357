"""Rules by version, and which account is in which class, in the control database.

What holds, and is tested by breaking it at every statement: readers see the assignments of an instance as they were
or as they are, never a mix and never none; those of other instances and those made by hand are not touched. Must not
know how rules are evaluated.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from sync_assets.engine.errors import Stop
from sync_assets.fleet.rules.documents import RuleKind, RuleSet, load
from sync_assets.fleet.rules.evaluation import Classification
from sync_assets.fleet.rules.language import listed
from sync_assets.store.control import storable
from sync_assets.store.session import Cursor, Sessions
from sync_assets.store.sql import read_named

_SQL = read_named(Path(__file__).with_name("classes.sql"))
_SWAP = ("drop_old", "mark_stale", "keep_found", "drop_decided", "keep_undecided")


@dataclass(frozen=True, slots=True)
class Assigned:
    """One assignment as it is kept. `rule` and `version` are empty for one made by hand; `stale`: kept, undecided."""

    instance: str
    principal: str
    code: str
    kind: RuleKind
    risk: int
    origin: str
    rule: str
    version: int | None
    facts_hash: str
    stale: bool
    note: str
    assigned_by: str
    assigned_at: datetime


@dataclass(frozen=True, slots=True)
class NotDecided:
    """A rule that could not be decided for an account, and why; rule "": there is none for its engine."""

    instance: str
    principal: str
    rule: str
    version: int
    reason: str
    noted_at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """When an instance was classified last, from which facts, by which rules."""

    instance: str
    version: int
    facts_at: datetime
    run_id: str
    counts: Mapping[str, int]
    classified_at: datetime


@dataclass(frozen=True, slots=True)
class Swapped:
    """What became of a classification. `superseded`: one from newer facts was there; nothing changed.

    `counts` are those of `Classification.counts`, and `stale`: accounts with assignments that were only kept.
    """

    superseded: bool
    counts: Mapping[str, int]


class ClassStore:
    """Every method is one transaction. Safe to share between threads. Raises `Stop`, `Retry`, `Unclear`."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    # -- rules

    def version(self, fleet: str, rules: RuleSet) -> int:
        """The number of these rules; they are kept if they are new. What they say never changes under a number."""
        asked = {"fleet": fleet, "digest": rules.digest, "rules": json.dumps(rules.as_json())}

        def keep(cursor: Cursor) -> int:
            cursor.execute(_SQL["keep_rules"], asked)
            row = cursor.execute(_SQL["version"], asked).fetchone()
            return int(row[0]) if row else 0

        return self._sessions.run(keep)

    def rules(self, fleet: str, version: int) -> RuleSet:
        """The rules of a version, to explain and repeat what was assigned by it. Raises `Stop` for an unknown one."""
        rows = self._rows("rules", fleet=fleet, version=version)
        if not rows:
            raise Stop(f"the fleet {fleet} has no rules of version {version}", hint="see its assignments for versions")
        return load([(f"version {version}", json.dumps(rows[0][0]))])

    # -- what rules say

    def swap(
        self, fleet: str, instance: str, version: int, found: Classification, *, facts_at: datetime, run_id: str
    ) -> Swapped:
        """Put what was found in place of what rules said of this instance before; in one transaction.

        `facts_at` is the moment of the published state that was asked (`Publication.valid_at`).
        """
        asked: dict[str, Any] = {
            "fleet": fleet, "instance": instance, "version": version, "facts_at": facts_at, "run_id": run_id,
            "found": _found(found), "undecided": _undecided(found),
        }  # fmt: skip
        try:
            return self._sessions.run(lambda cursor: _swap(cursor, asked, found.counts()))
        except psycopg.errors.ForeignKeyViolation:
            raise Stop(
                f"the fleet {fleet} has never had an instance {instance}",
                hint="list it in the fleet's YAML or table; it is adopted when the fleet is looked up",
                code="no_instance",
            ) from None

    # -- what people say

    def assign(
        self, fleet: str, instance: str, principal: str, code: str, rules: RuleSet, *, by: str, note: str = ""
    ) -> None:
        """Put an account into a class by hand; no run takes it out. Raises `Stop` for an unknown class or account."""
        classes = {c.code: c for c in rules.classes.values() if c.kind is RuleKind.CLASS}
        if code not in classes:
            raise Stop(f"there is no class {code}", hint=f"known: {listed(classes, code)}", code="no_class")
        asked = {
            "fleet": fleet, "instance": instance, "principal": storable(principal), "class": code,
            "risk": classes[code].risk, "note": storable(note), "assigned_by": storable(by),
        }  # fmt: skip

        def put(cursor: Cursor) -> bool:
            row = cursor.execute(_SQL["account_known"], asked).fetchone()
            if not row or not row[0]:
                return False
            cursor.execute(_SQL["assign"], asked)
            return True

        if not self._sessions.run(put):
            raise Stop(
                f'the instance {instance} of the fleet {fleet} has no account "{principal}"',
                hint="write the name as the inventory shows it",
                code="no_account",
            )

    def unassign(self, fleet: str, instance: str, principal: str, code: str) -> bool:
        """Take back what was assigned by hand; False where nothing was. What rules say stays."""
        asked = {"fleet": fleet, "instance": instance, "principal": storable(principal), "class": code}
        return self._sessions.run(lambda cursor: cursor.execute(_SQL["unassign"], asked).rowcount > 0)

    # -- what is kept

    def assignments(self, fleet: str, instance: str | None = None) -> Sequence[Assigned]:
        """All of a fleet or of an instance: by account, the highest risk first."""
        rows = self._rows("assignments", fleet=fleet, instance=instance)
        return [Assigned(*[*row[:3], RuleKind(row[3]), *row[4:]]) for row in rows]

    def undecided(self, fleet: str, instance: str | None = None) -> Sequence[NotDecided]:
        """By account."""
        return [NotDecided(*row) for row in self._rows("undecided", fleet=fleet, instance=instance)]

    def risks(self, fleet: str) -> Mapping[str, Mapping[int, int]]:
        """Of each instance, how many accounts have which effective risk. Accounts in no class are not in it."""
        found: dict[str, dict[int, int]] = defaultdict(dict)
        for instance, risk, count in self._rows("risks", fleet=fleet):
            found[instance][risk] = count
        return found

    def standing(self, fleet: str) -> Mapping[str, Standing]:
        """Of each instance that was ever classified."""
        return {row[0]: Standing(*row) for row in self._rows("standing", fleet=fleet)}

    def _rows(self, name: str, **asked: Any) -> list[tuple[Any, ...]]:
        return self._sessions.run(lambda cursor: cursor.execute(_SQL[name], asked).fetchall())


def _swap(cursor: Cursor, asked: Mapping[str, Any], counts: Mapping[str, int]) -> Swapped:
    cursor.execute(_SQL["take_turns"], asked)
    row = cursor.execute(_SQL["classified"], asked).fetchone()
    if row is not None and row[0] > asked["facts_at"]:
        return Swapped(True, row[1])
    for name in _SWAP:
        cursor.execute(_SQL[name], asked)
    stale = cursor.execute(_SQL["count_stale"], asked).fetchone()
    whole = {**counts, "stale": int(stale[0]) if stale else 0}
    cursor.execute(_SQL["keep_classified"], {**asked, "counts": json.dumps(whole)})
    return Swapped(False, whole)


def _found(found: Classification) -> str:
    rows = {
        (storable(a.principal), a.code, a.rule): {
            "principal": storable(a.principal), "class": a.code, "rule": a.rule, "kind": str(a.kind), "risk": a.risk,
            "facts_hash": a.facts_hash, "note": storable(a.why),
        } for a in found.assignments
    }  # fmt: skip
    return json.dumps(list(rows.values()))


def _undecided(found: Classification) -> str:
    rows = {
        (storable(u.principal), u.rule): {
            "principal": storable(u.principal), "class": u.code, "rule": u.rule, "reason": storable(u.reason)
        } for u in found.undecided
    }  # fmt: skip
    return json.dumps(list(rows.values()))
