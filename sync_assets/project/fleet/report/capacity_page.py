"""A capacity report as a page. Every number that is not complete says so beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from sync_assets.fleet.forecast import CONFIDENCE, LEAST_DAYS, Forecast
from sync_assets.project.fleet.report.capacity import (
    BACK,
    NOT_ASKED,
    NOT_OBSERVED,
    TOP,
    CapacityReport,
    FleetDay,
    InstanceSizes,
    change_over,
)
from sync_assets.project.fleet.report.page import Html, card, document, joined, named, table, tag
from sync_assets.project.fleet.report.plot import plot, spark
from sync_assets.project.fleet.report.text import UNKNOWN, change, moment, share, size

_PLOTS = 24  # instances with a picture of their own
_SOON = 30  # days to full that are marked
_FAR = 3650  # and from where on they are not told apart
_WHY = {
    NOT_ASKED: "no run tried, or none has finished yet",
    NOT_OBSERVED: "before the first look: it belonged to the fleet, and nobody was asked for its sizes here",
}


def capacity_page(report: CapacityReport, written: str) -> str:
    """The whole file; `written` says when and of which time zone."""
    title = f"Capacity of {report.fleet.spec.title or report.fleet.name}, {report.day}"
    return document(
        title,
        tag("h1", "Capacity: ", named(report.fleet.spec.title or report.fleet.name)),
        tag("p", f"Fleet {report.fleet.name}, {_as_of(report)}. {written}", class_="soft"),
        tag("div", *_cards(report), class_="cards"),
        *_whole(report),
        *_instances(report),
        *_missing(report),
        *_largest(report),
        *_reading(),
    )


def _as_of(report: CapacityReport) -> str:
    """What the figures of the last day are: those of its end only when it is over."""
    if report.over:
        return f"at the end of {report.day}"
    if report.looked_at is None:
        return f"{report.day} so far, without a look yet"
    return f"{report.day} so far, latest look {moment(report.looked_at, report.fleet.time_zone)}"


# -- the fleet ------------------------------------------------------------------------------------------------------


def _cards(report: CapacityReport) -> Iterator[Html]:
    last = report.days[-1] if report.days else None
    yield card(_total(last), "total of the fleet", _total_note(last))
    for days in BACK[:2]:
        newest = max(report.complete, default=None)
        note = f"to {newest}" if newest and newest != report.day else ""
        yield card(_known(change_over(report.complete, days)), f"change in {days} days", note)
    present = sum(one.present for one in report.instances)
    expected = sum(one.expected for one in report.instances)
    yield card(share(present, expected), "of expected days known", f"{present:,} of {expected:,} days of instances")
    full = [one for one in report.instances if one.outlook and one.outlook.days_to_full is not None]
    soon = min(full, key=lambda one: _fill(one.outlook), default=None)
    without = sum(one.member.volume is None for one in report.instances)
    note = named(soon.member.name) if soon else (f"{without} instances have no volume in the YAML" if without else "")
    yield card(_days(soon.outlook) if soon else UNKNOWN, "until the first volume is full", note)


def _fill(outlook: Forecast | None) -> float:
    return outlook.days_to_full if outlook and outlook.days_to_full is not None else float("inf")


def _total(last: FleetDay | None) -> Html:
    return _known(last.bytes if last else None, sign=False)


def _total_note(last: FleetDay | None) -> str:
    if last is None:
        return "nothing was expected"
    if last.bytes is not None:
        return f"{last.expected} instances, all known"
    return f"not complete: {size(last.known)} in {last.present} of {last.expected} instances"


def _known(number: float | None, sign: bool = True) -> Html:
    if number is None:
        return tag("span", UNKNOWN, class_="warn")
    return joined(change(number) if sign else size(number))


def _whole(report: CapacityReport) -> Iterator[Html]:
    yield tag("h2", "The fleet over time")
    partly = {one.day: one.known for one in report.days if one.bytes is None and one.present}
    picture = plot(report.complete, "total of the fleet by day", atleast=partly, width=1180, height=250)
    yield tag("div", picture, class_="plot")
    if partly:
        words = "Hollow dots: not all instances are known on that day, so the total is at least this."
        yield tag("p", words, class_="note")
    yield tag("p", _slope_words(report.outlook))


def _slope_words(outlook: Forecast | None) -> str:
    if outlook is None or outlook.slope is None:
        days = outlook.days if outlook else 0
        return f"Growth a day is unknown: it needs {LEAST_DAYS} days on which all is known, and there are {days}."
    return f"Growth a day: {_slope(outlook)}, from {outlook.days} days on which all is known."


def _rate(outlook: Forecast | None) -> Html:
    if outlook is None or outlook.slope is None:
        return _known(None)
    low_to_high = f"{change(outlook.slope_low)} to {change(outlook.slope_high)}"
    return joined(change(outlook.slope), tag("div", low_to_high, class_="soft"))


def _slope(outlook: Forecast | None) -> str:
    if outlook is None or outlook.slope is None or outlook.slope_low is None or outlook.slope_high is None:
        return UNKNOWN
    return f"{change(outlook.slope)} ({change(outlook.slope_low)} to {change(outlook.slope_high)})"


# -- instances ------------------------------------------------------------------------------------------------------

_HEAD = ["instance", "last size", "day", *(f"change, {n} days" for n in BACK), "growth a day (low to high)", "volume",
         "days to full (soonest to latest)", "days known", "growth"]  # fmt: skip


def _instances(report: CapacityReport) -> Iterator[Html]:
    yield tag("h2", f"Instances ({len(report.instances)})")
    ordered = sorted(report.instances, key=lambda one: (_fill(one.outlook), -_last(one), one.member.name))
    yield table(_HEAD, (_row(one, report.day) for one in ordered), "kndnnnnnnn")
    shown = [one for one in ordered if len(one.points) > 1][:_PLOTS]
    if shown:
        yield tag("div", *(_figure(one) for one in shown), class_="plots")
    rest = sum(len(one.points) > 1 for one in ordered) - len(shown)
    if rest > 0:
        yield tag("p", f"{rest} more instances have no picture here: first those that fill soonest, then the largest.")


def _last(one: InstanceSizes) -> int:
    return one.points[one.newest] if one.newest else -1


def _row(one: InstanceSizes, day: date) -> Sequence[object]:
    newest = one.newest
    return [
        joined(named(one.member.name), *_about(one)),
        _last_size(one),
        joined(newest) if newest == day else tag("span", newest or "never", class_="warn"),
        *(_known(one.change(days)) for days in BACK),
        _rate(one.outlook),
        size(one.member.volume),
        _full(one.outlook),
        joined(f"{one.present} of {one.expected}", tag("div", share(one.present, one.expected), class_="soft")),
        spark(one.points),
    ]


def _about(one: InstanceSizes) -> Iterator[Html]:
    words = [one.member.title, one.member.engine]
    words += [f"left the fleet on {one.member.retired_on}"] if one.member.retired_on else []
    yield tag("div", ", ".join(filter(None, words)), class_="soft")


def _last_size(one: InstanceSizes) -> Html:
    """The newest known total, and what the newest look could not tell."""
    known = _known(one.points[one.newest] if one.newest else None, sign=False)
    last = one.last
    if last is None or last.bytes is not None:
        return known
    note = f"{last.day}: {last.unknown} of {last.databases} databases without a size"
    atleast = f", at least {size(last.known_bytes)}" if last.known_bytes else ""
    return joined(known, tag("div", note, atleast, class_="warn"))


def _full(outlook: Forecast | None) -> Html:
    if outlook is None or outlook.volume_bytes is None:
        return tag("span", f"{UNKNOWN}: no volume" if outlook else UNKNOWN, class_="soft")
    if outlook.days_to_full is None:
        words = UNKNOWN if outlook.slope is None else f"never at this rate{_soonest(outlook)}"
        return tag("span", words, class_="soft")
    kind = "bad strong" if outlook.days_to_full <= _SOON else ""
    return joined(tag("span", _days(outlook), class_=kind), tag("div", _interval(outlook), class_="soft"))


def _days(outlook: Forecast | None) -> str:
    days = outlook.days_to_full if outlook else None
    return UNKNOWN if days is None else "full now" if days <= 0 else f"{_far(days)} days"


def _far(days: float) -> str:
    """Nobody's growth is known for ten years."""
    return f"{days:,.0f}" if days < _FAR else "more than 3,650"


