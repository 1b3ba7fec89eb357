"""The demo's deployment as files: one defs.yaml as a user would write it, secrets beside it, and its environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from secrets import token_urlsafe

from sync_assets.demo import warehouse
from sync_assets.demo.shop import DATABASE, READER
from sync_assets.demo.warehouse import Warehouse
from sync_assets.testing.bitable import Emulator
from sync_assets.testing.servers import Server

ORDERS, CUSTOMERS, COPY = "orders_board", "customers_board", "warehouse_copy"
ORDERS_QUERY = """select order_no as 订单号, customer as 客户, status as 状态, amount as 金额, paid as 已付款,
                 note as 备注, created_at as 下单时间, updated_at as 更新时间
          from orders
          where created_at >= :start and created_at < :end"""

YAML = """\
# Written by `sync-assets demo`. This is all that a user writes.
type: sync_assets.components.Connections
attributes:
  connections:
    - name: shop
      type: {kind}
      host: {host}
      port: {port}
      database: {database}
      user: {user}
      password: file:{secrets}/shop
      tls: prefer
    - name: warehouse
      type: postgres
      host: {copy_host}
      port: {copy_port}
      database: {copy_database}
      user: {copy_user}
      password: file:{secrets}/warehouse
      tls: prefer
    - name: feishu
      type: feishu
      host: {feishu}
      app_id: {app_id}
      app_secret: file:{secrets}/feishu
    - name: ops_group
      type: feishu_bot
      webhook: file:{secrets}/webhook
      secret: file:{secrets}/bot
---
type: sync_assets.components.TableSync
attributes:
  source: shop
  target: feishu
  alerts: ops_group
  syncs:
    - name: {orders}
      title: 订单看板
      query: >
          {query}
      bitable: {orders_link}
      mode: full
      key: [订单号]
      watermark: 更新时间
      field_types: intelligence
      columns:
        金额: {{type: currency, currency: CNY}}
        备注: {{type: text}}
      partitions: {{every: day, start: {start}}}
      sensor: {{by: watermark, every: 5, windows: {windows}}}
      fresh_within: 26h
    - name: {customers}
      title: 客户名册
      table: customers
      bitable: {customers_link}
      mode: clone
      key: [customer_id]
      field_types: intelligence
      columns:
        customer_id: {{field: 编号}}
        name: {{field: 姓名}}
        city: {{field: 城市}}
        phone: {{field: 电话, type: phone}}
        joined: {{field: 注册日期}}
        updated_at: {{skip: true}}
      schedule: "*/30 * * * *"
---
type: sync_assets.components.DatabaseReplica
attributes:
  name: {copy}
  title: 数据仓库
  source: shop
  target: warehouse
  tables: ["{home}.*"]
  into: {{{home}: {schema}}}
  mode: clone
  schedule: "30 2 * * *"
  alerts: ops_group
  streams: 1
  overrides:
    {home}.visits:
      partitions: {{every: day, start: {start}, column: seen_at}}
"""


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where the demo's files are, and the environment that its processes run in."""

    home: Path
    environment: Mapping[str, str]
    app_token: str
    orders_link: str
    customers_link: str
    ops_bot: str  # the id of the group bot that tells of boards and copies

    @property
    def defs(self) -> Path:
        return self.home / "defs"


def write(
    home: Path, root: Path, server: Server, copy: Warehouse, emulator: Emulator, password: str, first: date
) -> Deployment:
    """Make two boards, write the deployment that fills them and the warehouse, and return it."""
    base = emulator.make_base("山海商店", time_zone="Asia/Shanghai")
    orders = emulator.make_table(base, "订单看板", [{"field_name": "订单号", "type": 1}])
    customers = emulator.make_table(base, "客户名册", [{"field_name": "编号", "type": 2}])
    secrets = home / "secrets"
    bot_secret = token_urlsafe(16)
    bot_url = emulator.make_bot(secret=bot_secret)
    keep_secrets(secrets, {
        "shop": password, "warehouse": copy.password, "feishu": emulator.app_secret, "webhook": bot_url,
        "bot": bot_secret,
    })  # fmt: skip
    links = emulator.link(base, orders), emulator.link(base, customers)
    text = YAML.format(
        kind="mysql" if server.kind == "mysql" else "postgres", host=server.host, port=server.port, database=DATABASE,
        user=READER, secrets=secrets, feishu=emulator.url, app_id=emulator.app_id, orders=ORDERS, customers=CUSTOMERS,
        query=ORDERS_QUERY, orders_link=links[0], customers_link=links[1], start=first.isoformat(), windows=14,
        copy=COPY, copy_host=copy.server.host, copy_port=copy.server.port, copy_database=warehouse.DATABASE,
        copy_user=warehouse.LOADER, schema=warehouse.SCHEMA, home=DATABASE if server.kind == "mysql" else "public",
    )  # fmt: skip
    folder = home / "defs" / "shop"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "defs.yaml").write_text(text, encoding="utf-8")
    deployment = Deployment(home, _environment(home, root), base, *links, bot_url.rpartition("/")[2])
    _write_environment(home / "env", deployment.environment)
    return deployment


def keep_secrets(folder: Path, values: Mapping[str, str]) -> None:
    """Write each into a file of its own that only we can read."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, value in values.items():
        path = folder / name
        path.touch(mode=0o600)
        path.write_text(value)


def _environment(home: Path, root: Path) -> dict[str, str]:
    return {"SYNC_ASSETS_HOME": str(home), "SYNC_ASSETS_DEFS": str(home / "defs"), "DAGSTER_HOME": str(root)}


def _write_environment(path: Path, environment: Mapping[str, str]) -> None:
    path.write_text("".join(f"export {name}='{value}'\n" for name, value in environment.items()))


def process_environment(deployment: Deployment, **more: str) -> dict[str, str]:
    """The environment of the demo's own processes: nothing of the developer's deployment leaks in."""
    mine = {k: v for k, v in os.environ.items() if not k.startswith(("SYNC_ASSETS_", "DAGSTER_"))}
    return {**mine, **deployment.environment, **more}
