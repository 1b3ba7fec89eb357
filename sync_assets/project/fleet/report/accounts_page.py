"""An account report as a page: first what a manager needs of the whole fleet, then each instance with its evidence.

An empty list says "none" only where all it rests on was read; otherwise it says what is not known.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sync_assets.fleet.model import Effect, Grant, Membership, Principal, Status
from sync_assets.fleet.rules.documents import RuleClass
from sync_assets.project.fleet.report.accounts import (
    CHANGES_DAYS,
    MOST_CHANGES,
    AccountReport,
    InstanceAccounts,
    Rights,
    Topic,
)
from sync_assets.project.fleet.report.page import Html, card, document, joined, named, table, tag
from sync_assets.project.fleet.report.text import UNKNOWN, few, moment
from sync_assets.store.fleet.classes import Assigned
from sync_assets.store.fleet.history import Logged

RISKY = 3  # risks up to this one are listed by account; 1 is the highest
_MOST = 60  # rows of one list; the CSV has all
_SECTIONS = {Status.OK: "good", Status.DENIED: "bad", Status.ERROR: "bad", Status.UNSUPPORTED: "soft"}


def accounts_page(report: AccountReport, written: str) -> str:
    """The whole file; `written` says when and of which time zone."""
    title, at = report.fleet.spec.title or report.fleet.name, moment(report.at, report.fleet.time_zone)
    return document(
        f"Accounts of {title}, {at}",
        tag("h1", "Accounts: ", named(title)),
        tag("p", f"Fleet {report.fleet.name}, as known on {at}. {written}", class_="soft"),
        tag("div", *_cards(report), class_="cards"),
        *_overview(report),
        *_past(report),
        *(tag("section", *_instance(report, at_, one), class_="one", id=f"i{at_}") for at_, one in _numbered(report)),
    )


def _numbered(report: AccountReport) -> Iterable[tuple[int, InstanceAccounts]]:
    return enumerate(report.instances)


def _past(report: AccountReport) -> Iterator[Html]:
    if report.past:
        words = "Classes and hints are kept only as they are now: a report of a past day is without them."
        yield tag("p", words, class_="note")


# -- the fleet ------------------------------------------------------------------------------------------------------


def _cards(report: AccountReport) -> Iterator[Html]:
    seen = [one for one in report.instances if one.known]
    missing = len(report.instances) - len(seen)
    never = tag("span", f"{missing} never read: nothing is said of them", class_="warn") if missing else ""
    yield card(f"{len(seen)} of {len(report.instances)}", "instances known", never)
    for topic, label in ((Topic.SUPERUSERS, "superusers"), (Topic.PASSWORDS, "logins without a password")):
        yield card(f"{sum(len(_of(topic, one)) for one in seen):,}", label, _short(topic, report))
    if not report.past:
        worst = [a for one in seen for a in one.classes if a.risk <= 2]
        accounts = {(a.instance, a.principal) for a in worst}
        unclassified = sum(one.standing is None for one in report.instances)
        yield card(f"{len(accounts):,}", "accounts of risk 1 or 2", _lacking(unclassified))
    changes = sum(len(one.changes) for one in seen)
    short = sum(one.known is None or one.new or len(one.changes) >= MOST_CHANGES for one in report.instances)
    yield card(f"{changes:,}", f"changes in {CHANGES_DAYS} days", _lacking(short, "not known for all of it"))


def _lacking(number: int, what: str = "unknown") -> Html | str:
    return tag("span", f"not complete: {what} in {number} instances", class_="warn") if number else ""


def _of(topic: Topic, one: InstanceAccounts) -> Sequence[object]:
    return {
        Topic.SUPERUSERS: one.strong, Topic.PASSWORDS: _open(one), Topic.GRANTABLE: one.grantable,
        Topic.PUBLIC: one.public,
    }[topic]  # fmt: skip


def _open(one: InstanceAccounts) -> Sequence[Principal]:
    """PostgreSQL lets nobody in by a password that is not there: its rules of access decide, and they are not read."""
    return () if _by_rules(one) else one.open


def _by_rules(one: InstanceAccounts) -> bool:
    return one.member.engine == "postgres"


def _short(topic: Topic, report: AccountReport) -> Html | str:
    """Why a sum over the fleet is not complete."""
    bad = sum(one.known is None or topic in (one.doubts or {}) for one in report.instances)
    if topic is Topic.PASSWORDS:
        bad = sum(
            one.known is None or topic in (one.doubts or {}) or bool(one.unsure) or _by_rules(one)
            for one in report.instances
        )
    return _lacking(bad)


def _overview(report: AccountReport) -> Iterator[Html]:
    yield tag("h2", f"Instances ({len(report.instances)})")
    head = ["instance", "server", "last seen", "accounts", "superusers", "without password", "risk 1 or 2", "changes",
            "what is wrong"]  # fmt: skip
    rows = [_overview_row(report, at, one) for at, one in _numbered(report)]
    yield table(head, rows, "ttdnnnnnt")


def _overview_row(report: AccountReport, at: int, one: InstanceAccounts) -> Sequence[object]:
    name = tag("a", named(one.member.name), href=f"#i{at}")
    if one.known is None:
        why = f"{one.gap.reason}: {one.gap.message}" if one.gap else "no look has been published"
        return [
            name,
            one.member.engine,
            "never",
            *[tag("span", UNKNOWN, class_="warn")] * 5,
            tag("span", why, class_="bad"),
        ]
    risky = len({a.principal for a in one.classes if a.risk <= 2}) if one.standing else UNKNOWN
    return [
        name,
        one.known.server,
        moment(one.known.observed_at, report.fleet.time_zone),
        f"{sum(not p.system for p in one.known.state.principals.values()):,}",
        _count(one, Topic.SUPERUSERS, len(one.strong)),
        _count(one, Topic.PASSWORDS, len(_open(one)), unsure=len(one.unsure)),
        "" if report.past else risky,
        _number_of_changes(one),
        tag("span", *_wrong(one), class_="bad"),
    ]


def _count(one: InstanceAccounts, topic: Topic, number: int, unsure: int = 0) -> Html:
    if topic in (one.doubts or {}) or (topic is Topic.PASSWORDS and _by_rules(one)):
        return tag("span", f"{number} or more" if number else UNKNOWN, class_="warn")
    return joined(f"{number:,}", tag("div", f"{unsure:,} {UNKNOWN}", class_="warn") if unsure else "")


def _wrong(one: InstanceAccounts) -> Iterator[Html]:
    words = [one.blocked and f"not published: {one.blocked}", f"{one.gap.reason}: {one.gap.message}" if one.gap else ""]
    bad = [f"{key} {state.status}" for key, state in (one.sections or {}).items() if _SECTIONS[state.status] == "bad"]
    for text in filter(None, [*words, few(bad, 4)]):
        yield tag("div", text)


# -- one instance ---------------------------------------------------------------------------------------------------


def _instance(report: AccountReport, at: int, one: InstanceAccounts) -> Iterator[Html]:
    about = ", ".join(filter(None, (one.member.title, one.member.engine, one.member.address)))
    yield tag("h2", named(one.member.name))
    yield tag("p", about, class_="soft")
    yield tag("div", *_wrong(one), class_="bad")
    if one.known is None:
        yield tag("p", "Nothing is known of its accounts: no look has been published." + _why(one), class_="warn")
        return
    yield from _sections(report, one)
    yield from _superusers(one)
    yield from _passwords(one)
    if not report.past:
        yield from _classes(report, one)
    yield from _rights(Topic.GRANTABLE, one.grantable, one)
    yield from _rights(Topic.PUBLIC, one.public, one)
    yield from _changes(report, one)


def _why(one: InstanceAccounts) -> str:
    if one.gap is None:
        return ""
    return f" Tried {'once' if one.gap.attempts == 1 else f'{one.gap.attempts} times'}: {one.gap.reason}."


def _heading(topic: Topic, number: int, one: InstanceAccounts) -> Iterator[Html]:
    """A list's title with its number, and what the number does not know."""
    doubt = (one.doubts or {}).get(topic, "")
    shown = f"{number:,}" if number or not doubt else UNKNOWN
    yield tag("h3", f"{topic.capitalize()}: {'at least ' if doubt and number else ''}{shown}")
    if doubt:
        yield tag("p", f"This list may be short or old: {doubt}.", class_="warn")


