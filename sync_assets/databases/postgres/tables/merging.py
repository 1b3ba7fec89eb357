"""Bringing staged rows into their table, with set-based statements that leave equal rows alone. SQL in, counts out.

Rows are compared by their image (``*<>``): what two values of a type have in common as equals (1.0 and 1.00, a text
under a collation that ignores case) does not hide a difference, and types without an equality (json, point) compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sync_assets.databases.postgres.tables.selecting import condition
from sync_assets.databases.postgres.tables.session import Session
from sync_assets.databases.quoting import listed, qualified, quoted
from sync_assets.engine.errors import Stop
from sync_assets.engine.model import ColumnType, Counts
from sync_assets.engine.tables.reading import Condition
from sync_assets.engine.tables.shape import ColumnShape, TableName
from sync_assets.engine.tables.writing import Merge

LARGE = 5_000  # staged rows from which the planner should know what it has
_UNIQUE = """
select c.relkind = 'r' and exists (
  select from pg_catalog.pg_index i
  where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null
    and i.indexprs is null and i.indnkeyatts = %s
    and (select count(*) from unnest(i.indkey::int2[]) with ordinality k(num, at)
         join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = k.num
         where k.at <= i.indnkeyatts and a.attname = any(%s)) = %s)
from pg_catalog.pg_class c where c.oid = %s::regclass
"""
# Types of keys in which equal values have equal images: their columns need no update.
_PLAIN = frozenset(
    {ColumnType.INTEGER, ColumnType.BIGINT, ColumnType.BOOL, ColumnType.DATE, ColumnType.DATETIME, ColumnType.INSTANT,
     ColumnType.UUID, ColumnType.BLOB}
)  # fmt: skip


def merge(session: Session, stage: TableName, table: TableName, how: Merge) -> Counts:
    """Inside a batch: see `engine.tables.writing.Writer.merge`."""
    work = _Merging(session, qualified(stage), qualified(table), how)
    if not how.key:
        return _appended(work)
    staged = _staged(work)
    counts = Counts(read=staged)
    if staged > LARGE:
        session.ask(f"analyze {work.stage}")
    if how.delete_missing:
        counts.deleted = session.count(_delete_missing(work))
    if how.add:
        _upsert(work, counts)
        counts.unchanged = staged - counts.created - counts.updated
    return counts


@dataclass(frozen=True, slots=True)
class _Merging:
    session: Session
    stage: str
    table: str
    how: Merge

    @property
    def names(self) -> list[str]:
        return [c.name for c in self.how.columns]

    def joined(self, one: str = "t", other: str = "s") -> str:
        return " and ".join(f"{one}.{quoted(k)} = {other}.{quoted(k)}" for k in self.how.key)


def _appended(work: _Merging) -> Counts:
    added = work.session.count(f"{_insert(work)} select {listed(work.names)} from {work.stage}")  # noqa: S608
    return Counts(read=added, created=added)


def _staged(work: _Merging) -> int:
    """How many rows there are. Raises `Stop` for a key that is NULL or not unique: nobody could say which row wins."""
    key = listed(work.how.key)
    empty = " or ".join(f"{quoted(k)} is null" for k in work.how.key)
    rows, nulls, twice = work.session.ask(
        f"select count(*), count(*) filter (where {empty}), (select count(*) from"  # noqa: S608
        f" (select from {work.stage} group by {key} having count(*) > 1) d) from {work.stage}"
    )[0]
    if nulls or twice:
        what = f"NULL in {nulls} rows" if nulls else f"not unique: {twice} keys have several rows"
        raise Stop(f"{work.session.place}: the key {', '.join(work.how.key)} is {what} of the source for {work.table}",
                   hint="mend the source, or choose another key", code="bad_key")  # fmt: skip
    return int(rows)


def _delete_missing(work: _Merging) -> str:
    scope = scope_sql(work.how.scope, work.how.columns)
    return (
        f"delete from {work.table} as t where {scope}"  # noqa: S608 (names quoted, values by the driver)
        f" and not exists (select from {work.stage} as s where {work.joined()})"
    )


def scope_sql(scope: Sequence[Condition], columns: Sequence[ColumnShape]) -> str:
    known = {c.name: c for c in columns}
    return " and ".join(condition(c, known.get(c.column)) for c in scope) or "true"


def _insert(work: _Merging) -> str:
    """OVERRIDING: a copy takes the source's numbers, also where the target would make its own."""
    return f"insert into {work.table} as t ({listed(work.names)}) overriding system value"


def _upsert(work: _Merging, counts: Counts) -> None:
    key = list(work.how.key)
    found = work.session.ask(_UNIQUE, (len(key), key, len(key), work.table))
    if found and found[0][0]:
        _on_conflict(work, counts)
    else:
        counts.updated = work.session.count(_update(work)) if _updatable(work) else 0
        counts.created = work.session.count(_insert_missing(work))


def _on_conflict(work: _Merging, counts: Counts) -> None:
    key = listed(work.how.key)
    insert = f"{_insert(work)} select {listed(work.names)} from {work.stage} on conflict ({key})"  # noqa: S608
    if not _updatable(work):
        counts.created = work.session.count(f"{insert} do nothing")
        return
    action = f"do update set {_assignments(work, 'excluded')} where {_differs(work, 'excluded')}"
    made, all = work.session.ask(
        f"with done as ({insert} {action} returning (t.xmax = 0) as made)"  # noqa: S608
        " select count(*) filter (where made), count(*) from done"
    )[0]
    counts.created, counts.updated = made, all - made


def _update(work: _Merging) -> str:
    return (
        f"update {work.table} as t set {_assignments(work, 's')} from {work.stage} as s"  # noqa: S608
        f" where {work.joined()} and {_differs(work, 's')}"
    )


def _insert_missing(work: _Merging) -> str:
    there = f"select from {work.table} as o where {work.joined('o', 's')}"
    return f"{_insert(work)} select {listed(work.names, 's.')} from {work.stage} as s where not exists ({there})"  # noqa: S608


def _changing(work: _Merging) -> list[str]:
    """Columns that an update sets: not those that the server writes itself, nor keys that cannot differ unseen."""
    return [
        c.name for c in work.how.columns
        if c.identity != "always" and not (c.name in work.how.key and c.type in _PLAIN)
    ]  # fmt: skip


def _updatable(work: _Merging) -> bool:
    return work.how.replace and bool(_changing(work))


def _assignments(work: _Merging, new: str) -> str:
    return ", ".join(f"{quoted(n)} = {new}.{quoted(n)}" for n in _changing(work))


def _differs(work: _Merging, new: str) -> str:
    names = _changing(work)
    image = f"row({listed(names, 't.')})::record *<> row({listed(names, new + '.')})::record"
    if work.how.newer is None:
        return image
    mark = quoted(work.how.newer)
    return f"{image} and (t.{mark} is null or {new}.{mark} > t.{mark})"
