"""One look at all accounts of a SQL Server: how each section came out, and the rows of those that are ok.

Sections have the part "" for the server and one for each database. A database that may not be entered, or whose
definitions may not be seen, is `denied`; one that is offline is `unsupported`; one whose piece failed is `error`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from sync_assets.databases.sqlserver import errors
from sync_assets.databases.sqlserver.collect import grants, principals
from sync_assets.databases.sqlserver.collect.probe import SEE_ALL, Probe
from sync_assets.databases.sqlserver.collect.rows import Found, Rows
from sync_assets.fleet.model import AccountReading, SectionKey, SectionName, SectionState, Status

_OK = SectionState(Status.OK)
_RELATIONS = (SectionName.PRINCIPALS, SectionName.MEMBERSHIPS, SectionName.GRANTS)


def refused(probe: Probe, at: datetime) -> AccountReading | None:
    """The reading where the probe says already that nothing can be read, or that what is read would be short."""
    state = probe.unsupported or (None if probe.definitions else SectionState(Status.DENIED, SEE_ALL))
    if state is None:
        return None
    names = (*_RELATIONS, SectionName.DATABASES)
    return AccountReading(probe.server, at, {SectionKey(name): state for name in names}, trips=1)


def reading(probe: Probe, rows: Rows, at: datetime) -> AccountReading:
    """The reading out of the rows of the batch. Rows of a part that is not ok are none."""
    parts = {"": _OK} | {row.part: _database(row, rows) for row in rows.of("database")}
    every = [p for p in (*principals.logins(rows), *principals.users(rows)) if _ok(parts, p.part)]
    joined = {m.key: m for m in principals.memberships(rows) if _ok(parts, m.part)}
    granted = {g.key: g for g in map(grants.grant, rows.of("grant")) if _ok(parts, g.part)}
    counts = {
        SectionName.PRINCIPALS: Counter(p.part for p in every),
        SectionName.MEMBERSHIPS: Counter(m.part for m in joined.values()),
        SectionName.GRANTS: Counter(g.part for g in granted.values()),
    }
    return AccountReading(
        probe.server, at, _sections(parts, counts, probe), tuple(every), tuple(joined.values()),
        tuple(granted.values()), trips=2,
    )  # fmt: skip


def _ok(parts: Mapping[str, SectionState], part: str) -> bool:
    return part in parts and parts[part].ok


def _sections(
    parts: Mapping[str, SectionState], counts: Mapping[SectionName, Counter[str]], probe: Probe
) -> Mapping[SectionKey, SectionState]:
    found = {
        SectionKey(name, part): SectionState(state.status, state.reason, counts[name][part] if state.ok else 0)
        for name in _RELATIONS
        for part, state in parts.items()
    }
    found[SectionKey(SectionName.DATABASES)] = databases_state(probe, len(parts) - 1)
    return found


def databases_state(probe: Probe, count: int) -> SectionState:
    """Whether the list of databases is all of them."""
    if probe.databases or probe.definitions:
        return SectionState(Status.OK, rows=count)
    return SectionState(Status.DENIED, "no right to see all databases: grant view any database to this login")


def _database(row: Found, rows: Rows) -> SectionState:
    """Of row: a id, b made, c state, d may enter, e may see definitions."""
    number = rows.failure(row.part, "accounts")
    if row.text("c") != "ONLINE":
        return SectionState(Status.UNSUPPORTED, f"the database is {row.text('c').lower()}")
    if not row.flag("d"):
        return SectionState(Status.DENIED, "may not be entered: grant connect any database to this login")
    if number is not None:
        return failed(number)
    if not row.flag("e"):
        return SectionState(Status.DENIED, "definitions may not be seen here: is view definition denied to this login?")
    return _OK


def failed(number: int) -> SectionState:
    """How a section came out whose piece ended with that error."""
    if errors.is_denied(number):
        return SectionState(Status.DENIED, f"a right is missing (error {number}): grant view server state")
    return SectionState(Status.ERROR, f"the server refused a question (error {number})")
