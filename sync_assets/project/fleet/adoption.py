"""Adopting and retiring: what the YAML and the table of servers say now, carried into the control database.

A table that cannot be read, or that suddenly lists far fewer servers, changes nothing, and says so. A row that cannot
be understood neither adopts nor retires its instance. Whoever may write that table decides where the logins of the
fleet are sent; what it holds is never taken for a reference to a variable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from pydantic import ValidationError

from sync_assets.engine.errors import Stop, SyncError
from sync_assets.project.deployment import PlacedFleet, Project
from sync_assets.project.fleet.members import PORTS, of_yaml
from sync_assets.project.fleet_spec import FleetInstance, InstanceTable
from sync_assets.project.wording import troubles
from sync_assets.store.control import PostgresStore, storable
from sync_assets.store.fleet.instances import InstanceStore, Listed

_COLUMNS = ("name", "type", "host", "port", "database", "login", "title", "volume")
_ALIASES = {"mariadb": "mysql", "postgresql": "postgres", "mssql": "sqlserver"}
_MOST = 20_000  # rows; a fleet has at most some thousand servers, and a wrong table may have any number


@dataclass(frozen=True, slots=True)
class Adopted:
    """What a look changed. `present` are the names that belong to the fleet today, sorted; `trouble` says what of the
    table of servers could not be followed: nobody was retired for it."""

    present: tuple[str, ...]
    adopted: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    trouble: SyncError | None = None


@dataclass(slots=True)
class Table:
    """What the table of servers came to. `keep` are names that must not be retired for it."""

    listed: list[Listed] = field(default_factory=list)
    keep: set[str] = field(default_factory=set)
    trouble: SyncError | None = None


def look_up(project: Project, fleet: PlacedFleet, store: PostgresStore, today: date) -> Adopted:
    """Adopt what is new, retire what has left. `today` is the day in the fleet's zone.

    Raises `Retry` or `Stop` for trouble with the control database only; that of the table of servers is in `trouble`.
    """
    instances = InstanceStore(store.sessions)
    written = [_written(project, fleet, one) for one in fleet.spec.instances]
    table = _looked(project, fleet, instances, today)
    own = {one.name for one in written}
    listed = [*written, *(one for one in table.listed if one.name not in own)]
    settled = instances.settle(fleet.name, listed, today, table.keep)
    return Adopted(settled.present, settled.adopted, settled.retired, table.trouble)


def _written(project: Project, fleet: PlacedFleet, one: FleetInstance) -> Listed:
    member = of_yaml(project, fleet, one)
    return Listed(
        member.name,
        member.engine,
        member.title,
        member.address,
        member.volume,
        adopted_on=one.adopted_on,
        retired_on=one.retired_on,
    )


def _looked(project: Project, fleet: PlacedFleet, instances: InstanceStore, today: date) -> Table:
    """What the table of servers says, or why it is not followed."""
    source = fleet.spec.instances_from
    if source is None:
        return Table()
    kept = instances.instances(fleet.name)
    known = {o.name for o in kept if o.origin == "table" and o.adopted_on and (o.retired_on or date.max) > today}
    try:
        found = listed_by_table(project, fleet, known)
    except SyncError as error:
        return Table(keep=known, trouble=error)
    left = known & ({one.name for one in found.listed} | found.keep)
    if known and len(left) < source.keep_above * len(known):
        text = (
            f"{fleet.name}: the table of servers lists {len(left)} of {len(known)} known instances: it was not followed"
        )
        hint = "look at the table; if they have all left, set keep_above: 0 for one look"
        return Table(keep=known, trouble=Stop(text, hint=hint, code="keep_above"))
    return found


def listed_by_table(project: Project, fleet: PlacedFleet, known: set[str]) -> Table:
    """What the table of servers lists now; `known` are the names that could be meant by a row without a usable one.

    Raises `Stop` or `Retry` for a table that cannot be read at all.
    """
    source = fleet.spec.instances_from
    return Table() if source is None else _understood(fleet, _rows(project, fleet, source), known)


def _rows(project: Project, fleet: PlacedFleet, table: InstanceTable) -> list[dict[str, Any]]:
    """The rows of the table by the names of the columns that are known. Raises `Stop`, `Retry`."""
    from sync_assets.project.connect import open_database
    from sync_assets.sources.sql import SqlSource

    where = f"{fleet.name}: the table of servers"
    database = open_database(project, table.connection)
    try:
        source = SqlSource(where, database, table=table.table, query=table.query, time_zone=fleet.time_zone)
        columns = {c.name.lower(): c.name for c in source.describe() if c.name.lower() in _COLUMNS}
        for name in ("name", "type", "host"):
            if name not in columns:
                hint = f"it needs name, type and host, and may have {', '.join(_COLUMNS[3:])}"
                raise Stop(f"{where} has no column {name}", hint=hint, code="columns")
        rows: list[dict[str, Any]] = []
        for batch in source.read(columns=list(columns.values())):
            names = [n.lower() for n in batch.columns]
            rows += ({n: v for n, v in zip(names, row, strict=True) if n in columns} for row in batch.rows)
            if len(rows) > _MOST:
                raise Stop(f"{where} has more than {_MOST} rows", hint="is it the right table?", code="rows")
        return rows
    finally:
        database.close()


def _understood(fleet: PlacedFleet, rows: Sequence[Mapping[str, Any]], known: set[str]) -> Table:
    """Rows as instances. Those that cannot be understood are told by their number in the table's order."""
    found, bad, nameless = Table(), list[str](), False
    names: dict[str, int] = {}
    for number, row in enumerate(rows, 1):
        said = {name: _plain(value) for name, value in row.items() if value not in (None, "")}
        name = storable(str(said.get("name", "")))
        names[name] = names.get(name, 0) + 1
        wrong = "name" if names[name] > 1 else next(_wrong(fleet, said), None)
        if wrong is None:
            found.listed.append(_listed(said))
            continue
        bad.append(f"{number} ({wrong})")
        found.keep.add(name)
        nameless = nameless or (wrong == "name" and names[name] == 1)
    if bad:
        if nameless:  # whose row it is cannot be told: any of those that are known
            found.keep |= known
        text = f"{fleet.name}: the table of servers has rows that cannot be used: {', '.join(bad[:10])}"
        found.trouble = Stop(text, hint="mend what is named in brackets; the other rows were followed", code="rows")
    return found


