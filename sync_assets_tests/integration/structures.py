"""Tools of the tests of structure: two databases, published schemas, dumps that can be compared, plain copies."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from sync_assets.databases.postgres.definition import design, positions
from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables.shape import ColumnShape, TableKind, TableName, TableShape
from sync_assets.engine.tables.writing import Design, Policy, Wanted
from sync_assets.testing.servers import Server, postgres_programs

DATA = Path(__file__).parents[1] / "data"

_SHAPES = """
select n.nspname::text, c.relname::text, c.relkind::text, array_agg(a.attname::text order by a.attnum),
       array_agg(format_type(a.atttypid, a.atttypmod) order by a.attnum),
       array_agg(a.attnum::int order by a.attnum), array_agg(a.attgenerated::text order by a.attnum)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where c.relkind = any(%s) and not c.relispartition and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
group by 1, 2, 3 order by 1, 2
"""


@dataclass(frozen=True)
class Side:
    connection: Any
    place: str


@dataclass
class Pair:
    """Two databases of one server."""

    server: Server
    here: str
    there: str

    def source(self, *statements: str) -> list[tuple[Any, ...]]:
        return self.server.execute(*statements, database=self.here)

    def target(self, *statements: str) -> list[tuple[Any, ...]]:
        return self.server.execute(*statements, database=self.there)

    def wanted(
        self, *names: str, into: Callable[[TableName], TableName] = lambda n: n, kinds: str = "rp"
    ) -> list[Wanted]:
        """Wishes for tables of the source by "schema.table"; all of them without names."""
        with self.server.connect(self.here) as connection:
            shapes = [_shape(row) for row in connection.execute(_SHAPES, (list(kinds),))]
        return [
            Wanted(s, into(s.name), s.writable, ()) for s in shapes if not names or str(s.name) in names
        ]  # fmt: skip

    def design(self, wanted: Sequence[Wanted], policy: Policy = "apply", **options: Any) -> Design:
        with self.sides() as (here, there):
            return design(here, there, wanted, policy, **options)

    def positions(self, wanted: Sequence[Wanted]) -> tuple[str, ...]:
        with self.sides() as (here, there):
            return positions(here, there, wanted)

    @contextmanager
    def sides(self) -> Iterator[tuple[Side, Side]]:
        with ExitStack() as stack:
            here = stack.enter_context(self.server.connect(self.here))
            there = stack.enter_context(self.server.connect(self.there))
            yield Side(here, "connection here"), Side(there, "connection there")

    def build(self, statements: Sequence[str]) -> None:
        """One by one, as a target does."""
        with self.server.connect(self.there) as connection:
            for statement in statements:
                try:
                    connection.execute(statement.encode())
                except psycopg.Error as error:
                    raise AssertionError(f"{error}\n{statement}") from error

    def copy(self, wanted: Sequence[Wanted]) -> None:
        """All rows of each table itself, by plain COPY."""
        with self.server.connect(self.here) as source, self.server.connect(self.there) as target:
            for wish in wanted:
                _copy(source, target, wish)

    def replicate(self, wanted: Sequence[Wanted], **options: Any) -> Design:
        made = self.design(wanted, **options)
        assert not made.stops
        self.build(made.before)
        self.copy([w for w in wanted if w.source.kind is TableKind.TABLE])
        self.build(made.after)
        return made

    def dump(self, database: str, *options: str) -> str:
        """The schema by pg_dump, without what differs by itself: versions, tokens, comments, empty lines."""
        done = _program("pg_dump", self.server, database, "--schema-only", "--no-owner", "--no-privileges", *options)
        lines = (line for line in done.splitlines() if line and not re.match(r"--|\\(un)?restrict ", line))
        return "\n".join(lines)

    def dumps(self, *leave_out: str) -> tuple[list[str], list[str]]:
        """Both dumps as statements in order of their text, without those that match a pattern."""
        return self._statements(self.here, leave_out), self._statements(self.there, leave_out)

    def _statements(self, database: str, leave_out: Sequence[str]) -> list[str]:
        found = re.split(r";\n", self.dump(database))
        return [s for s in found if not any(re.search(p, s) for p in leave_out)]


def empty_pair(server: Server) -> Iterator[Pair]:
    """Two empty databases, gone afterwards."""
    names = ("structure_here", "structure_there")
    for name in names:
        server.drop_database(name)
        server.create_database(name)
    yield Pair(server, *names)
    for name in names:
        server.drop_database(name)


def _shape(row: tuple[Any, ...]) -> TableShape:
    kinds = {"r": TableKind.TABLE, "p": TableKind.PARTITIONED, "v": TableKind.VIEW}
    columns = tuple(
        ColumnShape(name, ColumnType.OTHER, native, number=number, generated="x" if generated else None)
        for name, native, number, generated in zip(*row[3:7], strict=True) if name is not None
    )  # fmt: skip
    return TableShape(TableName(row[0], row[1]), columns, kinds[row[2]])


def _copy(source: Any, target: Any, wish: Wanted) -> None:
    names = {c.number: c.name for c in wish.columns}
    pairs = [(c.name, names[c.number]) for c in wish.source.columns if c.number in names]
    if not pairs:
        return
    old, new = (sql.SQL(", ").join(map(sql.Identifier, side)) for side in zip(*pairs, strict=True))
    here = sql.Identifier(wish.source.name.schema, wish.source.name.name)
    there = sql.Identifier(wish.table.schema, wish.table.name)
    with (
        source.cursor().copy(sql.SQL("copy {} ({}) to stdout").format(here, old)) as reading,
        target.cursor().copy(sql.SQL("copy {} ({}) from stdin").format(there, new)) as writing,
    ):
        for block in reading:
            writing.write(block)


def load(server: Server, database: str, *files: str) -> None:
    """Published scripts, without the lines that make a database or name owners that are not here."""
    for file in files:
        raw = (DATA / file).read_bytes()
        text = (gzip.decompress(raw) if file.endswith(".gz") else raw).decode()
        text = re.sub(r"(?m)^(DROP DATABASE|CREATE DATABASE|\\c |GRANT |REVOKE |ALTER .* OWNER TO ).*$", "", text)
        _program("psql", server, database, "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", text=text)


def _program(name: str, server: Server, database: str, *options: str, text: str = "") -> str:
    command = [str(postgres_programs() / name), "-h", server.host, "-p", str(server.port), "-U", server.user]
    done = subprocess.run(
        [*command, "-d", database, *options], input=text, capture_output=True, text=True, timeout=120,
        env={**os.environ, "PGPASSWORD": server.password, "PGCLIENTENCODING": "UTF8"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