def _soonest(outlook: Forecast) -> str:
    return f"; soonest {_far(outlook.full_soonest)} days" if outlook.full_soonest is not None else ""


def _interval(outlook: Forecast) -> str:
    if not outlook.days_to_full or outlook.full_soonest is None:
        return ""
    if outlook.full_soonest >= _FAR:
        return ""
    return (
        f"{_far(outlook.full_soonest)} to {_far(outlook.full_latest) if outlook.full_latest is not None else 'never'}"
    )


def _figure(one: InstanceSizes) -> Html:
    label = f"size of {one.member.name} by day"
    return tag("figure", tag("figcaption", named(one.member.name)), plot(one.points, label, limit=one.member.volume))


# -- what is missing, what is large ---------------------------------------------------------------------------------


def _missing(report: CapacityReport) -> Iterator[Html]:
    yield tag("h2", "What is missing")
    rows = [
        [named(one.member.name), f"{gap.first}" if gap.days == 1 else f"{gap.first} to {gap.last}", f"{gap.days:,}",
         gap.reason, gap.message or _WHY.get(gap.reason, "")]
        for one in report.instances for gap in one.missing
    ]  # fmt: skip
    if not rows:
        yield tag("p", "Nothing: every instance has a total for every day on which it belongs to the fleet.")
        return
    yield table(["instance", "days", "number", "reason", "what happened"], rows, "tdnt")
    asked = any(gap.reason == NOT_ASKED for one in report.instances for gap in one.missing)
    if asked:
        words = "A size exists only while it can be read: a day that was not collected cannot be made up later."
        yield tag("p", words, class_="note")


