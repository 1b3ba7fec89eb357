"""The calls that write records, and the ones that read them by id. Batches are atomic: all of it or nothing."""

from __future__ import annotations

from typing import Any

from sync_assets.testing.bitable.answers import Refusal, dumps
from sync_assets.testing.bitable.call import Answer, Call, flag
from sync_assets.testing.bitable.schema import add_options
from sync_assets.testing.bitable.search import Projection, project
from sync_assets.testing.bitable.values import Writing, checked
from sync_assets.testing.bitable.world import (
    Base,
    Cells,
    Record,
    Table,
    World,
    add_record,
    change_record,
    moved,
)


def _batch(call: Call, name: str, most: int) -> list[Any]:
    rows = call.body.get(name)
    if not isinstance(rows, list):
        raise Refusal(1254001, f"{name} is missing")
    if not rows:
        raise Refusal(1254007)
    if len(rows) > most:
        raise Refusal(1254104, f"at most {most} in one call")
    return rows


def _echo(record_id: str, fields: Any) -> dict[str, Any]:
    """A written record as the service echoes it: in the shape of the write, not of a search."""
    return {"fields": fields, "id": record_id, "record_id": record_id}


def _as_stored(table: Table, cells: Cells) -> dict[str, Any]:
    return {table.fields[i].name: v for i, v in cells.items()}


# -- creating ---------------------------------------------------------------------------------------------------


def create_all(world: World, base: Base, table: Table, rows: list[Any], user_id_type: str = "open_id") -> list[Record]:
    """Make a record of each {field name: value}. Raises Refusal, and then made nothing."""
    limit = world.config.row_limit
    if limit is not None and len(table.records) + len(rows) > limit:
        raise Refusal(1254103, f"the limit is {limit:,}")
    writing, named = Writing(base, table, user_id_type), table.named()
    checked_rows = [checked(fields, named, writing) for fields in rows]
    add_options(writing.new_options, table)
    made = [add_record(world, table, {k: v for k, v in cells.items() if v is not None}) for cells in checked_rows]
    moved(base, table)
    return made


def _create(call: Call, rows: list[Any]) -> list[dict[str, Any]]:
    base, table = call.here
    if call.made:  # asked for before under the same client_token
        ids = call.made
        return [_echo(i, fields) for i, fields in zip(ids, rows, strict=True)]
    made = create_all(call.world, base, table, rows, call.user_id_type)
    call.kept = [r.id for r in made]
    return [_echo(r.id, _as_stored(table, r.cells)) for r in made]


def _fields_of(row: Any) -> Any:
    if not isinstance(row, dict) or "fields" not in row:
        raise Refusal(1254001, "fields is missing")
    return row["fields"]


def batch_create(call: Call) -> Answer:
    rows = _batch(call, "records", call.world.config.batch_rows)
    return {"records": _create(call, [_fields_of(r) for r in rows])}


def create(call: Call) -> Answer:
    return {"record": _create(call, [_fields_of(call.body)])[0]}


# -- updating ---------------------------------------------------------------------------------------------------


def update_all(
    world: World, base: Base, table: Table, rows: list[tuple[Any, Any]], user_id_type: str = "open_id"
) -> list[tuple[Record, Cells]]:
    """Change the cells given and no others, per (record id, {field name: value}). Raises Refusal."""
    writing, named = Writing(base, table, user_id_type), table.named()
    plan = [(_record(table, record_id), checked(fields, named, writing)) for record_id, fields in rows]
    add_options(writing.new_options, table)
    for record, cells in plan:
        change_record(world, record, cells)
    moved(base, table, edit=True, counts=world.config.revision_on_edit)
    return plan


def _record(table: Table, record_id: Any) -> Record:
    if not isinstance(record_id, str) or not record_id:
        raise Refusal(1254006)
    record = table.records.get(record_id)
    if record is None:
        raise Refusal(1254043, f"recordId: {record_id}")
    return record


def _update(call: Call, rows: list[tuple[Any, Any]]) -> list[dict[str, Any]]:
    base, table = call.here
    if call.made:
        return [_echo(i, fields) for i, fields in rows]
    plan = update_all(call.world, base, table, rows, call.user_id_type)
    call.kept = [r.id for r, _ in plan]
    return [_echo(r.id, _as_stored(table, cells)) for r, cells in plan]


def batch_update(call: Call) -> Answer:
    rows = _batch(call, "records", call.world.config.batch_rows)
    return {"records": _update(call, [(_id_of(r), _fields_of(r)) for r in rows])}


def _id_of(row: Any) -> Any:
    if not isinstance(row, dict):
        raise Refusal(1254001, "a record must be an object")
    return row.get("record_id")


def update(call: Call) -> Answer:
    return {"record": _update(call, [(call.path["record"], _fields_of(call.body))])[0]}


# -- deleting ---------------------------------------------------------------------------------------------------


def delete_all(base: Base, table: Table, ids: list[Any]) -> list[str]:
    """Delete the records. One that is gone already fails the whole call."""
    gone = [_record(table, i).id for i in dict.fromkeys(ids)]
    for record_id in gone:
        del table.records[record_id]
    moved(base, table)
    return gone


def batch_delete(call: Call) -> Answer:
    ids = _batch(call, "records", call.world.config.delete_rows)
    if not all(isinstance(i, str) for i in ids):
        raise Refusal(1254006)
    return {"records": [{"deleted": True, "record_id": i} for i in delete_all(*call.here, ids)]}


def delete(call: Call) -> Answer:
    delete_all(*call.here, [call.path["record"]])
    return {"deleted": True, "record_id": call.path["record"]}


# -- reading by id ----------------------------------------------------------------------------------------------


def batch_get(call: Call) -> Answer:
    base, table = call.here
    ids = call.body.get("record_ids")
    if not isinstance(ids, list) or not all(isinstance(i, str) for i in ids):
        raise Refusal(1254001, "record_ids is missing", status=400)
    if not ids:
        raise Refusal(1254007, status=400)
    if len(ids) > 100:
        raise Refusal(1254104, "at most 100 in one call", status=400)
    hidden = base.advanced and not base.sees_rows
    there = [] if hidden else [table.records[i] for i in ids if i in table.records]
    shape = Projection.of(table, automatic=flag(call.body.get("automatic_fields")))
    records = ",".join(project(r, shape) for r in there)
    absent = dumps([i for i in ids if i not in table.records])
    forbidden = dumps([i for i in ids if i in table.records] if hidden else [])
    return f'{{"records":[{records}],"absent_record_ids":{absent},"forbidden_record_ids":{forbidden}}}'


def get(call: Call) -> Answer:
    record = _record(call.here[1], call.path["record"])
    plain = not flag(call.query.get("text_field_as_array"))
    shape = Projection.of(call.here[1], automatic=flag(call.query.get("automatic_fields")), plain_text=plain)
    return f'{{"record":{project(record, shape)}}}'
