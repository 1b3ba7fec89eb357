"""The shop: customers and orders of the last days, in whichever server there is, and how they change."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sync_assets.testing.servers import Server, ServerMissing, mariadb_server, postgres_server

ZONE = ZoneInfo("Asia/Shanghai")
DAYS, ORDERS, CUSTOMERS = 7, 3_000, 240
DATABASE, READER = "shop", "shop_reader"

SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗"
GIVEN = ("伟", "芳", "娜", "敏", "静", "丽", "强", "磊", "洋", "艳", "勇", "军", "杰", "娟", "涛", "明", "超", "秀英")
CITIES = ("上海", "北京", "深圳", "广州", "杭州", "成都", "武汉", "西安", "苏州", "南京")
STATUSES = ("待付款", "已付款", "已发货", "已完成", "已取消")
NOTES = ("", "加急", "请放门口 🙏", "发票抬头：上海某某科技有限公司", "周末送达", "赠品 x1")

_MYSQL = (
    "create table customers (customer_id bigint primary key, name varchar(40) not null, city varchar(20), "
    "phone varchar(20), vip tinyint(1) not null, joined date, updated_at timestamp(3) not null)",
    "create table orders (order_no varchar(24) primary key, customer varchar(40) not null, status "
    f"enum({', '.join(repr(s) for s in STATUSES)}) not null, amount decimal(10,2) not null, paid tinyint(1) not null, "
    "note text, created_at datetime not null, updated_at timestamp(3) not null, key (created_at), key (updated_at))",
)
_POSTGRES = (
    f"create type order_status as enum ({', '.join(repr(s) for s in STATUSES)})",
    "create table customers (customer_id bigint primary key, name text not null, city text, phone text, "
    "vip boolean not null, joined date, updated_at timestamptz(3) not null)",
    "create table orders (order_no text primary key, customer text not null, status order_status not null, "
    "amount numeric(10,2) not null, paid boolean not null, note text, created_at timestamp(0) not null, "
    "updated_at timestamptz(3) not null)",
    "create index on orders (created_at)",
    "create index on orders (updated_at)",
)


@contextmanager
def shop_server() -> Iterator[Server]:
    """MariaDB where it is installed, else PostgreSQL; empty."""
    try:
        context = mariadb_server()
        server = context.__enter__()
    except ServerMissing:
        context = postgres_server()
        server = context.__enter__()
    try:
        yield server
    finally:
        context.__exit__(None, None, None)


@dataclass(slots=True)
class Shop:
    """The shop's own application: writes orders and customers. The sync reads as another, read-only user."""

    server: Server
    random: random.Random
    serial: int = 0

    def open(self, reader_password: str) -> None:
        """Create the database, its tables, a reader, and the orders of the last days."""
        self.server.create_database(DATABASE)
        self._execute(*(_MYSQL if self.server.kind == "mysql" else _POSTGRES))
        self._grant(reader_password)
        self._insert("customers", [self._customer(i) for i in range(1, CUSTOMERS + 1)])
        now = datetime.now(ZONE).replace(tzinfo=None, microsecond=0)
        moments = sorted(now - timedelta(seconds=self.random.uniform(0, DAYS * 86_400)) for _ in range(ORDERS))
        self._insert("orders", [self._order(at.replace(microsecond=0)) for at in moments])

    def _grant(self, password: str) -> None:
        if self.server.kind == "mysql":
            self.server.create_user(READER, password, f"grant select on {DATABASE}.* to '{READER}'@'%'")
        else:
            grant = f'grant select on all tables in schema public to "{READER}"'
            self.server.create_user(READER, password, grant, database=DATABASE)

    def trade(self, new: int = 3, changed: int = 5) -> None:
        """A moment of business: some new orders, some that move on, now and then a cancelled note."""
        now = datetime.now(ZONE).replace(tzinfo=None, microsecond=0)
        self._insert("orders", [self._order(now) for _ in range(new)])
        for order_no, status in self._some_orders(changed):
            step = STATUSES[min(STATUSES.index(status) + 1, 3)]
            self._run(
                "update orders set status = %s, paid = %s, note = %s, updated_at = current_timestamp(3) "
                "where order_no = %s",
                (step, step != STATUSES[0], self.random.choice(NOTES) or None, order_no),
            )
        self._run(
            "update customers set city = %s, updated_at = current_timestamp(3) where customer_id = %s",
            (self.random.choice(CITIES), self.random.randint(1, CUSTOMERS)),
        )

    def write(self, text: str, values: tuple[Any, ...] = ()) -> None:
        """One change, as the application makes it."""
        self._run(text, values)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query gives, as the application sees it."""
        return self._run(query)

    def _some_orders(self, count: int) -> list[tuple[str, str]]:
        found = self._run("select order_no, status from orders order by order_no desc limit 400")
        return [(row[0], str(row[1])) for row in self.random.sample(found, min(count, len(found)))]

    def _customer(self, number: int) -> tuple[Any, ...]:
        name = self.random.choice(SURNAMES) + self.random.choice(GIVEN)
        joined = datetime.now(ZONE).date() - timedelta(days=self.random.randint(1, 1500))
        phone = f"1{self.random.choice('35789')}{self.random.randint(0, 999_999_999):09}"
        return (number, name, self.random.choice(CITIES), phone, number % 9 == 0, joined, datetime.now(ZONE))

    def _order(self, at: datetime) -> tuple[Any, ...]:
        self.serial += 1
        order_no = f"{at:%Y%m%d}{self.serial:010}"  # 18 digits: no spreadsheet may round it
        status = self.random.choice(STATUSES)
        customer = self.random.choice(SURNAMES) + self.random.choice(GIVEN)
        amount = Decimal(self.random.randint(990, 299_900)) / 100
        note = self.random.choice(NOTES) or None
        return (order_no, customer, status, amount, status != STATUSES[0], note, at, at.replace(tzinfo=ZONE))

    def _insert(self, table: str, rows: list[tuple[Any, ...]]) -> None:
        marks = ", ".join(["%s"] * len(rows[0]))
        with self.server.connect(DATABASE) as connection:
            self._zone(connection)
            cursor = connection.cursor()
            cursor.executemany(f"insert into {table} values ({marks})", rows)  # noqa: S608 - a fixed name
            connection.commit()

    def _zone(self, connection: Any) -> None:
        clock = "set time_zone = '+08:00'" if self.server.kind == "mysql" else "set time zone 'Asia/Shanghai'"
        connection.cursor().execute(clock)

    def _run(self, text: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with self.server.connect(DATABASE) as connection:
            self._zone(connection)
            cursor = connection.cursor()
            cursor.execute(text, values)
            found = list(cursor.fetchall()) if cursor.description else []
            connection.commit()
        return found

    def _execute(self, *statements: str) -> None:
        for statement in statements:
            self._run(statement)
