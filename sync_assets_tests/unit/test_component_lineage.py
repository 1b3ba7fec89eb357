"""The tables that a query reads, by its words."""

from __future__ import annotations

import pytest

from sync_assets.components.lineage import tables_read
from sync_assets.components.naming import slug, table_key

QUERIES = [
    ("select * from orders", ("orders",)),
    ("SELECT a.x FROM shop.orders AS a JOIN `customers` c ON a.c = c.id", ("shop.orders", "customers")),
    ('select 1 from "Public"."Order Items"', ("Public.Order Items",)),
    ("select * from a, b as bb, c where a.x = b.y", ("a", "b", "c")),
    ("select extract(year from created) from orders", ("orders",)),
    ("select trim(both ' ' from name), substring(x from 2) from people", ("people",)),
    ("with recent as (select * from orders) select * from recent join customers using (id)", ("orders", "customers")),
    ("with a as (select 1 from t1), b as (select 2 from t2) select * from a, b", ("t1", "t2")),
    ("with recursive t as (select * from parts union all select p.* from parts p, t) select 1 from t", ("parts",)),
    ("select * from (select id from inner_table) x", ("inner_table",)),
    ("select * from orders where id in (select order_id from refunds)", ("orders", "refunds")),
    ("select * from orders where a is distinct from b", ("orders",)),
    ("select 'from nowhere' from orders -- from comments\n where 1=1 /* join hidden */", ("orders",)),
    ("select * from generate_series(1, 3)", ()),
    ("select * from orders left join lateral (select 1 from lines) l on true", ("orders", "lines")),
    ("select * from orders where day >= :start and day < :end order by from_day", ("orders",)),
    ("select * from 订单", ("订单",)),
    ("select 1", ()),
]  # fmt: skip


@pytest.mark.parametrize(("query", "tables"), QUERIES)
def test_tables_of_a_query(query: str, tables: tuple[str, ...]) -> None:
    assert tables_read(query) == tables


def test_slugs_are_ascii_and_stay_apart() -> None:
    assert slug("orders_2026") == "orders_2026"
    names = ["订单", "客户", "a-b", "a.b", "a b", "_", ""]
    assert len({slug(name) for name in names}) == len(names)
    assert all(slug(name).isascii() and slug(name).replace("_", "a").isalnum() for name in names)


def test_a_table_has_one_key_whoever_names_it() -> None:
    assert table_key("shop", "orders").path == ["shop", "orders"]
    assert table_key("shop", "sales.orders").path == ["shop", "sales", "orders"]
