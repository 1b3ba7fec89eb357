"""The calls on bases, tables and fields (and the wiki node that leads to a base)."""

from __future__ import annotations

from typing import Any

from sync_assets.testing.bitable.answers import Refusal, dumps
from sync_assets.testing.bitable.call import Answer, Call, page_of
from sync_assets.testing.bitable.schema import fit_cells, made_field, new_field, shown_field, trimmed_name
from sync_assets.testing.bitable.world import (
    Base,
    Field,
    Table,
    World,
    add_base,
    add_record,
    add_table,
    schema_moved,
)

# -- bases ------------------------------------------------------------------------------------------------------


def shown_base(base: Base) -> dict[str, Any]:
    return {
        "app_token": base.token,
        "name": base.name,
        "revision": base.revision,
        "is_advanced": base.advanced,
        "time_zone": base.time_zone,
        "formula_type": 1,
        "advance_version": "v1",
    }


def get_base(call: Call) -> Answer:
    return {"app": shown_base(call.the_base)}


def update_base(call: Call) -> Answer:
    base = call.the_base
    if "name" in call.body:
        base.name = trimmed_name(call.body["name"])
    base.advanced = bool(call.body.get("is_advanced", base.advanced))
    base.revision += 1
    return {"app": {k: v for k, v in shown_base(base).items() if k in ("app_token", "name", "is_advanced")}}


def create_base(call: Call) -> Answer:
    """A new base comes with a table of the vendor's own design and some empty rows."""
    name = call.body.get("name") or "未命名多维表格"
    if not isinstance(name, str) or len(name) > 255:
        raise Refusal(1254029)
    base = add_base(call.world, name, call.body.get("time_zone") or "")
    base.everyone = ""
    if call.app:
        base.members[call.app.id] = "edit"
    table = make_table(call.world, base, "数据表", STARTER_FIELDS)
    for _ in range(5):
        add_record(call.world, table, {})
    shown = {k: v for k, v in shown_base(base).items() if k in ("app_token", "name", "revision", "time_zone")}
    more = {"folder_token": "", "url": f"/base/{base.token}", "default_table_id": table.id}
    return {"app": shown | more}


def get_node(call: Call) -> Answer:
    """Where a wiki page leads. Raises Refusal 131005 for one that is not there, 131006 without the right to read."""
    if not call.query.get("token"):
        raise Refusal(131002)
    node = call.world.nodes.get(call.query["token"])
    if node is None:
        raise Refusal(131005)
    if not node.members:
        raise Refusal(131006)
    return {
        "node": {
            "space_id": "7000000000000000000",
            "node_token": node.token,
            "obj_token": node.obj_token,
            "obj_type": node.obj_type,
            "parent_node_token": "",
            "node_type": "origin",
            "origin_node_token": node.token,
            "has_child": False,
            "title": node.title,
        }
    }


# -- tables -----------------------------------------------------------------------------------------------------

STARTER_FIELDS: list[dict[str, Any]] = [
    {"field_name": "文本", "type": 1},
    {"field_name": "单选", "type": 3},
    {"field_name": "日期", "type": 5},
    {"field_name": "附件", "type": 17},
]


def make_table(world: World, base: Base, name: Any, specs: Any) -> Table:
    """A table with its whole schema; the first field is the primary one. Raises Refusal, and then made nothing."""
    name = trimmed_name(name)
    if any(t.name == name for t in base.tables.values()):
        raise Refusal(1254013)
    if len(base.tables) >= world.config.table_limit:
        raise Refusal(1254100)
    specs = specs or STARTER_FIELDS[:1]
    if not isinstance(specs, list):
        raise Refusal(1254001, "fields must be a list")
    if len(specs) > world.config.field_limit:
        raise Refusal(1254105)
    fields = [new_field(spec, base, primary=place == 0) for place, spec in enumerate(specs)]
    names = [f.name for f in fields]
    if len(set(names)) != len(names):
        raise Refusal(1254014)
    return add_table(base, name, fields)


