"""Row by row: what the shop has, and what the boards and the warehouse hold.

Written apart from the engine, so that it can disagree with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

from sync_assets.demo.shop import ZONE, Shop
from sync_assets.demo.warehouse import SCHEMA, Warehouse
from sync_assets.testing.bitable import Emulator

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A board, or a copy, beside its table. `rows` are those of the shop, `records` those that were found there."""

    name: str
    rows: int
    records: int
    lost: Sequence[str]
    extra: Sequence[str]
    differing: Sequence[str]

    @property
    def equal(self) -> bool:
        return not (self.lost or self.extra or self.differing) and self.rows == self.records


def _ms(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        return int((value if value.tzinfo else value.replace(tzinfo=ZONE)).timestamp() * 1000)
    return int(datetime.combine(value, time(), ZONE).timestamp() * 1000)


def _or_none(value: Any) -> Any:
    return value or None


ORDERS: Sequence[tuple[str, str, Callable[[Any], Any]]] = (
    ("order_no", "订单号", str), ("customer", "客户", str), ("status", "状态", str), ("amount", "金额", float),
    ("paid", "已付款", lambda v: bool(v) or None), ("note", "备注", _or_none), ("created_at", "下单时间", _ms),
    ("updated_at", "更新时间", _ms),
)  # fmt: skip
CUSTOMERS: Sequence[tuple[str, str, Callable[[Any], Any]]] = (
    ("customer_id", "编号", float), ("name", "姓名", str), ("city", "城市", _or_none), ("phone", "电话", _or_none),
    ("vip", "vip", lambda v: bool(v) or None), ("joined", "注册日期", _ms),
)  # fmt: skip


def compare(
    board: str, shop: Shop, emulator: Emulator, app: str, table: str, source: str, columns: Sequence[Any]
) -> Comparison:
    """Compare a whole table with a whole board, cell by cell."""
    names = ", ".join(name for name, _, _ in columns)
    ours = [
        {field: make(value) for (_, field, make), value in zip(columns, row, strict=True)}
        for row in shop.rows(f"select {names} from {source}")  # noqa: S608 - names from this file
    ]
    theirs = list(emulator.rows(app, table).values())
    key = columns[0][1]
    mine, shown = {str(r[key]): r for r in ours}, {_key(r.get(key)): r for r in theirs}
    both = mine.keys() & shown.keys()
    return Comparison(
        board,
        len(ours),
        len(theirs),
        sorted(mine.keys() - shown.keys())[:5],
        sorted(shown.keys() - mine.keys())[:5],
        sorted(k for k in both if not _same(mine[k], shown[k]))[:5],
    )


COPIES: Mapping[str, Sequence[str]] = {
    "customers": ("customer_id", "name", "city", "phone", "vip", "joined", "updated_at"),
    "products": ("product_id", "title", "price", "kilos", "stock"),
    "orders": (
        "order_no", "customer_id", "customer", "status", "amount", "paid", "note", "created_at", "updated_at",
    ),
    "order_lines": ("line_id", "order_no", "product_id", "quantity", "price", "sold_at"),
    "visits": ("visit_id", "page", "seconds", "seen_at"),
}  # fmt: skip


def compare_copy(table: str, shop: Shop, copy: Warehouse) -> Comparison:
    """Compare a whole table with its copy, value by value."""
    query = f"select {', '.join(COPIES[table])} from "  # noqa: S608 - names from this file
    sold, held = shop.rows(query + table), copy.rows(f"{query}{SCHEMA}.{table}")
    ours, theirs = ({row[0]: tuple(map(_plain, row)) for row in rows} for rows in (sold, held))
    differing = (key for key in ours.keys() & theirs.keys() if ours[key] != theirs[key])
    return Comparison(
        f"{SCHEMA}.{table}",
        len(sold),
        len(held),
        sorted(map(str, ours.keys() - theirs.keys()))[:5],
        sorted(map(str, theirs.keys() - ours.keys()))[:5],
        sorted(map(str, differing))[:5],
    )


_KEYS_MYSQL = (
    "select table_name, column_name, referenced_table_name from information_schema.key_column_usage "
    "where table_schema = database() and referenced_table_name is not null"
)
_KEYS_POSTGRES = (
    "select r.relname, a.attname, f.relname from pg_constraint c join pg_class r on r.oid = c.conrelid "
    "join pg_class f on f.oid = c.confrelid join pg_attribute a on a.attrelid = r.oid and a.attnum = c.conkey[1] "
    "where c.contype = 'f' and position('sync_assets' in r.relname) = 0"  # not the ledger's
)


def compare_keys(shop: Shop, copy: Warehouse) -> Comparison:
    """Compare the foreign keys: table, column, and the table that it points to."""
    ours = shop.rows(_KEYS_MYSQL if shop.server.kind == "mysql" else _KEYS_POSTGRES)
    theirs = copy.rows(_KEYS_POSTGRES)
    here, there = ({" ".join(map(str, key)) for key in keys} for keys in (ours, theirs))
    return Comparison("foreign keys", len(ours), len(theirs), sorted(here - there), sorted(there - here), [])


def _plain(value: Any) -> Any:
    """A moment as the shop's clock shows it: its server gives moments without a zone, the warehouse's with one."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(ZONE).replace(tzinfo=None)
    return value


def _key(value: Any) -> str:
    return str(float(value)) if isinstance(value, int | float) else str(value)


def _same(ours: Row, theirs: Row) -> bool:
    return all(value == (theirs.get(field) or None) for field, value in ours.items())
