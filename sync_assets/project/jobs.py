"""From a sync as written to what the engine is asked to do with a table: names, filter, windows as conditions.

Windows become conditions in canonical texts: wall clocks of the sync's time zone where the column knows no zone, UTC
where it does. Reads the source's catalogue for the types of partition columns, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from typing import Any, cast

from sync_assets.engine.errors import Stop
from sync_assets.engine.guard import DeleteLimit
from sync_assets.engine.model import ColumnType, Mode, Partition
from sync_assets.engine.tables.canonical import canonical_text
from sync_assets.engine.tables.job import Changes, TableJob, Window
from sync_assets.engine.tables.reading import Condition, TableSource
from sync_assets.engine.tables.shape import ColumnShape
from sync_assets.project import windows
from sync_assets.project.deployment import PlacedSync
from sync_assets.project.spec import FixedValues, KeyRanges, SyncSpec
from sync_assets.project.where import Dialect

_WHOLE_NUMBERS = (ColumnType.INTEGER, ColumnType.BIGINT, ColumnType.DECIMAL)
_SAID = {
    "table", "query", "into", "where", "mode", "key", "watermark", "columns", "partitions",
}  # fmt: skip


def jobs_of(
    placed: Sequence[PlacedSync],
    source: TableSource,
    target: TableSource,
    keys: Mapping[str, Sequence[str]],
    mode: Mode | None = None,
    changes: Changes | None = None,
) -> list[TableJob]:
    """One job for each sync. `keys` are the partitions that are wanted, by sync; those without are wanted whole.

    Raises `Stop` for a partition column that is not there or of a type that cannot be cut.
    """
    columns = _partition_columns(placed, source)
    return [_job(one, source, target, keys.get(one.name), columns, mode, changes) for one in placed]


def _job(
    placed: PlacedSync,
    source: TableSource,
    target: TableSource,
    keys: Sequence[str] | None,
    columns: Mapping[str, ColumnShape],
    mode: Mode | None,
    changes: Changes | None,
) -> TableJob:
    spec = placed.spec
    if mode is Mode.APPEND:
        hint = "use full or incremental, which need a key, or clone, which replaces the whole table"
        raise Stop(f"{spec.name}: append would copy every row again with each run", hint=hint)
    own = spec.table and source.name_of(spec.table)
    into = spec.into or _last_part(spec.table or "")
    return TableJob(
        sync=spec.name,
        target=target.name_of(into),
        source=own or None,
        query=spec.query or "",
        where=_filter(spec, source.dialect),
        columns={name: None if c.skip else c.field for name, c in spec.columns.items() if c.skip or c.field},
        key=tuple(k.strip() for k in spec.key),
        mode=mode or spec.mode,
        changes=changes or spec.changes,
        watermark=spec.watermark,
        lookback=spec.lookback,
        windows=tuple(window_of(placed, key, columns[spec.name]) for key in keys or ()),
        partitioned=spec.partitions is not None,
        create=spec.create,
        objects=placed.objects and spec.create,
        policy=spec.schema_changes,
        proof=spec.proof,
        delete_limit=DeleteLimit(spec.delete_guard.share, spec.delete_guard.rows),
        allow_empty_source=spec.allow_empty_source,
        reject_limit=spec.reject_limit if placed.replica or "reject_limit" in spec.model_fields_set else 0,
        spec_digest=digest_of(spec),
        lease=_lease(placed, target),
        beside=placed.beside,
    )


def _lease(placed: PlacedSync, target: TableSource) -> str:
    """The tables of a replica are written under one lease; those with partitions, which run by themselves, not."""
    whole = placed.replica and placed.spec.partitions is None
    return f"{target.address}/{placed.replica}" if whole else ""


def _last_part(table: str) -> str:
    from sync_assets.databases.base import name_parts
    from sync_assets.engine.tables.shape import TableName
    from sync_assets.project.replicas import spelled

    return spelled(TableName("x", name_parts(table)[-1])).removeprefix("x.")


def _filter(spec: SyncSpec, dialect: str) -> str:
    from sync_assets.project.where import rendered

    return rendered(spec.where, cast(Dialect, dialect)) if spec.where else ""


def digest_of(spec: SyncSpec) -> str:
    """A fingerprint of what a sync reads and how: what an older one left unfinished must not be gone on with."""
    said = spec.model_dump_json(include=_SAID)
    return blake2b(said.encode(), digest_size=8).hexdigest()


# -- windows ----------------------------------------------------------------------------------------------------


def _partition_columns(placed: Sequence[PlacedSync], source: TableSource) -> dict[str, ColumnShape]:
    """The columns that partitions are cut by, by sync; one question for all tables."""
    cut = [one for one in placed if one.spec.partitions is not None]
    names = {one.name: source.name_of(one.spec.table) for one in cut if one.spec.table}
    shapes = source.shapes(sorted(set(names.values()))) if names else {}
    found = {}
    for one in cut:
        if one.spec.query is not None:
            columns = source.query_columns(one.spec.query)
        else:
            shape = shapes.get(names[one.name])
            columns = shape.columns if shape else ()
        found[one.name] = _named(one, columns)
    return found


def _named(placed: PlacedSync, columns: Sequence[ColumnShape]) -> ColumnShape:
    wanted = placed.spec.partitions.column if placed.spec.partitions else None
    for column in columns:
        if column.name == wanted:
            return column
    some = ", ".join(c.name for c in columns[:50])
    hint = f"it has {some}" if some else f"check {placed.spec.table or 'the query'}: the source shows no such table"
    raise Stop(f"{placed.name}: the source has no column {wanted}", hint=hint, code="unknown_column")


def window_of(placed: PlacedSync, key: str, column: ColumnShape) -> Window:
    """The partition called `key` as conditions. Raises `Stop` for a column that cannot be cut so."""
    parts = placed.spec.partitions
    assert parts is not None  # noqa: S101 (asked by the caller)
    if isinstance(parts, KeyRanges):
        return Window(key, _range(placed, parts, key, column))
    if isinstance(parts, FixedValues):
        return Window(key, (Condition(column.name, "=", _value(placed, key, column)),))
    one = windows.partition(parts, key, placed.time_zone, now=None)
    return Window(key, _times(placed, one, column))


def _range(placed: PlacedSync, parts: KeyRanges, key: str, column: ColumnShape) -> tuple[Condition, ...]:
    if column.type not in _WHOLE_NUMBERS:
        raise _unfit(placed, column, "ranges of a key need a column of whole numbers")
    low, high = windows.bounds(parts, key)
    return Condition(column.name, ">=", str(low)), Condition(column.name, "<", str(high))


def _times(placed: PlacedSync, one: Partition, column: ColumnShape) -> tuple[Condition, ...]:
    assert one.start is not None  # noqa: S101 (a window of time)
    assert one.end is not None  # noqa: S101
    texts = [_clock(placed, moment, column) for moment in (one.start, one.end)]
    return Condition(column.name, ">=", texts[0]), Condition(column.name, "<", texts[1])


def _clock(placed: PlacedSync, moment: datetime, column: ColumnShape) -> str:
    wall = moment.replace(tzinfo=None)
    if column.type is ColumnType.INSTANT:
        return canonical_text(moment.astimezone(UTC), ColumnType.INSTANT) or ""
    if column.type is ColumnType.DATETIME:
        return canonical_text(wall, ColumnType.DATETIME) or ""
    if column.type is ColumnType.DATE:  # a date is its midnight: the first date at or after the moment
        day = wall.date() if wall == datetime(wall.year, wall.month, wall.day) else wall.date() + timedelta(days=1)
        return canonical_text(day, ColumnType.DATE) or ""
    raise _unfit(placed, column, "windows of time need a column of dates or times")


def _value(placed: PlacedSync, text: str, column: ColumnShape) -> str:
    """The canonical text of a value as written in the YAML."""
    try:
        found = canonical_text(_PARSERS.get(column.type, str)(text), column.type)
    except (ValueError, InvalidOperation, ArithmeticError):
        raise _unfit(placed, column, "a value of partitions.values is none of this type") from None
    return found or ""


def _bool(text: str) -> bool:
    words = {"1": True, "0": False, "true": True, "false": False}
    if text.lower() not in words:
        raise ValueError
    return words[text.lower()]


_PARSERS: Mapping[ColumnType, Any] = {
    ColumnType.BOOL: _bool,
    ColumnType.INTEGER: int,
    ColumnType.BIGINT: int,
    ColumnType.DECIMAL: Decimal,
    ColumnType.FLOAT: float,
    ColumnType.DATE: date.fromisoformat,
    ColumnType.DATETIME: datetime.fromisoformat,
    ColumnType.INSTANT: datetime.fromisoformat,
}


def _unfit(placed: PlacedSync, column: ColumnShape, why: str) -> Stop:
    return Stop(
        f"{placed.name}: column {column.name} is of type {column.native or column.type}; {why}",
        hint="name another column in partitions.column",
        code="partition_column",
    )
