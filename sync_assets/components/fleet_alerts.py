"""Tell a group what is worth telling of a fleet, once for each trouble, and when it is over.

A sensor reads what is published, so that it is told whoever collected it, and nothing is lost with a run that is
killed. Its cursor says up to which look of each instance all was told. What is worth telling is decided by
`fleet.alerts`; must not decide that here.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from sync_assets.components.fleet_assets import Made
from sync_assets.components.fleet_requests import Clock
from sync_assets.components.fleet_retries import may_pass
from sync_assets.components.naming import slug
from sync_assets.components.notices import Notice
from sync_assets.engine.errors import SyncError

if TYPE_CHECKING:
    from sync_assets.fleet.alerts import Settled, Watch
    from sync_assets.project.fleet import Member
    from sync_assets.store.control import PostgresStore
    from sync_assets.store.fleet.accounts import AccountStore
    from sync_assets.store.fleet.history import Newest

_BUDGET = 20.0  # seconds of a tick, of which Dagster gives 60
_LINES = 30  # of one notice


@dataclass(slots=True)
class Told:
    """What a tick need not look at again: the newest look of each instance, and how many sizes of which day."""

    accounts: dict[str, str] = field(default_factory=dict)  # instance -> moment from which its state was valid
    sizes: str = ""

    @staticmethod
    def read(text: str | None) -> Told:
        data = json.loads(text) if text else {}
        return Told(data.get("accounts", {}), data.get("sizes", ""))

    def write(self) -> str:
        return json.dumps({"accounts": self.accounts, "sizes": self.sizes}, separators=(",", ":"), ensure_ascii=False)


def alerts(made: Made, now: Clock) -> Callable[[dg.SensorEvaluationContext], dg.SensorResult]:
    """The tick of the sensor. When the group cannot be reached, the next tick says it again."""

    def tick(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        from sync_assets.fleet.alerts import settle_alerts

        told = Told.read(context.cursor)
        members = made.execution.members(made.project, made.fleet)
        with made.execution.open_store() as store:
            seen = list(watches(made, store, members, now(), told))  # all is read before any incident is opened
            settled = settle_alerts(store, seen)
            try:
                _tell(made, settled)
            except SyncError:
                for alert in settled.new:  # nobody knows of it yet
                    store.close_incident(alert.incident)
                raise
        said = f"{len(settled.new)} new, {len(settled.over)} over"
        return dg.SensorResult(cursor=told.write(), skip_reason=said)

    return tick


def watches(
    made: Made, store: PostgresStore, members: Mapping[str, Member], moment: datetime, told: Told
) -> Iterator[Watch]:
    """All that was seen since the last tick. `told` is brought up to date on the way."""
    today = moment.astimezone(made.fleet.time_zone).date()
    yield from _published(made, store, members, told)
    yield from _gaps(made, store, members, today)
    yield from _sizes(made, store, today, told)


# -- accounts ---------------------------------------------------------------------------------------------------


def _published(made: Made, store: PostgresStore, members: Mapping[str, Member], told: Told) -> Iterator[Watch]:
    """Looks that were published since: as many as the time of a tick is enough for."""
    from sync_assets.store.fleet.accounts import AccountStore

    accounts, began = AccountStore(store.sessions), time.monotonic()
    for name, newest in accounts.newest(made.fleet.name).items():
        if time.monotonic() - began > _BUDGET:
            return
        if name in members and told.accounts.get(name) != newest.valid_at.isoformat():
            yield _changed(made, accounts, members[name], newest, told.accounts.get(name))
            told.accounts[name] = newest.valid_at.isoformat()


def _changed(made: Made, accounts: AccountStore, member: Member, newest: Newest, since: str | None) -> Watch:
    from sync_assets.fleet.account_alerts import watch_accounts
    from sync_assets.fleet.model import AccountState

    fleet, name, known = made.fleet.name, member.name, set()
    after = accounts.as_of(fleet, name, newest.valid_at).state
    if since is None:
        return watch_accounts(fleet, name, member.engine, AccountState(), after, baseline=True)
    before = accounts.as_of(fleet, name, datetime.fromisoformat(since))
    known = {key for key, state in newest.sections.items() if state.ok} - set(before.confirmed)
    return watch_accounts(fleet, name, member.engine, before.state, after, new_parts=known)


# -- gaps and sizes ---------------------------------------------------------------------------------------------


def _gaps(made: Made, store: PostgresStore, members: Mapping[str, Member], today: date) -> Iterator[Watch]:
    """Gaps of today that no further try is going to close; of yesterday all, and who has not even a gap: a run that
    never came cannot say so itself. Of days before an instance was known here, nothing: `adopted_on` may be any day."""
    from sync_assets.fleet.alerts import watch_gaps

    fleet, yesterday = made.fleet.name, today - timedelta(days=1)
    now, before = _there(made, store, today), _there(made, store, yesterday)
    scheduled = {"accounts": made.fleet.spec.accounts.schedule, "capacity": made.fleet.spec.capacity.schedule}
    belong = {name for name, one in members.items() if one.belongs(today)}
    awaited = {name for name in belong if _awaited(members[name], yesterday)}
    left = [
        g
        for g in made.execution.gaps(made.fleet, yesterday)
        if g.instance in belong and members[g.instance].known(yesterday)
    ]
    final = [g for g in made.execution.gaps(made.fleet, today) if g.instance in belong and not may_pass(g)]
    for kind, present in now.items():
        lost = awaited - before[kind] if scheduled[kind] else set[str]()
        yield watch_gaps(fleet, yesterday, kind, left, present, lost)
        yield watch_gaps(fleet, today, kind, final, present)


def _awaited(member: Member, day: date) -> bool:
    """Whether a day without anything is told: the first one may have begun after the hour of its collection."""
    before = day - timedelta(days=1)
    return member.belongs(before) and member.known(before)


def _there(made: Made, store: PostgresStore, day: date) -> dict[str, set[str]]:
    """Instances that have the day's accounts (or later ones), and those that have its capacity."""
    from sync_assets.store.fleet.accounts import AccountStore

    newest = AccountStore(store.sessions).newest(made.fleet.name)
    looked = {name for name, one in newest.items() if one.day >= day}
    return {"accounts": looked, "capacity": set(made.execution.present(made.fleet, day))}


