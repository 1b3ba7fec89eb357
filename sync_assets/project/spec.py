"""The vocabulary of the YAML files: connections and syncs, as frozen values that validate whole.

Only shapes and rules that one entry can tell by itself are here; what needs other entries, the link or the SQL (a
connection that does not exist, two syncs of one name, a query that writes) is checked in `project.rules`. Secrets
appear as references only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from sync_assets.engine.model import Mode
from sync_assets.engine.tables.job import Changes, Proof
from sync_assets.engine.tables.writing import Policy
from sync_assets.project import cron
from sync_assets.project.faults import RuleFaults, Trouble, nearest
from sync_assets.store.address import is_host

Slug = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=100)]
SecretRef = Annotated[
    str,
    Field(
        pattern=r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+|store:[A-Za-z_][A-Za-z0-9_]*)$",
        description="where the secret is: env:NAME, file:PATH or store:NAME, never the secret itself",
    ),
]
Text = Annotated[str, Field(min_length=1, description="plain text, or env:NAME")]
Port = Annotated[int, Field(ge=1, le=65535)] | Annotated[str, Field(pattern=r"^env:[A-Za-z_][A-Za-z0-9_]*$")]


def _host_name(host: str) -> str:
    if not host.startswith("env:") and not is_host(host):
        raise ValueError("is no name of a host -> the name or IP address alone; port, user and password have fields"
                         " of their own")  # fmt: skip
    return host


def is_app_id(text: str) -> bool:
    return re.fullmatch(r"cli_[A-Za-z0-9_]+", text) is not None


def _app_id(text: str) -> str:
    if not text.startswith("env:") and not is_app_id(text):
        raise ValueError("is no App ID -> cli_..., from 开发者后台 -> 凭证与基础信息 (Credentials & Basic Info)")
    return text


# What stands here is named in messages: whole addresses, which often hold a password, and swapped secrets are not.
HostName = Annotated[Text, AfterValidator(_host_name)]
AppId = Annotated[Text, AfterValidator(_app_id)]

_TLS = ("off", "prefer", "require", "verify")
# YAML 1.1 reads a bare off as false, so false is taken for it, and editors are told so.
Tls = Annotated[
    Literal["off", "prefer", "require", "verify"],
    BeforeValidator(lambda value: "off" if value is False else value),
    WithJsonSchema({"enum": [*_TLS, False], "default": "prefer"}),
]


# Without TLS the app's secret and every row would travel readable, so http is for the emulator on this machine only.
_ADDRESS = re.compile(r"(https://[^/\s@]+|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?)/?")


def is_platform(host: str) -> bool:
    return _ADDRESS.fullmatch(host) is not None


class Strict(BaseModel):
    # Inputs are hidden in errors: a secret written where a reference belongs must not reach a log.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


# -- connections ------------------------------------------------------------------------------------------------


class MySQL(Strict):
    """MySQL or MariaDB."""

    type: Literal["mysql"]
    name: Slug
    dsn: SecretRef | None = None
    host: HostName = "127.0.0.1"
    port: Port = 3306
    database: Text | None = None
    user: Text | None = None
    password: SecretRef | None = None
    tls: Tls = "prefer"
    ca: str | None = None
    socket: Text | None = None

    @model_validator(mode="after")
    def _whole(self) -> MySQL:
        return _addressed(self)


class Postgres(Strict):
    type: Literal["postgres"]
    name: Slug
    dsn: SecretRef | None = None
    host: HostName = "127.0.0.1"
    port: Port = 5432
    database: Text | None = None
    user: Text | None = None
    password: SecretRef | None = None
    tls: Tls = "prefer"
    ca: str | None = None

    @model_validator(mode="after")
    def _whole(self) -> Postgres:
        return _addressed(self)


_Server = TypeVar("_Server", MySQL, Postgres)
_IN_DSN = ("host", "port", "database", "user", "password", "socket")


def _addressed(server: _Server) -> _Server:
    """Either a whole address in one secret, or its parts."""
    if server.dsn is None:
        absent = [n for n in ("database", "user") if getattr(server, n) is None]
        troubles = [
            Trouble((name,), "is missing", "plain text, or env:NAME; or dsn in place of all") for name in absent
        ]
    else:
        beside = [n for n in _IN_DSN if n in server.model_fields_set]
        troubles = [Trouble((name,), "stands beside dsn", "give either dsn or the parts") for name in beside]
    if troubles:
        raise RuleFaults(troubles)
    return server


class SQLite(Strict):
    type: Literal["sqlite"]
    name: Slug
    path: Text


class Feishu(Strict):
    """An app of the Feishu (open.feishu.cn) or Lark (open.larksuite.com) open platform."""

    type: Literal["feishu"]
    name: Slug
    app_id: AppId
    app_secret: SecretRef
    host: Text = "https://open.feishu.cn"

    @field_validator("host")
    @classmethod
    def _host(cls, host: str) -> str:
        if not host.startswith("env:") and not is_platform(host):
            raise ValueError(
                "is not an address of the open platform -> https://open.feishu.cn or https://open.larksuite.com"
                " (http only for this machine)"
            )
        return host.rstrip("/")


class FeishuBot(Strict):
    """A custom group bot that alerts are sent to."""

    type: Literal["feishu_bot"]
    name: Slug
    webhook: SecretRef
    secret: SecretRef | None = None
    style: Literal["card", "text"] = "card"


Connection = Annotated[MySQL | Postgres | SQLite | Feishu | FeishuBot, Field(discriminator="type")]
Database = MySQL | Postgres | SQLite


class ConnectionsSpec(Strict):
    """The attributes of ``sync_assets.components.Connections``."""

    connections: list[Connection] = Field(min_length=1)


# -- syncs ------------------------------------------------------------------------------------------------------

FieldType = Literal[
    "text", "number", "currency", "progress", "rating", "single_select", "multi_select", "date", "datetime",
    "checkbox", "person", "phone", "url", "email", "barcode", "link",
]  # fmt: skip
Strategy = Literal["raw", "base", "auto", "intelligence"]


class ColumnSpec(Strict):
    """What to do with one source column, over what the field strategy would do."""

    field: str | None = Field(
        default=None, min_length=1, max_length=100, description="name on the board, or of the target table's column"
    )
    type: FieldType | None = None
    format: str | None = Field(default=None, description="Feishu formatter: 0.00, yyyy-MM-dd HH:mm, ...")
    currency: str | None = Field(default=None, pattern=r"^[A-Z]{3}$")
    options: list[str] | None = None
    person_id: Literal["open_id", "union_id", "user_id"] = "open_id"
    skip: bool = False


class TimeWindows(Strict):
    """Partitions by time: a query binds :start and :end, a table needs `column`."""

    every: Literal["hour", "day", "week", "month"]
    start: date | datetime
    end: date | datetime | None = None
    column: str | None = Field(default=None, description="the column whose value says which window a row belongs to")
    include_current: bool = Field(default=True, description="offer the window that has not closed yet, too")


class FixedValues(Strict):
    """Partitions by the values of one column; a query binds :value."""

    column: str
    values: list[str] = Field(min_length=1)

    @model_validator(mode="after")
    def _usable(self) -> FixedValues:
        if len(set(self.values)) != len(self.values):
            raise RuleFaults([Trouble(("values",), "must be distinct", "drop the repeated one")])
        if any(not v or "..." in v or any(ord(c) < 32 for c in v) for v in self.values):
            raise RuleFaults(
                [Trouble(("values",), "a value is empty, or holds ... or a control character",
                         "such a value cannot name a partition: map it to another word in a query")]
            )  # fmt: skip
        return self


class KeyRanges(Strict):
    """Partitions by ranges of one whole-number column, for tables: [start, start + size), and so on up to end."""

    by: Literal["key"] = Field(description="says that ranges of a key are meant")
    column: str = Field(description="a column of whole numbers")
    start: int = Field(default=0, description="where the first range begins")
    end: int = Field(description="no range reaches past it; rows at or after it belong to no partition")
    size: int = Field(ge=1, description="how many numbers a range spans")

    @model_validator(mode="after")
    def _usable(self) -> KeyRanges:
        if self.end <= self.start:
            raise RuleFaults([Trouble(("end",), "is not after start", "it is exclusive")])
        if self.count > MOST_RANGES:
            hint = f"with these bounds at least {-(-(self.end - self.start) // MOST_RANGES)}"
            raise RuleFaults([Trouble(("size",), f"makes {self.count} partitions; {MOST_RANGES} are possible", hint)])
        return self

    @property
    def count(self) -> int:
        return -(-(self.end - self.start) // self.size)


MOST_RANGES = 10_000
# Tags stand in the places that pydantic reports; with blanks they cannot be taken for fields.
WINDOWS, VALUES, RANGES = "time windows", "fixed values", "key ranges"


def _kind_of_partitions(value: Any) -> str:
    """Which of the kinds is meant, so that only its own faults are reported."""
    names = value if isinstance(value, dict) else getattr(type(value), "model_fields", {})
    if "every" in names:
        return WINDOWS
    return VALUES if "values" in names else RANGES if {"by", "size"} & set(names) else WINDOWS


Partitions = Annotated[
    Annotated[TimeWindows, Tag(WINDOWS)] | Annotated[FixedValues, Tag(VALUES)] | Annotated[KeyRanges, Tag(RANGES)],
    Discriminator(_kind_of_partitions),
]


class SensorSpec(Strict):
    """Notice change at the source and request only the partitions concerned."""

    by: Literal["watermark", "count", "query"] = "watermark"
    query: str | None = Field(default=None, description="for by: query; any change of its result is a change")
    every: int = Field(default=30, ge=5, description="seconds between looks")
    windows: int = Field(default=30, ge=1, le=1000, description="newest partitions that are looked at, for late rows")

    @model_validator(mode="after")
    def _query(self) -> SensorSpec:
        if (self.by == "query") != (self.query is not None):
            raise RuleFaults([Trouble(("query",), "and by: query belong together", "give both or none")])
        return self


class DeleteGuard(Strict):
    """A run that would delete more than this stops before it deletes anything."""

    share: float = Field(default=0.3, ge=0, le=1, description="of the records on the board")
    rows: int = Field(default=20, ge=0, description="this many may always go, whatever their share")


class Duplicates(Strict):
    """What to do with rows or records that share a key."""

    source: Literal["error", "first", "last"] = "error"
    target: Literal["error", "first", "last", "delete"] = "error"


_CHANGES = (
    "how a run finds what to ship into a table that has rows: `watermark`: rows from the last watermark on; `hash`: "
    "digests computed in both databases; `whole`: everything; `auto`: the first of these that is possible"
)
_PROOF = "what is compared after a run, on both sides: checksums of all rows of the run, their count, or nothing"
_POLICY = (
    "what to do when the structure of the source changes: apply what loses nothing and stop on the rest, stop on any "
    "change of what columns hold, or ignore what does not hinder"
)
_WRITING = "read with `query` or `where` although the source's user could write there"


class SyncSpec(Strict):
    """One sync: one source, one board or table, a mode, a key."""

    name: Slug
    title: str | None = None
    description: str | None = None
    table: str | None = Field(default=None, min_length=1, description="schema.table or table")
    query: str | None = Field(default=None, min_length=1)
    bitable: Text | None = Field(
        default=None, description="link to the board: https://.../base/...?table=tbl... or /wiki/..."
    )
    into: str | None = Field(
        default=None,
        min_length=1,
        description="for a target database: schema.table or table; default: the source's name",
    )
    table_name: str | None = Field(
        default=None, max_length=100, description="table to find or create in the base, when the link has none"
    )
    mode: Mode = Mode.FULL
    key: list[str] = Field(default_factory=list)
    where: str | None = Field(
        default=None, min_length=1, description="for a target database: only rows for which this condition is true"
    )
    watermark: str | None = Field(default=None, description="column that grows whenever a row changes")
    lookback: int = Field(default=3600, ge=0, description="seconds before the last watermark that are read again")
    changes: Changes = Field(default=Changes.AUTO, description=_CHANGES)
    proof: Proof = Field(default="checksum", description=_PROOF)
    schema_changes: Policy = Field(default="apply", description=_POLICY)
    create: bool = Field(default=True, description="make the target table where it is missing; `false`: stop instead")
    allow_writing_role: bool = Field(default=False, description=_WRITING)
    field_types: Strategy = "base"
    columns: dict[str, ColumnSpec] = Field(default_factory=dict)
    unmapped: Literal["keep", "clear"] | None = Field(
        default=None, description="cells of matched records in fields without a column"
    )
    create_fields: bool = True
    partitions: Partitions | None = None
    backfill: Literal["single_run", "run_per_partition"] = "single_run"
    sensor: SensorSpec | None = None
    schedule: str | None = None
    duplicates: Duplicates = Duplicates()
    delete_guard: DeleteGuard = DeleteGuard()
    allow_empty_source: bool = False
    reject_limit: int = Field(default=100, ge=0, description="more rejected rows than this stop the run")
    verify: Literal["acknowledged", "rescan"] = "acknowledged"
    fresh_within: str | None = Field(
        default=None, pattern=r"^\d+[mhd]$", description="for the freshness check: 90m, 26h, 2d"
    )
    batch_rows: int = Field(default=500, ge=1, le=1000)
    append_column: str = Field(
        default="sync_batch", min_length=1, description="field or column that mode append marks its batches in"
    )

    @property
    def link(self) -> str:
        """The link to the board; empty for a sync into a table."""
        return self.bitable or ""

    @model_validator(mode="after")
    def _whole(self) -> SyncSpec:
        troubles = list(_sync_troubles(self))
        if troubles:
            raise RuleFaults(troubles)
        return self


def _sync_troubles(sync: SyncSpec) -> Iterator[Trouble]:
    if sync.table is None and sync.query is None:
        yield Trouble((), "has no source", "give a table or a query")
    if sync.table is not None and sync.query is not None:
        yield Trouble(("query",), "stands beside table", "give either table or query, and not both")
    yield from _key_troubles(sync)
    yield from _column_troubles(sync)
    yield from _window_troubles(sync)
    yield from cron_troubles(sync.schedule)
    if sync.watermark is not None and not sync.watermark.strip():
        yield Trouble(("watermark",), "is blank", "name a column, or leave watermark out")
    if sync.sensor and sync.sensor.by == "watermark" and not sync.watermark:
        yield Trouble(("sensor",), "by watermark needs a watermark", "add watermark: COLUMN, or use by: count")


def _key_troubles(sync: SyncSpec) -> Iterator[Trouble]:
    if sync.mode is Mode.APPEND and sync.key:
        yield Trouble(("key",), "mode append takes no key", "with a key use mode: incremental")
    seen: set[str] = set()
    for at, column in enumerate(sync.key):
        name = column.strip()
        if not name:
            yield Trouble(("key", at), "is blank", "name a column")
        if name and name in seen:
            yield Trouble(("key", at), f"names the column {name} twice", "drop one")
        if name in sync.columns and sync.columns[name].skip:
            yield Trouble(("columns", name, "skip"), f"{name} is a key column and cannot be skipped", "drop skip")
        seen.add(name)


def _column_troubles(sync: SyncSpec) -> Iterator[Trouble]:
    """Names are compared without outer blanks: Feishu trims the names of fields."""
    columns: dict[str, str] = {}
    fields: dict[str, str] = {}
    for name, spec in sync.columns.items():
        if not name.strip():
            yield Trouble(("columns", name), "has a blank name", "name a column of the source")
        elif name.strip() in columns:
            yield Trouble(("columns", name), f"names the column {name.strip()} twice", "drop one")
        columns.setdefault(name.strip(), name)
        if spec.field is not None and not spec.field.strip():
            yield Trouble(("columns", name, "field"), "is blank", "name a field of the board")
        if not spec.skip:
            field = (spec.field or name).strip()
            if field in fields:
                yield Trouble(("columns", name), f"goes to the field {field}, as {fields[field]} does",
                              "give each column a field of its own")  # fmt: skip
            fields.setdefault(field, name)
        yield from _option_troubles(name, spec)


_SELECTS = ("single_select", "multi_select")


def _option_troubles(name: str, spec: ColumnSpec) -> Iterator[Trouble]:
    where = ("columns", name)
    if spec.options is not None and spec.type is not None and spec.type not in _SELECTS:
        yield Trouble(
            (*where, "options"), f"do not go with type {spec.type}", "use type: single_select or multi_select"
        )
    if spec.options is not None and len({o.strip() for o in spec.options}) != len(spec.options):
        yield Trouble((*where, "options"), "are not distinct", "drop the repeated one")
    if spec.currency is not None and spec.type not in (None, "currency"):
        yield Trouble((*where, "currency"), f"does not go with type {spec.type}", "use type: currency")


def _window_troubles(sync: SyncSpec) -> Iterator[Trouble]:
    parts = sync.partitions
    if isinstance(parts, TimeWindows):
        if sync.table and not parts.column:
            yield Trouble(("partitions", "column"), "is missing", "a table partitioned by time needs the column"
                          " that says which window a row belongs to")  # fmt: skip
        if parts.end is not None and _later(parts.start, parts.end):
            yield Trouble(("partitions", "end"), "is not after start", "leave end out for windows without an end")
    if parts is None or parts.column:
        return
    if sync.mode is Mode.CLONE and sync.query:
        yield Trouble(("partitions", "column"), "is missing", "clone of a partition deletes what the source no"
                      " longer has, and must know which records belong to it")  # fmt: skip


def _later(start: date | datetime, end: date | datetime) -> bool:
    """Whether `start` is at or after `end`, by their wall clocks; one of them alone may be aware."""
    one, other = (v if isinstance(v, datetime) else datetime(v.year, v.month, v.day) for v in (start, end))
    if one.tzinfo is None or other.tzinfo is None:
        one, other = one.replace(tzinfo=None), other.replace(tzinfo=None)
    return one >= other


def cron_troubles(expression: str | None) -> Iterator[Trouble]:
    wrong = cron.fault(expression) if expression is not None else None
    if wrong:
        yield Trouble(("schedule",), f"is not a cron expression: {wrong}", 'for example "0 9 * * *", every day at 9')


class TableSyncSpec(Strict):
    """The attributes of ``sync_assets.components.TableSync``."""

    source: Slug = Field(description="a database connection")
    target: Slug = Field(description="a feishu connection, or a database")
    schedule: str | None = Field(
        default=None, description="cron, in the deployment's time zone; for all syncs of the file"
    )
    alerts: Slug | None = Field(default=None, description="a feishu_bot connection")
    time_zone: str | None = Field(
        default=None, description="of wall-clock values in this source; default SYNC_ASSETS_TIME_ZONE or Asia/Shanghai"
    )
    syncs: list[SyncSpec] = Field(min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> TableSyncSpec:
        troubles = [*cron_troubles(self.schedule), *zone_troubles(self.time_zone)]
        if troubles:
            raise RuleFaults(troubles)
        return self


def zone_troubles(name: str | None) -> Iterator[Trouble]:
    try:
        ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a folder of the zone database raises OSError
        near = nearest(str(name), available_timezones())
        yield Trouble(("time_zone",), f"{name!r} is not a time zone", f"for example Asia/Shanghai, UTC{near}")
