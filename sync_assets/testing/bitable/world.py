"""All that the emulator remembers: apps, tokens, bases, tables, fields, records, wiki nodes, bots.

Plain values and the few steps that keep them consistent. Knows no HTTP, no JSON, no rule about values.
"""

from __future__ import annotations

import random
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sync_assets.testing.bitable.config import Config

Cells = dict[str, Any]  # field id -> stored value; an empty cell is absent


@dataclass(slots=True)
class Field:
    id: str
    name: str
    type: int
    ui_type: str
    property: dict[str, Any] | None = None
    description: str = ""
    primary: bool = False

    def options(self) -> list[dict[str, Any]]:
        """The options of a select; an empty list for other types."""
        return list((self.property or {}).get("options") or ())


@dataclass(slots=True)
class Record:
    id: str
    cells: Cells
    number: int  # its place in the order of creation, also the auto number
    created: int  # ms
    modified: int  # ms
    touched: float = 0.0  # clock of the page's highlight
    encoded: tuple[object, str] | None = None  # the last projection asked for, and its JSON


@dataclass(slots=True)
class Table:
    id: str
    name: str
    view_id: str
    revision: int = 1
    fields: dict[str, Field] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    numbered: int = 0
    busy: bool = False  # a write holds it
    schema: int = 0  # moves whenever a field changes: encoded records are stale then
    version: int = 0  # moves with every change of records or fields: found lists are stale then
    found: dict[str, tuple[int, list[Record]]] = field(default_factory=dict)
    option_names: dict[str, set[str]] = field(default_factory=dict)  # field id -> names, for quick checks

    def named(self) -> dict[str, Field]:
        return {f.name: f for f in self.fields.values()}

    def known_options(self, select: Field) -> set[str]:
        names = self.option_names.get(select.id)
        if names is None:
            names = self.option_names[select.id] = {o["name"] for o in select.options()}
        return names


@dataclass(slots=True)
class Base:
    token: str
    name: str
    time_zone: str
    revision: int = 1
    advanced: bool = False  # advanced permissions on
    sees_rows: bool = True  # whether apps see rows while advanced permissions are on
    tables: dict[str, Table] = field(default_factory=dict)
    members: dict[str, str] = field(default_factory=dict)  # app id -> edit | read
    everyone: str = "edit"  # right of apps that are not listed; "" for none


@dataclass(slots=True)
class App:
    id: str
    secret: str
    scopes: tuple[str, ...]
    enabled: bool = True


@dataclass(slots=True)
class Node:
    token: str
    obj_token: str
    obj_type: str
    title: str
    members: bool = True  # whether apps may read it


@dataclass(slots=True)
class Bot:
    id: str
    secret: str = ""
    keywords: tuple[str, ...] = ()
    times: deque[float] = field(default_factory=lambda: deque(maxlen=100))


@dataclass(slots=True)
class Message:
    bot: str
    at: float  # seconds since the epoch
    body: dict[str, Any]


@dataclass(slots=True)
class Remembered:
    """What a client_token stands for: the request's digest and, once applied, the ids that it made."""

    digest: bytes
    until: float
    ids: list[str] | None = None  # None while the first request is still under way


@dataclass(slots=True)
class World:
    """One emulated tenant. `clock` measures spans, `now` tells the time of day."""

    config: Config
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    apps: dict[str, App] = field(default_factory=dict)
    tokens: dict[str, tuple[str, float]] = field(default_factory=dict)  # token -> app id, end on `clock`
    current: dict[str, str] = field(default_factory=dict)  # app id -> newest token
    bases: dict[str, Base] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    bots: dict[str, Bot] = field(default_factory=dict)
    messages: deque[Message] = field(default_factory=lambda: deque(maxlen=10_000))
    client_tokens: dict[tuple[str, str], Remembered] = field(default_factory=dict)
    random: random.Random = field(default_factory=random.Random)
    app_id: str = ""

    def __post_init__(self) -> None:
        self.random.seed(self.config.seed)
        self.app_id = self.config.app_id or f"cli_{secrets.token_hex(8)}"
        self.apps[self.app_id] = App(self.app_id, self.config.app_secret, self.config.scopes)

    def milliseconds(self) -> int:
        return int(self.now() * 1000)


def new_id(prefix: str) -> str:
    return prefix + secrets.token_hex(6)


def add_base(world: World, name: str, time_zone: str = "", token: str = "") -> Base:
    base = Base(token or new_id("bascn"), name, time_zone or world.config.time_zone)
    world.bases[base.token] = base
    return base


def add_table(base: Base, name: str, fields: list[Field]) -> Table:
    table = Table(new_id("tbl"), name, new_id("vew"), fields={f.id: f for f in fields})
    base.tables[table.id] = table
    base.revision += 1
    return table


def add_record(world: World, table: Table, cells: Cells) -> Record:
    table.numbered += 1
    moment = world.milliseconds()
    record = Record(new_id("rec"), cells, table.numbered, moment, moment, world.clock())
    table.records[record.id] = record
    return record


def change_record(world: World, record: Record, cells: Cells) -> None:
    """Put `cells` in; None clears."""
    for field_id, value in cells.items():
        if value is None:
            record.cells.pop(field_id, None)
        else:
            record.cells[field_id] = value
    record.modified, record.touched, record.encoded = world.milliseconds(), world.clock(), None


def moved(base: Base, table: Table, *, edit: bool = False, counts: bool = True) -> None:
    """Note that a table changed. A plain cell edit may or may not count for the public revision."""
    table.version += 1
    if not edit or counts:
        table.revision += 1
        base.revision += 1


def schema_moved(base: Base, table: Table) -> None:
    table.schema += 1
    table.option_names.clear()
    moved(base, table)