def _list(head: Sequence[str], rows: Sequence[Sequence[object]], kinds: str = "") -> Iterator[Html]:
    if rows:
        yield table(head, rows[:_MOST], kinds)
    if len(rows) > _MOST:
        yield tag("p", f"and {len(rows) - _MOST:,} more: the CSV of this report has all of them.", class_="note")


def _sections(report: AccountReport, one: InstanceAccounts) -> Iterator[Html]:
    zone, sections = report.fleet.time_zone, one.sections or {}
    confirmed = one.known.confirmed if one.known else {}
    good = sum(state.ok for state in sections.values())
    yield tag("h3", f"What was read: {good} of {len(sections)} parts")
    bad = [(key, state) for key, state in sections.items() if not state.ok]
    rows = [
        [named(str(key)), tag("span", str(state.status), class_=_SECTIONS[state.status]),
         moment(confirmed.get(key), zone), state.reason]
        for key, state in bad
    ]  # fmt: skip
    yield from _list(["part", "newest look", "last confirmed", "why, and what to do"], rows, "ttdt")
    fine = ", ".join(str(key) for key, state in sections.items() if state.ok)
    if fine:
        yield tag("details", tag("summary", f"{good} parts are ok"), tag("p", fine))


def _superusers(one: InstanceAccounts) -> Iterator[Html]:
    yield from _heading(Topic.SUPERUSERS, len(one.strong), one)
    login = {True: "can log in", False: "cannot log in", None: UNKNOWN}
    rows = [[named(s.account), s.path, login[s.usable]] for s in one.strong]
    yield from _list(["account", "by which path", "now"], rows)


