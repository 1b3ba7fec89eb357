"""The vocabulary of the YAML files: connections and syncs, as frozen values that validate whole.

Only shapes and rules that one file can tell are here; what needs other files (a connection that does not exist, two
syncs of one name) is checked in `project.load`. Secrets appear as references only.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sync_assets.engine.model import Mode

Slug = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=100)]
SecretRef = Annotated[
    str,
    Field(
        pattern=r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+|store:[A-Za-z_][A-Za-z0-9_]*)$",
        description="where the secret is: env:NAME or file:PATH, never the secret itself",
    ),
]
Text = Annotated[str, Field(min_length=1, description="plain text, or env:NAME")]


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


# -- connections ------------------------------------------------------------------------------------------------


class MySQL(Strict):
    """MySQL or MariaDB."""

    type: Literal["mysql"]
    name: Slug
    host: Text = "127.0.0.1"
    port: int | Text = 3306
    database: Text
    user: Text
    password: SecretRef | None = None
    tls: Literal["off", "prefer", "require", "verify"] = "prefer"
    ca: str | None = None
    socket: Text | None = None


class Postgres(Strict):
    type: Literal["postgres"]
    name: Slug
    host: Text = "127.0.0.1"
    port: int | Text = 5432
    database: Text
    user: Text
    password: SecretRef | None = None
    tls: Literal["off", "prefer", "require", "verify"] = "prefer"
    ca: str | None = None


class SQLite(Strict):
    type: Literal["sqlite"]
    name: Slug
    path: Text


class Feishu(Strict):
    """An app of the Feishu (open.feishu.cn) or Lark (open.larksuite.com) open platform."""

    type: Literal["feishu"]
    name: Slug
    app_id: Text
    app_secret: SecretRef
    host: Text = "https://open.feishu.cn"


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

    field: str | None = Field(None, min_length=1, max_length=100, description="name on the board")
    type: FieldType | None = None
    format: str | None = Field(None, description="Feishu formatter: 0.00, yyyy-MM-dd HH:mm, ...")
    currency: str | None = Field(None, pattern=r"^[A-Z]{3}$")
    options: list[str] | None = None
    person_id: Literal["open_id", "union_id", "user_id"] = "open_id"
    skip: bool = False


class TimeWindows(Strict):
    """Partitions by time: a query binds :start and :end, a table needs `column`."""

    every: Literal["hour", "day", "week", "month"]
    start: date | datetime
    end: date | datetime | None = None
    column: str | None = Field(None, description="the column whose value says which window a row belongs to")
    include_current: bool = Field(True, description="offer the window that has not closed yet, too")


class FixedValues(Strict):
    """Partitions by the values of one column; a query binds :value."""

    column: str
    values: list[str] = Field(min_length=1)

    @model_validator(mode="after")
    def _distinct(self) -> FixedValues:
        if len(set(self.values)) != len(self.values):
            raise ValueError("values must be distinct")
        return self


class SensorSpec(Strict):
    """Notice change at the source and request only the partitions concerned."""

    by: Literal["watermark", "count", "query"] = "watermark"
    query: str | None = Field(None, description="for by: query; any change of its result is a change")
    every: int = Field(30, ge=5, description="seconds between looks")
    windows: int = Field(30, ge=1, le=1000, description="newest partitions that are looked at, for late rows")

    @model_validator(mode="after")
    def _query(self) -> SensorSpec:
        if (self.by == "query") != (self.query is not None):
            raise ValueError("by: query needs a query, and a query needs by: query")
        return self


class DeleteGuard(Strict):
    """A run that would delete more than this stops before it deletes anything."""

    share: float = Field(0.3, ge=0, le=1, description="of the records on the board")
    rows: int = Field(20, ge=0, description="this many may always go, whatever their share")


class Duplicates(Strict):
    """What to do with rows or records that share a key."""

    source: Literal["error", "first", "last"] = "error"
    target: Literal["error", "first", "last", "delete"] = "error"


class SyncSpec(Strict):
    """One sync: one source, one board, a mode, a key."""

    name: Slug
    title: str | None = None
    description: str | None = None
    table: str | None = Field(None, min_length=1, description="schema.table or table")
    query: str | None = Field(None, min_length=1)
    bitable: Text = Field(description="link to the board: https://.../base/...?table=tbl... or /wiki/...")
    table_name: str | None = Field(
        None, max_length=100, description="table to find or create in the base, when the link has none"
    )
    mode: Mode = Mode.FULL
    key: list[str] = Field(default_factory=list)
    watermark: str | None = Field(None, description="column that grows whenever a row changes")
    lookback: int = Field(3600, ge=0, description="seconds before the last watermark that are read again")
    field_types: Strategy = "base"
    columns: dict[str, ColumnSpec] = Field(default_factory=dict)
    unmapped: Literal["keep", "clear"] | None = Field(
        None, description="cells of matched records in fields without a column"
    )
    create_fields: bool = True
    partitions: TimeWindows | FixedValues | None = None
    backfill: Literal["single_run", "run_per_partition"] = "single_run"
    sensor: SensorSpec | None = None
    schedule: str | None = None
    duplicates: Duplicates = Duplicates()
    delete_guard: DeleteGuard = DeleteGuard()
    allow_empty_source: bool = False
    reject_limit: int = Field(100, ge=0, description="more rejected rows than this stop the run")
    verify: Literal["acknowledged", "rescan"] = "acknowledged"
    fresh_within: str | None = Field(None, pattern=r"^\d+[mhd]$", description="for the freshness check: 90m, 26h, 2d")
    batch_rows: int = Field(500, ge=1, le=1000)
    append_column: str = Field("sync_batch", min_length=1, description="field that mode append marks its batches in")

    @model_validator(mode="after")
    def _whole(self) -> SyncSpec:
        faults = list(_sync_faults(self))
        if faults:
            raise ValueError("; ".join(faults))
        return self


def _sync_faults(sync: SyncSpec) -> list[str]:
    faults = []
    if (sync.table is None) == (sync.query is None):
        faults.append("give either table or query, and not both")
    if not sync.key and sync.mode not in (Mode.CLONE, Mode.APPEND):
        faults.append(f"mode {sync.mode} needs a key; without one only clone and append are possible")
    if sync.mode is Mode.APPEND and sync.key:
        faults.append("mode append takes no key; with a key use incremental")
    if len(set(sync.key)) != len(sync.key):
        faults.append("key names a column twice")
    skipped = [c for c in sync.key if c in sync.columns and sync.columns[c].skip]
    if skipped:
        faults.append(f"key column {skipped[0]} cannot be skipped")
    faults += _partition_faults(sync)
    if sync.sensor and sync.sensor.by == "watermark" and not sync.watermark:
        faults.append("sensor by watermark needs watermark: COLUMN")
    return faults


def _partition_faults(sync: SyncSpec) -> list[str]:
    parts = sync.partitions
    names = (":start", ":end") if isinstance(parts, TimeWindows) else (":value",)
    if parts is None:
        return [f"the query binds {n}, but the sync has no partitions" for n in (":start", ":end", ":value")
                if sync.query and n in sync.query]  # fmt: skip
    if sync.query and any(n not in sync.query for n in names):
        return [f"a partitioned query must bind {' and '.join(names)}"]
    if sync.table and isinstance(parts, TimeWindows) and not parts.column:
        return ["a table partitioned by time needs partitions.column"]
    if sync.mode is Mode.CLONE and not parts.column:
        return ["clone of a partition needs partitions.column, to know which records belong to it"]
    return []


class TableSyncSpec(Strict):
    """The attributes of ``sync_assets.components.TableSync``."""

    source: Slug = Field(description="a database connection")
    target: Slug = Field(description="a feishu connection")
    schedule: str | None = Field(None, description="cron, in the deployment's time zone; for all syncs of the file")
    alerts: Slug | None = Field(None, description="a feishu_bot connection")
    time_zone: str | None = Field(
        None, description="of wall-clock values in this source; default SYNC_ASSETS_TIME_ZONE or Asia/Shanghai"
    )
    syncs: list[SyncSpec] = Field(min_length=1)
