"""What is worth telling a person: of a publication of accounts, of sizes, of gaps. Pure, but for `settle_alerts`.

Each alert has the name of an incident that stays the same while the trouble lasts, so that it is told once, and its
end as well. What is not known neither opens nor closes anything. Texts hold names in quotes, no values of rows. Must
not know who is told, nor how.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from sync_assets.engine.control import ControlStore

if TYPE_CHECKING:
    from sync_assets.fleet.capacity import Gap
    from sync_assets.fleet.forecast import Forecast

Series = Sequence[tuple[date, int | None]]  # bytes by day; None: not known


class AlertKind(StrEnum):
    BASELINE = "baseline"  # the first look at an instance: what there is
    SUPERUSER = "superuser"
    GROWN = "grown"  # a right of the watched set
    OPEN_LOGIN = "open_login"  # anonymous, or without a password
    BLOCKED = "blocked"  # the guard stopped a publication
    GROWTH = "growth"
    FULL = "full"
    GAP = "gap"


@dataclass(frozen=True, slots=True)
class Alert:
    """`incident` names the trouble; the same trouble has the same name in every run. `subject`: whom it is about."""

    incident: str
    kind: AlertKind
    instance: str
    text: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Watch:
    """What was seen: `alerts` stand now, `over` are the names of incidents that are known to be over.

    `moved` are those of accounts that were renamed, old name to new.
    """

    alerts: tuple[Alert, ...] = ()
    over: tuple[str, ...] = ()
    moved: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Settled:
    """What to tell: alerts that were not told yet, and the last texts of incidents that were open and are over."""

    new: tuple[Alert, ...] = ()
    over: tuple[str, ...] = ()


def incident_name(fleet: str, instance: str, kind: AlertKind, *details: str) -> str:
    """Parts joined by slashes; a slash, a per cent sign or what cannot be shown inside of a part is ``%2F`` and so."""
    return "/".join(("fleet", *(_part(p) for p in (fleet, instance, kind, *details))))


def _part(text: str) -> str:
    return "".join(c if c.isprintable() and c not in "/%" else f"%{ord(c):02X}" for c in text)


def quoted(name: str, most: int = 80) -> str:
    """A name as a message may hold it: in quotes, of one line, not for ever."""
    shown = "".join(c if c.isprintable() and c != '"' else f"\\x{ord(c):02x}" for c in name)
    return f'"{shown}"' if len(shown) <= most else f'"{shown[:most]}..."'


def names_shown(names: Iterable[str], most: int = 10) -> str:
    """Some names, and how many more there are."""
    every = sorted(names)
    rest = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(quoted(n) for n in every[:most]) + rest


# -- sizes


def watch_growth(
    fleet: str, instance: str, day: date, series: Series, *, share: float | None, size: int | None, days: int
) -> Watch:
    """Growth within `days` until `day`, by share or by bytes, whichever is passed first.

    A day without a size is no size of 0: without the day itself, or without any day to compare with, nothing is said.
    Where the first day of the window is missing, the next one stands for it, and less growth is seen than there was.
    """
    known = {d: b for d, b in series if b is not None and day - timedelta(days=days) <= d <= day}
    if day not in known or len(known) < 2:
        return Watch()
    first, name = min(known), incident_name(fleet, instance, AlertKind.GROWTH)
    was, grown = known[first], known[day] - known[first]
    by_share = share is not None and was > 0 and grown >= share * was
    by_size = size is not None and grown >= size
    if grown <= 0 or not (by_share or by_size):
        return Watch(over=(name,))
    part = f", {grown / was:.0%} of it" if was else ""
    span = f"from {first} to {day}"
    text = f"{quoted(instance)} grew by {shown_bytes(grown)}{part}, {span}; it holds {shown_bytes(known[day])} now"
    return Watch((Alert(name, AlertKind.GROWTH, instance, text),))


def watch_full(fleet: str, instance: str, forecast: Forecast | None, *, within: int | None) -> Watch:
    """Whether the volume will be full within so many days. What is not known says nothing."""
    if forecast is None or within is None or forecast.slope is None or forecast.volume_bytes is None:
        return Watch()
    name = incident_name(fleet, instance, AlertKind.FULL)
    left = forecast.days_to_full
    if left is None or left > within:
        return Watch(over=(name,))
    soonest = "" if forecast.full_soonest is None else f", {forecast.full_soonest:.0f} at the soonest"
    text = (
        f"the disk of {quoted(instance)} is full in {left:.0f} days{soonest}, as it grew until {forecast.as_of}: "
        f"{shown_bytes(forecast.last_bytes)} of {shown_bytes(forecast.volume_bytes)} are used"
    )
    return Watch((Alert(name, AlertKind.FULL, instance, text),))


def shown_bytes(count: int) -> str:
    """In decimal units, as disks are sold."""
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if abs(count) >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


# -- gaps


def watch_gaps(
    fleet: str, day: date, kind: str, gaps: Iterable[Gap], present: Collection[str], expected: Collection[str] = ()
) -> Watch:
    """The gaps of a day: an incident an instance, which goes on over the days and ends when one is present again.

    `expected` are the instances that should have something, gap or data, now that the day's collection is done.
    """
    open_gaps = {g.instance: g for g in gaps if g.day == day and g.kind == kind and g.closed_at is None}
    alerts = [_gap(fleet, kind, one) for name, one in sorted(open_gaps.items()) if name not in present]
    for name in sorted(set(expected) - set(present) - set(open_gaps)):
        text = f"{kind} of {quoted(name)} is missing for {day}, and nothing says why"
        alerts.append(Alert(incident_name(fleet, name, AlertKind.GAP, kind), AlertKind.GAP, name, text))
    over = tuple(incident_name(fleet, name, AlertKind.GAP, kind) for name in sorted(present))
    return Watch(tuple(alerts), over)


def _gap(fleet: str, kind: str, gap: Gap) -> Alert:
    name = incident_name(fleet, gap.instance, AlertKind.GAP, kind)
    text = f"{kind} of {quoted(gap.instance)} is missing for {gap.day} ({gap.reason}): {gap.message}"
    return Alert(name, AlertKind.GAP, gap.instance, text)


# -- once an incident


def settle_alerts(store: ControlStore, watches: Iterable[Watch]) -> Settled:
    """Open and close incidents; what was open before is not told again. Raises what the control database raises."""
    new: list[Alert] = []
    over: list[str] = []
    for watch in watches:
        for old, name in watch.moved.items():
            moved = store.close_incident(old)
            if moved is not None:
                store.open_incident(name, moved.message)
        standing = {alert.incident for alert in watch.alerts}
        for name in watch.over:
            closed = store.close_incident(name)
            if closed is not None and name not in standing:
                over.append(closed.message)
        for alert in watch.alerts:
            if store.open_incident(alert.incident, alert.text)[1]:
                new.append(alert)
            if alert.kind is AlertKind.BASELINE:  # news, but no trouble that lasts
                store.close_incident(alert.incident)
    return Settled(tuple(new), tuple(over))


def summed_up(alerts: Iterable[Alert], most: int = 10) -> list[str]:
    """The texts for people: at most so many of a kind of an instance, then how many more, so that one is not lost."""
    groups: dict[tuple[str, AlertKind], list[Alert]] = defaultdict(list)
    for alert in alerts:
        groups[alert.instance, alert.kind].append(alert)
    texts: list[str] = []
    for (instance, kind), some in groups.items():
        texts.extend(alert.text for alert in some[:most])
        if len(some) > most:
            subjects = names_shown((a.subject or a.text for a in some[most:]), most)
            texts.append(f"{len(some) - most} more of this kind ({kind}) on {quoted(instance)}: {subjects}")
    return texts
