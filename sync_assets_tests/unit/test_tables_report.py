"""What is told of one table of a run is about that table."""

from __future__ import annotations

import pytest

from sync_assets.engine.tables.job import TableJob
from sync_assets.engine.tables.report import _about
from sync_assets.engine.tables.shape import TableName


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("mart.d: column x was added", True),
        ("mart.d.x: is kept as its text", True),
        ("2 triggers not copied: shop.days, shop.d.audit", True),
        ("mart.stock.place: keys that differ by case only are different here", False),
        ("mart.order_d: column x was added", False),
    ],
)
def test_a_line_is_told_where_it_names_the_table(line, told):
    job = TableJob("s", TableName("mart", "d"), TableName("shop", "d"))
    assert _about(line, job) is told
