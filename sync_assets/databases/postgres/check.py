"""What `sync-assets check` says about a PostgreSQL connection. Reads catalogues only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sync_assets.databases.base import reachable
from sync_assets.engine.errors import SyncError
from sync_assets.engine.model import Finding

if TYPE_CHECKING:
    from sync_assets.databases.postgres import PostgresDatabase

_OLDEST = 120000
_RIGHTS = """
select r.rolsuper,
  (select count(*) from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname not in ('pg_catalog', 'information_schema')
     and n.nspname not like 'pg\\_%%' and has_schema_privilege(n.oid, 'usage')
     and has_any_column_privilege(c.oid, 'select')),
  (select count(*) from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p', 'v', 'f') and n.nspname not in ('pg_catalog', 'information_schema')
     and n.nspname not like 'pg\\_%%' and has_schema_privilege(n.oid, 'usage')
     and (has_table_privilege(c.oid, 'insert, update, delete, truncate')
          or has_any_column_privilege(c.oid, 'insert, update'))),
  (select count(*) from pg_catalog.pg_namespace n
   where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and has_schema_privilege(n.oid, 'create'))
from pg_catalog.pg_roles r where r.rolname = current_user
"""
READER = (
    "make a reader: create role reader login password '...'; grant usage on schema S to reader; "
    "grant select on T to reader"
)


def check(database: PostgresDatabase) -> list[Finding]:
    """Address, login, TLS, version, rights. Stops at the first that makes the rest senseless; one login."""
    args = database.args
    findings = [] if args.socket else [reachable(args, 5432)]
    if not all(f.ok for f in findings):
        return findings
    try:
        connection = database.connection
        findings.append(Finding(True, f"login as {args.user} to {args.database}"))
        findings += _server(database)
        row = connection.execute(_RIGHTS.replace("%%", "%")).fetchone()
        assert row is not None  # noqa: S101 (there is a current user)
        findings += _rights(*row)
    except SyncError as error:
        findings.append(Finding(False, error.message, error.hint))
    return findings


def _server(database: PostgresDatabase) -> list[Finding]:
    connection, args = database.connection, database.args
    encrypted = connection.pgconn.ssl_in_use
    version = connection.info.server_version
    return [
        Finding(
            True,
            "encrypted" if encrypted else "not encrypted",
            "" if encrypted or args.socket or args.tls == "off" else "switch TLS on at the server",
        ),
        Finding(
            version >= _OLDEST,
            f"PostgreSQL {version // 10000}.{version % 10000}",
            "" if version >= _OLDEST else "version 12 or newer is needed",
        ),
    ]


def _rights(superuser: bool, readable: int, writable: int, creatable: int) -> list[Finding]:
    found = Finding(readable > 0, f"may read {readable} tables", "" if readable else READER, about="reading")
    if superuser:
        return [found, Finding(True, "this user is a superuser, and could write anything", READER, about="writing")]
    if writable or creatable:
        what = f"this user could write {writable} tables and create objects in {creatable} schemas"
        return [found, Finding(True, what, READER, about="writing")]
    return [found, Finding(True, "this user can only read")]
