"""A filled twin in place of its table: RENAME TABLE shows readers the old one or the new, and nothing between.

It also commits, so rows and ledger cannot change in one transaction here. The order makes up for it: the fence is held
by another connection all along, and the old table's new name, which carries the batch, tells a later run how far this
one came.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from hashlib import sha256

from sync_assets.databases.mysql.tables import choice, ledger
from sync_assets.databases.mysql.tables.catalogue import OURS
from sync_assets.databases.mysql.tables.line import Line, quote, text
from sync_assets.engine.errors import Stop
from sync_assets.engine.tables.shape import ColumnShape, TableName

# The lines of SHOW CREATE TABLE that are indexes besides the primary key, as ADD takes them.
_INDEX = re.compile(r"^  ((?:UNIQUE |FULLTEXT |SPATIAL |VECTOR )?KEY .+?),?$", re.MULTILINE)
_INDEX_NAME = re.compile(r"KEY `((?:[^`]|``)+)`")
_FIRST_COLUMN = re.compile(r"KEY `(?:[^`]|``)+` \(`((?:[^`]|``)+)`")
_AUTO = re.compile(r"^  `((?:[^`]|``)+)` .*\bAUTO_INCREMENT\b", re.MULTILINE)


def name_for(kind: str, table: TableName, sync: str, more: str = "") -> TableName:
    """The name of a table of ours that belongs to `table` and the sync."""
    digest = sha256("\0".join((sync, str(table), more)).encode()).hexdigest()[:24]
    return TableName(table.schema, f"{OURS}{kind}_{digest}")


def exists(line: Line, table: TableName) -> bool:
    found = line.one(
        "select count(*) from information_schema.tables"  # noqa: S608 (quoted)
        f" where table_schema = {text(table.schema)} and table_name = {text(table.name)}"
    )
    return bool(found)


def drop(line: Line, table: TableName) -> None:
    """Raises `Stop` for a table that is not ours."""
    if not table.name.startswith((f"{OURS}stage_", f"{OURS}twin_", f"{OURS}old_")):
        raise Stop(f"{line.place}: {table} is not one of our own tables, and is not dropped", code="not_ours")
    line.run(f"drop table if exists {choice.table(table)}")


def stage(line: Line, sync: str, table: TableName, columns: Sequence[ColumnShape], key: Sequence[str]) -> TableName:
    """An empty table of the same types, with an index on the table's key, for merging looks rows up there."""
    made = name_for("stage", table, sync)
    drop(line, made)
    names = ", ".join(quote(c.name) for c in columns)
    indexed = bool(key) and set(key) <= {c.name for c in columns}
    index = f" (index `by_key` ({', '.join(quote(k) for k in key)}))" if indexed else ""
    line.run(
        f"create table {choice.table(made)}{index} engine = InnoDB as select {names} from {choice.table(table)} limit 0"  # noqa: S608 (quoted)
    )
    return made


def twin(line: Line, sync: str, table: TableName, *, keep: bool) -> TableName:
    """A table like `table` with its primary key only: rows lie in its order, other indexes are made at the end."""
    made = name_for("twin", table, sync)
    if keep and exists(line, made):
        return made
    drop(line, made)
    line.run(f"create table {choice.table(made)} like {choice.table(table)}")
    extra = [f"drop index {quote(name)}" for name in _extra_indexes(line, made)]
    if extra:
        line.run(f"alter table {choice.table(made)} {', '.join(extra)}")
    return made


def hanging(line: Line, table: TableName) -> bool:
    """Whether something goes with the table itself and not with its name: foreign keys, triggers, kept history.

    Views and rights go by the name, so they are no obstacle.
    """
    schema, name = text(table.schema), text(table.name)
    questions = (
        f"information_schema.key_column_usage where referenced_table_schema = {schema}"
        f" and referenced_table_name = {name}",
        f"information_schema.key_column_usage where table_schema = {schema} and table_name = {name}"
        " and referenced_table_name is not null",
        f"information_schema.triggers where event_object_schema = {schema} and event_object_table = {name}",
        f"information_schema.tables where table_schema = {schema} and table_name = {name}"
        " and table_type <> 'BASE TABLE'",
    )
    return any(line.one(f"select count(*) from {question}") for question in questions)  # noqa: S608 (quoted)


def finish(line: Line, twin: TableName, table: TableName) -> None:
    """Give the twin the indexes of the table that it lacks."""
    has = {_index_name(definition) for definition in _indexes(line, twin)}
    missing = [f"add {d}" for d in _indexes(line, table) if _index_name(d) not in has]
    if missing:
        line.run(f"alter table {choice.table(twin)} {', '.join(missing)}")


def swap(
    line: Line, guard: Line, sync: str, token: int, twin: TableName, table: TableName, id: str, position: str | None
) -> bool:
    """`guard` is another connection, which holds the fence while names change. False: something hangs on the table."""
    old = name_for("old", table, sync, id)
    swapped = exists(line, old) and not exists(line, twin)
    if not swapped and hanging(line, table):
        return False
    guard.run("start transaction")
    try:
        epoch = ledger.fence(guard, sync, token, alone=True)
        if not swapped:
            drop(line, old)
            finish(line, twin, table)
            renames = ((table, old), (twin, table))
            line.run("rename table " + ", ".join(f"{choice.table(a)} to {choice.table(b)}" for a, b in renames))
        ledger.end(guard, sync, epoch, position)
        guard.run("commit")
    finally:
        if guard.open:
            guard.run("rollback")
    drop(line, old)
    return True


def _made_by(line: Line, table: TableName) -> str:
    return str(line.ask(f"show create table {choice.table(table)}")[0][1])


def _indexes(line: Line, table: TableName) -> list[str]:
    return _INDEX.findall(_made_by(line, table))


def _index_name(definition: str) -> str:
    found = _INDEX_NAME.search(definition)
    return found[1].replace("``", "`") if found else ""


def _extra_indexes(line: Line, table: TableName) -> Iterator[str]:
    """All indexes but those that an AUTO_INCREMENT column needs."""
    told = _made_by(line, table)
    auto = set(_AUTO.findall(told))
    for definition in _INDEX.findall(told):
        first = _FIRST_COLUMN.search(definition)
        if not (first and first[1] in auto):
            yield _index_name(definition)
