"""A table and its twin: made alike from the table's own definition, and put in its place in one transaction."""

from __future__ import annotations

import re
import sqlite3

from sync_assets.databases.quoting import qualified, quoted
from sync_assets.engine.errors import Stop
from sync_assets.engine.tables.shape import TableName

# CREATE TABLE as the file keeps it: the words, then the name as it was written. All of SQLite's kinds of quotes.
_NAME = re.compile(r'create\s+table\s+("(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|\'(?:[^\']|\'\')*\'|[^\s(]+)', re.I)


def make_twin(connection: sqlite3.Connection, table: TableName, twin: TableName, keep: bool) -> None:
    """`twin` has the table's columns, defaults and constraints, and no index but those of its keys."""
    found = connection.execute(
        "select name, sql from main.sqlite_schema where type = 'table' and name in (?, ?)", (table.name, twin.name)
    ).fetchall()
    sql = dict(found)
    match = _NAME.match(sql.get(table.name) or "")
    if match is None:
        raise Stop(f"the table {table} does not exist, or is no plain table", hint="run the sync again")
    if twin.name in sql:
        if keep:
            return
        connection.execute(f"drop table {qualified(twin)}")
    connection.execute(f"create table {qualified(twin)} {sql[table.name][match.end() :]}")


def others_hang_on(connection: sqlite3.Connection, table: TableName) -> bool:
    """Triggers would go with the old table; views and other tables' foreign keys would break in mid-swap."""
    texts = connection.execute(
        "select 1 from main.sqlite_schema where (type = 'trigger' and tbl_name = ?1 collate nocase)"
        " or (type in ('view', 'trigger') and instr(lower(sql), lower(?1)))",
        (table.name,),
    ).fetchone()
    keys = connection.execute(
        "select 1 from main.sqlite_schema m join pragma_foreign_key_list(m.name, 'main') f"
        " where m.type = 'table' and m.name <> ?1 collate nocase and f.\"table\" = ?1 collate nocase"
        " and m.name not like 'sync\\_assets\\_%' escape '\\'",
        (table.name,),
    ).fetchone()
    return bool(texts or keys)


def swap(connection: sqlite3.Connection, twin: TableName, table: TableName) -> None:
    """Inside a transaction. The indexes are made last, and may find a key that is there twice."""
    indexes = connection.execute(
        "select sql from main.sqlite_schema where type = 'index' and tbl_name = ? and sql is not null", (table.name,)
    ).fetchall()
    connection.execute(f"drop table {qualified(table)}")
    connection.execute(f"alter table {qualified(twin)} rename to {quoted(table.name)}")
    for (sql,) in indexes:
        connection.execute(sql)