def list_tables(call: Call) -> Answer:
    tables = list(call.the_base.tables.values())
    page, frame = page_of(tables, call, "tables", 100)
    return {"items": [{"table_id": t.id, "revision": t.revision, "name": t.name} for t in page]} | frame


def create_table(call: Call) -> Answer:
    spec = call.body.get("table")
    if not isinstance(spec, dict):
        raise Refusal(1254001, "table is missing")
    table = make_table(call.world, call.the_base, spec.get("name"), spec.get("fields"))
    return {"table_id": table.id, "default_view_id": table.view_id, "field_id_list": list(table.fields)}


def create_tables(call: Call) -> Answer:
    specs = call.body.get("tables")
    if not isinstance(specs, list) or not all(isinstance(s, dict) for s in specs):
        raise Refusal(1254001, "tables is missing")
    base = call.the_base
    made: list[str] = []
    try:
        for spec in specs:
            made.append(make_table(call.world, base, spec.get("name"), spec.get("fields")).id)
    except Refusal:
        for table_id in made:
            del base.tables[table_id]
        raise
    return {"table_ids": made}


def rename_table(call: Call) -> Answer:
    base, table = call.here
    name = trimmed_name(call.body.get("name"))
    if any(t.name == name and t is not table for t in base.tables.values()):
        raise Refusal(1254013)
    table.name = name
    schema_moved(base, table)
    return {"name": name}


def delete_table(call: Call) -> Answer:
    base, table = call.here
    del base.tables[table.id]
    base.revision += 1
    return "{}"


def delete_tables(call: Call) -> Answer:
    base, ids = call.the_base, call.body.get("table_ids")
    if not isinstance(ids, list) or not all(i in base.tables for i in ids):
        raise Refusal(1254041)
    for table_id in dict.fromkeys(ids):
        del base.tables[table_id]
    base.revision += 1
    return "{}"


# -- fields -----------------------------------------------------------------------------------------------------


def list_fields(call: Call) -> Answer:
    table = call.here[1]
    if call.query.get("view_id") not in (None, "", table.view_id):
        raise Refusal(1254042)
    page, frame = page_of(list(table.fields.values()), call, "fields", 100)
    return {"items": [shown_field(f) for f in page]} | frame


def _other_name_free(table: Table, field: Field, but: str = "") -> None:
    if any(f.name == field.name and f.id != but for f in table.fields.values()):
        raise Refusal(1254014, field=field.name)


def create_field(call: Call) -> Answer:
    base, table = call.here
    if call.made:
        return {"field": made_field(_field(table, call.made[0]))}
    field = new_field(call.body, base)
    _other_name_free(table, field)
    if len(table.fields) >= call.world.config.field_limit:
        raise Refusal(1254105)
    table.fields[field.id] = field
    schema_moved(base, table)
    call.kept = [field.id]
    return {"field": made_field(field)}


def _field(table: Table, field_id: str) -> Field:
    field = table.fields.get(field_id)
    if field is None:
        raise Refusal(1254044)
    return field


def update_field(call: Call) -> Answer:
    """A full overwrite: an option whose id is not sent back is gone, and so are the cells that held it."""
    base, table = call.here
    was = _field(table, call.path["field"])
    becomes = new_field(call.body, base, primary=was.primary)
    becomes.id = was.id
    if "description" not in call.body:
        becomes.description = was.description
    if dumps(shown_field(becomes)) == dumps(shown_field(was)):
        raise Refusal(1254606)
    _other_name_free(table, becomes, but=was.id)
    fit_cells(table, was, becomes)
    table.fields[was.id] = becomes
    schema_moved(base, table)
    return {"field": made_field(becomes)}


def delete_field(call: Call) -> Answer:
    base, table = call.here
    field = _field(table, call.path["field"])
    if field.primary:
        raise Refusal(1254012, "the primary field cannot be deleted", field=field.name)
    del table.fields[field.id]
    for record in table.records.values():
        record.cells.pop(field.id, None)
    schema_moved(base, table)
    return {"field_id": field.id, "deleted": True}
