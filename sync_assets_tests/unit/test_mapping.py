"""Columns over fields: by name, and refused before anything is written where they cannot fit."""

from __future__ import annotations

from typing import Any

import pytest

from sync_assets.engine.errors import Stop
from sync_assets.engine.model import Column, ColumnType
from sync_assets.feishu.bitable import Field
from sync_assets.targets.bitable import mapping, strategy
from sync_assets.targets.bitable.strategy import FieldWords

ID, NAME, PHOTO = (
    Column("id", ColumnType.INTEGER),
    Column("name", ColumnType.TEXT),
    Column("photo", ColumnType.BLOB),
)


def field(name: str, kind: int = 1, ui_type: str = "Text", **rules: Any) -> Field:
    return Field(f"fld_{name}", name, kind, ui_type, rules or None)


def lay_out(
    *columns: Column, words: dict[str, FieldWords] | None = None, fields: tuple[Field, ...] = ()
) -> mapping.Plan:
    return mapping.lay_out("s", columns, words or {}, fields)


def test_names_are_trimmed_on_both_sides() -> None:
    """XTF created a column with a trailing blank again on every run: Feishu trims names."""
    plan = lay_out(Column(" name ", ColumnType.TEXT), fields=(field("name"),))
    assert [name for _, _, name in plan.columns] == ["name"]
    assert plan.missing() == []


def test_bytes_are_left_out_with_a_word_about_it_unless_they_get_a_type() -> None:
    plan = lay_out(ID, PHOTO)
    assert [name for _, _, name in plan.columns] == ["id"]
    assert plan.notes == ["column photo holds bytes and is left out; give it a type to send it as text"]
    asked = lay_out(ID, PHOTO, words={"photo": FieldWords(type="text")})
    assert [name for _, _, name in asked.columns] == ["id", "photo"]
    assert lay_out(ID, PHOTO, words={"photo": FieldWords(skip=True)}).notes == []


@pytest.mark.parametrize("kind", [17, 19, 20, 24, 1001, 1002, 1003, 1004, 1005, 3001, 999])
def test_a_field_that_the_api_cannot_write_stops_the_run(kind: int) -> None:
    with pytest.raises(Stop, match="cannot write"):
        lay_out(ID, NAME, fields=(field("name", kind),))


def test_columns_that_do_not_exist_and_two_for_one_field() -> None:
    with pytest.raises(Stop, match="does not return"):
        lay_out(ID, words={"nmae": FieldWords(skip=True)})
    with pytest.raises(Stop, match="two columns go to the field id"):
        lay_out(ID, NAME, words={"name": FieldWords(field="id")})


@pytest.mark.parametrize(
    ("word", "found", "stops"),
    [("number", 1, True), ("text", 2, True), ("text", 1, False), ("email", 1, False), ("link", 18, False),
     ("link", 21, False), ("link", 1, True), ("currency", 2, False), ("date", 5, False)],
)  # fmt: skip
def test_a_type_that_the_user_named_and_the_board_does_not_have_stops_the_run(
    word: str, found: int, stops: bool
) -> None:
    plan = lay_out(NAME, fields=(field("name", found),))
    words = {"name": FieldWords(type=word)}
    if not stops:
        assert mapping.differences(plan, words, "s", "base") == []
        return
    with pytest.raises(Stop, match="on the board, not a"):
        mapping.differences(plan, words, "s", "base")


@pytest.mark.parametrize(
    ("column", "found", "chosen", "reported"),
    [
        (ID, 2, "base", False),
        (ID, 1, "base", True),
        (ID, 1, "raw", False),
        (ID, 2, "raw", True),
        (NAME, 3, "base", False),  # a census may have chosen it
        (Column("at", ColumnType.DATETIME), 1, "base", True),
        (Column("at", ColumnType.DATETIME), 5, "base", False),
        (Column("ok", ColumnType.BOOL), 3, "base", False),
        (Column("ok", ColumnType.BOOL), 2, "base", True),
        (Column("big", ColumnType.BIGINT), 2, "base", False),
        (Column("doc", ColumnType.JSON), 2, "base", True),
    ],
)
def test_an_existing_field_of_another_type_is_reported_and_kept(
    column: Column, found: int, chosen: str, reported: bool
) -> None:
    plan = lay_out(column, fields=(field(column.name, found),))
    notes = mapping.differences(plan, {}, "s", chosen)
    assert bool(notes) is reported
    assert not any("is a" not in note for note in notes)


def test_the_primary_column_of_a_new_table_is_the_key_if_it_may_be() -> None:
    enum = Column("kind", ColumnType.ENUM, options=("a",))
    plan = lay_out(NAME, enum, ID)
    wanted = mapping.wishes(plan, {}, "base", {})
    assert [f["field_name"] for f in mapping.table_specs(plan, wanted, ("id",))] == ["id", "name", "kind"]
    first = mapping.table_specs(plan, wanted, ("kind",))[0]
    assert first["type"] in mapping.PRIMARY_TYPES
    only = lay_out(enum)
    specs = mapping.table_specs(only, mapping.wishes(only, {}, "base", {}), ("kind",))
    assert specs == [{"field_name": "kind", "type": 1, "ui_type": "Text"}], "as a text if need be"


def test_where_feishu_wants_no_property_there_is_none() -> None:
    """An empty one answers 1254087."""
    for word in ("checkbox", "url", "phone", "text"):
        assert "property" not in mapping.spec("f", strategy.ordered(NAME, FieldWords(type=word)))


def test_one_kind_of_id_names_all_persons() -> None:
    person = FieldWords(type="person", person_id="union_id")
    assert mapping.person_ids("s", {"a": person, "b": FieldWords(type="text")}) == "union_id"
    assert mapping.person_ids("s", {}) == "open_id"
    with pytest.raises(Stop, match="open_id and union_id"):
        mapping.person_ids("s", {"a": person, "b": FieldWords(type="person")})
