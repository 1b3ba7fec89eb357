"""A `Selection` as SQL. Knows how rows are restricted, not how their columns are written."""

from __future__ import annotations

from collections.abc import Sequence

from sync_assets.databases.postgres.tables.quoting import array_literal, bare, constant, native_text
from sync_assets.databases.quoting import listed, qualified, quoted
from sync_assets.engine.errors import Stop
from sync_assets.engine.tables.reading import Condition, Key, Pages, Selection
from sync_assets.engine.tables.shape import ColumnShape


def select(selection: Selection, outputs: Sequence[str], also: Sequence[str] = ()) -> str:
    """A SELECT of the expressions `outputs` over the rows of `selection` (as ``t``), and conditions besides."""
    return f"select {', '.join(outputs)} {body(selection, also)}"


def body(selection: Selection, also: Sequence[str] = (), before: str = "") -> str:
    """FROM and WHERE. `before` is joined ahead of the table."""
    parts = [*restrictions(selection), *also]
    where = f" where {' and '.join(parts)}" if parts else ""
    return f"from {before}{origin(selection)}{where}"


def origin(selection: Selection) -> str:
    """The table or the query as ``t``. A query may end in a comment: the bracket stands on its own line."""
    if selection.query:
        return f"(\n{selection.query.strip().rstrip(';')}\n) as t"
    if selection.table is None:
        raise Stop("neither a table nor a query is selected")
    return f"{qualified(selection.table)} as t"


def restrictions(selection: Selection) -> list[str]:
    known = {c.name: c for c in selection.columns}
    parts = [condition(c, known.get(c.column)) for c in selection.conditions]
    if selection.where:
        parts.append(f"(\n{selection.where}\n)")
    if selection.pages is not None:
        parts += pages(selection.pages)
    if selection.keys is not None:
        parts.append(among([known.get(k) or _unknown(k) for k in selection.key], selection.keys))
    return parts


def condition(what: Condition, column: ColumnShape | None, table: str = "t") -> str:
    return f"{table}.{quoted(what.column)} {what.operator} {constant(column, what.value)}"


def pages(what: Pages) -> list[str]:
    parts = [f"t.ctid >= '({what.low},0)'::tid"] if what.low else []
    return parts + ([f"t.ctid < '({what.high},0)'::tid"] if what.high is not None else [])


def among(key: Sequence[ColumnShape], keys: Sequence[Key], table: str = "t") -> str:
    """Whether the key is one of `keys`: a semi-join with arrays, so that the key's index serves."""
    if not keys:
        return "false"
    arrays = ", ".join(
        f"{array_literal([native_text(column, k[at]) for k in keys])}::text[]" for at, column in enumerate(key)
    )
    names = [f"k{at}" for at in range(len(key))]
    casts = ", ".join(f"k.{name}::{bare(column.native)}" for name, column in zip(names, key, strict=True))
    return f"({listed((c.name for c in key), table + '.')}) in (select {casts} from unnest({arrays}) as k({', '.join(names)}))"  # noqa: E501, S608


def _unknown(name: str) -> ColumnShape:
    raise Stop(f"the key column {name} is not among the columns that are read", hint="ship it, or name another key")
