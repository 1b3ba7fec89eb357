"""The catalogue of a SQLite file as shapes. Asks by the pragmas' table-valued forms, for all tables at once."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sync_assets.databases.sqlite import types
from sync_assets.engine.model import Column, ColumnType
from sync_assets.engine.tables.shape import (
    ColumnShape,
    ForeignKey,
    Index,
    TableEntry,
    TableKind,
    TableName,
    TableShape,
)

MAIN = "main"
OURS = "sync_assets_"  # ledger, stages and twins
_CHECK = re.compile(r"\bcheck\s*\(", re.I)

TABLES = """
select name, type, coalesce(sql, '') from main.sqlite_schema
where type in ('table', 'view')
and name not like 'sqlite\\_%' escape '\\' and name not like 'sync\\_assets\\_%' escape '\\'
order by name
"""
ALL = "select name, type, coalesce(sql, '') from main.sqlite_schema where type in ('table', 'view')"
COLUMNS = """
select m.name, c.name, c.type, c."notnull", c.dflt_value, c.pk, c.hidden
from main.sqlite_schema m join pragma_table_xinfo(m.name, 'main') c where m.type in ('table', 'view')
order by m.name, c.cid
"""
INDEXES = """
select m.name, i.name, i."unique", i.origin, i.partial, c.cid, c.name, c."desc", c.coll, coalesce(x.sql, '')
from main.sqlite_schema m join pragma_index_list(m.name, 'main') i
join pragma_index_xinfo(i.name, 'main') c left join main.sqlite_schema x on x.type = 'index' and x.name = i.name
where m.type = 'table' and c.key order by m.name, i.seq desc, c.seqno
"""
FOREIGN_KEYS = """
select m.name, f.id, f."table", f."from", f."to", f.on_update, f.on_delete
from main.sqlite_schema m join pragma_foreign_key_list(m.name, 'main') f where m.type = 'table'
order by m.name, f.id, f.seq
"""
Rows = Sequence[tuple[Any, ...]]


def column_shape(column: Column, bits: int | None = None) -> ColumnShape:
    """A declared type as a shape. Lengths and precisions are comments to SQLite, so they are none here."""
    bits = {ColumnType.BIGINT: 64, ColumnType.FLOAT: 32 if column.native == "float4" else 64}.get(column.type, bits)
    return ColumnShape(column.name, column.type, column.native, column.nullable, bits=bits)


def kind_of(type: str, sql: str) -> TableKind:
    if type == "view":
        return TableKind.VIEW
    return TableKind.FOREIGN if sql[:21].lower() == "create virtual table " else TableKind.TABLE


def entries(tables: Rows, foreign_keys: Rows, counts: Mapping[str, int]) -> list[TableEntry]:
    """All tables of the file that are not ours."""
    references: dict[str, list[TableName]] = defaultdict(list)
    for table, _, to, *_ in foreign_keys:
        if TableName(MAIN, to) not in references[table]:
            references[table].append(TableName(MAIN, to))
    return [
        TableEntry(TableName(MAIN, name), kind_of(type, sql), counts.get(name, 0), 0, tuple(references[name]))
        for name, type, sql in tables
    ]


def sized(shape: TableShape, rows: int) -> TableShape:
    """With its number of rows; their size is a guess."""
    return replace(shape, rows=rows, bytes=rows * 20 * len(shape.columns))


def shapes(tables: Rows, columns: Rows, indexes: Rows, foreign_keys: Rows) -> dict[TableName, TableShape]:
    """All shapes, from the rows of the four questions."""
    by_table: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for row in columns:
        by_table[row[0]].append(row)
    keys = {name: _key(by_table[name]) for name, *_ in tables}
    made = {}
    for name, type, sql in tables:
        own = [r for r in indexes if r[0] == name]
        made[TableName(MAIN, name)] = TableShape(
            TableName(MAIN, name), _columns(by_table[name], keys[name]), kind_of(type, sql), keys[name],
            tuple(_unique(own, by_table[name])), tuple(_indexes(name, own)),
            tuple(_foreign_keys([f for f in foreign_keys if f[0] == name], keys)),
            ("its definition holds a CHECK",) if _CHECK.search(sql) else (),
        )  # fmt: skip
    return made


def _key(columns: Rows) -> tuple[str, ...]:
    return tuple(row[1] for row in sorted((r for r in columns if r[5]), key=lambda r: r[5]))


def _columns(rows: Rows, key: Sequence[str]) -> tuple[ColumnShape, ...]:
    return tuple(_column(row, len(key) == 1) for row in rows if row[6] != 1)


def _column(row: tuple[Any, ...], alone: bool) -> ColumnShape:
    """``integer primary key`` is the row's own number: it counts, and is never NULL."""
    _, name, declared, notnull, default, pk, hidden = row
    counts = bool(pk) and alone and (declared or "").lower() == "integer"
    shape = column_shape(types.column(name, declared or "", not (notnull or counts)))
    generated = "computed" if hidden in (2, 3) else None
    return ColumnShape(
        name, shape.type, shape.native, shape.nullable, bits=shape.bits, default=default, generated=generated,
        identity="default" if counts else "",
    )  # fmt: skip


def _grouped(rows: Iterable[tuple[Any, ...]]) -> dict[Any, list[tuple[Any, ...]]]:
    found: dict[Any, list[tuple[Any, ...]]] = defaultdict(list)
    for row in rows:
        found[row[1]].append(row)
    return found


def _plain(rows: Rows) -> bool:
    """On whole columns, rising, comparing bytes, over all rows."""
    return all(r[5] >= 0 and not r[7] and r[8] == "BINARY" and not r[4] for r in rows)


def _unique(rows: Rows, columns: Rows) -> Iterable[tuple[str, ...]]:
    """Keys besides the primary one, of columns that are never NULL."""
    never = {r[1] for r in columns if r[3]}
    for index in _grouped(rows).values():
        names = tuple(r[6] for r in index)
        if index[0][2] and index[0][3] != "pk" and _plain(index) and set(names) <= never:
            yield names


def _indexes(table: str, rows: Rows) -> Iterable[Index]:
    for name, index in _grouped(rows).items():
        _, _, unique, origin, _, _, _, _, _, sql = index[0]
        if origin == "pk":
            continue
        columns = tuple(str(r[6]) for r in index)
        shown = name if origin == "c" else "_".join([table, *columns, "key"])
        yield Index(shown, columns if _plain(index) else (), bool(unique), _plain(index), sql)


def _foreign_keys(rows: Rows, keys: Mapping[str, tuple[str, ...]]) -> Iterable[ForeignKey]:
    for number, key in _grouped(rows).items():
        to, update, delete = key[0][2], key[0][5], key[0][6]
        columns = tuple(r[3] for r in key)
        named = tuple(r[4] for r in key)
        to_columns = named if all(named) else keys.get(to, ())
        yield ForeignKey(
            f"{key[0][0]}_fk{number}", columns, TableName(MAIN, to), to_columns,
            "" if delete == "NO ACTION" else delete, "" if update == "NO ACTION" else update,
        )  # fmt: skip