def _plain(value: object) -> object:
    """Numbers of the driver's kinds (a decimal, say) as pydantic takes them."""
    return value.strip() if isinstance(value, str) else value if isinstance(value, int) else str(value)


def _wrong(fleet: PlacedFleet, said: dict[str, object]) -> Iterator[str]:
    """The columns of a row that cannot be used. `type` is brought into our words on the way."""
    kind = str(said.get("type", "")).lower()
    said["type"] = _ALIASES.get(kind, kind)
    if isinstance(said.get("port"), str) and str(said["port"]).isdecimal():
        said["port"] = int(str(said["port"]))
    yield from (name for name, value in said.items() if str(value).startswith("env:"))
    try:
        one = FleetInstance.model_validate(said)
    except ValidationError as error:
        yield next((str(t.loc[0]) for t in troubles(error, FleetInstance, said) if t.loc), "name")
        return
    if one.login not in fleet.spec.logins:
        yield "login"


def _listed(said: Mapping[str, object]) -> Listed:
    one = FleetInstance.model_validate(said)
    engine = one.type or ""
    return Listed(
        storable(one.name),
        engine,
        one.title or "",
        f"{one.host}:{one.port or PORTS.get(engine, 0)}",
        one.volume,
        origin="table",
        listed={n: said[n] for n in ("type", "host", "port", "database", "login") if n in said},
    )
