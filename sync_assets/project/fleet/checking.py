"""Looking at a fleet before anything is collected: can each server be reached, and what of it may be read.

Reads only, and writes nothing anywhere. A login that is refused is tried once. Knows no terminal.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date

from sync_assets.databases.base import open_collector
from sync_assets.engine.errors import SyncError
from sync_assets.engine.model import Finding
from sync_assets.fleet.collecting import Collector
from sync_assets.fleet.model import Sections, Status
from sync_assets.project.deployment import PlacedFleet, Project
from sync_assets.project.fleet.adoption import listed_by_table
from sync_assets.project.fleet.asking import Answer, Pace, Question, Round
from sync_assets.project.fleet.classes import rules_of
from sync_assets.project.fleet.collecting import host_of, limited
from sync_assets.project.fleet.members import Member, of_store, of_yaml

_Seen = tuple[str, int, int, Sections]  # server, accounts, databases, sections


def check_fleet(
    project: Project,
    name: str,
    today: date,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Finding]:
    """Try every server of a fleet once, and say what it lets us read. Raises `Stop` only for an unknown fleet."""
    fleet = project.fleet(name)
    found = [_rules(fleet)]
    known = {one.name: of_yaml(project, fleet, one) for one in fleet.spec.instances}
    if fleet.spec.instances_from is not None:
        try:
            table = listed_by_table(project, fleet, set())
        except SyncError as error:
            found.append(_fault(error))
        else:
            found += [_fault(table.trouble)] if table.trouble else [Finding(True, f"{len(table.listed)} by the table")]
            known = {one.name: of_store(fleet, one) for one in table.listed} | known
    asked = [one for one in known.values() if one.retired_on is None or one.retired_on > today]
    pace = Pace(fleet.spec.parallel, fleet.spec.per_host, float(fleet.spec.deadline), waits=())
    round_ = Round([_question(fleet, one) for one in asked], _told, _broken, pace, clock, sleep)
    results = dict(pair for pair in round_.run())
    return [*found, *(finding for one in asked for finding in results[one.name])]


def _rules(fleet: PlacedFleet) -> Finding:
    try:
        return Finding(True, f"{len(rules_of(fleet).rules)} rules of classes")
    except SyncError as error:
        return _fault(error)


def _question(fleet: PlacedFleet, one: Member) -> Question[_Seen]:
    def ask(left: float) -> _Seen:
        with closing(open_collector(one.engine, limited(fleet, one.args, left))) as collector:
            return _looked(collector)

    return Question(one.name, host_of(one), ask)


def _looked(collector: Collector) -> _Seen:
    accounts, sizes = collector.accounts(), collector.capacity(0)
    return str(accounts.server), len(accounts.principals), len(sizes.databases), {**sizes.sections, **accounts.sections}


def _told(answer: Answer[_Seen]) -> tuple[str, list[Finding]]:
    if answer.reading is None:
        return answer.name, [_fault(answer.error)] if answer.error else []
    server, accounts, databases, sections = answer.reading
    lines = [Finding(True, f"{answer.name}: {server}, {accounts} accounts, {databases} databases")]
    return answer.name, [*lines, *_missing(answer.name, sections)]


def _missing(name: str, sections: Sections) -> Iterator[Finding]:
    for key, state in sections.items():
        if state.status in (Status.DENIED, Status.ERROR):
            yield Finding(False, f"{name}: {key} cannot be read ({state.status})", state.reason)


def _broken(answer: Answer[_Seen], error: SyncError) -> tuple[str, list[Finding]]:
    return answer.name, [_fault(error)]


def _fault(error: SyncError) -> Finding:
    return Finding(False, error.message + (f" [{error.code}]" if error.code else ""), error.hint)
