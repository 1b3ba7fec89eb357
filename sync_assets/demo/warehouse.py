"""The warehouse: a database of its own into which the shop's tables are copied, and what people do to it by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sync_assets.testing.servers import Server, postgres_server

DATABASE, SCHEMA, LOADER = "warehouse", "shop", "loader"
PRODUCT, LINES = 7, (2_711, 2_713)  # what is damaged; lines that old are never taken back by the shop

_GRANTS = (
    f"grant create on database {DATABASE} to {LOADER}",
    f"grant usage, create on schema public to {LOADER}",  # for the types of a PostgreSQL shop
)


@dataclass(frozen=True, slots=True)
class Warehouse:
    """A PostgreSQL with a database, and a user who may create and write there and nowhere else."""

    server: Server
    password: str

    def open(self) -> None:
        """Make the database, still without a table, and the user who loads it."""
        self.server.create_database(DATABASE)
        self.server.create_user(LOADER, self.password, *_GRANTS, database=DATABASE)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query gives."""
        return self.server.execute(query, database=DATABASE)

    def damage(self) -> None:
        """What should not happen to a copy: somebody changes a price and deletes some lines of orders."""
        self.server.execute(
            f"update {SCHEMA}.products set price = price / 10 where product_id = {PRODUCT}",  # noqa: S608 - fixed names
            f"delete from {SCHEMA}.order_lines where line_id between {LINES[0]} and {LINES[1]}",  # noqa: S608
            database=DATABASE,
        )


@contextmanager
def warehouse(password: str) -> Iterator[Warehouse]:
    """A private PostgreSQL with the empty warehouse in it."""
    with postgres_server() as server:
        found = Warehouse(server, password)
        found.open()
        yield found
