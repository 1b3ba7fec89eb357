"""One thing to copy: which servers, which shape, how many rows; how the target is made ready and looked at afterwards.

Every shape is in a database of its own on both sides, `bench_SHAPE`, so that movers of whole databases can be asked
too. The target's database is made anew before each run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks import copy_data
from sync_assets.testing.servers import Server, postgres_programs

PAIRS = ("pg-pg", "my-pg", "pg-my")


@dataclass
class Case:
    """A shape to copy from `source` to `target`. `rows` is the number of tables where the shape is `small`."""

    pair: str
    shape: str
    rows: int
    source: Server
    target: Server
    folder: Path
    peers: Path | None = None
    sums: dict[str, Any] = field(default_factory=dict)

    @property
    def database(self) -> str:
        return f"bench_{self.shape}"

    @property
    def tables(self) -> list[str]:
        return [f"small_{n:03}" for n in range(self.rows)] if self.shape == "small" else [self.shape]

    @property
    def columns(self) -> tuple[copy_data.BenchColumn, ...]:
        return copy_data.SHAPES[self.shape]

    def fill_source(self) -> None:
        """Make the source once; its checksums are taken then."""
        if (self.database,) not in self.source.execute(_DATABASES[self.source.kind]):
            self.source.create_database(self.database)
            if self.shape == "small":
                copy_data.make_small(self.source, self.database, self.rows)
            else:
                copy_data.make(self.source, self.database, self.shape, self.rows)
        self.take_sums()

    def take_sums(self) -> None:
        """What the copy will be held to."""
        self.sums = self._sums(self.source)

    def clear_target(self, *, tables: bool) -> None:
        """An empty database; with `tables`, the tables are there, without key and index."""
        self.target.drop_database(self.database)
        self.target.create_database(self.database)
        if tables:
            kind = self.target.kind
            make = [copy_data.create(kind, t, self.columns, key=kind == "mysql", origin=self.source.kind)
                    for t in self.tables]  # fmt: skip
            self.target.execute(*make, database=self.database)
        for server in {id(s): s for s in (self.source, self.target)}.values():
            if server.kind == "postgres":
                server.execute("checkpoint")

    def wrong(self) -> str:
        """What is wrong with the copy; nothing if count and checksum of every table are the source's."""
        try:
            found = self._sums(self.target)
        except _driver_errors(self.target.kind) as error:
            return f"cannot be compared: {str(error).splitlines()[0][:60]}"
        rows = sum(int(n) for n, _ in found.values()), sum(int(n) for n, _ in self.sums.values())
        if rows[0] != rows[1]:
            return f"{rows[0]:,} of {rows[1]:,} rows"
        differ = [t for t in self.sums if found[t] != self.sums[t]]
        return f"values differ{self._columns_that_differ()}" if differ else ""

    def _columns_that_differ(self) -> str:
        """In which columns, for one large table; each is summed by itself."""
        if self.shape == "small":
            return ""
        names = []
        for column in self.columns:
            both = [s.execute(_zone(s), copy_data.column_sum(s.kind, column, self.shape), database=self.database)
                    for s in (self.source, self.target)]  # fmt: skip
            if list(map(tuple, both[0])) != list(map(tuple, both[1])):
                names.append(column.name)
        return f" in {', '.join(names)}"

    def _sums(self, server: Server) -> dict[str, tuple[Any, ...]]:
        asked = {t: copy_data.checksum(server.kind, self.shape, t) for t in self.tables}
        connection = server.connect(self.database)
        try:
            cursor = connection.cursor()
            cursor.execute(_zone(server))
            return {table: _one(cursor, sql) for table, sql in asked.items()}
        finally:
            connection.close()

    # -- words for commands

    def url(self, server: Server, scheme: str = "") -> str:
        """An address with the password in it: these servers live as long as the benchmark."""
        scheme = scheme or ("postgresql" if server.kind == "postgres" else "mysql")
        return f"{scheme}://{server.user}:{quote(server.password)}@{server.host}:{server.port}/{self.database}"

    def words(self) -> Mapping[str, str]:
        """What command lines are made of."""
        found = {"database": self.database, "table": self.shape, "programs": str(postgres_programs()),
                 "folder": str(self.folder)}  # fmt: skip
        for side, server in (("source", self.source), ("target", self.target)):
            found |= {side: self.url(server), f"{side}_port": str(server.port), f"{side}_password": server.password}
        return found


_DATABASES = {"postgres": "select datname from pg_database", "mysql": "show databases"}


def _zone(server: Server) -> str:
    return "set time_zone = '+00:00'" if server.kind == "mysql" else "set timezone = 'UTC'"


def _one(cursor: Any, sql: str) -> tuple[Any, ...]:
    cursor.execute(sql)
    return tuple(int(v) for v in cursor.fetchone())


def _driver_errors(kind: str) -> tuple[type[Exception], ...]:
    if kind == "postgres":
        import psycopg

        return (psycopg.Error,)
    import pymysql

    return (pymysql.Error,)
