# ruff: noqa: S608 (names are quoted by hand)
"""A scratch database as an application sees it, beside the object under test that sees it as ours.

Makes and fills tables by its own few words for types, and looks at them through the plain driver. Knows no engine.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sync_assets.engine.tables.shape import ColumnShape, TableName
from sync_assets.engine.tables.writing import TableTarget

WORDS: Mapping[str, Mapping[str, str]] = {
    "postgres": {
        "big": "bigint", "int": "integer", "text": "text", "name": "varchar(200)", "short": "varchar(5)",
        "uuid": "uuid", "moment": "timestamp(6)", "date": "date", "flag": "boolean", "bytes": "bytea",
        "decimal": "numeric(20,4)", "float": "double precision", "long": "text",
    },
    "mysql": {
        "big": "bigint", "int": "int", "text": "varchar(200)", "name": "varchar(200)", "short": "varchar(5)",
        "uuid": "char(36)", "moment": "datetime(6)", "date": "date", "flag": "tinyint(1)", "bytes": "longblob",
        "decimal": "decimal(20,4)", "float": "double", "long": "longtext",
    },
    "sqlite": {
        "big": "bigint", "int": "integer", "text": "text", "name": "varchar(200)", "short": "varchar(5)",
        "uuid": "uuid", "moment": "datetime", "date": "date", "flag": "boolean", "bytes": "blob",
        "decimal": "decimal(20,4)", "float": "double", "long": "text",
    },
}  # fmt: skip


@dataclass(frozen=True)
class TableLab:
    """`connect` opens the application's own driver connection in autocommit; `open` makes the object under test.

    `open(**changes)` takes changes of the connection's arguments (another user, another port).
    """

    dialect: str
    schema: str
    connect: Callable[[], Any]
    open: Callable[..., TableTarget]
    server: Any = None  # `testing.servers.Server`, where there is one

    def name(self, table: str) -> TableName:
        return TableName(self.schema, table)

    def quote(self, name: str) -> str:
        mark = "`" if self.dialect == "mysql" else '"'
        return mark + name.replace(mark, mark * 2) + mark

    def at(self, table: str) -> str:
        return f"{self.quote(self.schema)}.{self.quote(table)}"

    @property
    def mark(self) -> str:
        """A parameter in the driver's own style."""
        return "?" if self.dialect == "sqlite" else "%s"

    def execute(self, sql: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        with contextlib.closing(self.connect()) as connection, contextlib.closing(connection.cursor()) as cursor:
            cursor.execute(sql, parameters) if parameters is not None else cursor.execute(sql)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    def make(self, table: str, columns: Mapping[str, str], key: Sequence[str] = (), extra: str = "") -> TableName:
        """Create `table`; the types are `WORDS`, each perhaps followed by more words ("text not null")."""
        words = WORDS[self.dialect]
        parts = [f"{self.quote(name)} {_native(words, type)}" for name, type in columns.items()]
        if key:
            parts.append(f"primary key ({', '.join(self.quote(k) for k in key)})")
        self.execute(f"create table {self.at(table)} ({', '.join([*parts, *([extra] if extra else [])])})")
        return self.name(table)

    def fill(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        with contextlib.closing(self.connect()) as connection, contextlib.closing(connection.cursor()) as cursor:
            if rows:
                marks = ", ".join([self.mark] * len(rows[0]))
                name = self.at(table) if self.mark == "?" else self.at(table).replace("%", "%%")
                cursor.executemany(f"insert into {name} values ({marks})", [tuple(r) for r in rows])
        self.analyze(table)

    def analyze(self, table: str) -> None:
        """So that estimates are there, as they are in a database that has been in use."""
        verb = "analyze table" if self.dialect == "mysql" else "analyze"
        self.execute(f"{verb} {self.at(table)}")

    def rows(self, table: str, order: str = "1") -> list[tuple[Any, ...]]:
        return self.execute(f"select * from {self.at(table)} order by {order}")

    def count(self, table: str) -> int:
        return int(self.execute(f"select count(*) from {self.at(table)}")[0][0])

    def columns(self, target: TableTarget, table: str) -> tuple[ColumnShape, ...]:
        """The columns of `table` that rows are written to, as the object under test tells them."""
        return target.shapes([self.name(table)])[self.name(table)].writable

    def sessions(self, marker: str = "") -> list[int]:
        """The server's numbers of all sessions in this database but our own."""
        if self.dialect == "postgres":
            sql = "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        else:
            sql = "select id from information_schema.processlist where db = database() and id <> connection_id()"
        return [int(row[0]) for row in self.execute(sql)]

    def kill(self, session: int) -> None:
        """End a session, as an administrator would. It may be gone already."""
        verb = f"select pg_terminate_backend({session})" if self.dialect == "postgres" else f"kill {session}"
        with contextlib.suppress(Exception):
            self.execute(verb)


def _native(words: Mapping[str, str], type: str) -> str:
    word, _, rest = type.partition(" ")
    return f"{words[word]} {rest}".strip()
