"""The instances of a fleet as they can be reached: from the YAML, and from what the table of servers said last.

What cannot be told of one instance (a variable that is not set) is that instance's trouble when it is dialled, and
nobody else's. Dials nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from typing import NoReturn

from sync_assets.databases.base import ConnectionArgs
from sync_assets.engine.errors import Stop
from sync_assets.project.connect import checked, connection_args
from sync_assets.project.deployment import PlacedFleet, Project
from sync_assets.project.fleet_spec import DatabaseFleetSpec, FleetInstance
from sync_assets.project.spec import MySQL, Postgres
from sync_assets.store.address import is_host
from sync_assets.store.control import PostgresStore
from sync_assets.store.fleet.instances import InstanceStore, Listed, Span
from sync_assets.store.secrets import expand, opener

PORTS = {"mysql": 3306, "postgres": 5432, "sqlserver": 1433, "oracle": 1521}
_HOME = {"postgres": "postgres"}  # libpq would take a database of the user's name


@dataclass(frozen=True, slots=True)
class Member:
    """One instance. `adopted_on` is None until it was adopted; `retired_on` is the first day on which it does not
    belong any more. `address` is for people: host:port without a secret, "" where that is not known. `kept`: the
    control database has it. `known_on` is the day since when, which may be long after `adopted_on`; None where that was
    not written down."""

    name: str
    title: str
    engine: str
    address: str
    dial: Callable[[], ConnectionArgs]
    volume: int | None = None
    adopted_on: date | None = None
    retired_on: date | None = None
    known_on: date | None = None
    kept: bool = False

    @property
    def args(self) -> ConnectionArgs:
        """How to reach it. Raises `Stop` where something that the YAML refers to is missing."""
        return self.dial()

    def belongs(self, day: date) -> bool:
        """Whether it is expected on that day, by its newest dates."""
        return self.adopted_on is not None and self.adopted_on <= day and (self.retired_on or date.max) > day

    def known(self, day: date) -> bool:
        """Whether anything of that day could have been observed here, had anybody tried."""
        return self.kept and (self.known_on is None or self.known_on <= day)

    @property
    def unobserved(self) -> date | None:
        """The last day on which it belonged to the fleet and nothing of it could have been observed here, if any."""
        if self.known_on is None or self.adopted_on is None:
            return None
        until = min(self.known_on, self.retired_on or self.known_on)
        return until - timedelta(days=1) if self.adopted_on < until else None


def members(project: Project, fleet: PlacedFleet, store: PostgresStore) -> Mapping[str, Member]:
    """All instances that are or were in the fleet, by name, with their newest dates. Raises `Retry`, `Stop`."""
    kept = {one.name: one for one in InstanceStore(store.sessions).instances(fleet.name)}
    written = {one.name: of_yaml(project, fleet, one) for one in fleet.spec.instances}
    found = {name: of_store(fleet, one) for name, one in kept.items() if name not in written}
    for name, member in written.items():
        found[name] = _dated(member, kept[name]) if name in kept else member
    return dict(sorted(found.items()))


def nobody(fleet: PlacedFleet, day: date, spans: Mapping[str, Sequence[Span]]) -> Stop:
    """What to say of a day on which the fleet has no instance."""
    began = min((span.adopted_on for some in spans.values() for span in some), default=None)
    if began is None:
        hint = f"sync-assets fleet collect {fleet.name} accounts, and the same with capacity"
        return Stop(f"nothing is known of the fleet {fleet.name} yet", hint=hint, code="unknown")
    hint = f"its first instance was adopted on {began}: give a later day" if day < began else "all of them have left it"
    return Stop(f"no instance belongs to the fleet {fleet.name} on {day}", hint=hint, code="unknown")


def _dated(member: Member, kept: Listed) -> Member:
    return replace(member, adopted_on=kept.adopted_on, retired_on=kept.retired_on, known_on=kept.known_on, kept=True)


def of_yaml(project: Project, fleet: PlacedFleet, one: FleetInstance) -> Member:
    """An instance as it is written in the YAML."""
    dial: Callable[[], ConnectionArgs] = partial(args_of, fleet.spec, one)
    engine: str = one.type or ""
    if one.connection is not None:
        engine, dial = project.connection(one.connection).type, partial(_by_connection, project, one)
    return Member(
        one.name, one.title or "", engine, _address(project, one), dial, one.volume, one.adopted_on, one.retired_on
    )


def of_store(fleet: PlacedFleet, one: Listed) -> Member:
    """One that the table of servers listed, or that has left the YAML."""
    listed = one.origin == "table" and one.listed
    reach: Callable[[], ConnectionArgs] = partial(_by_table, fleet.spec, one) if listed else partial(_left, one.name)
    return _dated(Member(one.name, one.title, one.engine, one.address, reach, one.volume), one)


def _by_table(spec: DatabaseFleetSpec, one: Listed) -> ConnectionArgs:
    return args_of(spec, FleetInstance.model_validate({"name": one.name, **one.listed}))


def _left(name: str) -> NoReturn:
    raise Stop(f"instance {name} is in the YAML no more", hint="write it there again to collect it", code="left")


def _by_connection(project: Project, one: FleetInstance) -> ConnectionArgs:
    return replace(connection_args(project, one.connection or "")[1], name=one.name)


def args_of(spec: DatabaseFleetSpec, one: FleetInstance) -> ConnectionArgs:
    """How to reach an instance that is listed by its address. Raises `Stop` for a variable that is not set."""
    of = f"of instance {one.name}"
    login, engine = spec.logins.get(one.login), one.type or ""
    if login is None:
        raise Stop(f"there is no login {one.login} {of}", hint=f"write it into logins of {spec.name}", code="login")
    port = expand(str(one.port)) if one.port is not None else str(PORTS.get(engine, 0))
    return ConnectionArgs(
        one.name,
        host=checked(expand(one.host or ""), is_host, f"the host {of}", "the name or IP address alone"),
        port=int(checked(port, str.isdecimal, f"the port {of}", "a number")),
        database=expand(one.database or _HOME.get(engine, "")),
        user=expand(login.user),
        open_password=opener(login.password) if login.password else None,
        tls=login.tls,
        ca=login.ca,
    )


def _address(project: Project, one: FleetInstance) -> str:
    """For people, as far as it can be told without opening a secret."""
    if one.connection is not None:
        there = project.connection(one.connection)
        if not isinstance(there, MySQL | Postgres) or there.dsn is not None:
            return f"connection {one.connection}"
        host, port = there.host, str(there.port)
    else:
        host, port = one.host or "", str(one.port or PORTS.get(one.type or "", 0))
    try:
        return f"{expand(host)}:{expand(port)}"
    except Stop:
        return f"{host}:{port}"
