"""What the commands of a fleet do that only look: what is known, since when, who may do what, what changed.

As `cli.work`: load the project, ask the control database, print, return an exit code. No server is dialled.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

from sync_assets.cli import exits, show_fleet
from sync_assets.cli.show import plain, table
from sync_assets.cli.work import project
from sync_assets.engine.errors import Stop
from sync_assets.fleet.capacity import Gap, InstanceDay
from sync_assets.fleet.effective import Holder
from sync_assets.fleet.model import Status
from sync_assets.fleet.periods import ended_at, local_day, period_of
from sync_assets.fleet.state import Change
from sync_assets.project.deployment import PlacedFleet, Project
from sync_assets.project.faults import listed
from sync_assets.project.fleet import Member, members
from sync_assets.store.control import PostgresStore, open_store
from sync_assets.store.fleet.accounts import AccountStore, AsOf
from sync_assets.store.fleet.capacity import CapacityStore
from sync_assets.store.fleet.history import Newest
from sync_assets.store.fleet.instances import InstanceStore
from sync_assets.store.fleet.looks import first_looks


def _print(data: object) -> None:
    print(json.dumps(data, ensure_ascii=False, default=str))


def instances(name: str | None, as_json: bool) -> int:
    """The instances of all fleets, or of one."""
    found = project()
    placed = [found.fleet(name)] if name else list(found.fleets.values())
    if not placed:
        print("the project has no fleet yet: write a document of type sync_assets.components.DatabaseFleet")
        return exits.OK
    with open_store() as store:
        rows = {fleet.name: list(_instances(found, fleet, store)) for fleet in placed}
    if as_json:
        _print(rows)
        return exits.OK
    for fleet in placed:
        print(f"{fleet.name}" + (f" ({plain(fleet.spec.title)})" if fleet.spec.title else ""))
        if rows[fleet.name]:
            show_fleet.instances(rows[fleet.name], fleet.time_zone)
        else:
            show_fleet.no_instances(fleet.name)
    return exits.OK


def _instances(found: Project, fleet: PlacedFleet, store: PostgresStore) -> Iterator[Mapping[str, Any]]:
    seen = AccountStore(store.sessions).newest(fleet.name)
    sizes = CapacityStore(store.sessions).newest(fleet.name)
    gaps = CapacityStore(store.sessions).gaps(fleet.name)
    for name, one in members(found, fleet, store).items():
        newest, day = seen.get(name), sizes.get(name)
        lost = [gap for gap in gaps if gap.instance == name]
        parts = newest.sections.items() if newest else ()
        bad = sorted(str(key) for key, state in parts if state.status in (Status.DENIED, Status.ERROR))
        yield {
            "instance": name,
            "title": one.title,
            "engine": one.engine,
            "address": one.address,
            "adopted_on": one.adopted_on,
            "retired_on": one.retired_on,
            "accounts_at": newest.observed_at if newest else None,
            "accounts": newest.counts.get("principals") if newest else None,
            "day": day.day if day else None,
            "bytes": day.bytes if day else None,
            "note": (newest.blocked if newest else "") or _note(lost, newest, day, bad),
        }


def _note(gaps: Sequence[Gap], accounts: Newest | None, sizes: InstanceDay | None, unread: Sequence[str]) -> str:
    """The gaps that came after what is known (all of them: sync-assets fleet gaps), else which parts were not read."""
    known = {"accounts": accounts.day if accounts else date.min, "capacity": sizes.day if sizes else date.min}
    newest = {gap.kind: gap for gap in reversed(gaps) if gap.day > known[gap.kind]}
    if newest:
        return "; ".join(f"{kind} missing: {gap.reason}" for kind, gap in sorted(newest.items()))
    return f"not read: {', '.join(unread[:3])}" if unread else ""


def _instance(found: Project, fleet: PlacedFleet, store: PostgresStore, name: str) -> Member:
    known = members(found, fleet, store)
    if name not in known:
        hint = f"its instances are {listed(list(known)[:20], name)}" if known else "it has none: sync-assets fleet list"
        raise Stop(f"{fleet.name} has no instance {name!r}", hint=hint, code="instance")
    return known[name]


def moment_of(fleet: PlacedFleet, day: str | None, now: datetime) -> datetime:
    """The end of a day in the fleet's zone, or now while it is not over. Raises `Stop` for what is no day."""
    if day is None:
        return now
    try:
        found = date.fromisoformat(day)
    except ValueError:
        raise Stop(f"{plain(day)!r} is no day", hint="write YYYY-MM-DD", code="day") from None
    if found > local_day(now, fleet.time_zone):
        raise Stop(f"{day} has not come yet in {fleet.time_zone}", hint="give a day of the past", code="day")
    return min(now, ended_at(period_of("day", found), fleet.time_zone))


