"""A table or a query of a database as a source. Knows no driver: `databases.base.Database` does the talking.

Wall clocks belong to the sync's time zone: a window [start, end) is compared as such with columns that know no zone,
as instants with those that do. A user's query is wrapped in brackets, never edited.
"""
# ruff: noqa: S608 (statements are made here; names go through the database's quoting, values through parameters)

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sync_assets.databases.base import Database, name_parts
from sync_assets.engine.errors import Stop
from sync_assets.engine.model import Batch, Column, ColumnType, Observation, Partition, Schema
from sync_assets.sources import position
from sync_assets.sources.query import PARAMETERS, Query, parsed

_CLOCKS = (ColumnType.DATE, ColumnType.DATETIME, ColumnType.INSTANT)
_WINDOWS_A_QUERY = 50  # servers plan a union of this many in a few milliseconds


@dataclass
class _Select:
    """A statement on its way: text in the driver's style, and what it binds."""

    text: str
    params: dict[str, Any] = field(default_factory=dict)


class SqlSource:
    """`engine.model.Source` on a database.

    Give `table` or `query`. `partitions` is the column that says which partition a row belongs to (for a table);
    `watermark` the column that grows whenever a row changes. `name` is the sync's, for messages.
    """

    def __init__(
        self, name: str, database: Database, *, table: str | None = None, query: str | None = None,
        time_zone: ZoneInfo, partitions: str | None = None, watermark: str | None = None, batch_rows: int = 5000,
    ) -> None:  # fmt: skip
        if (table is None) == (query is None):
            raise Stop(f"{name}: give either table or query", hint="and not both")
        self.name = name
        self.database = database
        self.table = table
        self.query = parsed(query, database.dialect) if query is not None else None
        self.time_zone = time_zone
        self.partitions = partitions
        self.watermark = watermark
        self.batch_rows = batch_rows
        self._schema: Schema = ()

    # -- the protocol

    def describe(self) -> Schema:
        """Columns, from metadata: nothing is run. Raises `Stop` when table, query or a named column is wrong."""
        if not self._schema:
            self._schema = self._describe()
            for name in (self.watermark, self.partitions if self.table else None):
                if name is not None:
                    self._column(name)
        return self._schema

    def read(
        self, partition: Partition | None = None, since: object | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[Batch]:
        """Rows of `partition` (all without one) with watermark >= `since`, in one snapshot.

        Only `columns`, if given: the database is not asked for the others.
        """
        schema = tuple(c for c in self.describe() if columns is None or c.name in columns)
        select = self._rows(partition, columns=schema)
        if since is not None:
            select = self._since(select, since)
        yield from self.database.stream(select.text, select.params, self.batch_rows, self.time_zone, schema=schema)

    def observe(self, partition: Partition | None = None, *, count: bool = True) -> Observation:
        """Row count and newest watermark. Without `count` the watermark alone: one step in an index."""
        select = self._looked(partition, "", count)
        row = self.database.observe(select.text, select.params, self.time_zone)[0]
        return Observation(row[1], position.as_text(row[2]))

    def close(self) -> None:
        self.database.close()

    # -- for sensors

    def observe_windows(self, partitions: Sequence[Partition], *, count: bool = True) -> Mapping[str, Observation]:
        """An observation for each partition, by its key, fifty in one question."""
        found: dict[str, Observation] = {}
        for at in range(0, len(partitions), _WINDOWS_A_QUERY):
            some = partitions[at : at + _WINDOWS_A_QUERY]
            looks = [self._looked(p, str(n), count) for n, p in enumerate(some)]
            text = " union all ".join(f"({s.text})" if self._brackets else s.text for s in looks)
            params = {name: value for s in looks for name, value in s.params.items()}
            for row in self.database.observe(text, params, self.time_zone):
                found[some[int(row[0])].key] = Observation(row[1], position.as_text(row[2]))
        return found

    def observe_query(self, sql: str) -> Observation:
        """A fingerprint of the first thousand rows of the user's own question: any change of it is a change."""
        text, names = parsed(sql, self.database.dialect).bind()
        if names:
            raise Stop(f"{self.name}: a sensor's query binds no parameters", hint=f"leave :{names[0]} out")
        rows = self.database.observe(text, {}, self.time_zone)
        shown = [[v if isinstance(v, bytes) else position.as_text(v) for v in row] for row in rows]
        return Observation(len(rows), hashlib.sha256(repr(shown).encode()).hexdigest()[:32])

    # -- how statements are made

    @property
    def _brackets(self) -> bool:
        return self.database.dialect != "sqlite"  # which takes no brackets round the parts of a union

    def _describe(self) -> Schema:
        if self.table is not None:
            return self.database.describe_table(self.table)
        assert self.query is not None  # noqa: S101 (the constructor saw to it)
        text, names = self.query.bind()
        example = _ALL_TIME if self.database.dialect == "sqlite" else _EXAMPLE
        params = {n: example.get(n) for n in names}
        return self.database.describe_query(text, params, self.time_zone)

    def _column(self, name: str) -> Column:
        for column in self._schema or self.describe():
            if column.name == name:
                return column
        raise Stop(
            f"{self.name}: the source has no column {name!r}",
            hint=f"it has {', '.join(c.name for c in self._schema)[:500]}",
        )

    def _quoted(self, name: str) -> str:
        """A name in a statement that goes through the driver's placeholders."""
        quoted = self.database.quote(name)
        return quoted if self.database.dialect == "sqlite" else quoted.replace("%", "%%")

    def _mark(self, name: str) -> str:
        return f":{name}" if self.database.dialect == "sqlite" else f"%({name})s"

    def _rows(self, partition: Partition | None, suffix: str = "", columns: Schema | None = None) -> _Select:
        if self.query is not None:
            select = self._query_rows(self.query, partition, suffix)
            if columns is None or len(columns) == len(self.describe()):
                return select
            return _Select(f"select {self._listed(columns)} from (\n{select.text}\n) as q", select.params)
        assert self.table is not None  # noqa: S101 (the constructor saw to it)
        names = self._listed(columns or self.describe())
        select = _Select(f"select {names} from {'.'.join(self._quoted(p) for p in name_parts(self.table))}")
        return select if partition is None else self._restricted(select, partition, suffix)

    def _listed(self, columns: Schema) -> str:
        return ", ".join(self._quoted(c.name) for c in columns)

    def _query_rows(self, query: Query, partition: Partition | None, suffix: str) -> _Select:
        text, names = query.bind(rename=lambda name: name + suffix)
        given = _given(partition, self.time_zone)
        missing = [n for n in PARAMETERS if n in query.names and given.get(n) is None]
        if missing:
            raise Stop(f"{self.name}: the query binds :{missing[0]}, and this read has no such value",
                       hint="name a partition, or leave the parameter out")  # fmt: skip
        return _Select(text, {name + suffix: given[name] for name in query.names if name + suffix in names})

    def _restricted(self, select: _Select, partition: Partition, suffix: str) -> _Select:
        if self.partitions is None:
            raise Stop(f"{self.name}: a partition was asked for, but no column says which rows it has",
                       hint="set partitions.column")  # fmt: skip
        column = self._column(self.partitions)
        name, params = self._quoted(column.name), dict(select.params)
        if partition.value is not None:
            params["value" + suffix] = position.as_value(partition.value, column, self.time_zone)
            return _Select(f"{select.text} where {name} = {self._mark('value' + suffix)}", params)
        if column.type not in _CLOCKS:
            raise Stop(f"{self.name}: column {column.name!r} ({column.native}) holds no time",
                       hint="partition by a date or time column")  # fmt: skip
        for bound in ("start", "end"):
            params[bound + suffix] = position.moment(getattr(partition, bound), column.type, self.time_zone)
        start, end = self._mark("start" + suffix), self._mark("end" + suffix)
        return _Select(f"{select.text} where {name} >= {start} and {name} < {end}", params)

    def _since(self, select: _Select, since: object) -> _Select:
        if self.watermark is None:
            raise Stop(f"{self.name}: reading on from a position needs a watermark", hint="set watermark: COLUMN")
        column = self._column(self.watermark)
        # SQLite compares texts: the position goes back as the text that came out.
        as_is = self.database.dialect == "sqlite" and column.type in _CLOCKS
        value = since if as_is else position.as_value(since, column, self.time_zone)
        params = {**select.params, "since": value}
        condition = f"{self._quoted(column.name)} >= {self._mark('since')}"
        if self.table is not None:  # no brackets: the server's index stays in sight
            join = "and" if select.params else "where"
            return _Select(f"{select.text} {join} {condition}", params)
        return _Select(f"select * from (\n{select.text}\n) as q where {condition}", params)

    def _looked(self, partition: Partition | None, suffix: str, count: bool) -> _Select:
        newest = f"max({self._quoted(self.watermark)})" if self.watermark else "null"
        if self.watermark:
            self._column(self.watermark)
        select = self._rows(partition, suffix)
        number = "count(*)" if count else "null"
        text = f"select {int(suffix or 0)} as n, {number} as counted, {newest} as newest from (\n{select.text}\n) as q"
        return _Select(text, select.params)


def _given(partition: Partition | None, zone: ZoneInfo) -> dict[str, Any]:
    """What a query may bind. Times are aware and in `zone`: the database makes of them what compares rightly."""
    if partition is None:
        return {}
    return {
        "start": partition.start.astimezone(zone) if partition.start else None,
        "end": partition.end.astimezone(zone) if partition.end else None,
        "value": partition.value,
    }


# To describe a query that binds parameters. NULL for :value, whose type its surroundings tell. SQLite looks at rows
# for columns without a declared type, so its window holds them all; the others do not run the query.
_EXAMPLE = {"start": datetime(2000, 1, 1, tzinfo=UTC), "end": datetime(2000, 1, 2, tzinfo=UTC)}
_ALL_TIME = {"start": datetime(1900, 1, 1, tzinfo=UTC), "end": datetime(2900, 1, 1, tzinfo=UTC)}
