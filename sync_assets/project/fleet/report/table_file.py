"""The same figures as CSV: RFC 4180, UTF-8 with the mark that lets Excel read Chinese.

A text that a spreadsheet would run as a formula gets a ' in front. What is not known is the word "unknown"; what there
cannot be is an empty cell.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from sync_assets.project.fleet.report.accounts import AccountReport, InstanceAccounts, Rights, Topic
from sync_assets.project.fleet.report.accounts_page import change_words, thing
from sync_assets.project.fleet.report.capacity import BACK, CapacityReport, DatabaseGrowth, InstanceSizes, change_over
from sync_assets.project.fleet.report.text import UNKNOWN, moment, visible

BOM = "\ufeff"
# OWASP's list for CSV injection, with the full-width forms that East Asian editions take for the same.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
Cell = str | float | None


def cell(value: Cell) -> str:
    """A cell: numbers as they are, None as unknown, texts without what a spreadsheet would run."""
    if value is None:
        return UNKNOWN
    if not isinstance(value, str):
        return f"{value:.0f}"
    text = visible(value)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) or value.startswith(_FORMULA) else text


def written(head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """A whole file as text."""
    file = io.StringIO(newline="")
    file.write(BOM)
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(head)
    writer.writerows([cell(value) for value in row] for row in rows)
    return file.getvalue()


# -- capacity -------------------------------------------------------------------------------------------------------

CAPACITY_HEAD = (
    "level", "fleet", "instance", "title", "engine", "database", "day", "bytes", "known_bytes",
    *(f"change_{days}_days" for days in BACK), "bytes_a_day", "bytes_a_day_low", "bytes_a_day_high", "volume_bytes",
    "days_to_full", "full_soonest", "full_latest", "days_known", "days_expected", "missing",
)  # fmt: skip


def capacity_table(report: CapacityReport) -> str:
    """The fleet, its instances and all their databases, as rows of one table."""
    return written(CAPACITY_HEAD, [_fleet_row(report), *map(_sizes_row, _with(report)), *_database_rows(report)])


def _with(report: CapacityReport) -> Iterator[tuple[str, InstanceSizes]]:
    return ((report.fleet.name, one) for one in report.instances)


def _fleet_row(report: CapacityReport) -> Sequence[Cell]:
    last = report.days[-1] if report.days else None
    slope = (
        (report.outlook.slope, report.outlook.slope_low, report.outlook.slope_high) if report.outlook else [None] * 3
    )
    lacking = "" if last is None else f"{last.expected - last.present} of {last.expected} instances unknown"
    return [
        "fleet", report.fleet.name, "", report.fleet.spec.title or "", "", "", str(report.day),
        last.bytes if last else None, last.known if last and last.present else None,
        *(change_over(report.complete, days) for days in BACK), *slope, "", "", "", "",
        sum(one.bytes is not None for one in report.days), len(report.days),
        lacking if last is None or last.bytes is None else "",
    ]  # fmt: skip


def _sizes_row(given: tuple[str, InstanceSizes]) -> Sequence[Cell]:
    """Days to full are "never" where it does not grow, and not known without a volume."""
    fleet, one = given
    look, newest, last = one.outlook, one.newest, one.last
    slope = (look.slope, look.slope_low, look.slope_high) if look else [None] * 3
    full: list[Cell] = [None] * 3
    if look and look.volume_bytes is not None and (look.slope is not None or look.days_to_full is not None):
        full = ["never" if n is None else n for n in (look.days_to_full, look.full_soonest, look.full_latest)]
    missing = "; ".join(f"{m.first} to {m.last} {m.reason}" for m in one.missing)
    return [
        "instance", fleet, one.member.name, one.member.title, one.member.engine, "", str(newest) if newest else None,
        one.points[newest] if newest else None, last.known_bytes if last and last.unknown < last.databases else None,
        *(one.change(days) for days in BACK), *slope, one.member.volume, *full, one.present, one.expected, missing,
    ]  # fmt: skip


def _database_rows(report: CapacityReport) -> Iterator[Sequence[Cell]]:
    engines = {one.member.name: one.member.engine for one in report.instances}
    for d in report.databases:
        yield _database_row(report.fleet.name, engines.get(d.instance, ""), d)


def _database_row(fleet: str, engine: str, d: DatabaseGrowth) -> Sequence[Cell]:
    changes: list[Cell] = [d.change if days == 30 else "" for days in BACK]
    head: list[Cell] = ["database", fleet, d.instance, "", engine, d.database, str(d.day), d.bytes, d.bytes]
    return [*head, *changes, *[""] * (len(CAPACITY_HEAD) - len(head) - len(changes))]


# -- accounts -------------------------------------------------------------------------------------------------------

ACCOUNTS_HEAD = ("fleet", "instance", "finding", "account", "what", "detail", "risk", "at", "doubt")
_Line = tuple[str, str, str, str, Cell, str, str]  # from `finding` on


def accounts_table(report: AccountReport) -> str:
    """A row for each finding of each instance. `doubt` says why the list that it is of may be short or old."""
    return written(
        ACCOUNTS_HEAD,
        ([report.fleet.name, one.member.name, *line] for one in report.instances for line in _lines(report, one)),
    )


def _lines(report: AccountReport, one: InstanceAccounts) -> Iterator[_Line]:
    zone = report.fleet.time_zone
    if one.blocked:
        yield "not published", "", "refused by the shrink guard", one.blocked, "", "", ""
    if one.gap:
        yield "not read", "", one.gap.reason, one.gap.message, "", moment(one.gap.recorded_at, zone), ""
    if one.known is None:
        yield "never read", "", UNKNOWN, "no look has been published", "", "", ""
        return
    for key, state in (one.sections or {}).items():
        confirmed = moment(one.known.confirmed.get(key), zone)
        yield "part", "", f"{key} {state.status}", state.reason, "", confirmed, ""
    yield from _found(one)
    yield from _assigned(report, one)
    for logged in one.changes:
        at = moment(logged.at, zone)
        yield "change", logged.change.principal, str(logged.change.kind), change_words(logged), "", at, ""


def _found(one: InstanceAccounts) -> Iterator[_Line]:
    doubts = one.doubts or {}
    can = {True: "can log in", False: "cannot log in", None: f"whether it can log in is {UNKNOWN}"}
    for topic, why in doubts.items():
        yield "incomplete list", "", str(topic), why, "", "", why
    for s in one.strong:
        yield "superuser", s.account, s.path, can[s.usable], "", "", doubts.get(Topic.SUPERUSERS, "")
    for p in one.open:
        detail = "pg_hba.conf decides whether it can log in" if one.member.engine == "postgres" else "can log in"
        yield "no password", p.name, "", detail, "", "", doubts.get(Topic.PASSWORDS, "")
    for name in one.unsure:
        yield "password", name, UNKNOWN, "the server does not tell whether it has one", "", "", ""
    yield from _rights_lines("may be passed on", one.grantable, doubts.get(Topic.GRANTABLE, ""))
    yield from _rights_lines("right of everybody", one.public, doubts.get(Topic.PUBLIC, ""))


def _rights_lines(finding: str, rights: Iterable[Rights], doubt: str) -> Iterator[_Line]:
    for r in rights:
        yield finding, r.account, ", ".join(r.privileges), f"{r.scope} {thing(r.path)}", "", "", doubt


def _assigned(report: AccountReport, one: InstanceAccounts) -> Iterator[_Line]:
    for a in (*one.classes, *one.hints):
        title = report.titles[a.code].title if a.code in report.titles else a.code
        stale = "kept, although it cannot be decided now" if a.stale else ""
        at = moment(a.assigned_at, report.fleet.time_zone)
        yield str(a.kind), a.principal, title, a.note, a.risk, at, stale
    for u in one.undecided:
        yield "not decided", u.principal, u.rule, u.reason, None, "", u.reason
    if one.standing is None and not report.past:
        yield "not classified", "", UNKNOWN, "no rules were asked about this instance yet", "", "", ""
