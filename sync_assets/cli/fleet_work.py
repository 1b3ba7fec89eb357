"""What the commands of a fleet do that write: collect, classify, add up, assign. As `cli.work`, one seam a command."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from sync_assets.cli import exits, show_fleet
from sync_assets.cli.asker import asked_by
from sync_assets.cli.work import project
from sync_assets.engine.errors import Stop
from sync_assets.fleet.periods import Period, local_day, parse_name, period_of_key
from sync_assets.project import fleet as work
from sync_assets.project.deployment import PlacedFleet, Project
from sync_assets.project.fleet import Item, PeriodItem
from sync_assets.store.control import PostgresStore, open_store


def collect(name: str, what: str, instances: Sequence[str], as_json: bool) -> int:
    """Collect accounts or capacity, and print each instance as it is done."""
    found = project()
    placed = found.fleet(name)
    with open_store() as store:
        _adopt(found, placed, store)
        names, run_id = list(instances) or None, _run_id()
        if what == "accounts":
            items = work.collect_accounts(found, placed, names, run_id=run_id, asked_by=asked_by(), store=store)
        else:
            day = local_day(datetime.now(UTC), placed.time_zone)
            items = work.collect_capacity(found, placed, day, names, run_id=run_id, asked_by=asked_by(), store=store)
        return _told(items, as_json, placed.name)


def _adopt(found: Project, placed: PlacedFleet, store: PostgresStore) -> None:
    """Follow the lists first, and say who came and who went."""
    done = work.look_up(found, placed, store, local_day(datetime.now(UTC), placed.time_zone))
    show_fleet.adopted(done)


def accept(name: str, instance: str, as_json: bool) -> int:
    """Collect the accounts of one instance and publish them past the shrink guard."""
    found = project()
    placed = found.fleet(name)
    with open_store() as store:
        items = work.collect_accounts(
            found, placed, [instance], run_id=_run_id(), asked_by=asked_by(), accept=True, store=store
        )
        return _told(items, as_json)


def classify(name: str, instances: Sequence[str], as_json: bool) -> int:
    """Classify the published accounts."""
    found = project()
    items = work.classify(found, found.fleet(name), list(instances) or None, run_id=_run_id(), asked_by=asked_by())
    return _told(items, as_json, name)


def aggregate(name: str, texts: Sequence[str], due: bool, as_json: bool) -> int:
    """Add up the periods that are named, or all that are due."""
    found = project()
    placed = found.fleet(name)
    if bool(texts) == due:
        raise Stop("say which periods", hint="--due, or --period week:2026-11-16", code="period")
    with open_store() as store:
        periods = [_period(text) for text in texts] or work.due_periods(found, placed, datetime.now(UTC), store=store)
        if not periods and not as_json:
            print("no period is due")
        items = work.aggregate(found, placed, periods, run_id=_run_id(), asked_by=asked_by(), store=store)
        return _told(items, as_json)


def _period(text: str) -> Period:
    """``week:2026-11-16``. Raises `Stop`."""
    name, _, key = text.partition(":")
    return period_of_key(parse_name(name), key)


def _told(items: Iterator[Item] | Iterator[PeriodItem], as_json: bool, fleet: str = "") -> int:
    """Print every item when it is done and the sum at the end; the gravest exit code of all. `fleet`: whose instances
    they are, to be told where there are none."""
    done: list[Item | PeriodItem] = []
    for item in items:
        if not as_json:
            show_fleet.item(item)
        # a publication holds every account and right of its instance, twice
        done.append(replace(item, publication=None) if isinstance(item, Item) else item)
    if as_json:
        print(json.dumps([show_fleet.item_as_json(item) for item in done], ensure_ascii=False, default=str))
    elif done or not fleet:
        show_fleet.counted(done)
    else:
        show_fleet.no_instances(fleet)
    return exits.gravest(_code(item) for item in done)


def _code(item: Item | PeriodItem) -> int:
    if item.state.good or item.error is None:
        return exits.OK
    return exits.UNEXPECTED if item.error.code == "unexpected" else exits.of_error(item.error)


# -- classes by hand, rules from elsewhere ------------------------------------------------------------------------


def assign(name: str, instance: str, account: str, code: str, note: str) -> int:
    from sync_assets.project.fleet.classes import rules_of
    from sync_assets.store.fleet.classes import ClassStore

    placed = project().fleet(name)
    rules = rules_of(placed)
    with open_store() as store:
        ClassStore(store.sessions).assign(placed.name, instance, account, code, rules, by=asked_by(), note=note)
    print(f"{instance}: {account} is in class {code}, by hand")
    return exits.OK


def unassign(name: str, instance: str, account: str, code: str) -> int:
    from sync_assets.store.fleet.classes import ClassStore

    placed = project().fleet(name)
    with open_store() as store:
        gone = ClassStore(store.sessions).unassign(placed.name, instance, account, code)
    if not gone:
        raise Stop(f"{instance}: {account} was not put into class {code} by hand", hint="see: sync-assets fleet show")
    print(f"{instance}: {account} is not in class {code} by hand any more")
    return exits.OK


def import_rules(file: str) -> int:
    from sync_assets.fleet.rules.importer import import_rules as read

    found = read(Path(file).read_text(encoding="utf-8"))
    sys.stdout.write(found.text)
    for note in found.notes:
        sys.stderr.write(f"{note}\n")
    return exits.OK


def _run_id() -> str:
    return f"cli-{uuid.uuid4()}"
