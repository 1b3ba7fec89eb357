"""The demo's own judge: it must see what somebody did to a copy, or its last table says nothing."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from sync_assets.demo.compare import COPIES, compare_copy, compare_keys
from sync_assets.demo.shop import Shop
from sync_assets.demo.warehouse import LINES, PRODUCT, SCHEMA, Warehouse, warehouse
from sync_assets.testing.servers import mariadb_server, postgres_server

_COLUMNS = {
    "customers": "customer_id bigint, name text, city text, phone text, vip {flag}, joined date, "
    "updated_at timestamptz",
    "products": "product_id int, title text, price numeric, kilos float8, stock int",
    "orders": "order_no text, customer_id bigint, customer text, status text, amount numeric, paid {flag}, note text, "
    "created_at timestamp, updated_at timestamptz",
    "order_lines": "line_id bigint, order_no text, product_id int, quantity int, price numeric, sold_at timestamp",
    "visits": "visit_id bigint, page text, seconds float8, seen_at timestamp",
}


@pytest.fixture(scope="module", params=[mariadb_server, postgres_server], ids=["mariadb", "postgres"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Shop, Warehouse]]:
    """A shop, and its rows put into the warehouse by plain INSERTs."""
    with request.param() as server, warehouse("word-of-the-loader") as copy:
        shop = Shop(server, random.Random(3))
        shop.open("word-of-the-reader")
        flag = "boolean" if server.kind == "postgres" else "int"
        with copy.server.connect("warehouse") as connection:
            connection.execute(f"create schema {SCHEMA}")
            connection.execute("set time zone 'Asia/Shanghai'")
            for table, columns in _COLUMNS.items():
                connection.execute(f"create table {SCHEMA}.{table} ({columns.format(flag=flag)})")
                rows = shop.rows(f"select {', '.join(COPIES[table])} from {table}")
                marks = ", ".join(["%s"] * len(COPIES[table]))
                connection.cursor().executemany(f"insert into {SCHEMA}.{table} values ({marks})", rows)
        yield shop, copy


def test_the_judge_finds_what_was_damaged_and_nothing_else(pair: tuple[Shop, Warehouse]) -> None:
    shop, copy = pair
    assert [table for table in COPIES if not compare_copy(table, shop, copy).equal] == []
    copy.damage()
    products, lines = compare_copy("products", shop, copy), compare_copy("order_lines", shop, copy)
    assert (products.lost, products.extra, products.differing) == ([], [], [str(PRODUCT)])
    assert lines.lost == [str(number) for number in range(LINES[0], LINES[1] + 1)]
    assert not products.equal and not lines.equal
    assert compare_copy("orders", shop, copy).equal


def test_the_judge_sees_a_row_too_many_and_a_row_twice(pair: tuple[Shop, Warehouse]) -> None:
    shop, copy = pair
    copy.rows(f"insert into {SCHEMA}.customers select * from {SCHEMA}.customers where customer_id = 5 returning 1")
    assert not compare_copy("customers", shop, copy).equal
    copy.rows(f"update {SCHEMA}.customers set customer_id = 9999 where customer_id = 5 returning 1")
    found = compare_copy("customers", shop, copy)
    assert (found.lost, found.extra) == (["5"], ["9999"])


def test_the_judge_misses_foreign_keys(pair: tuple[Shop, Warehouse]) -> None:
    shop, copy = pair
    found = compare_keys(shop, copy)
    assert found.rows == 3 and "orders customer_id customers" in found.lost and not found.equal
