"""MySQL and MariaDB as source and target of whole tables. Nothing is dialled before it is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from sync_assets.databases.base import ConnectionArgs, name_parts
from sync_assets.databases.mysql.tables import catalogue, ledger, load
from sync_assets.databases.mysql.tables.columns import answer_shape
from sync_assets.databases.mysql.tables.digests import hashing
from sync_assets.databases.mysql.tables.line import Line
from sync_assets.databases.mysql.tables.moment import Moment, moment
from sync_assets.databases.mysql.tables.writer import TableWriter
from sync_assets.databases.mysql.to_postgres import available
from sync_assets.databases.structure import concerned
from sync_assets.engine.errors import Stop
from sync_assets.engine.tables.reading import Form, Hashing, TableSource
from sync_assets.engine.tables.shape import ColumnShape, TableEntry, TableName, TableShape
from sync_assets.engine.tables.writing import Design, Head, Policy, Wanted


def open_tables(args: ConnectionArgs) -> MySQLTables:
    return MySQLTables(args)


class MySQLTables:
    """`engine.tables.writing.TableTarget`. A schema is a database; the ledger is in the connection's own."""

    dialect = "mysql"

    def __init__(self, args: ConnectionArgs) -> None:
        self.args = args
        self.place = f"connection {args.name}"
        self.address = f"mysql://{args.socket or f'{args.host}:{args.port or 3306}'}/{args.database}"
        self._line = Line(args)

    @property
    def mariadb(self) -> bool:
        self._line.connection  # noqa: B018 (asks the server)
        return self._line.mariadb

    def close(self) -> None:
        self._line.close()

    # -- what is there

    def tables(self) -> Sequence[TableEntry]:
        return catalogue.entries(self._line, self._own())

    def shapes(self, names: Sequence[TableName]) -> Mapping[TableName, TableShape]:
        return catalogue.shapes(self._line, names)

    def name_of(self, text: str) -> TableName:
        parts = name_parts(text)
        if len(parts) > 2:
            raise Stop(f"{text!r} is not a table name", hint="write table or database.table")
        return TableName(parts[0] if len(parts) == 2 else self._own(), parts[-1])

    def _own(self) -> str:
        if not self.args.database:
            raise Stop(f"{self.place}: the connection names no database", hint="set database in the connection")
        return self.args.database

    def query_columns(self, query: str) -> tuple[ColumnShape, ...]:
        from sync_assets.databases.mysql import MySQLDatabase

        database = MySQLDatabase(self.args)
        try:
            return tuple(map(answer_shape, database.describe_query(query.replace("%", "%%"), {})))
        finally:
            database.close()

    def oldest_writer(self) -> str | None:
        try:
            found = self._line.one(catalogue.SQL["oldest_writer"])
        except Stop:  # without the right to see other people's transactions
            return None
        return None if found is None else str(found)

    # -- reading

    def forms(self, into: str, columns: Sequence[tuple[ColumnShape, ColumnShape]]) -> Sequence[Form]:
        return (Form.PG_BINARY, Form.LINES) if into == "postgres" and available(columns) else (Form.LINES,)

    def hashing(
        self, other: TableSource, mine: Sequence[ColumnShape], theirs: Sequence[ColumnShape], key: Sequence[str],
        rows: int,
    ) -> tuple[Hashing, Hashing] | None:  # fmt: skip
        return hashing(self.mariadb, other, mine, theirs, key, rows)

    def snapshot(self, tables: Sequence[TableName], streams: int) -> AbstractContextManager[Moment]:
        return moment(self.args, self.shapes(tables) if tables else {}, streams)

    # -- writing

    def takes(self) -> Sequence[Form]:
        return (Form.LINES,)

    def design(self, wanted: Sequence[Wanted], source: TableSource, policy: Policy, objects: bool = False) -> Design:
        from sync_assets.databases.mysql import ddl

        existing = self.shapes(concerned(wanted))
        for one in wanted:
            if one.table in existing:
                load.refuse_other_tables(self.place, existing[one.table])
        collation = ddl.collation_of(str(self._line.one("select version()")))
        made = ddl.design(wanted, existing, source.dialect, policy, collation)
        return self._with_objects(made, wanted, source) if objects and isinstance(source, MySQLTables) else made

    def _with_objects(self, made: Design, wanted: Sequence[Wanted], source: MySQLTables) -> Design:
        from sync_assets.databases.mysql.tables import objects

        more = objects.design(source.args, self.args, wanted)
        return replace(
            made,
            after=(*made.after, *more.after),
            losses=(*made.losses, *more.losses),
            drift=(*made.drift, *more.drift),
        )

    def positions(self, wanted: Sequence[Wanted], source: TableSource) -> Sequence[str]:
        return ()  # AUTO_INCREMENT follows the rows

    def build(self, statements: Sequence[str]) -> None:
        line = Line(self.args, writes=True)
        try:
            for statement in statements:
                line.run(statement)
        finally:
            line.close()

    def open_ledger(self) -> None:
        self._own()
        line = Line(self.args, writes=True)
        try:
            ledger.make(line)
        finally:
            line.close()

    def take_over(self, sync: str, token: int) -> Head:
        line = Line(self.args, writes=True)
        try:
            return ledger.take_over(line, sync, token)
        finally:
            line.close()

    def take_over_all(self, tokens: Mapping[str, int]) -> Mapping[str, Head]:
        line = Line(self.args, writes=True)
        try:
            return ledger.take_over_all(line, tokens)
        finally:
            line.close()

    def peek(self, sync: str) -> Head:
        return ledger.head(self._line, sync)

    def writer(self, sync: str = "", token: int = 0) -> TableWriter:
        return TableWriter(self.args, sync, token)
