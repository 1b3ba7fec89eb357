"""A Bitable board as an engine target: which fields, which cells, which calls. Knows no mode and no plan."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo as Zone
from itertools import repeat
from typing import Any

from sync_assets.engine.errors import Stop
from sync_assets.engine.model import Batch, Canonical, Column, Delivery, Record, Schema
from sync_assets.engine.target import Limits, Mapped, Shape, Traffic, Written
from sync_assets.feishu.bitable import Base, Board, Field, open_base
from sync_assets.feishu.client import FeishuClient
from sync_assets.feishu.link import parse_link
from sync_assets.targets.bitable import cells, mapping, strategy
from sync_assets.targets.bitable.census import Census
from sync_assets.targets.bitable.clock import WallClock
from sync_assets.targets.bitable.columns import FieldCodec
from sync_assets.targets.bitable.strategy import FieldWords, Wish

MAX_FIELDS = 300  # of a table (bitable.md 1.6)
_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


@dataclass(frozen=True, slots=True)
class BoardSpec:
    """Which board, and how columns become fields."""

    sync: str
    link: str
    table_name: str | None
    key: tuple[str, ...]
    strategy: str
    words: Mapping[str, FieldWords]
    zone: Zone
    create_fields: bool = True


@dataclass(slots=True)
class BitableTarget:
    """One board. Open it, ask for its shape, scan it, write to it, close it: in that order, in one thread at a time."""

    spec: BoardSpec
    client: FeishuClient
    delivery: Delivery = Delivery.TOKEN
    limits: Limits = field(default_factory=Limits)
    _base: Base | None = None
    _board: Board | None = None
    _plan: mapping.Plan | None = None
    _schema: Schema = ()
    _persons: str = "open_id"
    _fields: dict[str, Field] = field(default_factory=dict)
    _codecs: tuple[FieldCodec, ...] = ()
    _mapped: tuple[Mapped, ...] = ()
    _writers: list[tuple[str, Callable[[Any], Any] | None]] = field(default_factory=list)  # None: as it is
    _empty: bool = False  # no table yet, or one that this run has just created: nothing to scan

    @property
    def name(self) -> str:
        return self.spec.sync

    @property
    def link(self) -> str:
        return self.spec.link

    @property
    def lease_name(self) -> str:
        """One writer per table, whichever sync, process or machine it belongs to."""
        link = parse_link(self.spec.link)
        place = (
            link.table_id or f"{link.token}/{self.spec.table_name}"
        )  # a table id is unique; base and wiki links meet
        return f"bitable:{link.host}/{place}"

    @property
    def traffic(self) -> Traffic:
        s = self.client.stats
        return Traffic(s.requests, s.bytes_sent, s.bytes_received, s.waited)

    def fence(self, check: Callable[[], None]) -> None:
        """A write may wait long for its turn, and be tried for minutes: whoever lost the lease must notice then."""
        self.client.before_write = check

    # -- the shape -------------------------------------------------------------------------------------------------

    def open(self, schema: Schema) -> bool:
        """Find the table, list its fields and lay the columns out over them."""
        self._schema = schema
        self._persons = mapping.person_ids(self.spec.sync, self.spec.words)
        self._base, self._board = self._find()
        self._empty = self._board is None
        found = self._board.fields() if self._board else []
        self._fields = {f.name.strip(): f for f in found}
        self._plan = mapping.lay_out(self.spec.sync, schema, self.spec.words, found)
        self._plan.notes.extend(mapping.differences(self._plan, self.spec.words, self.spec.sync, self.spec.strategy))
        return any(self._unsure(column) for column, _ in self._plan.missing())

    def _find(self) -> tuple[Base, Board | None]:
        link = parse_link(self.spec.link)
        base = open_base(self.client, link)
        if link.table_id:
            return base, self._table(base, link.table_id)
        if not self.spec.table_name:
            raise Stop(
                f"{self.spec.sync}: the link names no table",
                hint="copy the link while the table is open (it ends in ?table=tbl...), or give table_name",
            )
        found = next((t for t in base.tables() if t.name == self.spec.table_name), None)
        return base, self._table(base, found.id) if found else None

    def _table(self, base: Base, table_id: str) -> Board:
        board = base.table(table_id)
        board.person_ids = self._persons
        return board

    def _unsure(self, column: Column) -> bool:
        said = self.spec.words.get(column.name)
        return (said is None or said.type is None) and strategy.needs_census(column, self.spec.strategy)

    def shape(self, batches: Sequence[Batch], *, dry: bool) -> Shape:
        """Decide on missing fields, create them, and say how every column becomes a cell."""
        plan = self._opened()
        wanted = mapping.wishes(plan, self.spec.words, self.spec.strategy, self._census(batches))
        notes = list(plan.notes)
        if wanted:
            notes += self._create_missing(plan, wanted, dry)
        clock = WallClock(self.spec.zone)
        self._codecs = tuple(
            mapping.codec_for(name, self._fields.get(name), wanted.get(name), clock) for _, _, name in plan.columns
        )
        self._writers = [
            (name, None if codec.write is cells.same else codec.write)
            for (_, _, name), codec in zip(plan.columns, self._codecs, strict=True)
        ]
        self._mapped = tuple(
            Mapped(column, index, name, codec.one.canonise, codec.canonise)
            for (index, column, name), codec in zip(plan.columns, self._codecs, strict=True)
        )
        return Shape(self._mapped, tuple(notes))

    @property
    def columns(self) -> Sequence[str]:
        return [column.name for _, column, _ in self._opened().columns]

    def _opened(self) -> mapping.Plan:
        if self._plan is None:
            raise AssertionError("shape before open")
        return self._plan

    def _census(self, batches: Sequence[Batch]) -> dict[str, Census]:
        wanted = {c.name for c, _ in self._opened().missing() if self._unsure(c)}
        clock = WallClock(self.spec.zone)
        counted = {name: Census(clock) for name in wanted}
        for name, census in counted.items():
            for batch in batches:
                index = batch.columns.index(name)
                census.add(row[index] for row in batch.rows)
        return counted

    def _create_missing(self, plan: mapping.Plan, wanted: Mapping[str, Wish], dry: bool) -> list[str]:
        if not self.spec.create_fields and not dry:
            raise Stop(
                f"{self.spec.sync}: the board has no field {next(iter(wanted))}",
                hint="create it, or set create_fields: true, or skip the column",
                code="missing_field",
            )
        if len(self._fields) + len(wanted) > MAX_FIELDS:
            raise Stop(
                f"{self.spec.sync}: the table would have {len(self._fields) + len(wanted)} fields; "
                f"Feishu allows {MAX_FIELDS}",
                hint="skip columns, or select fewer in a query",
                code="field_limit",
            )
        unmakable = next((n for n, w in wanted.items() if w.type == cells.LINK), None)
        if unmakable is not None:
            raise Stop(
                f"{self.spec.sync}: link field {unmakable} does not exist",
                hint="create it on the board, since only you know the table that it links to",
            )
        if not dry:
            self._create(plan, wanted)
        verb = "would create" if dry else "created"
        return [
            f"{verb} field {name}: {mapping.TYPE_NAMES[w.type]}" + (f" ({w.why})" if w.why else "")
            for name, w in wanted.items()
        ]

    def _create(self, plan: mapping.Plan, wanted: Mapping[str, Wish]) -> None:
        if self._board is None and self._base is not None:
            specs = mapping.table_specs(plan, wanted, self.spec.key)
            table = self._base.create_table(self.spec.table_name or "", specs)
            self._board = self._table(self._base, table)
            self._fields = {f.name.strip(): f for f in self._board.fields()}
        elif self._board is not None:
            for name, wish in wanted.items():
                self._fields[name] = self._board.create_field(mapping.spec(name, wish))

    # -- reading ---------------------------------------------------------------------------------------------------

    def scan(self, *, extra: bool, only: tuple[str, str] | None = None) -> Iterator[Iterable[Record]]:
        """Page through the records, asking only for mapped fields unless `extra` is wanted.

        A page is worked on when it is looped over: by then a reader ahead has already asked for the next one.
        """
        if self._empty or self._board is None:
            self._empty = False  # a second look, after writing, is a real one
            return
        names = [m.field for m in self._mapped if m.field in self._fields]
        others = [n for n, f in self._fields.items() if f.type in cells.WRITABLE and n not in names] if extra else []
        for page in self._board.search([*names, *others], filter=_containing(only)):
            yield self._records(page.items, others)

    def _records(self, items: Sequence[Mapping[str, Any]], others: Sequence[str]) -> Iterator[Record]:
        held = [item["fields"] for item in items]
        extra: Iterable[tuple[str, ...]] = repeat(())
        if others:
            extra = [tuple(n for n in others if cellset.get(n) not in (None, "", [], False)) for cellset in held]
        yield from map(Record, [item["record_id"] for item in items], self._values(held), extra)

    def _values(self, held: Sequence[dict[str, Any]]) -> list[tuple[Canonical, ...]]:
        """Canonical values of the mapped fields, record by record."""
        read = [c.read(held, m.field) for c, m in zip(self._codecs, self._mapped, strict=True)]
        return list(zip(*read, strict=True))

    # -- writing ---------------------------------------------------------------------------------------------------

    def create_part(self, values: Sequence[Canonical]) -> bytes:
        """Only the cells that hold something: an absent cell is an empty one."""
        cellset = {
            name: value if write is None else write(value)
            for (name, write), value in zip(self._writers, values, strict=True)
            if value is not None
        }
        return _encode({"fields": cellset})

    def update_part(self, record: str, changes: Mapping[int, Canonical], clear: Sequence[str]) -> bytes:
        """Only the cells that changed; null clears one."""
        cellset: dict[str, Any] = dict.fromkeys(clear)
        for position, value in changes.items():
            cellset[self._mapped[position].field] = self._cell(position, value)
        return _encode({"record_id": record, "fields": cellset})

    def _cell(self, position: int, value: Canonical) -> Any:
        if value is not None:
            return self._codecs[position].write(value)
        found = self._fields.get(self._mapped[position].field)
        return False if found is not None and found.type == cells.CHECKBOX else None

    def payload(self, parts: Sequence[bytes]) -> bytes:
        return b'{"records":[' + b",".join(parts) + b"]}"

    def create(self, payload: bytes, token: str) -> Sequence[Written]:
        return self._written(self._live().batch_create(payload, token))

    def update(self, payload: bytes) -> Sequence[Written]:
        return self._written(self._live().batch_update(payload))

    def delete(self, ids: Sequence[str]) -> None:
        self._live().batch_delete(ids)

    def absent(self, ids: Sequence[str]) -> set[str]:
        return self._live().absent(ids)

    def _live(self) -> Board:
        if self._board is None:
            raise AssertionError("write without a board")
        return self._board

    def _written(self, records: Sequence[Mapping[str, Any]]) -> Sequence[Written]:
        """What the echo says, by position; an echo without fields says nothing."""
        ids = [str(record.get("record_id")) for record in records]
        held = [record.get("fields") for record in records]
        if None in held:
            return [Written(i, None) for i in ids]
        values = self._values([h or {} for h in held])
        return [Written(i, dict(enumerate(v))) for i, v in zip(ids, values, strict=True)]

    def close(self) -> None:
        self.client.close()


def _encode(part: Mapping[str, Any]) -> bytes:
    text = _dumps(part)
    try:
        return text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair: escape it, and let the target judge the row
        return json.dumps(part).encode()


def _containing(only: tuple[str, str] | None) -> dict[str, Any] | None:
    if only is None:
        return None
    name, part = only
    condition = {"field_name": name, "operator": "contains", "value": [part]}
    return {"conjunction": "and", "conditions": [condition]}
