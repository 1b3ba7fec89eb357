"""From source columns to fields of a board: what exists, what is to be created, what cannot work.

Pure: gets the board's fields as they are and says what to do. An existing field keeps its type, whatever the strategy
would choose; where the two differ the run says so, and where they cannot fit it stops before anything is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sync_assets.engine.errors import Stop
from sync_assets.engine.model import Column, ColumnType, Schema
from sync_assets.feishu.bitable import Field
from sync_assets.targets.bitable import cells, columns, strategy
from sync_assets.targets.bitable.census import Census
from sync_assets.targets.bitable.clock import WallClock
from sync_assets.targets.bitable.strategy import FieldWords, Wish

TYPE_NAMES = {
    1: "text", 2: "number", 3: "single select", 4: "multi select", 5: "date", 7: "checkbox", 11: "person",
    13: "phone", 15: "url", 17: "attachment", 18: "link", 19: "lookup", 20: "formula", 21: "two-way link",
    22: "location", 23: "group", 24: "stage", 1001: "created time", 1002: "modified time", 1003: "creator",
    1004: "modifier", 1005: "auto number", 3001: "button",
}  # fmt: skip
PRIMARY_TYPES = (1, 2, 5, 13, 15, 20, 22)  # bitable.md 1.7


@dataclass(frozen=True, slots=True)
class Plan:
    """Where each column goes. `missing` are fields to create, in order."""

    columns: tuple[tuple[int, Column, str], ...]  # index in the source row, column, field name
    existing: Mapping[str, Field]
    notes: list[str] = field(default_factory=list)

    def missing(self) -> list[tuple[Column, str]]:
        """Columns whose field is not on the board."""
        return [(c, name) for _, c, name in self.columns if name not in self.existing]


def lay_out(sync: str, schema: Schema, words: Mapping[str, FieldWords], fields: Sequence[Field]) -> Plan:
    """Pair columns with fields by name. Raises `Stop` for columns that do not exist and fields nobody may write."""
    unknown = sorted(set(words) - {c.name for c in schema})
    if unknown:
        names = ", ".join(c.name for c in schema)
        raise Stop(f"{sync}: columns names {unknown[0]}, which the source does not return", hint=f"it has: {names}")
    plan = Plan(tuple(_wanted(schema, words)), {f.name.strip(): f for f in fields})
    _refuse_doubles(sync, plan)
    for _, column, name in plan.columns:
        found = plan.existing.get(name)
        if found is not None and found.type not in cells.WRITABLE:
            raise Stop(
                f"{sync}: field {name} is a {TYPE_NAMES.get(found.type, 'special')} field, which the API cannot write",
                hint=f"set columns: {{{column.name}: {{skip: true}}}}, or send the column to another field",
                code="read_only_field",
            )
    plan.notes.extend(_left_out(schema, words))
    return plan


def _wanted(schema: Schema, words: Mapping[str, FieldWords]) -> list[tuple[int, Column, str]]:
    chosen = []
    for index, column in enumerate(schema):
        said = words.get(column.name, FieldWords())
        if said.skip or (column.type is ColumnType.BLOB and said.type is None):
            continue
        chosen.append((index, column, (said.field or column.name).strip()))
    return chosen


def _left_out(schema: Schema, words: Mapping[str, FieldWords]) -> list[str]:
    return [
        f"column {c.name} holds bytes and is left out; give it a type to send it as text"
        for c in schema
        if c.type is ColumnType.BLOB and words.get(c.name, FieldWords()).type is None and not words.get(
            c.name, FieldWords()).skip
    ]  # fmt: skip


def _refuse_doubles(sync: str, plan: Plan) -> None:
    names = [name for _, _, name in plan.columns]
    double = next((n for n in names if names.count(n) > 1), None)
    if double is not None:
        raise Stop(f"{sync}: two columns go to the field {double}", hint="give one of them another field, or skip it")


def person_ids(sync: str, words: Mapping[str, FieldWords]) -> str:
    """The one kind of id by which persons are named. Raises `Stop` when columns name them by different kinds."""
    kinds = sorted({w.person_id for w in words.values() if w.type == "person" and not w.skip})
    if len(kinds) > 1:
        raise Stop(
            f"{sync}: persons are named by {' and '.join(kinds)}; one call knows one kind of id",
            hint="give all person columns the same person_id",
            code="person_id",
        )
    return kinds[0] if kinds else "open_id"


def wishes(plan: Plan, words: Mapping[str, FieldWords], chosen: str, census: Mapping[str, Census]) -> dict[str, Wish]:
    """The field that each missing column should get, by field name."""
    return {name: _wish(column, words, chosen, census.get(column.name)) for column, name in plan.missing()}


def _wish(column: Column, words: Mapping[str, FieldWords], chosen: str, census: Census | None) -> Wish:
    said = words.get(column.name)
    if said is not None and said.type is not None:
        return strategy.ordered(column, said)
    return strategy.wish(column, chosen, census) or strategy.TEXT


def spec(name: str, wish: Wish) -> dict[str, object]:
    """The body that creates the field. Feishu wants no `property` at all where there is none (1254087)."""
    body: dict[str, object] = {"field_name": name, "type": wish.type}
    if wish.ui_type:
        body["ui_type"] = wish.ui_type
    if wish.property is not None:
        body["property"] = wish.property
    return body


def table_specs(plan: Plan, wanted: Mapping[str, Wish], key: Sequence[str]) -> list[dict[str, object]]:
    """All fields of a new table. The first one is the primary column: the key, as a text if need be."""
    names = [name for _, _, name in plan.columns]
    keys = [name for _, column, name in plan.columns if column.name in key]
    able = [n for n in keys + names if wanted[n].type in PRIMARY_TYPES]
    first = able[0] if able else names[0]
    primary = wanted[first] if wanted[first].type in PRIMARY_TYPES else strategy.TEXT
    rest = [spec(n, wanted[n]) for n in names if n != first]
    return [spec(first, primary), *rest]


def codec_for(name: str, found: Field | None, wish: Wish | None, clock: WallClock) -> columns.FieldCodec:
    """The codec of a field that exists, or of one that is wished for (in a dry run)."""
    if found is not None:
        percent = str((found.property or {}).get("formatter", "")).endswith("%")
        return columns.codec(found.type, name, clock, percent=percent)
    kind = wish.type if wish else cells.TEXT
    return columns.codec(kind, name, clock, percent=bool(wish and wish.percent))


def differences(plan: Plan, words: Mapping[str, FieldWords], sync: str, chosen: str) -> list[str]:
    """Notes on existing fields of another type than metadata suggests. Raises `Stop` where the user named another."""
    notes = []
    for _, column, name in plan.columns:
        found, said = plan.existing.get(name), words.get(column.name, FieldWords())
        if found is None:
            continue
        if said.type is not None and not strategy.matches(column, said, found.type):
            raise Stop(
                f"{sync}: field {name} is a {TYPE_NAMES.get(found.type)} on the board, not a {said.type}",
                hint="change the field on the board by hand, or take the type out of columns",
                code="field_type",
            )
        natural = strategy.wish(column, chosen, None)
        if said.type is None and natural is not None and found.type not in (natural.type, *_also(column, natural)):
            what = TYPE_NAMES.get(found.type)
            notes.append(f"field {name} is a {what} on the board; {column.native or column.type} is written as that")
    return notes


def _also(column: Column, natural: Wish) -> tuple[int, ...]:
    """Types that a census may have chosen where metadata alone says `natural`: nothing to report."""
    if natural.type == cells.TEXT:
        return cells.WRITABLE if column.type in _JUDGED else ()
    if column.type is ColumnType.BOOL:
        return (cells.SINGLE,)
    return (cells.TEXT,) if column.type is ColumnType.SET else ()


_JUDGED = (ColumnType.TEXT, ColumnType.BIGINT, ColumnType.DECIMAL)
