"""How rows are hashed so that another database comes to the same numbers. Decides; `render` writes the SQL."""

from __future__ import annotations

from collections.abc import Sequence

from sync_assets.databases.mysql.tables.render import base
from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables.buckets import hashings
from sync_assets.engine.tables.canonical import common
from sync_assets.engine.tables.reading import Hashing, TableSource
from sync_assets.engine.tables.shape import ColumnShape


def hashing(
    mariadb: bool, other: TableSource, mine: Sequence[ColumnShape], theirs: Sequence[ColumnShape],
    key: Sequence[str], rows: int,
) -> tuple[Hashing, Hashing] | None:  # fmt: skip
    """Both sides' ways; None when a column cannot be compared by its text."""
    if not all(_comparable(mariadb, other, a, b) for a, b in zip(mine, theirs, strict=True)):
        return None
    if not set(key) <= {a.name for a in mine}:
        return None
    return hashings("portable", mine, theirs, key, rows)


def _comparable(mariadb: bool, other: TableSource, mine: ColumnShape, theirs: ColumnShape) -> bool:
    if common(mine.type, theirs.type) is None:
        return False
    if other.dialect != "mysql" and ColumnType.OTHER in (mine.type, theirs.type):
        return theirs.type is ColumnType.TEXT  # what we show of it was stored there as a text
    if ColumnType.JSON not in (mine.type, theirs.type):
        return True
    if not mariadb and mine.type is ColumnType.JSON:  # MySQL's own JSON: no text is kept
        return other.dialect == "mysql" and not getattr(other, "mariadb", False) and base(theirs) == "json"
    return base(theirs) != "jsonb"
