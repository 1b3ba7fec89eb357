"""What is asked of one run over tables, and what a comparison of them found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from sync_assets.engine.guard import DeleteLimit
from sync_assets.engine.model import Mode
from sync_assets.engine.tables.reading import Condition
from sync_assets.engine.tables.shape import TableName
from sync_assets.engine.tables.writing import Policy

Proof = Literal["checksum", "count", "none"]


class Changes(StrEnum):
    """How a run finds out what to ship into a table that has rows already."""

    AUTO = "auto"  # WATERMARK with a watermark, else HASH with a key, else WHOLE
    WHOLE = "whole"  # everything, every time
    WATERMARK = "watermark"  # rows whose watermark (a time, or a version that grows) is not older than the last one
    HASH = "hash"  # digests of both sides


@dataclass(frozen=True, slots=True)
class Window:
    """One partition of a job: its key, and what its rows have in common, in names of the source."""

    key: str
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class TableJob:
    """One table (or query) of the source into one table of the target.

    `columns` maps names of the source to names of the target; None leaves a column out; those not mentioned keep
    theirs. `key` are names of the source; empty: the primary key, if there is one. Without `windows` the job is about
    all rows of `where`; with them each window is read, written, counted and proved by itself, and one may fail alone.
    `lookback`: seconds before the last watermark that are read again; units, if the watermark is a number.
    """

    sync: str
    target: TableName
    source: TableName | None = None
    query: str = ""
    where: str = ""
    columns: Mapping[str, str | None] = field(default_factory=lambda: MappingProxyType({}))
    key: tuple[str, ...] = ()
    mode: Mode = Mode.CLONE
    changes: Changes = Changes.AUTO
    watermark: str | None = None
    lookback: float = 3600.0
    windows: tuple[Window, ...] = ()
    partitioned: bool = False  # whether the sync has windows at all, also where `windows` names only some
    create: bool = True  # make the table if it is missing
    objects: bool = False  # and the views and triggers of all jobs that say so
    policy: Policy = "apply"
    proof: Proof = "checksum"
    delete_limit: DeleteLimit = field(default_factory=DeleteLimit)
    allow_empty_source: bool = False
    reject_limit: int = 0
    spec_digest: str = ""
    lease: str = ""  # jobs of one name share a lease; empty: one for the target table
    # where other tables of the source go, that the run may not be about; None for one that goes nowhere
    beside: Callable[[TableName], TableName | None] | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """How hard a run may work. `slice_bytes` bounds what one transaction carries, not what memory holds."""

    streams: int = 4
    slice_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Verdict:
    """A comparison of two tables. `ranges` name where they differ; None of `equal`: they cannot be compared."""

    equal: bool | None
    source_rows: int
    target_rows: int
    missing: int = 0  # rows of the source that the target lacks
    changed: int = 0
    extra: int = 0  # rows that only the target has
    ranges: tuple[str, ...] = ()
    note: str = ""
