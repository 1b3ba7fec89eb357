"""The vocabulary of a fleet: which servers belong to it, what is collected of them and when, and who is told.

Frozen values that validate whole, like `project.spec`. Loaded only where a deployment has a fleet.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from sync_assets.project.faults import RuleFaults, Trouble
from sync_assets.project.spec import HostName, Port, SecretRef, Slug, Strict, Text, Tls, cron_troubles, zone_troubles

Engine = Literal["mysql", "postgres", "sqlserver", "oracle"]
PeriodName = Literal["week", "month", "quarter"]
# Dagster forbids these in the keys of partitions with two dimensions; "..." it reads as a range.
_FORBIDDEN = re.compile(r"[|,\[\]\x00-\x1f\x7f-\x9f\ud800-\udfff]|\.\.\.")


def _key(text: str) -> str:
    if _FORBIDDEN.search(text) or text != text.strip() or not text:
        raise ValueError("is no name of an instance -> without | , [ ] ... control characters and blanks at its ends")
    return text


InstanceName = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_key)]
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15,
          "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40, "PIB": 2**50}  # fmt: skip
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGTP]?I?B)?\s*", re.IGNORECASE)


def size_in_bytes(text: object) -> object:
    """``500GB``, ``1.5 TiB`` or digits as bytes; what is no text stays as it is. Raises ValueError for another text."""
    if not isinstance(text, str):
        return text
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError("is no size -> bytes, or with a unit: 500GB, 1.5TiB")
    return int(float(match[1]) * _UNITS[(match[2] or "").upper()])


Size = Annotated[int, BeforeValidator(size_in_bytes), Field(gt=0, description="bytes, or 500GB, 1.5TiB")]


class Login(Strict):
    """Who we are on servers that are listed by their address. A role of its own, which can only read catalogs."""

    user: Text
    password: SecretRef | None = None
    tls: Tls = "prefer"
    ca: str | None = None


class FleetInstance(Strict):
    """One server. Either `connection`, or `type` and `host`."""

    name: InstanceName = Field(description="the partition; unique in the fleet; may be Chinese")
    title: str | None = None
    connection: Slug | None = Field(default=None, description="a database connection of the project")
    type: Engine | None = None
    host: HostName | None = None
    port: Port | None = None
    database: Text | None = Field(default=None, description="where to log in; default the server's own")
    login: Slug = Field(default="default", description="one of `logins`")
    volume: Size | None = Field(default=None, description="size of its disk, for days to full")
    adopted_on: date | None = Field(
        default=None, description="expected from this day; default the day it is first seen"
    )
    retired_on: date | None = Field(default=None, description="no longer expected from this day")

    @model_validator(mode="after")
    def _whole(self) -> FleetInstance:
        troubles = list(_instance_troubles(self))
        if troubles:
            raise RuleFaults(troubles)
        return self


def _instance_troubles(one: FleetInstance) -> Iterator[Trouble]:
    by_address = [n for n in ("type", "host", "port", "database") if getattr(one, n) is not None]
    if one.connection is not None and by_address:
        yield Trouble((by_address[0],), "does not go with connection", "drop one of them")
    if one.connection is None:
        for name in ("type", "host"):
            if getattr(one, name) is None:
                yield Trouble((name,), "is missing", "write type and host, or connection")
    if one.adopted_on and one.retired_on and one.retired_on < one.adopted_on:
        yield Trouble(("retired_on",), "is before adopted_on", "correct one of them")


class InstanceTable(Strict):
    """A table that lists the servers: a sensor reads it. Columns: name, type, host; port, database, login, title,
    volume, where it has them. A row that is gone retires its instance."""

    connection: Slug
    table: str | None = Field(default=None, min_length=1)
    query: str | None = Field(default=None, min_length=1, description="one SELECT in place of the table")
    every: int = Field(default=300, ge=30, description="seconds between looks")
    keep_above: float = Field(
        default=0.5, ge=0, le=1, description="retire none when the table lists less than this share of those known"
    )

    @model_validator(mode="after")
    def _whole(self) -> InstanceTable:
        if (self.table is None) == (self.query is None):
            raise RuleFaults(
                [Trouble(("table",), "or query is needed, and not both", "name where the servers are listed")]
            )
        return self


class ShrinkGuard(Strict):
    """How many accounts of an instance may vanish at once: both limits must be passed to be stopped."""

    share: float = Field(default=0.3, ge=0, le=1)
    count: int = Field(default=3, ge=0)


class Accounts(Strict):
    schedule: str | None = Field(default="0 1 * * *", description="cron, in the deployment's time zone; null: by hand")
    shrink_guard: ShrinkGuard = ShrinkGuard()


class Capacity(Strict):
    schedule: str | None = Field(default="0 3 * * *", description="cron, in the deployment's time zone; null: by hand")
    partition_by: Literal["auto", "instance", "group"] = Field(
        default="auto", description="date x instance while that is below 100,000 partitions, else date x group"
    )
    window: int = Field(default=90, ge=7, le=3650, description="days that are shown as partitions")
    groups: int = Field(default=16, ge=1, le=64)
    top_tables: int = Field(default=20, ge=0, le=1000, description="largest tables kept of each database")
    grace: int = Field(
        default=0,
        ge=0,
        le=366 * 24,
        description="hours after its day in which a day may still be collected; marked late",
    )


class Aggregation(Strict):
    periods: list[PeriodName] = Field(default=["week", "month", "quarter"], min_length=1)
    settle: int = Field(default=6, ge=0, description="hours after its end in which a period with gaps is waited for")
    threshold: float = Field(
        default=0.8, gt=0, le=1, description="completeness of both periods below which growth is unknown"
    )


class Classification(Strict):
    rules: list[str] = Field(
        default=["shipped"], min_length=1, description="`shipped`, or files of rules, relative to the YAML"
    )


class CapacityAlerts(Strict):
    growth_share: float | None = Field(default=0.3, gt=0, description="growth within `days`, as a share of the size")
    growth: Size | None = Field(default=None, description="growth within `days`, in bytes")
    days: int = Field(default=3, ge=1, le=90)
    full_within: int | None = Field(default=30, ge=1, description="days until the volume is full")


class DatabaseFleetSpec(Strict):
    """The attributes of ``sync_assets.components.DatabaseFleet``."""

    name: Slug = Field(description="unique in the deployment; what commands take")
    title: str | None = Field(default=None, description="shown in the UI and in alerts; may be Chinese")
    description: str | None = None
    instances: list[FleetInstance] = Field(default_factory=list)
    instances_from: InstanceTable | None = Field(default=None, description="a table that lists the servers")
    logins: dict[Slug, Login] = Field(default_factory=dict, description="by name; `default` where nothing is said")
    accounts: Accounts = Accounts()
    capacity: Capacity = Capacity()
    aggregation: Aggregation = Aggregation()
    classification: Classification = Classification()
    alerts: Slug | None = Field(default=None, description="a feishu_bot connection")
    capacity_alerts: CapacityAlerts = CapacityAlerts()
    time_zone: str | None = Field(
        default=None, description="whose days these are; default SYNC_ASSETS_TIME_ZONE or Asia/Shanghai"
    )
    parallel: int = Field(default=16, ge=1, le=64, description="servers asked at once")
    per_host: int = Field(default=4, ge=1, le=64, description="of these, at most so many on one machine")
    connect_seconds: int = Field(default=5, ge=1, le=60)
    statement_seconds: int = Field(default=60, ge=1, le=3600)
    deadline: int = Field(
        default=300, ge=10, le=3600, description="seconds for one server in one run, retries included"
    )

    @model_validator(mode="after")
    def _whole(self) -> DatabaseFleetSpec:
        troubles = [*_schedule_troubles(self), *zone_troubles(self.time_zone), *_list_troubles(self)]
        if troubles:
            raise RuleFaults(troubles)
        return self


def _schedule_troubles(fleet: DatabaseFleetSpec) -> Iterator[Trouble]:
    for part in ("accounts", "capacity"):
        for trouble in cron_troubles(getattr(fleet, part).schedule):
            yield Trouble((part, *trouble.loc), trouble.message, trouble.hint)


def _list_troubles(fleet: DatabaseFleetSpec) -> Iterator[Trouble]:
    if not fleet.instances and fleet.instances_from is None:
        yield Trouble(("instances",), "is empty", "list servers, or name the table that lists them in instances_from")
    for name, count in Counter(i.name for i in fleet.instances).items():
        if count > 1:
            at = max(n for n, i in enumerate(fleet.instances) if i.name == name)
            yield Trouble(("instances", at, "name"), f"{name} stands {count} times", "give each instance its own name")
    for at, one in enumerate(fleet.instances):
        if one.connection is None and one.login not in fleet.logins:
            yield Trouble(("instances", at, "login"), f"there is no login {one.login}", "write it into logins")
