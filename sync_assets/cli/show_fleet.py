"""What people see of a fleet: how each instance came out, what is known of it, who may do what, what changed.

Like `cli.show`, whose tables these are. Names of servers, accounts and databases may hold anything. Times are those of
the zone that is handed in, which every heading names.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

from sync_assets.cli.show import mark, plain, table
from sync_assets.cli.show_tables import of_fleet
from sync_assets.fleet.effective import Holder, Way
from sync_assets.fleet.model import (
    AccountState,
    Effect,
    Grant,
    GrantKey,
    Membership,
    MembershipKey,
    Principal,
    SectionKey,
    Sections,
)
from sync_assets.fleet.state import Change
from sync_assets.project.fleet import Adopted, Item, ItemState, Member, PeriodItem
from sync_assets.project.fleet import counted as count
from sync_assets.project.fleet.record import not_ok, summary
from sync_assets.store.worked import WorkItem, WorkSession

Since = Mapping[str | MembershipKey | GrantKey, datetime]
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def size(number: float | None) -> str:
    """Bytes for people; nothing where they are unknown."""
    if number is None:
        return ""
    at = 0
    while abs(number) >= 1024 and at < len(_UNITS) - 1:
        number, at = number / 1024, at + 1
    return f"{number:,.0f} {_UNITS[at]}" if at == 0 or abs(number) >= 100 else f"{number:,.1f} {_UNITS[at]}"


def moment(at: datetime | None, zone: tzinfo = UTC) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}" if at is not None else ""


# -- runs ---------------------------------------------------------------------------------------------------------


def adopted(done: Adopted) -> None:
    """Who came and who went, where anybody did; on standard error, beside the result."""
    for names, what in ((done.adopted, "adopted"), (done.retired, "retired")):
        if names:
            more = f" and {len(names) - 10} more" if len(names) > 10 else ""
            sys.stderr.write(f"{what}: {', '.join(map(plain, names[:10]))}{more}\n")
    if done.trouble is not None:
        sys.stderr.write(f"{mark(False, sys.stderr)}{plain(done.trouble)}\n")


def item(done: Item | PeriodItem) -> None:
    """One line, and what to do about it."""
    name = done.instance if isinstance(done, Item) else str(done.period)
    sign = "" if done.state.good else mark(False, sys.stdout)
    told = _told(done) if isinstance(done, Item) else _of_period(done)
    print(f"{sign}{plain(name)}: {done.state}{f', {told}' if told else ''} ({done.seconds:.1f} s)")
    if done.error is not None:
        print(f"  {plain(done.error.message)}" + (f" [{done.error.code}]" if done.error.code else ""))
        if done.error.hint:
            print(f"  -> {plain(done.error.hint)}")
    if isinstance(done, Item) and done.state is ItemState.DEGRADED:
        for key, why in not_ok(done.sections).items():
            print(f"  (note) {plain(key)}: {plain(why)}")


def _told(done: Item) -> str:
    counts = dict(done.counts)
    if done.publication is not None and done.publication.baseline:
        counts.pop("changes", None)
    sizes = [f"{size(counts.pop(name))} {what}" for name, what in (("bytes", "of data"), ("log_bytes", "of logs"))
             if counts.get(name)]  # fmt: skip
    counts.pop("log_bytes", None)
    parts = [plain(done.server)] if done.server else []
    parts += [f"{number:,} {plain(name)}" for name, number in counts.items() if number and name != "bytes"]
    first = ["first look"] if done.publication is not None and done.publication.baseline else []
    return ", ".join([*parts, *sizes, *first, *(["late"] if done.late else [])])


def _of_period(done: PeriodItem) -> str:
    found = done.summary
    if found is None:
        return ""
    missing = f", missing {', '.join(map(plain, found.missing_instances[:5]))}" if found.missing_instances else ""
    return f"{found.status}, {found.present_days} of {found.expected_days} days, {found.rows:,} rows{missing}"


def no_instances(fleet: str) -> None:
    """For a fleet that nobody belongs to: an empty answer looks like a good one."""
    print(f"{plain(fleet)} has no instance today")
    print("  -> write servers into instances of its YAML, or into the table that instances_from names")


def counted(done: Sequence[Item | PeriodItem]) -> None:
    """All states with their numbers: together they are what was asked for."""
    found = {state: number for state, number in count(done).items() if number}
    if done:
        print(f"{len(done)}: " + ", ".join(f"{number} {state}" for state, number in found.items()))


def item_as_json(done: Item | PeriodItem) -> Mapping[str, Any]:
    name = {"instance": done.instance} if isinstance(done, Item) else {"period": str(done.period)}
    return {**name, **summary(done)}


# -- instances ----------------------------------------------------------------------------------------------------


def instances(rows: Iterable[Mapping[str, Any]], zone: tzinfo) -> None:
    seen = f"accounts seen ({zone})"
    head = ["instance", "engine", "address", "since", "until", seen, "accounts", "day", "size", "note"]
    table(head, [[plain(cell) for cell in _instance(row, zone)] for row in rows])


def _instance(row: Mapping[str, Any], zone: tzinfo) -> Iterator[object]:
    yield from (row["instance"], row["engine"], row["address"], row["adopted_on"] or "not yet", row["retired_on"] or "")
    yield from (moment(row["accounts_at"], zone), row["accounts"] if row["accounts"] is not None else "")
    yield from (row["day"] or "", size(row["bytes"]), row["note"])


def principals(found: Iterable[tuple[Principal, datetime | None]], zone: tzinfo) -> None:
    head = ["account", "kind", "login", "superuser", "locked", "password", f"first seen ({zone})", ""]
    rows = [
        [plain(p.name), str(p.kind), *(_flag(f) for f in (p.can_login, p.superuser, p.locked, p.has_password)),
         moment(since, zone), "system" if p.system else ""]
        for p, since in found
    ]  # fmt: skip
    table(head, rows)


def _flag(value: bool | None) -> str:
    return "?" if value is None else "yes" if value else "no"


def sections(confirmed: Mapping[SectionKey, datetime], last: Sections, zone: tzinfo) -> None:
    """When each part was last seen, and what was wrong with it in the newest look."""
    keys = sorted({*confirmed, *last})
    rows = [
        [plain(key), moment(confirmed.get(key), zone) or "never", str(state.status) if (state := last.get(key)) else "",
         plain(state.reason) if state else ""]
        for key in keys
    ]  # fmt: skip
    table(["part", f"confirmed ({zone})", "newest look", "why"], rows)


def holders(found: Sequence[Holder], since: Since, zone: tzinfo, *, every: bool) -> None:
    """Who has the privilege, with each way to it and since when. Who cannot log in is only counted, unless `every`."""
    shown = [one for one in found if every or one.usable is not False]
    for one in shown:
        _holder(one, since, zone)
    if not shown:
        print("  nobody who can log in" if found else "  nobody")
    if hidden := len(found) - len(shown):
        print(f"  {hidden} more that cannot log in: --all shows them")


def _holder(one: Holder, since: Since, zone: tzinfo) -> None:
    login = {True: "", False: " (cannot log in)", None: " (whether it can log in is not known)"}[one.usable]
    only = f", only columns {', '.join(map(plain, one.columns))}" if one.columns else ""
    lacks = f", but lacks {', '.join(map(plain, one.lacks))}" if one.lacks else ""
    print(f"  {plain(one.principal)}{login}{'' if one.now else ', after an act of its own'}{only}{lacks}")
    for way in one.ways:
        later = "" if way.now or not one.now else ", after an act of its own"
        print(f"    {plain(_way(way))}{_since(way, since, zone)}{later}")


def _way(way: Way) -> str:
    by = way.why or "; ".join(f"{g.privilege} on {g.scope} {'.'.join(g.path) or '*'}" for g in way.grants[:3])
    more = f" and {len(way.grants) - 3} more rights" if len(way.grants) > 3 and not way.why else ""
    return f"{' -> '.join(way.path)}: {by}{more}" if len(way.path) > 1 else f"{by}{more}"


def _since(way: Way, since: Since, zone: tzinfo) -> str:
    """When the oldest of its rights was first seen."""
    seen = [since[g.key] for g in way.grants if g.key in since]
    return f", seen since {moment(min(seen), zone)}" if seen and not way.why else ""


# -- changes, gaps, sessions ----------------------------------------------------------------------------------------


def change(one: Change) -> str:
    """A change in one line, with what it is about."""
    row = one.row
    if isinstance(row, Grant):
        effect = "" if row.effect is Effect.GRANT else f"{row.effect} of "
        what = f"{effect}{row.privilege} on {row.scope} {'.'.join(row.path) or '*'}"
        return f"{one.kind} {plain(one.principal)}: {plain(what)}{' with grant option' if row.grantable else ''}"
    if isinstance(row, Membership):
        return f"{one.kind} {plain(one.principal)}: role {plain(row.role)}{' with admin option' if row.admin else ''}"
    before = one.before
    old = f" (was {plain(before.name)})" if isinstance(before, Principal) and before.name != one.principal else ""
    return f"{one.kind} {plain(one.principal)}{old}"


def unobserved(fleet: str, known: Iterable[Member], looked: Collection[str]) -> None:
    """Who was never looked at, and who belonged to the fleet before anybody here looked: no gap, and not hidden."""
    every = list(known)
    never = [plain(one.name) for one in every if one.name not in looked and one.retired_on is None]
    if never:
        more = f" and {len(never) - 10} more" if len(never) > 10 else ""
        print(f"never looked at: {', '.join(never[:10])}{more}")
        print(f"  -> sync-assets fleet collect {plain(fleet)} accounts, and the same with capacity")
    before = [one for one in every if one.unobserved and one.name in looked]
    for one in before[:10]:
        print(f"{plain(one.name)}: not observed yet from {one.adopted_on} to {one.unobserved}, before its first look")
    if len(before) > 10:
        print(f"and {len(before) - 10} more instances that were not observed from their first day on")


def not_before(first: Mapping[str, datetime | None], zone: tzinfo) -> None:
    """Instances that were not known at the beginning, with their first look; None: there was none yet."""
    for name, at in list(first.items())[:10]:
        when = f"its first look was at {moment(at, zone)}: what was there then is no change"
        print(f"  (note) {plain(name)}: {when if at is not None else 'its accounts were never read'}")
    if len(first) > 10:
        print(f"  (note) and {len(first) - 10} more instances were not known at the beginning")


def unheard_of(privilege: str, state: AccountState) -> None:
    """That nobody has a right may be a slip of the keys: say so where no right of that name is held at all."""
    if not any(grant.privilege.upper() == privilege for grant in state.grants.values()):
        print(f"  (note) nobody holds any right named {plain(privilege)} here: is it written as the server writes it?")


def sessions(found: Sequence[WorkSession], zone: tzinfo) -> None:
    if not found:
        print("nothing has been recorded yet")
        return
    rows = [
        [moment(s.started_at, zone), "" if s.finished_at is None or s.started_at is None
         else f"{(s.finished_at - s.started_at).total_seconds():,.1f}", s.state, plain(s.work), str(s.items),
         str(s.finished), str(s.failed + s.lost), plain(s.asked_by), plain(s.run_id)]
        for s in found
    ]  # fmt: skip
    table([f"began ({zone})", "seconds", "state", "work", "items", "good", "bad", "asked by", "run"], rows)


def session_items(found: Sequence[WorkItem]) -> None:
    rows = [[s.outcome, plain(s.work), plain(s.item), plain(_came_of(s.report))] for s in found]
    table(["outcome", "work", "item", "what came of it"], rows)


def _came_of(report: Mapping[str, object]) -> str:
    if "error" in report:
        return str(report["error"])
    return of_fleet(report) if "state" in report else str(report.get("mode", ""))
