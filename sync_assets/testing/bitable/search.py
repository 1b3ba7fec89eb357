"""Reading many records: which, in what order, which fields, one page at a time.

Every record keeps the JSON of the last projection that it was asked for, so that scanning a large table again costs
a join of strings.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sync_assets.testing.bitable.answers import Refusal, dumps
from sync_assets.testing.bitable.call import Answer, Call, flag, page_size, page_start, page_token
from sync_assets.testing.bitable.filters import sort_key, wanted
from sync_assets.testing.bitable.values import AUTO, CREATED, CREATOR, MODIFIED, MODIFIER, reader
from sync_assets.testing.bitable.world import Base, Field, Record, Table

Made = Callable[[Record], Any]
SOMEBODY = {"id": "ou_emulator", "name": "emulator", "en_name": "emulator", "email": "", "avatar_url": ""}
COMPUTED: Mapping[int, Made] = {
    CREATED: lambda r: r.created,
    MODIFIED: lambda r: r.modified,
    CREATOR: lambda r: [SOMEBODY],
    MODIFIER: lambda r: [SOMEBODY],
    AUTO: lambda r: str(r.number),
}


@dataclass(frozen=True, slots=True)
class Projection:
    """The fields to show and how. `mark` tells one projection of one schema from another."""

    mark: object
    columns: tuple[tuple[str, str, Callable[[Any], Any] | None], ...]  # field id, name, reader
    computed: tuple[tuple[str, Made], ...]
    automatic: bool

    @classmethod
    def of(
        cls, table: Table, names: list[str] | None = None, *, automatic: bool = False, plain_text: bool = False
    ) -> Projection:
        """Show `names`, or every field without them. Raises Refusal on a name that is not there."""
        fields = list(table.fields.values()) if not names else [_named(table, n) for n in names]
        return cls(
            (table.schema, tuple(f.id for f in fields), automatic, plain_text),
            tuple((f.id, f.name, reader(f, plain_text=plain_text)) for f in fields if f.type not in COMPUTED),
            tuple((f.name, COMPUTED[f.type]) for f in fields if f.type in COMPUTED),
            automatic,
        )


def _named(table: Table, name: Any) -> Field:
    for field in table.fields.values():
        if field.name == name:
            return field
    raise Refusal(1254045, field=str(name))


def project(record: Record, shape: Projection) -> str:
    """The record as JSON, with empty cells left out."""
    if record.encoded is not None and record.encoded[0] == shape.mark:
        return record.encoded[1]
    cells, fields = record.cells, {}
    for field_id, name, read in shape.columns:
        value = cells.get(field_id)
        if value is not None:
            fields[name] = value if read is None else read(value)
    for name, made in shape.computed:
        fields[name] = made(record)
    item: dict[str, Any] = {"fields": fields, "id": record.id, "record_id": record.id}
    if shape.automatic:
        item |= {"created_time": record.created, "last_modified_time": record.modified}
        item |= {"created_by": SOMEBODY, "last_modified_by": SOMEBODY}
    text = dumps(item)
    record.encoded = (shape.mark, text)
    return text


def _found(base: Base, table: Table, query: dict[str, Any], now: float) -> list[Record]:
    """The records that a query selects, in order. Kept until the table changes: a scan asks page after page."""
    mark = dumps([query.get("filter"), query.get("sort"), int(now // 86400)])
    known = table.found.get(mark)
    if known is not None and known[0] == table.version:
        return known[1]
    records = list(table.records.values())
    if query.get("filter"):
        accepts = wanted(query["filter"], table, base.time_zone, now)
        records = [r for r in records if accepts(r)]
    if query.get("sort"):
        for field, descending in reversed(_order(query["sort"], table)):
            records.sort(key=sort_key(field, descending), reverse=descending)
    if len(table.found) > 8:
        table.found.clear()
    table.found[mark] = (table.version, records)
    return records


def _order(sort: Any, table: Table) -> list[tuple[Field, bool]]:
    if not isinstance(sort, list) or len(sort) > 100 or not all(isinstance(s, dict) for s in sort):
        raise Refusal(1254016)
    return [(_named(table, s.get("field_name")), flag(s.get("desc"))) for s in sort]


def _names(given: Any) -> list[str] | None:
    """No list and an empty list mean every field."""
    if given is None:
        return None
    if not isinstance(given, list) or len(given) > 200 or not all(isinstance(n, str) for n in given):
        raise Refusal(1254024)
    return given


def _page(call: Call, query: dict[str, Any], shape: Projection) -> Answer:
    base, table = call.here
    size = page_size(call.query, 500)
    mark = hashlib.sha256(dumps([table.id, query]).encode()).hexdigest()[:16]
    start = page_start(call.query, mark)
    if not (query.get("filter") or query.get("sort")):
        _known_view(query.get("view_id"), table)
    if base.advanced and not base.sees_rows:
        return '{"has_more":false,"items":[],"total":0}'
    records = _found(base, table, query, call.world.now())
    items = ",".join([project(r, shape) for r in records[start : start + size]])
    if len(items) > call.world.config.page_bytes:
        raise Refusal(1254030, "ask for a smaller page")
    more = start + size < len(records)
    tail = f'"page_token":"{page_token(mark, start + size)}",' if more else ""
    return f'{{"has_more":{"true" if more else "false"},{tail}"items":[{items}],"total":{len(records)}}}'


def _known_view(view: Any, table: Table) -> None:
    if view not in (None, "", table.view_id):
        raise Refusal(1254042)


def search(call: Call) -> Answer:
    table = call.here[1]
    automatic = flag(call.body.get("automatic_fields"))
    shape = Projection.of(table, _names(call.body.get("field_names")), automatic=automatic)
    return _page(call, call.body, shape)


def list_records(call: Call) -> Answer:
    """The older call: text is plain unless asked otherwise, lists come as JSON text in the query.

    Its formula filter is not emulated; it is refused like a broken one.
    """
    query = call.query
    if query.get("filter"):
        raise Refusal(1254107 if len(query["filter"]) > 2000 else 1254018, "formula filters are not emulated")
    if len(query.get("sort") or "") > 1000:
        raise Refusal(1254108)
    names, order = _json_list(query.get("field_names"), 1254024), _json_list(query.get("sort"), 1254016)
    sort = [{"field_name": o.rpartition(" ")[0] or o, "desc": o.endswith(" DESC")} for o in order or []]
    plain = not flag(query.get("text_field_as_array"))
    automatic = flag(query.get("automatic_fields"))
    shape = Projection.of(call.here[1], _names(names), automatic=automatic, plain_text=plain)
    return _page(call, {"view_id": query.get("view_id"), "sort": sort, "field_names": names}, shape)


def _json_list(text: str | None, code: int) -> list[Any] | None:
    if not text:
        return None
    try:
        value = json.loads(text)
    except ValueError:
        raise Refusal(code) from None
    if not isinstance(value, list):
        raise Refusal(code)
    return value