def _largest(report: CapacityReport) -> Iterator[Html]:
    yield tag("h2", "The largest databases")
    unsized = sum(d.bytes is None for d in report.databases)
    rows = [
        [named(d.database), named(d.instance), _known(d.bytes, sign=False), _known(d.change), d.day]
        for d in report.databases if d.bytes is not None
    ][:TOP]  # fmt: skip
    yield table(["database", "instance", "size", "change, 30 days", "day"], rows, "ttnnd")
    if unsized:
        yield tag("p", f"{unsized} more databases have no known size and may be larger.", class_="warn")
    yield tag("h2", "The largest tables")
    if not report.tables:
        yield tag("p", "No sizes of tables are known.")
        return
    tables = [
        [named(".".join(filter(None, (t.table.schema, t.table.name)))), named(t.table.database), named(t.instance),
         size(t.table.bytes), UNKNOWN if t.table.rows is None else f"{t.table.rows:,}", t.day]
        for t in report.tables
    ]  # fmt: skip
    yield table(["table", "database", "instance", "size", "rows (estimate)", "day"], tables, "tttnnd")


def _reading() -> Iterator[Html]:
    yield tag("h2", "How to read this")
    yield tag(
        "p",
        "Sizes are bytes on disk of all databases of an instance, without logs. A total is there only when each of its "
        "parts is known. A change compares exactly two days: if one of them is not known, neither is the change.",
    )
    yield tag(
        "p",
        f"Growth a day is the median of the slopes between all pairs of up to 90 days (Theil-Sen), with an interval of "
        f"{CONFIDENCE:.0%}; it needs {LEAST_DAYS} days. Days to full assume that growth goes on like that and that the "
        "volume holds nothing but these databases: logs, temporary files and other tenants fill it sooner.",
    )
