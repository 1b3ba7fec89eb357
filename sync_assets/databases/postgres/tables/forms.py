"""In which forms columns can leave PostgreSQL for another database. Knows types by their names only."""

from __future__ import annotations

from collections.abc import Sequence

from sync_assets.databases.postgres.tables.quoting import bare
from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables.reading import Form
from sync_assets.engine.tables.shape import ColumnShape

# Their binary form holds object ids (other numbers in another database), or there is none.
_NO_BINARY = frozenset(
    {"regclass", "regproc", "regprocedure", "regoper", "regoperator", "regtype", "regrole", "regnamespace",
     "regconfig", "regdictionary", "regcollation", "aclitem", "record", "pg_node_tree"}
)  # fmt: skip
# Types of extensions whose binary form means the same in every database.
_PORTABLE = frozenset(
    {"citext", "hstore", "ltree", "lquery", "vector", "halfvec", "sparsevec", "geometry", "geography", "cube"}
)
_VARIABLE = frozenset({"text", "character varying"})


def forms(into: str, columns: Sequence[tuple[ColumnShape, ColumnShape]]) -> Sequence[Form]:
    if into == "postgres" and all(passes_unseen(here, there) for here, there in columns):
        return [Form.PG_BINARY, Form.LINES]
    return [Form.LINES]


def passes_unseen(here: ColumnShape, there: ColumnShape) -> bool:
    """Whether the binary value of one column is a value of the other as it is."""
    if here.type is ColumnType.ENUM and there.type is ColumnType.ENUM:
        return "[]" not in here.native + there.native
    one, other = bare(here.native), bare(there.native)
    same = one == other or {one, other} <= _VARIABLE
    return same and (plain(here) or _user_type(here))


def plain(column: ColumnShape) -> bool:
    """A type that every PostgreSQL has, or an array of one. Others come with their schema."""
    name = column.native.removesuffix("[]")
    return "." not in name and name not in _NO_BINARY


def _user_type(column: ColumnShape) -> bool:
    name = column.native.rpartition(".")[2].strip('"').partition("(")[0]
    return name in _PORTABLE or column.type not in (ColumnType.OTHER, ColumnType.SET)