def _passwords(one: InstanceAccounts) -> Iterator[Html]:
    if _by_rules(one):
        words = "pg_hba.conf decides who is let in without one, and it is not read."
        more = f" No password is kept for {few([p.name for p in one.open])}." if one.open else ""
        yield tag("h3", f"{Topic.PASSWORDS.capitalize()}: {UNKNOWN}")
        yield tag("p", words, more, class_="soft")
        return
    shown = _open(one)
    yield from _heading(Topic.PASSWORDS, len(shown), one)
    rows = [[named(p.name), "everybody: it has no name" if p.name.startswith("@") else ""] for p in shown]
    yield from _list(["account", "note"], rows)
    if one.unsure:
        names = few(one.unsure)
        yield tag(
            "p", f"{UNKNOWN} of {len(one.unsure):,} accounts, which the server does not tell: {names}.", class_="warn"
        )


def _classes(report: AccountReport, one: InstanceAccounts) -> Iterator[Html]:
    yield tag("h3", "Classes and hints")
    if one.standing is None:
        words = f"Not classified yet: sync-assets fleet classify {report.fleet.name}"
        yield tag("p", words, class_="warn")
        return
    if one.known and one.known.observed_at and one.standing.facts_at < one.known.observed_at:
        words = (
            f"of the look of {moment(one.standing.facts_at, report.fleet.time_zone)}; a newer one is not classified yet"
        )
        yield tag("p", words, class_="warn")
    counts = Counter(code for code, _ in {(a.code, a.principal) for a in one.classes})
    shown = [f"{_title(report.titles, code)}: {n:,}" for code, n in counts.most_common()]
    yield tag("p", ", ".join(shown) or "No account is in a class.")
    risky: dict[str, list[Assigned]] = defaultdict(list)
    for a in one.classes:
        if a.risk <= RISKY:
            risky[a.principal].append(a)
    rows = sorted((min(a.risk for a in some), name, some) for name, some in risky.items())
    yield from _list(["risk", "account", "class", "why"], [_risky(report, *row) for row in rows])
    yield from _hints(report, one)
    yield from _undecided(one)


