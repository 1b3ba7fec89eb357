"""A target in memory that keeps the rules of a board: atomic batches, client tokens, caps, records that vanish.

For tests of plans, writers and runs that need no HTTP. Its values are canonical already. The emulator in
`testing.bitable` is the faithful one; what is about Feishu is tested there.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sync_assets.engine.errors import BadBatch, Gone, RejectRow, TooLarge
from sync_assets.engine.model import Batch, Canonical, Column, ColumnType, Delivery, Partition, Record, Schema
from sync_assets.engine.target import Limits, Mapped, Shape, Traffic, Written

REFUSED = "refused by the codec"  # a source value that no canonical form exists for


def canonise(value: Any) -> Canonical:
    """The value itself; numbers as doubles, as a board has them."""
    if value == REFUSED:
        raise RejectRow("a value does not fit", field="a", code="codec")
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value  # type: ignore[no-any-return]


@dataclass
class MemoryBoard:
    """Implements `engine.target.Target`. `calls` tells each write: its kind and the number of rows."""

    limits: Limits = field(default_factory=Limits)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    bad: Callable[[Mapping[str, Any]], bool] = lambda cells: False  # rows that the board refuses
    most_rows: int = 1000  # a larger batch is refused whole
    silent: bool = False  # echoes come without values
    page_rows: int = 3
    unmapped: frozenset[str] = frozenset()  # columns that get no field
    calls: list[tuple[str, int]] = field(default_factory=list)
    link: str = "memory"
    lease_name: str = "memory:board"
    delivery: Delivery = Delivery.TOKEN
    traffic: Traffic = field(default_factory=Traffic)
    tokens: dict[str, list[str]] = field(default_factory=dict)
    _names: tuple[str, ...] = ()
    _schema: Schema = ()
    _check: Callable[[], None] = lambda: None
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def fence(self, check: Callable[[], None]) -> None:
        self._check = check

    def open(self, schema: Schema) -> bool:
        self._schema = schema
        return False

    @property
    def columns(self) -> Sequence[str]:
        return [c.name for c in self._schema]

    def shape(self, batches: Sequence[Batch], *, dry: bool) -> Shape:
        mapped = tuple(
            Mapped(c, i, c.name, canonise) for i, c in enumerate(self._schema) if c.name not in self.unmapped
        )
        self._names = tuple(m.field for m in mapped)
        return Shape(mapped)

    def scan(self, *, extra: bool, only: tuple[str, str] | None = None) -> Iterator[Sequence[Record]]:
        found = [
            Record(i, self._values(cells), tuple(n for n in cells if n not in self._names) if extra else ())
            for i, cells in self.records.items()
            if only is None or only[1] in str(cells.get(only[0], ""))
        ]
        for start in range(0, len(found), self.page_rows):
            yield found[start : start + self.page_rows]

    def _values(self, cells: Mapping[str, Any]) -> tuple[Canonical, ...]:
        return tuple(cells.get(n) for n in self._names)

    def create_part(self, values: Sequence[Canonical]) -> bytes:
        return json.dumps({n: v for n, v in zip(self._names, values, strict=True) if v is not None}).encode()

    def update_part(self, record: str, changes: Mapping[int, Canonical], clear: Sequence[str]) -> bytes:
        cells = {self._names[i]: v for i, v in changes.items()} | dict.fromkeys(clear)
        return json.dumps({"id": record, "cells": cells}).encode()

    def payload(self, parts: Sequence[bytes]) -> bytes:
        return b"[" + b",".join(parts) + b"]"

    def create(self, payload: bytes, token: str) -> Sequence[Written]:
        rows = json.loads(payload)
        self._begin("create", rows)
        if token not in self.tokens:
            self._judge(rows)
            self.tokens[token] = [f"rec{next(self._numbers)}" for _ in rows]
            self.records |= dict(zip(self.tokens[token], rows, strict=True))
        return [self._echo(i, cells) for i, cells in zip(self.tokens[token], rows, strict=True)]

    def update(self, payload: bytes) -> Sequence[Written]:
        rows = json.loads(payload)
        self._begin("update", rows)
        self._there([r["id"] for r in rows])
        self._judge([r["cells"] for r in rows])
        for row in rows:
            held = self.records[row["id"]] | row["cells"]
            self.records[row["id"]] = {n: v for n, v in held.items() if v is not None}
        return [self._echo(r["id"], r["cells"]) for r in rows]

    def delete(self, ids: Sequence[str]) -> None:
        self._begin("delete", ids)
        self._there(ids)
        for i in ids:
            del self.records[i]

    def absent(self, ids: Sequence[str]) -> set[str]:
        return set(ids) - self.records.keys()

    def close(self) -> None:
        """Nothing to close."""

    def _begin(self, kind: str, rows: Sequence[Any]) -> None:
        self._check()
        self.calls.append((kind, len(rows)))
        if len(rows) > self.most_rows:
            raise TooLarge("too many rows", code="too_large")

    def _there(self, ids: Sequence[str]) -> None:
        if self.absent(ids):
            raise Gone("a record was not found", code="gone")

    def _judge(self, rows: Sequence[Mapping[str, Any]]) -> None:
        if any(map(self.bad, rows)):
            raise BadBatch("a value does not fit", field="a", code="bad")

    def _echo(self, record: str, cells: Mapping[str, Any]) -> Written:
        return Written(record, None if self.silent else {i: cells.get(n) for i, n in enumerate(self._names)})


@dataclass
class ListSource:
    """Implements `engine.model.Source` by partition key ("" without). An error among the rows is raised after them."""

    columns: tuple[str, ...]
    parts: dict[str, list[Any] | Exception]
    name: str = "list"
    watermark: int | None = None
    asked: list[object] = field(default_factory=list)  # the `since` of each read

    def describe(self) -> Schema:
        return tuple(Column(n, ColumnType.OTHER) for n in self.columns)

    def read(
        self, partition: Partition | None = None, since: object | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[Batch]:
        self.asked.append(since)
        found = self.parts[partition.key if partition else ""]
        if isinstance(found, Exception):
            raise found
        rows = [r for r in found if not isinstance(r, Exception)]
        if since is not None and self.watermark is not None:
            rows = [r for r in rows if str(r[self.watermark]) >= str(since)]
        for start in range(0, len(rows), 2):
            yield Batch(self.columns, rows[start : start + 2], start)
        broken = next((r for r in found if isinstance(r, Exception)), None)
        if broken is not None:
            raise broken

    def observe(self, partition: Partition | None = None) -> Any:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing to close."""
