"""Names, literals and canonical texts as PostgreSQL writes them. Knows no table and opens nothing.

COPY takes no parameters, so values are written as literals: by the driver's own quoting.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from psycopg import sql

from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables.shape import ColumnShape

_MEASURE = re.compile(r"\(\d+(,-?\d+)?\)")


def literal(text: str) -> str:
    """`text` as a string constant, by the driver."""
    return sql.Literal(text).as_string(None).strip()


def array_literal(values: Sequence[str | None]) -> str:
    """The text form of an array of texts, as a string constant."""
    return literal("{" + ",".join("NULL" if v is None else _element(v) for v in values) + "}")


def _element(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def bare(native: str) -> str:
    """The type without its measures: a cast to varchar(3) would cut the text, one to numeric(5,2) round the number."""
    plain = _MEASURE.sub("", native)
    if plain.startswith("character") and not plain.startswith("character varying"):
        return plain.replace("character", "bpchar", 1)
    if plain.startswith("bit") and not plain.startswith("bit varying"):
        return plain.replace("bit", "bit varying", 1)
    return plain


def native_text(column: ColumnShape, text: str) -> str:
    """A canonical text as PostgreSQL reads it for `column`."""
    if column.type is ColumnType.BLOB:
        return "\\x" + text
    if column.native.endswith("[]") and text.startswith("["):
        return _array_text(json.loads(text))
    return text


def _array_text(values: object) -> str:
    if isinstance(values, list):
        return "{" + ",".join(_array_text(v) for v in values) + "}"
    return "NULL" if values is None else _element(str(values))


def constant(column: ColumnShape | None, text: str) -> str:
    """A canonical text as a constant to compare a column with. Left untyped: the server gives it the column's type."""
    return literal(native_text(column, text) if column else text)
