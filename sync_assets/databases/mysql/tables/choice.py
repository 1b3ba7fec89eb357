"""A selection as SQL: where its rows come from and what they must fulfil. Builds text, runs nothing.

Numbers are written as numbers, so that no index and no digit is lost; texts are compared by the column's index first,
and where it must be exactly this text, by their bytes as well: a collation takes A for a.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from sync_assets.databases.mysql.tables.line import quote, text
from sync_assets.databases.mysql.tables.render import base, canonical
from sync_assets.engine.errors import Stop
from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables.reading import BucketRule, Condition, Key, Selection
from sync_assets.engine.tables.shape import ColumnShape, TableName

KEYS_AT_ONCE = 1_000  # keys or buckets in one statement
_NUMBER = re.compile(r"-?\d{1,80}(\.\d{1,80})?")
_PLAIN_FLOAT = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?")
_HEX = re.compile(r"([0-9a-fA-F]{2})*")
_NUMBERS = frozenset({ColumnType.BOOL, ColumnType.INTEGER, ColumnType.BIGINT, ColumnType.DECIMAL})
_EXACT = frozenset({ColumnType.TEXT, ColumnType.ENUM, ColumnType.SET, ColumnType.JSON, ColumnType.OTHER})


def source_of(selection: Selection) -> str:
    """What stands after FROM."""
    if selection.table is None:
        return f"({selection.query}\n) as `sync_assets_query`"
    return table(selection.table)


def table(name: TableName) -> str:
    return quote(name.schema, name.name)


def statement(expressions: str, selection: Selection, tail: str = "") -> str:
    """One SELECT; a selection by keys must hold no more than `pieces` gives it."""
    found = where(selection)
    return f"select {expressions} from {source_of(selection)}{found} {tail}".rstrip()  # noqa: S608 (quoted)


def pieces(selection: Selection) -> Iterator[Selection]:
    """The selection, cut so that none has too many keys for one statement."""
    if selection.keys is None:
        yield selection
        return
    for at in range(0, len(selection.keys), KEYS_AT_ONCE):
        yield replace(selection, keys=selection.keys[at : at + KEYS_AT_ONCE])


def narrowed(selection: Selection, more: str) -> Selection:
    """Only those rows that fulfil `more`, SQL of our own, as well."""
    return replace(selection, where=f"({selection.where}) and {more}" if selection.where else more)


def where(selection: Selection) -> str:
    if selection.pages is not None and (selection.pages.low, selection.pages.high) != (0, None):
        raise Stop("pages mean nothing in MySQL", hint="slice by key", code="pages")
    parts = [f"({selection.where})"] if selection.where else []
    known = {c.name: c for c in selection.columns}
    parts += [condition(known.get(c.column), c) for c in selection.conditions]
    if selection.keys is not None:
        parts.append(keys([known[k] for k in selection.key], selection.keys))
    return f" where {' and '.join(parts)}" if parts else ""


def condition(column: ColumnShape | None, wanted: Condition, alias: str = "") -> str:
    """`wanted` on `column`; None for a column that is not among those selected: its type is told by the server."""
    name = alias + quote(wanted.column)
    if column is None:
        return f"{name} {wanted.operator} {text(wanted.value)}"
    plain = f"{name} {wanted.operator} {literal(column, wanted.value)}"
    if wanted.operator == "=" and column.type in _EXACT:
        return f"{plain} and {canonical(column, name)} = {_bytes(wanted.value)}"
    return plain


def keys(columns: Sequence[ColumnShape], wanted: Iterable[Key]) -> str:
    """Rows with one of these keys."""
    wanted = list(wanted)
    if not wanted:
        return "false"
    names = _tuple([quote(c.name) for c in columns])
    listed = ", ".join(_tuple([literal(c, v) for c, v in zip(columns, key, strict=True)]) for key in wanted)
    found = f"{names} in ({listed})"
    if not any(c.type in _EXACT for c in columns):
        return found
    exact = _tuple([canonical(c, n) if c.type in _EXACT else n for c, n in ((c, quote(c.name)) for c in columns)])
    values = ", ".join(
        _tuple([_bytes(v) if c.type in _EXACT else literal(c, v) for c, v in zip(columns, key, strict=True)])
        for key in wanted
    )
    return f"{found} and {exact} in ({values})"


def _tuple(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"


def _bytes(value: str) -> str:
    """A text as its bytes."""
    return f"x'{value.encode().hex()}'"


def literal(column: ColumnShape, value: str) -> str:
    """A canonical text as a literal that is compared as the column's own type. Raises `Stop` if it is none of it."""
    made = _literal(column, value)
    if made is None:
        raise Stop(f"column {column.name}: a bound is no value of its type, {column.native}", hint="look at the bound")
    return made


def _literal(column: ColumnShape, value: str) -> str | None:
    if column.type in _NUMBERS:
        return value if _NUMBER.fullmatch(value) else None
    if column.type is ColumnType.FLOAT:
        plain = _PLAIN_FLOAT.fullmatch(value)
        return None if plain is None else value if plain[2] else f"{value}e0"
    if column.type is ColumnType.BLOB:
        return f"x'{value}'" if _HEX.fullmatch(value) else None
    if base(column) == "bit":
        return f"b'{value}'" if set(value) <= {"0", "1"} else None
    return text(value)


def bucket(rule: BucketRule, columns: Sequence[ColumnShape], hash: str) -> str:
    """The number of the bucket of a row; `hash` is that of its key."""
    if not columns:
        return "0"
    if rule.width:
        return f"{quote(columns[0].name)} div {rule.width}"
    return f"{hash} % {rule.count}"


def in_buckets(rule: BucketRule, columns: Sequence[ColumnShape], hash: str, numbers: Sequence[int]) -> str:
    """Rows in one of the buckets: by ranges of the key where it is an integer, so that its index serves."""
    if not columns:
        return "true" if 0 in numbers else "false"
    if not rule.width:
        return f"{bucket(rule, columns, hash)} in ({', '.join(map(str, numbers))})"
    name = quote(columns[0].name)
    spans = (_span(number, rule.width) for number in numbers)
    return "(" + " or ".join(f"{name} between {low} and {high}" for low, high in _joined(spans)) + ")"


def _span(number: int, width: int) -> tuple[int, int]:
    """Quotients are cut towards zero, so bucket 0 is twice as wide."""
    if number == 0:
        return 1 - width, width - 1
    return (number * width, number * width + width - 1) if number > 0 else (number * width - width + 1, number * width)


def _joined(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Adjacent ranges as one."""
    last: tuple[int, int] | None = None
    for span in sorted(spans):
        if last is not None and span[0] == last[1] + 1:
            last = (last[0], span[1])
            continue
        if last is not None:
            yield last
        last = span
    if last is not None:
        yield last
