"""Every emulated call: its name, path, documented rate, scopes and handler."""

from __future__ import annotations

from sync_assets.testing.bitable import access, bots, records, search, tables
from sync_assets.testing.bitable.call import Endpoint, Handler

TOKEN = "/open-apis/auth/v3/tenant_access_token/internal"  # noqa: S105 - a path
HOOK = "/open-apis/bot/v2/hook/{hook}"
BITABLE = "/open-apis/bitable/v1/apps"
BASE = BITABLE + "/{app}"
TABLES = BASE + "/tables"
TABLE = TABLES + "/{table}"
FIELDS = TABLE + "/fields"
RECORDS = TABLE + "/records"

READ = ("bitable:app", "bitable:app:readonly")
EDIT = ("bitable:app",)
WIKI = ("wiki:wiki", "wiki:wiki:readonly", "wiki:node:read")


def _record(
    name: str, method: str, path: str, handler: Handler, right: str, *, rate: int = 50, writes: str = "table"
) -> Endpoint:
    scopes = (EDIT if writes else READ) + (f"base:record:{right}",)
    repeats = right in ("create", "update")
    return Endpoint(name, "records", method, RECORDS + path, handler, (rate, 1.0), scopes, writes, repeats)


def _field(name: str, method: str, path: str, handler: Handler, right: str, *, rate: int = 10) -> Endpoint:
    writes = "" if method == "GET" else "table"
    scopes = (EDIT if writes else READ) + (f"base:field:{right}",)
    return Endpoint(
        name, "fields", method, FIELDS + path, handler, (rate, 1.0), scopes, writes, repeats=right == "create"
    )


def _table(
    name: str, method: str, path: str, handler: Handler, right: str, *, rate: int = 10, writes: str = "base"
) -> Endpoint:
    scopes = (EDIT if writes else READ) + (f"base:table:{right}",)
    return Endpoint(name, "tables", method, path, handler, (rate, 1.0), scopes, writes)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("token", "token", "POST", TOKEN, access.issue_token, open=True),
    Endpoint("webhook", "webhook", "POST", HOOK, bots.receive, open=True),
    Endpoint("wiki_node", "wiki", "GET", "/open-apis/wiki/v2/spaces/get_node", tables.get_node, (100, 60.0), WIKI),
    Endpoint("app_create", "app", "POST", BITABLE, tables.create_base, (20, 60.0), EDIT, "base"),
    Endpoint("app_get", "app", "GET", BASE, tables.get_base, (20, 1.0), READ),
    Endpoint("app_update", "app", "PUT", BASE, tables.update_base, (10, 1.0), EDIT, "base"),
    _table("tables_list", "GET", TABLES, tables.list_tables, "read", rate=20, writes=""),
    _table("tables_create", "POST", TABLES, tables.create_table, "create"),
    _table("tables_batch_create", "POST", TABLES + "/batch_create", tables.create_tables, "create"),
    _table("tables_batch_delete", "POST", TABLES + "/batch_delete", tables.delete_tables, "delete"),
    _table("tables_rename", "PATCH", TABLE, tables.rename_table, "update", writes="table"),
    _table("tables_delete", "DELETE", TABLE, tables.delete_table, "delete", writes="table"),
    _field("fields_list", "GET", "", tables.list_fields, "read", rate=20),
    _field("fields_create", "POST", "", tables.create_field, "create"),
    _field("fields_update", "PUT", "/{field}", tables.update_field, "update"),
    _field("fields_delete", "DELETE", "/{field}", tables.delete_field, "delete"),
    _record("search", "POST", "/search", search.search, "retrieve", rate=20, writes=""),
    _record("list", "GET", "", search.list_records, "retrieve", rate=20, writes=""),
    _record("batch_create", "POST", "/batch_create", records.batch_create, "create"),
    _record("batch_update", "POST", "/batch_update", records.batch_update, "update"),
    _record("batch_delete", "POST", "/batch_delete", records.batch_delete, "delete"),
    _record("batch_get", "POST", "/batch_get", records.batch_get, "retrieve", rate=20, writes=""),
    _record("create", "POST", "", records.create, "create"),
    _record("update", "PUT", "/{record}", records.update, "update"),
    _record("delete", "DELETE", "/{record}", records.delete, "delete"),
    _record("get", "GET", "/{record}", records.get, "retrieve", rate=20, writes=""),
)