def _sizes(made: Made, store: PostgresStore, today: date, told: Told) -> Iterator[Watch]:
    """Growth, and disks that will be full: when there are more sizes of today than at the last tick."""
    from sync_assets.fleet.alerts import watch_full, watch_growth
    from sync_assets.store.fleet.capacity import CapacityStore
    from sync_assets.store.fleet.periods import PeriodStore

    limits, fleet = made.fleet.spec.capacity_alerts, made.fleet.name
    days = CapacityStore(store.sessions).series(fleet, today - timedelta(days=limits.days), today + timedelta(days=1))
    state = f"{today}:{sum(one.day == today for one in days)}"
    if state == told.sizes:
        return
    told.sizes = state
    series: dict[str, list[tuple[date, int | None]]] = {}
    for one in days:
        series.setdefault(one.instance, []).append((one.day, one.bytes))
    for name, sizes in series.items():
        yield watch_growth(
            fleet, name, today, sizes, share=limits.growth_share, size=limits.growth, days=limits.days
        )  # fmt: skip
    for name, one_forecast in PeriodStore(store.sessions).forecasts(fleet).items():
        yield watch_full(fleet, name, one_forecast, within=limits.full_within)


# -- telling ----------------------------------------------------------------------------------------------------


def _tell(made: Made, settled: Settled) -> None:
    """One notice for what is new, one for what is over."""
    from sync_assets.fleet.alerts import summed_up

    title, bot = made.fleet.spec.title or made.fleet.name, made.fleet.spec.alerts or ""
    for lines, what, over in ((summed_up(settled.new), "new", False), (list(settled.over), "over", True)):
        if lines:
            more = [f"and {len(lines) - _LINES} more: see the fleet's report"] if len(lines) > _LINES else []
            head = f"{title}: {len(lines)} {what}"
            notice = Notice(head, (*lines[:_LINES], *more), fleet_link(made.fleet.name), recovered=over)
            made.execution.notify(made.project, bot, notice)


def fleet_link(fleet: str) -> str:
    """Address of the fleet's assets in the UI. SYNC_ASSETS_UI_URL says where the UI is seen from."""
    return f"{os.environ.get('SYNC_ASSETS_UI_URL', 'http://127.0.0.1:3000').rstrip('/')}/asset-groups/{slug(fleet)}"
