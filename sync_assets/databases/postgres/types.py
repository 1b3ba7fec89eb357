"""PostgreSQL's types in our words, and how their values are handed out. Knows the catalogue, not the connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sync_assets.databases.values import canonical_json
from sync_assets.engine.model import Column, ColumnType

# Text as the server writes it; psycopg would make objects of them that no target wants.
AS_TEXT = (
    "json", "jsonb", "uuid", "interval", "inet", "cidr", "timetz", "record",
    "int4range", "int8range", "numrange", "tsrange", "tstzrange", "daterange",
    "int4multirange", "int8multirange", "nummultirange", "tsmultirange", "tstzmultirange", "datemultirange",
)  # fmt: skip

_NAMES = {
    "bool": ColumnType.BOOL, "int2": ColumnType.INTEGER, "int4": ColumnType.INTEGER, "int8": ColumnType.BIGINT,
    "oid": ColumnType.BIGINT, "float4": ColumnType.FLOAT, "float8": ColumnType.FLOAT, "numeric": ColumnType.DECIMAL,
    "money": ColumnType.DECIMAL, "text": ColumnType.TEXT, "varchar": ColumnType.TEXT, "bpchar": ColumnType.TEXT,
    "name": ColumnType.TEXT, "char": ColumnType.TEXT, "citext": ColumnType.TEXT, "xml": ColumnType.TEXT,
    "unknown": ColumnType.TEXT, "date": ColumnType.DATE, "time": ColumnType.TIME, "timestamp": ColumnType.DATETIME,
    "timestamptz": ColumnType.INSTANT, "interval": ColumnType.INTERVAL, "json": ColumnType.JSON,
    "jsonb": ColumnType.JSON, "uuid": ColumnType.UUID, "bytea": ColumnType.BLOB,
}  # fmt: skip

TYPES_SQL = """
select t.oid, t.typname, t.typtype::text, coalesce(e.oid, 0), coalesce(e.typname, ''), coalesce(e.typtype::text, ''),
       array(select l.enumlabel::text from pg_catalog.pg_enum l
             where l.enumtypid = case when e.typtype = 'e' then e.oid else t.oid end order by l.enumsortorder)
from pg_catalog.pg_type t
left join pg_catalog.pg_type i on t.typcategory = 'A' and i.oid = t.typelem
left join pg_catalog.pg_type e on e.oid = case when i.typtype = 'd' then i.typbasetype else i.oid end
where t.oid = any(%s)
"""

# For columns that stand for a column of a table: its own words about them.
ORIGINS_SQL = """
select a.attrelid, a.attnum, a.attnotnull, coalesce(pg_catalog.col_description(a.attrelid, a.attnum), ''),
       pg_catalog.format_type(a.atttypid, a.atttypmod)
from pg_catalog.pg_attribute a join unnest(%s::oid[], %s::int2[]) as w (rel, num)
  on a.attrelid = w.rel and a.attnum = w.num
"""


@dataclass(frozen=True, slots=True)
class NativeType:
    """One row of `TYPES_SQL`. `kind` is pg_type.typtype; `element*` are of an array."""

    oid: int
    name: str
    kind: str
    element: int
    element_name: str
    element_kind: str
    labels: list[str]

    @property
    def type(self) -> ColumnType:
        if self.kind == "e":
            return ColumnType.ENUM
        if self.element and (self.element_kind == "e" or _NAMES.get(self.element_name) is ColumnType.TEXT):
            return ColumnType.SET
        return ColumnType.OTHER if self.element else _NAMES.get(self.name, ColumnType.OTHER)


@dataclass(frozen=True, slots=True)
class Origin:
    """One row of `ORIGINS_SQL`, without its key."""

    not_null: bool
    comment: str
    native: str


def column(name: str, native: NativeType, modifier: int, origin: Origin | None, whole_table: bool) -> Column:
    """A result's column. `modifier` is the type modifier (-1: none): numeric's precision and scale, a length."""
    precision, scale = measures(native.name, modifier)
    return Column(
        name=name,
        type=native.type,
        native=origin.native if origin else _spelled(native, precision, scale),
        precision=precision,
        scale=scale,
        options=tuple(native.labels),
        nullable=not (whole_table and origin is not None and origin.not_null),
        comment=origin.comment if origin else "",
    )


def measures(name: str, modifier: int) -> tuple[int | None, int | None]:
    """Precision and scale. Numeric packs them in 16 bits and 11 signed bits, after a header of 4 bytes."""
    if name == "money":
        return 19, 2
    if modifier < 0:
        return None, None
    if name == "numeric":
        packed = modifier - 4
        return packed >> 16 & 0xFFFF, ((packed & 0x7FF) ^ 1024) - 1024
    if name in ("varchar", "bpchar"):
        return modifier - 4, None
    if name in ("timestamp", "timestamptz", "time", "timetz", "bit", "varbit"):
        return modifier, None
    return None, None


def _spelled(native: NativeType, precision: int | None, scale: int | None) -> str:
    if native.element:
        return f"{native.element_name}[]"
    measures = ",".join(str(n) for n in (precision, scale) if n is not None)
    return f"{native.name}({measures})" if measures and native.name != "money" else native.name


def converter(column: Column) -> Callable[[Any], Any] | None:
    """What still has to be done with a value that psycopg loaded; None: nothing."""
    if column.type is ColumnType.JSON:
        return canonical_json
    if column.native == "money":
        return _money
    if column.type is ColumnType.SET:
        return _texts
    return None


def _money(text: str) -> Decimal:
    """`-$1,234.50` under lc_monetary C; `(…)` is how some locales write a negative amount."""
    digits = "".join(c for c in text if c in "0123456789.")
    return -Decimal(digits) if text.startswith(("-", "(")) else Decimal(digits)


def _texts(values: Any) -> Any:
    """Elements as texts; NULL elements are left out: no board has an empty option."""
    return [str(v) for v in values if v is not None] if isinstance(values, list) else values
