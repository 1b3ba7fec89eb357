"""The rules of fields: names, types, properties, options. Knows no HTTP."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sync_assets.testing.bitable.answers import Refusal
from sync_assets.testing.bitable.values import CHECKBOX, PALETTE, URL
from sync_assets.testing.bitable.world import Base, Cells, Field, Table, new_id

UI_TYPES: Mapping[int, tuple[str, ...]] = {
    1: ("Text", "Email", "Barcode"),
    2: ("Number", "Currency", "Progress", "Rating"),
    3: ("SingleSelect",),
    4: ("MultiSelect",),
    5: ("DateTime",),
    7: ("Checkbox",),
    11: ("User",),
    13: ("Phone",),
    15: ("Url",),
    17: ("Attachment",),
    18: ("SingleLink",),
    20: ("Formula",),
    21: ("DuplexLink",),
    22: ("Location",),
    23: ("GroupChat",),
    1001: ("CreatedTime",),
    1002: ("ModifiedTime",),
    1003: ("CreatedUser",),
    1004: ("ModifiedUser",),
    1005: ("AutoNumber",),
}
PRIMARY_TYPES = frozenset((1, 2, 5, 13, 15, 20, 22))
NUMBER_FORMAT = re.compile(r"(0|1,0{2,3})(\.0{1,9})?%?|%")
DATE_FORMATS = frozenset(
    f"{day}{time}"
    for day in ("yyyy/MM/dd", "yyyy-MM-dd", "MM/dd/yyyy", "dd/MM/yyyy", "MM-dd")
    for time in ("", " HH:mm")
)
OPTIONS_MOST = 20_000


def trimmed_name(name: Any) -> str:
    if not isinstance(name, str) or not name.strip() or len(name) > 1000:
        raise Refusal(1254029)
    return name.strip()


def new_field(spec: Any, base: Base, *, primary: bool = False) -> Field:
    """A field as `spec` (the body of a create) describes it. Raises Refusal."""
    if not isinstance(spec, dict):
        raise Refusal(1254001, "a field must be an object")
    name = trimmed_name(spec.get("field_name"))
    kind = spec.get("type")
    if not isinstance(kind, int) or kind not in UI_TYPES:
        raise Refusal(1254001, "unknown field type", field=name)
    if primary and kind not in PRIMARY_TYPES:
        raise Refusal(1254012, field=name)
    ui_type = spec.get("ui_type") or UI_TYPES[kind][0]
    if ui_type not in UI_TYPES[kind]:
        raise Refusal(1254096, field=name)
    rules = checked_property(name, kind, ui_type, spec.get("property"), base)
    return Field(new_id("fld"), name, kind, ui_type, rules, _described(spec), primary)


def _described(spec: Mapping[str, Any]) -> str:
    told = spec.get("description")
    return str(told.get("text") or "") if isinstance(told, dict) else ""


def checked_property(name: str, kind: int, ui_type: str, given: Any, base: Base) -> dict[str, Any] | None:
    """The property to store. URL and checkbox must come without one, even an empty one."""
    if kind in (URL, CHECKBOX):
        if given is not None:
            raise Refusal(1254087, "leave property out for this type", field=name)
        return None
    if given is not None and not isinstance(given, dict):
        raise Refusal(1254001, "property must be an object", field=name)
    rules = dict(given or {})
    if kind in (3, 4):
        return {**rules, "options": _options(rules.get("options"), name, 1254079 + kind)}
    if kind == 2:
        return _number_rules(rules, ui_type, name)
    if kind in (5, 1001, 1002):
        return _date_rules(rules, name)
    if kind in (18, 21) and rules.get("table_id") not in base.tables:
        raise Refusal(1254089, "table_id is not a table of this base", field=name)
    return rules or None


def _options(given: Any, name: str, code: int) -> list[dict[str, Any]]:
    if given is None:
        return []
    if not isinstance(given, list) or len(given) > OPTIONS_MOST or not all(isinstance(o, dict) for o in given):
        raise Refusal(code, field=name)
    options: list[dict[str, Any]] = []
    for place, option in enumerate(given):
        text, color = option.get("name"), option.get("color", place % PALETTE)
        if not isinstance(text, str) or not text:
            raise Refusal(1254026, field=name)
        if not isinstance(color, int) or not 0 <= color < PALETTE:
            raise Refusal(code, "color is 0 to 54", field=name)
        options.append({"name": text, "id": option.get("id") or new_id("opt"), "color": color})
    return options


def _number_rules(rules: dict[str, Any], ui_type: str, name: str) -> dict[str, Any]:
    pattern = rules.setdefault("formatter", "0.00" if ui_type == "Currency" else "0")
    if not isinstance(pattern, str) or not NUMBER_FORMAT.fullmatch(pattern):
        raise Refusal(1254081, "unknown formatter", field=name)
    currency = rules.get("currency_code")
    if currency is not None and not re.fullmatch("[A-Z]{3}", str(currency)):
        raise Refusal(1254081, "unknown currency_code", field=name)
    if ui_type == "Currency":
        rules.setdefault("currency_code", "CNY")
    return rules


def _date_rules(rules: dict[str, Any], name: str) -> dict[str, Any]:
    if rules.setdefault("date_formatter", "yyyy/MM/dd") not in DATE_FORMATS:
        raise Refusal(1254084, "unknown date_formatter", field=name)
    rules.setdefault("auto_fill", False)
    return rules


def add_options(wanted: list[tuple[Field, str]], table: Table) -> None:
    """Make the options that an accepted write brought along. Two of one name stay two."""
    for into, name in wanted:
        rules = into.property = into.property or {}
        options = rules.setdefault("options", [])
        options.append({"name": name, "id": new_id("opt"), "color": len(options) % PALETTE})
        table.known_options(into).add(name)


def made_field(of: Field) -> dict[str, Any]:
    """A field as its create and update answer it; the list shows the description as a plain text instead."""
    return shown_field(of) | {"description": {"text": of.description} if of.description else None}


def shown_field(of: Field) -> dict[str, Any]:
    return {
        "field_id": of.id,
        "field_name": of.name,
        "type": of.type,
        "property": of.property,
        "description": of.description,
        "is_primary": of.primary,
        "ui_type": of.ui_type,
        "is_hidden": False,
    }


def fit_cells(table: Table, was: Field, becomes: Field) -> None:
    """After a field changed: cells of another type go, and so do options that were taken away; renamed ones follow."""
    if was.type != becomes.type:
        for record in table.records.values():
            record.cells.pop(was.id, None)
    elif was.type in (3, 4):
        now = {o["id"]: o["name"] for o in becomes.options()}
        names = {o["name"]: now.get(o["id"]) for o in was.options()}
        for record in table.records.values():
            _rename_options(record.cells, was.id, names)


def _rename_options(cells: Cells, field_id: str, names: Mapping[str, str | None]) -> None:
    value = cells.get(field_id)
    if value is None:
        return
    kept = [n for v in ([value] if isinstance(value, str) else value) if (n := names.get(v))]
    if kept:
        cells[field_id] = kept[0] if isinstance(value, str) else kept
    else:
        del cells[field_id]