def _risky(report: AccountReport, risk: int, name: str, some: Sequence[Assigned]) -> Sequence[object]:
    titles = dict.fromkeys(_title(report.titles, a.code) for a in some)
    notes = dict.fromkeys(
        "by hand: " + a.note
        if a.origin == "manual"
        else f"{a.note}{' (old: cannot be decided now)' if a.stale else ''}"
        for a in some
    )
    return [str(risk), named(name), ", ".join(titles), "; ".join(filter(None, notes))]


def _hints(report: AccountReport, one: InstanceAccounts) -> Iterator[Html]:
    """By hint: who it is about, and what to do."""
    found: dict[tuple[int, str], list[Assigned]] = defaultdict(list)
    for hint in one.hints:
        found[hint.risk, hint.code].append(hint)
    rows = []
    for (risk, code), some in sorted(found.items()):
        names = sorted({h.principal for h in some})
        title, advice = _title(report.titles, code), _advice(report.titles, some[0])
        rows.append([str(risk), title, f"{len(names):,}", named(few(names, 12)), advice])
    yield from _list(["risk", "hint", "accounts", "which", "what to do"], rows, "ttntt")


def _title(titles: Mapping[str, RuleClass], code: str) -> str:
    return titles[code].title if code in titles else code


def _advice(titles: Mapping[str, RuleClass], hint: Assigned) -> str:
    return titles[hint.code].advice if hint.code in titles else hint.note


def _undecided(one: InstanceAccounts) -> Iterator[Html]:
    if not one.undecided:
        return
    reasons: dict[str, set[str]] = defaultdict(set)
    for each in one.undecided:
        reasons[each.reason].add(each.principal)
    accounts = {each.principal for each in one.undecided}
    yield tag("h3", f"Not decided: {len(accounts):,} accounts")
    rows = [[reason, f"{len(names):,}", few(sorted(names))] for reason, names in sorted(reasons.items())]
    yield from _list(["why", "accounts", "which"], rows, "tnt")


def _rights(topic: Topic, rights: Sequence[Rights], one: InstanceAccounts) -> Iterator[Html]:
    yield from _heading(topic, len(rights), one)
    rows = [[named(r.account), few(r.privileges), f"{r.scope}", named(thing(r.path))] for r in rights]
    yield from _list(["account", "may", "on a", "named"], rows)


def thing(path: Sequence[str]) -> str:
    return ".".join(path) or "everything"


# -- changes --------------------------------------------------------------------------------------------------------


def _changes(report: AccountReport, one: InstanceAccounts) -> Iterator[Html]:
    yield tag("h3", f"Changes in {CHANGES_DAYS} days: {_number_of_changes(one)}")
    if one.new:
        yield tag("p", "It is known for less than that; what was there at the first look is no change.", class_="note")
    newest = list(reversed(one.changes))
    rows = [[moment(c.at, report.fleet.time_zone), str(c.change.kind), named(c.change.principal), change_words(c)]
            for c in newest]  # fmt: skip
    yield from _list(["published", "what", "account", "of what"], rows, "dttt")


def _number_of_changes(one: InstanceAccounts) -> str:
    return f"{len(one.changes):,}{' or more' if len(one.changes) >= MOST_CHANGES else ''}"


def change_words(logged: Logged) -> str:
    """What a change is about, beside its kind and account."""
    row, before = logged.change.row, logged.change.before
    if isinstance(row, Grant):
        more = " with grant option" if row.grantable else ""
        effect = "" if row.effect is Effect.GRANT else f"{row.effect} of "
        return f"{effect}{row.privilege} on {row.scope} {thing(row.path)}{more}"
    if isinstance(row, Membership):
        return f"role {row.role}{' with admin option' if row.admin else ''}"
    return f"was {before.name}" if isinstance(before, Principal) and before.name != logged.change.principal else ""
