"""The vocabulary of a replica: many tables of one database, kept in step with their copies in another.

Frozen values that validate whole, like `project.spec`. Which tables the patterns mean is known when the source is asked
(`project.replicas`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from sync_assets.engine.model import Mode
from sync_assets.engine.tables.job import Changes, Proof
from sync_assets.engine.tables.writing import Policy
from sync_assets.project.faults import RuleFaults, Trouble
from sync_assets.project.spec import (
    ColumnSpec,
    DeleteGuard,
    Partitions,
    Slug,
    Strict,
    cron_troubles,
    zone_troubles,
)

_AS = "in place of the replica's"


class TableOverride(Strict):
    """What is different for one table of a replica. What is left out is as the replica says."""

    skip: bool = Field(default=False, description="do not copy this table")
    title: str | None = Field(default=None, description="shown in the UI; may be Chinese")
    into: str | None = Field(default=None, min_length=1, description="schema.table or table in the target")
    mode: Mode | None = Field(default=None, description=_AS)
    key: list[str] = Field(
        default_factory=list, description="columns that identify a row, where the table has no primary key"
    )
    columns: dict[str, ColumnSpec] = Field(
        default_factory=dict, description="columns to leave out (`skip`) or to call otherwise (`field`); by name"
    )
    where: str | None = Field(default=None, min_length=1, description="copy only rows for which this condition is true")
    watermark: str | None = Field(default=None, description="column that grows whenever a row changes")
    lookback: int = Field(default=3600, ge=0, description="seconds before the last watermark that are read again")
    partitions: Partitions | None = Field(
        default=None, description="cut a large table; it becomes an asset with partitions"
    )
    backfill: Literal["single_run", "run_per_partition"] = Field(
        default="single_run", description="several partitions asked for at once: one run for all, or a run for each"
    )
    changes: Changes | None = Field(default=None, description=_AS)
    proof: Proof | None = Field(default=None, description=_AS)
    schema_changes: Policy | None = Field(default=None, description=_AS)
    delete_guard: DeleteGuard | None = Field(default=None, description=_AS)
    allow_empty_source: bool | None = Field(default=None, description=_AS)
    reject_limit: int = Field(default=0, ge=0, description="more rejected rows than this stop the table")

    @model_validator(mode="after")
    def _whole(self) -> TableOverride:
        troubles = list(_override_troubles(self))
        if troubles:
            raise RuleFaults(troubles)
        return self


def _override_troubles(table: TableOverride) -> Iterator[Trouble]:
    for at, column in enumerate(table.key):
        if not column.strip():
            yield Trouble(("key", at), "is blank", "name a column")
        elif column in table.columns and table.columns[column].skip:
            yield Trouble(("columns", column, "skip"), f"{column} is a key column and cannot be skipped", "drop skip")
    if table.mode is Mode.APPEND and table.key:
        yield Trouble(("key",), "mode append takes no key", "with a key use mode: incremental")
    if table.changes is Changes.WATERMARK and not table.watermark:
        yield Trouble(("changes",), "watermark needs a watermark", "add watermark: COLUMN")
    if table.partitions is not None and not table.partitions.column:
        yield Trouble(("partitions", "column"), "is missing", "a table partitioned by time needs the column"
                      " that says which window a row belongs to")  # fmt: skip


class DatabaseReplicaSpec(Strict):
    """The attributes of ``sync_assets.components.DatabaseReplica``."""

    name: Slug = Field(description="unique in the deployment, among the syncs too; what commands take")
    title: str | None = Field(default=None, description="shown in the UI and in alerts; may be Chinese")
    description: str | None = Field(default=None, description="shown in the UI")
    source: Slug = Field(description="a database connection")
    target: Slug = Field(description="a database connection, of the same kind or another")
    tables: list[str] = Field(
        min_length=1,
        description="patterns such as `public.*`, `shop.order_?`, or names; without a schema: in the connection's own. "
        "A pattern means tables; a view or a foreign table is copied when it is named",
    )
    exclude: list[str] = Field(default_factory=list, description="patterns of tables that are left out")
    into: dict[str, str] = Field(
        default_factory=dict,
        description="schema of the target by schema of the source; without a word: the source's own schema goes to the "
        "target's own, another one to that of its name",
    )
    mode: Mode = Field(default=Mode.CLONE, description="what the copies look like after a run")
    changes: Changes = Field(default=Changes.AUTO, description="how a run finds what to ship; as in a sync")
    proof: Proof = Field(default="checksum", description="what is compared after a run; as in a sync")
    schema_changes: Policy = Field(
        default="apply", description="what to do when the structure of the source changes; as in a sync"
    )
    create: bool = Field(default=True, description="make missing schemas and tables; `false`: stop instead")
    views_and_triggers: bool = Field(
        default=False,
        description="between databases of one kind: make the views and triggers of the tables' schemas too (between "
        "PostgreSQL servers functions and rules as well), when the rows are there",
    )
    delete_guard: DeleteGuard = Field(default=DeleteGuard(), description="how much of a table may be deleted at once")
    allow_empty_source: bool = Field(default=False, description="tables of the source may rightly become empty")
    allow_writing_role: bool = Field(
        default=False, description="read with `where` although the source's user could write there"
    )
    schedule: str | None = Field(default=None, description="cron, in the deployment's time zone")
    alerts: Slug | None = Field(default=None, description="a feishu_bot connection")
    time_zone: str | None = Field(
        default=None, description="of wall-clock values in this source; default SYNC_ASSETS_TIME_ZONE or Asia/Shanghai"
    )
    streams: int = Field(default=4, ge=1, le=32, description="how many connections read and write at once")
    overrides: dict[str, TableOverride] = Field(
        default_factory=dict, description="what is different for single tables; by `schema.table`"
    )

    @model_validator(mode="after")
    def _whole(self) -> DatabaseReplicaSpec:
        troubles = [*cron_troubles(self.schedule), *zone_troubles(self.time_zone), *_pattern_troubles(self)]
        if troubles:
            raise RuleFaults(troubles)
        return self


def _pattern_troubles(replica: DatabaseReplicaSpec) -> Iterator[Trouble]:
    for place, patterns in (("tables", replica.tables), ("exclude", replica.exclude)):
        for at, pattern in enumerate(patterns):
            if not all(part.strip() for part in pattern.split(".")):
                yield Trouble((place, at), "is no pattern of tables", "for example public.*, or public.orders")
    for schema, to in replica.into.items():
        if not to.strip():
            yield Trouble(("into", schema), "is blank", "name a schema of the target")
    for name in replica.overrides:
        if any(c in name for c in "*?["):
            yield Trouble(("overrides", name), "is a pattern", "an override is for one table: write its name")
    if replica.mode is Mode.APPEND:
        yield Trouble(("mode",), "append would copy every table again with each run", "use clone, full or incremental")
    if replica.changes is Changes.WATERMARK:
        yield Trouble(
            ("changes",), "watermark needs a column for each table", "write it into overrides, with watermark"
        )