def _as_of(store: PostgresStore, fleet: PlacedFleet, instance: str, at: datetime) -> AsOf:
    known = AccountStore(store.sessions).as_of(fleet.name, instance, at)
    if known.snapshot is None:
        first = first_looks(store.sessions, fleet.name).get(instance)
        hint = f"sync-assets fleet collect {fleet.name} accounts --instance {instance}"
        if first is not None:
            hint = f"its first look was at {_clock(first, fleet)}: ask for that day or a later one"
        raise Stop(f"nothing was published of {instance} until {_clock(at, fleet)}", hint=hint, code="unknown")
    return known


def _clock(at: datetime | None, fleet: PlacedFleet) -> str:
    """A moment with the zone that it is told in."""
    return f"{show_fleet.moment(at, fleet.time_zone)} {fleet.time_zone}"


def show_instance(name: str, instance: str, day: str | None, as_json: bool) -> int:
    """The accounts of an instance at a moment, and when its parts were confirmed."""
    found = project()
    fleet = found.fleet(name)
    with open_store() as store:
        one = _instance(found, fleet, store, instance)
        at = moment_of(fleet, day, datetime.now(UTC))
        known = _as_of(store, fleet, instance, at)
        newest = AccountStore(store.sessions).newest(fleet.name).get(instance)
    last = newest.sections if newest and day is None else {}
    if as_json:
        _print(_state_as_json(known))
        return exits.OK
    print(
        f"{plain(instance)}{f' ({plain(one.title)})' if one.title else ''}: {plain(known.server)}, {plain(one.address)}"
    )
    zone = fleet.time_zone
    print(f"as of {_clock(at, fleet)}; last seen {show_fleet.moment(known.observed_at, zone)}\n")
    people = sorted(known.state.principals.values(), key=lambda p: (p.system, p.name))
    show_fleet.principals(((p, known.since.get(p.name)) for p in people), zone)
    print(f"\n{len(known.state.grants):,} rights and {len(known.state.memberships):,} memberships: --json has all\n")
    show_fleet.sections(known.confirmed, last, zone)
    return exits.OK


def _state_as_json(known: AsOf) -> Mapping[str, Any]:
    state = known.state
    return {
        "server": known.server,
        "observed_at": known.observed_at,
        "confirmed": {str(key): at for key, at in known.confirmed.items()},
        "principals": [asdict(p) | {"since": known.since.get(name)} for name, p in sorted(state.principals.items())],
        "memberships": [asdict(m) for _, m in sorted(state.memberships.items())],
        "grants": [asdict(g) | {"since": known.since.get(key)} for key, g in sorted(state.grants.items())],
    }


def who(name: str, instance: str, privilege: str, path: str, day: str | None, every: bool, as_json: bool) -> int:
    """Who has a right to a thing at a moment, and by what."""
    from sync_assets.databases.base import name_parts
    from sync_assets.fleet import effective

    found = project()
    fleet = found.fleet(name)
    with open_store() as store:
        one = _instance(found, fleet, store, instance)
        at = moment_of(fleet, day, datetime.now(UTC))
        known = _as_of(store, fleet, instance, at)
    if not privilege.strip():
        raise Stop("a privilege without a name", hint="--privilege SELECT, say", code="privilege")
    parts = tuple(name_parts(path)) if path not in ("", "*") else ()
    holders = effective.who(known.state, one.engine, privilege.upper(), parts, at)
    if as_json:
        _print([_holder_as_json(holder, known.since) for holder in holders])
    else:
        print(f"{privilege.upper()} on {plain(path) or '*'} of {plain(instance)}, as of {_clock(at, fleet)}")
        show_fleet.holders(holders, known.since, fleet.time_zone, every=every)
        if not holders:
            show_fleet.unheard_of(privilege.upper(), known.state)
    return exits.OK


def _holder_as_json(holder: Holder, since: show_fleet.Since) -> Mapping[str, Any]:
    ways = [
        asdict(way) | {"grants": [asdict(g) | {"since": since.get(g.key)} for g in way.grants]} for way in holder.ways
    ]
    return asdict(holder) | {"ways": ways}


