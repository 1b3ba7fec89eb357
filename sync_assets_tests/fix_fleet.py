"""Fixtures of the fleet: a migrated control database with an adopted instance, and readings made by hand."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import psycopg
import pytest

from sync_assets.fleet.model import (
    AccountReading,
    Grant,
    Membership,
    Principal,
    PrincipalKind,
    SectionKey,
    SectionName,
    SectionState,
    ServerFact,
    Status,
)
from sync_assets.store.address import Address
from sync_assets.store.control import PostgresStore

SERVER = ServerFact("postgres", "PostgreSQL", (15, 20))
MORNING = datetime(2026, 3, 3, 17, 0, tzinfo=UTC)  # 01:00 of 4 March in Shanghai


@dataclass(frozen=True)
class FleetBox:
    """A control database with one fleet in it. `instance` is adopted; `adopt` takes in more."""

    store: PostgresStore
    address: Address
    fleet: str = "servers"
    instance: str = "订单库"

    def adopt(self, *instances: str, engine: str = "postgres", day: date = date(2026, 1, 1)) -> None:
        with psycopg.connect(**self.address.arguments()) as connection, connection.cursor() as cursor:
            cursor.executemany(
                "insert into sync_assets.fleet_instance (fleet, instance, engine) values (%s, %s, %s)",
                [(self.fleet, name, engine) for name in instances],
            )
            cursor.executemany(
                "insert into sync_assets.fleet_span (fleet, instance, adopted_on) values (%s, %s, %s)",
                [(self.fleet, name, day) for name in instances],
            )

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a query of its own connection sees."""
        with psycopg.connect(**self.address.arguments()) as connection:
            return connection.execute(statement.encode(), values or None).fetchall()

    def published(self) -> str:
        """Everything that readers of the accounts see, as text: two of these are equal byte for byte, or not."""
        snapshot = "snapshot in (select id from sync_assets.fleet_snapshot where state = 'published')"
        tables = {"principal": "true", "membership": "true", "grant": "true", "section": snapshot, "change": snapshot,
                  "snapshot": "state = 'published'"}  # fmt: skip
        asked = (
            f"select t::text from sync_assets.fleet_{name} t where {which} order by 1" for name, which in tables.items()
        )
        return "\n--\n".join("\n".join(row[0] for row in self.rows(query)) for query in asked)


@pytest.fixture
def fleet_box(store: PostgresStore, control_database: Address) -> FleetBox:
    """The control database on PostgreSQL with the fleet ``servers`` and its instance ``订单库``."""
    box = FleetBox(store, control_database)
    box.adopt(box.instance)
    return box


def account(name: str, **facts: Any) -> Principal:
    """A login that may do nothing, changed by `facts`."""
    base = {"kind": PrincipalKind.USER, "can_login": True, "superuser": False, "locked": False}
    return Principal(name, **{**base, **facts})


def account_reading(
    principals: Iterable[Principal] = (), grants: Iterable[Grant] = (), memberships: Iterable[Membership] = (), *,
    at: datetime = MORNING, bad: Iterable[str] = (), server: ServerFact = SERVER,
) -> AccountReading:  # fmt: skip
    """A reading whose sections are ok, but for those in `bad`: ``principals``, ``grants(part)``."""
    principals, grants, memberships = tuple(principals), tuple(grants), tuple(memberships)
    parts = {("principals", ""), ("memberships", ""), ("grants", ""), ("databases", "")}
    parts |= {("grants", one.part) for one in grants} | {("memberships", one.part) for one in memberships}
    parts |= {("principals", one.part) for one in principals}
    parts |= {
        (found[1], found[2]) for text in bad if (found := re.fullmatch(r"(\w+)(?:\((.+)\))?", text, re.S)) and found[2]
    }
    sections = {SectionKey(SectionName(name), part): SectionState(Status.OK) for name, part in sorted(parts)}
    for key in [key for key in sections if str(key) in set(bad)]:
        sections[key] = SectionState(Status.DENIED, "a right is missing")
    return AccountReading(server, at, sections, principals, memberships, grants)
