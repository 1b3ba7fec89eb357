"""The shop's servers as a fleet of three: its YAML, its login on them, who else has accounts, and what these come by.

One of the three answers no more: nobody has ever listened on its port.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from secrets import token_urlsafe

from sync_assets.demo import shop, warehouse
from sync_assets.demo.deployment import Deployment, keep_secrets
from sync_assets.fleet.collecting import Collector
from sync_assets.testing.bitable import Emulator
from sync_assets.testing.servers import HOST, Server, free_port

FLEET, LOGIN = "servers", "fleet_watch"
SHOP, COPY, DEAD = "商店库", "数仓", "旧报表库"
WINDOW = 28  # days that are partitions: enough to look at, few enough to be quick
_FULL, _ROOMY = 1.07, 4  # volumes, by the sizes of today

YAML = """\
# Written by `sync-assets demo`: the servers themselves, who may do what on them, and how they grow.
type: sync_assets.components.Connections
attributes:
  connections:
    - name: dba_group
      type: feishu_bot
      webhook: file:{secrets}/dba_webhook
      secret: file:{secrets}/dba_bot
---
type: sync_assets.components.DatabaseFleet
attributes:
  name: {fleet}
  title: 商店的数据库
  time_zone: Asia/Shanghai
  logins: {{default: {{user: {login}, password: "file:{secrets}/{login}"}}}}
  instances:
    - {{name: {shop}, type: {shop_type}, host: {host}, port: {shop_port}, adopted_on: {since}, volume: {shop_volume}}}
    - {{name: {copy}, type: postgres, host: {host}, port: {copy_port}, adopted_on: {since}, volume: {copy_volume}}}
    - {{name: {dead}, type: mysql, host: {host}, port: {dead_port}, adopted_on: {since}}}
  accounts: {{schedule: null}}  # the demo starts them itself
  capacity: {{window: {window}}}
  aggregation: {{settle: 0}}  # nothing more comes of a past that is made up, so that no period is waited for
  alerts: dba_group
"""

_RIGHTS = {
    "mysql": "grant select, process, show databases, show view, replication client on *.* to '{0}'@'%'",
    "postgres": 'grant pg_monitor to "{0}"',
}
_PEOPLE: Mapping[str, Sequence[str]] = {
    "mysql": (
        "create role dba",
        "grant all privileges on *.* to dba with grant option",
        "create role `值班`",
        "create user '小王'@'%' identified by '{password}'",
        "grant `值班` to '小王'@'%'",
        "create user '财务导出'@'10.%' identified by '{password}'",
        "grant select, update on `shop%`.* to '财务导出'@'10.%'",
    ),
    "postgres": (
        "create role dba superuser nologin",
        'create role "值班" nologin',
        "create role \"小李\" login password '{password}'",
        'grant "值班" to "小李"',
    ),
}
_CARELESS: Mapping[str, Sequence[str]] = {
    "mysql": ("grant dba to `值班`", "create user 'legacy'@'%'", "grant select on shop.customers to 'legacy'@'%'"),
    "postgres": ('grant dba to "值班"', "grant usage on schema {schema} to public",
                 "grant select on {schema}.customers to public"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Servers:
    """The two that answer, and the password of our login on both."""

    shop: Server
    copy: Server
    password: str

    def open(self) -> None:
        """Make our login, and the accounts that people have."""
        for server in (self.shop, self.copy):
            server.create_user(LOGIN, self.password, _RIGHTS[server.kind].format(LOGIN))
            server.execute(*_spelled(_PEOPLE[server.kind], password=token_urlsafe(12)))

    def be_careless(self) -> None:
        """What people do in a hurry: a role given to a role, a login without a password, a table for everybody."""
        self.shop.execute(*_spelled(_CARELESS[self.shop.kind], schema="public"), database=shop.DATABASE)
        words = _spelled(_CARELESS[self.copy.kind], schema=warehouse.SCHEMA)
        self.copy.execute(*words, database=warehouse.DATABASE)

    def collector(self, server: Server) -> Collector:
        """One that asks with our login, as Dagster will."""
        from sync_assets.databases.base import ConnectionArgs, open_collector

        home = server.database if server.kind == "postgres" else ""
        args = ConnectionArgs(
            LOGIN, host=server.host, port=server.port, database=home, user=LOGIN, open_password=lambda: self.password
        )
        return open_collector(server.kind, args)


def _spelled(statements: Sequence[str], **words: str) -> list[str]:
    return [statement.format(**words) for statement in statements]


def write(files: Deployment, servers: Servers, emulator: Emulator, sizes: Mapping[str, int], since: date) -> None:
    """Write the fleet beside the rest of the deployment. `sizes` are today's bytes of those that answer."""
    secret, secrets = token_urlsafe(16), files.home / "secrets"
    keep_secrets(secrets, {LOGIN: servers.password, "dba_bot": secret, "dba_webhook": emulator.make_bot(secret=secret)})
    text = YAML.format(
        secrets=secrets, fleet=FLEET, login=LOGIN, host=HOST, since=since.isoformat(), window=WINDOW, shop=SHOP,
        shop_type=servers.shop.kind, shop_port=servers.shop.port, shop_volume=int(sizes[SHOP] * _FULL), copy=COPY,
        copy_port=servers.copy.port, copy_volume=sizes[COPY] * _ROOMY, dead=DEAD, dead_port=free_port(),
    )  # fmt: skip
    folder = files.defs / FLEET
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "defs.yaml").write_text(text, encoding="utf-8")