def changes(name: str, first: str, last: str | None, instance: str | None, log: bool, as_json: bool) -> int:
    """What differs between two moments, or every change between them."""
    found = project()
    fleet, now = found.fleet(name), datetime.now(UTC)
    begin, end = moment_of(fleet, first, now), moment_of(fleet, last, now)
    if end < begin:
        raise Stop(f"{last} is before {first}", hint="swap them", code="day")
    with open_store() as store:
        names = [instance] if instance is not None else list(members(found, fleet, store))
        if instance is not None:
            _instance(found, fleet, store, instance)
        looks = {name: at for name, at in first_looks(store.sessions, fleet.name).items() if name in names}
        late = {name: at for name, at in looks.items() if at > begin}
        every = _changes(AccountStore(store.sessions), fleet.name, (begin, end), instance, late, log)
    if as_json:
        _print([{"at": at, "instance": where, **asdict(one)} for at, where, one in every])
        return exits.OK
    zone = fleet.time_zone
    print(f"{show_fleet.moment(begin, zone)} to {_clock(end, fleet)}: {len(every):,} changes")
    for at, where, one in every:
        print(f"  {f'{show_fleet.moment(at, zone)} ' if at else ''}{plain(where)}: {show_fleet.change(one)}")
    show_fleet.not_before({name: late.get(name) for name in names if name in late or name not in looks}, zone)
    return exits.OK


_Told = tuple[datetime | None, str, Change]  # when (in the log), of which instance, what


def _changes(
    accounts: AccountStore,
    fleet: str,
    span: tuple[datetime, datetime],
    only: str | None,
    late: Mapping[str, datetime],
    log: bool,
) -> list[_Told]:
    """What changed in a span. Of an instance that was seen first in it (`late`), what came after that look: what was
    there already is no change."""
    begin, end = span
    asked = [(only, late.get(only, begin))] if only is not None else [(None, begin), *late.items()]
    found: list[_Told] = []
    for name, since in asked:
        told = _between(accounts, fleet, since, end, name, log) if since <= end else iter(())
        found += (one for one in told if name is not None or one[1] not in late)
    return sorted(found, key=lambda one: one[0] or begin) if log else found


def _between(
    accounts: AccountStore, fleet: str, begin: datetime, end: datetime, instance: str | None, log: bool
) -> Iterator[_Told]:
    if log:
        yield from ((one.at, one.instance, one.change) for one in accounts.log(fleet, begin, end, instance))
        return
    for where, some in accounts.changes(fleet, begin, end, instance).items():
        yield from ((None, where, one) for one in some)


def gaps(name: str, every: bool, as_json: bool) -> int:
    """What is missing, and why. With open gaps the exit code says so."""
    whole = project()
    fleet = whole.fleet(name)
    with open_store() as store:
        InstanceStore(store.sessions).note_lost(fleet.name, fleet.time_zone)
        found = CapacityStore(store.sessions).gaps(fleet.name, open_only=not every)
        known = members(whole, fleet, store)
        looked = _looked_at(store, fleet)
    if as_json:
        _print([asdict(gap) for gap in found])
    elif not known:
        show_fleet.no_instances(fleet.name)
    elif found:
        rows = [[str(g.day), g.kind, plain(g.instance), g.reason, str(g.attempts), plain(g.message),
                 show_fleet.moment(g.closed_at, fleet.time_zone)] for g in found]  # fmt: skip
        table(["day", "of", "instance", "reason", "tries", "message", f"closed ({fleet.time_zone})"], rows)
    else:
        print("no gaps")
    if not as_json:
        show_fleet.unobserved(fleet.name, known.values(), looked)
    return exits.RETRY if any(gap.closed_at is None for gap in found) else exits.OK


def _looked_at(store: PostgresStore, fleet: PlacedFleet) -> set[str]:
    """Instances of which there is anything: accounts, sizes, or a gap with its reason."""
    sizes = CapacityStore(store.sessions)
    gaps = {gap.instance for gap in sizes.gaps(fleet.name, open_only=False)}
    return gaps | set(sizes.newest(fleet.name)) | set(AccountStore(store.sessions).newest(fleet.name))


def sessions(run: str | None, limit: int, as_json: bool) -> int:
    """The newest sessions, or the items of one; those whose process has died are called lost first."""
    from sync_assets.project.history import reconcile
    from sync_assets.project.load import time_zone_of_deployment
    from sync_assets.store.worked import work_items, work_sessions

    with open_store() as store:
        reconcile(store)
        if run is not None:
            items = work_items(store.sessions, run)
            if not items:
                raise Stop(f"no session's run begins with {plain(run)!r}", hint="list them: sync-assets sessions")
            if as_json:
                _print([asdict(item) for item in items])
            else:
                show_fleet.session_items(items)
            return exits.OK
        found = work_sessions(store.sessions, limit)
    if as_json:
        _print([asdict(one) for one in found])
    else:
        show_fleet.sessions(found, time_zone_of_deployment())
    return exits.OK
