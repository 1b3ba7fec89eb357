"""Hashes of rows and buckets of keys, as SQL that PostgreSQL computes.

``record``: its own hash functions, when both sides are PostgreSQL. They hash by equality, so columns whose equality
hides a difference (numeric without a scale: 1.0 = 1.00; 0.0 = -0.0; jsonb; ...) go in as text. ``portable``: MD5 of
the canonical text, as every database can compute it.
"""

from __future__ import annotations

from collections.abc import Sequence

from sync_assets.databases.postgres.tables.canonical import canonical
from sync_assets.databases.postgres.tables.forms import passes_unseen
from sync_assets.databases.postgres.tables.quoting import bare
from sync_assets.databases.quoting import quoted
from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables.canonical import TEXTS, common
from sync_assets.engine.tables.reading import Hashing
from sync_assets.engine.tables.shape import ColumnShape

_LARGEST = 2**63 - 1
# Types whose hash differs whenever the value does, and is the same on every server.
_EXACT = frozenset(
    {"boolean", "smallint", "integer", "bigint", "oid", "text", "character varying", "date", "uuid", "bytea",
     "timestamp without time zone", "timestamp with time zone", "time without time zone", "inet", "cidr", "macaddr",
     "macaddr8", "name"}
)  # fmt: skip
# A constant row whose hash tells whether two servers hash alike: byte order, version, build.
SELF_CHECK = "select hash_record_extended(row(1::int, 2::bigint, 'a'::text, date '2000-01-02', '\\x0102'::bytea), 0)"


def same_types(mine: Sequence[ColumnShape], theirs: Sequence[ColumnShape]) -> bool:
    """Whether values of both sides can be hashed by PostgreSQL's own functions and mean the same."""
    return all(passes_unseen(a, b) or _same_text(a, b) for a, b in zip(mine, theirs, strict=True))


def _same_text(one: ColumnShape, other: ColumnShape) -> bool:
    """User's types by the same name, whose texts are compared."""
    names = [c.native.rpartition(".")[2] for c in (one, other)]
    return names[0] == names[1]


def comparable(mine: Sequence[ColumnShape], theirs: Sequence[ColumnShape], other: str) -> bool:
    """Whether the canonical texts of both sides tell equal values from different ones."""
    return all(_pair(a, b, other) for a, b in zip(mine, theirs, strict=True))


def _pair(mine: ColumnShape, theirs: ColumnShape, other: str) -> bool:
    if common(mine.type, theirs.type) is None:
        return False
    if other == "postgres":
        return ("jsonb" in mine.native) == ("jsonb" in theirs.native)
    # what was made of our jsonb is its text; a binary JSON of MySQL writes it anew
    return not (other == "mysql" and theirs.type is ColumnType.JSON and theirs.native.lower() == "json")


def row_hash(hashing: Hashing, columns: Sequence[ColumnShape], table: str = "t") -> str:
    """The hash of `columns` (all, or the key) as bigint."""
    others = {c.name: o for c, o in zip(hashing.columns, hashing.other, strict=True)}
    if hashing.kind == "record":
        values = ", ".join(_hashed(c, others[c.name], table) for c in columns)
        return f"hash_record_extended(row({values}), 0)"
    parts = " || ".join(_framed(c, others[c.name], table) for c in columns)
    return f"('x' || left(md5({parts or chr(39) * 2}), 15))::bit(60)::bigint"


def bucket(hashing: Hashing, table: str = "t") -> str:
    """The number of the bucket that a row is in."""
    rule = hashing.buckets
    if not rule.columns:
        return "0"
    if rule.width:
        return f"{table}.{quoted(rule.columns[0])} / {rule.width}"
    return f"abs({row_hash(hashing, key_columns(hashing), table)} % {rule.count})"


def key_columns(hashing: Hashing) -> list[ColumnShape]:
    known = {c.name: c for c in hashing.columns}
    return [known[name] for name in hashing.buckets.columns]


def ranges(width: int, numbers: Sequence[int]) -> list[tuple[int, int]]:
    """The keys of integer buckets, first and last, adjacent ones joined. Bucket 0 holds both sides of zero."""
    found: list[tuple[int, int]] = []
    for number in sorted(numbers):
        low = number * width if number > 0 else (number - 1) * width + 1
        high = (number + 1) * width - 1 if number >= 0 else number * width
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return [(max(low, -_LARGEST - 1), min(high, _LARGEST)) for low, high in found]


def _hashed(column: ColumnShape, other: ColumnShape, table: str) -> str:
    place = f"{table}.{quoted(column.name)}"
    return place if _exact(column) and _exact(other) else f'{place}::text collate "C"'


def _exact(column: ColumnShape) -> bool:
    if column.collation:
        return False  # it may take different texts for equal
    if column.type is ColumnType.DECIMAL and column.native.startswith("numeric"):
        return column.scale is not None
    return bare(column.native) in _EXACT


def _framed(column: ColumnShape, other: ColumnShape, table: str) -> str:
    text = canonical(column, table)
    if common(column.type, other.type) in TEXTS:
        return f"coalesce(octet_length({text})::text || ':' || {text}, '~')"
    return f"coalesce(({text}) || ';', '~')"
