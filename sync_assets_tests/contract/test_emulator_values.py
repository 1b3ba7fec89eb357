"""Cells take and give what the documentation says, and a batch with one bad cell changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from sync_assets_tests.fix_emulator import Board

ROUND_TRIPS: list[tuple[str, Any, Any]] = [
    ("文本", "中文 😀", [{"text": "中文 😀", "type": "text"}]),
    ("email", "a@b.cn", [{"text": "a@b.cn", "type": "url", "link": "mailto:a@b.cn"}]),
    ("number", 0.1, 0.1),
    ("number", 5.0, 5),
    ("number", -(2**53) - 1, -(2**53)),  # a double: the last digit is lost, as on the real board
    ("number", 123456789012345678, 123456789012345680),
    ("rating", 3, 3),
    ("progress", 0.85, 0.85),
    ("single", "new", "new"),
    ("multi", ["a", "b"], ["a", "b"]),
    ("date", 1700000000123, 1700000000123),
    ("checkbox", False, False),
    ("user", [{"id": "ou_1"}], [{"id": "ou_1", "name": "ou_1", "en_name": "ou_1", "email": "",
                                 "avatar_url": "https://example.com/a.png"}]),
    ("phone", "+8613800000000", "+8613800000000"),
    ("url", {"text": "t", "link": "https://x.cn"}, {"text": "t", "link": "https://x.cn"}),
    ("group", [{"id": "oc_1"}], [{"id": "oc_1", "name": "oc_1", "avatar_url": "https://example.com/g.png"}]),
]  # fmt: skip


@pytest.mark.parametrize(("field", "written", "read"), ROUND_TRIPS)
def test_round_trip(board: Board, field: str, written: Any, read: Any) -> None:
    made = board.bare.data("POST", "/records", {"fields": {field: written}})["record"]
    assert made["id"] == made["record_id"]
    item = board.bare.data("POST", "/records/search", {"field_names": [field]})["items"][0]
    assert item["fields"] == {field: read}


@pytest.mark.parametrize(("field", "written", "read"), ROUND_TRIPS)
def test_null_clears_and_an_empty_cell_is_absent(board: Board, field: str, written: Any, read: Any) -> None:
    (record,) = board.emulator.put_rows(board.app_token, board.table_id, [{field: written}])
    board.bare.data("PUT", f"/records/{record}", {"fields": {field: None}})
    item = board.bare.data("POST", "/records/search", {"field_names": [field]})["items"][0]
    assert item["fields"] == {}


REFUSED: list[tuple[str, Any, int]] = [
    ("文本", 5, 1254060),
    ("文本", "x" * 100_001, 1254130),
    ("number", "5", 1254061),
    ("number", True, 1254061),
    ("number", 10**400, 1254061),
    ("rating", 6, 1254061),
    ("rating", 2.5, 1254061),
    ("progress", 1.5, 1254061),
    ("single", ["a"], 1254062),
    ("multi", "a", 1254063),
    ("date", "2026-01-01", 1254064),
    ("date", 1.5, 1254064),
    ("checkbox", 1, 1254065),
    ("user", [{"id": "someone"}], 1254066),
    ("user", [{"id": "ou_1"}, {"id": "ou_2"}], 1254066),
    ("phone", "call me", 1254072),
    ("phone", "1" * 65, 1254072),
    ("url", "https://x.cn", 1254068),
    ("file", "token", 1254069),
    ("file", [{"file_token": "x"}], 1254303),
    ("place", "Beijing", 1254015),
    ("group", [{"id": "1"}], 1254015),
    ("made", 1700000000000, 1254015),
    ("serial", "1", 1254015),
    ("nothing", 1, 1254045),
]


@pytest.mark.parametrize(("field", "value", "code"), REFUSED)
def test_one_bad_cell_fails_the_whole_batch_and_is_named(board: Board, field: str, value: Any, code: int) -> None:
    good = {"fields": {"number": 1, "single": "fresh"}}
    bad = {"fields": {"number": 2, field: value}}
    answer = board.bare.send("POST", "/records/batch_create", {"records": [good, bad, good]})
    told = answer.json()
    assert (told["code"], answer.status_code) == (code, {1254015: 400, 1254303: 403}.get(code, 200))
    assert f"fieldName: {field}" in told["msg"]
    assert told["error"]["field_violations"][0]["field"] == f"fields.{field}"
    assert board.rows() == {}
    fields = {f["field_name"]: f for f in board.emulator.fields(board.app_token, board.table_id)}
    assert [o["name"] for o in fields["single"]["property"]["options"]] == ["甲"], "options of a refused write"


def test_a_record_that_is_gone_fails_the_whole_batch(board: Board) -> None:
    ids = board.emulator.put_rows(board.app_token, board.table_id, [{"number": 1}, {"number": 2}])
    board.emulator.delete_rows(board.app_token, board.table_id, ids[1:])
    updates = {"records": [{"record_id": i, "fields": {"number": 9}} for i in ids]}
    assert board.bare.refused("POST", "/records/batch_update", updates) == (1254043, 200)
    assert board.bare.refused("POST", "/records/batch_delete", {"records": ids}) == (1254043, 200)
    assert board.rows() == {ids[0]: {"number": 1}}


def test_an_update_touches_only_the_cells_given(board: Board) -> None:
    (record,) = board.emulator.put_rows(board.app_token, board.table_id, [{"number": 1, "文本": "kept"}])
    body = {"records": [{"record_id": record, "fields": {"number": 2, "phone": None}}]}
    echoed = board.bare.data("POST", "/records/batch_update", body)["records"][0]
    assert echoed["fields"] == {"number": 2, "phone": None}
    assert board.rows()[record] == {"number": 2, "文本": "kept"}


def test_the_echo_of_a_write_is_in_the_shape_of_the_write(board: Board) -> None:
    made = board.bare.data("POST", "/records/batch_create", {"records": [{"fields": {"文本": "t", "number": 2.0}}]})
    assert made["records"][0]["fields"] == {"文本": "t", "number": 2}


def test_unknown_options_are_made_and_a_new_one_named_twice_becomes_two(board: Board) -> None:
    rows = [{"fields": {"single": "乙", "multi": ["x", "x"]}}, {"fields": {"single": "乙", "multi": ["x"]}}]
    board.bare.data("POST", "/records/batch_create", {"records": rows})
    fields = {f["field_name"]: f for f in board.emulator.fields(board.app_token, board.table_id)}
    assert [o["name"] for o in fields["single"]["property"]["options"]] == ["甲", "乙"]
    assert [o["name"] for o in fields["multi"]["property"]["options"]] == ["x", "x"]


def test_links_lead_to_records_that_exist(board: Board) -> None:
    other = board.emulator.make_table(board.app_token, "other", [{"field_name": "a", "type": 1}])
    (target,) = board.emulator.put_rows(board.app_token, other, [{"a": "1"}])
    board.bare.data("POST", "/fields", {"field_name": "link", "type": 18, "property": {"table_id": other}})
    board.bare.data("POST", "/records", {"fields": {"link": [target]}})
    item = board.bare.data("POST", "/records/search", {"field_names": ["link"]})["items"][0]
    assert item["fields"] == {"link": {"link_record_ids": [target]}}
    assert board.bare.refused("POST", "/records", {"fields": {"link": ["recNone"]}}) == (1254067, 200)


def test_the_older_list_shows_plain_text(board: Board) -> None:
    board.emulator.put_rows(board.app_token, board.table_id, [{"文本": "b", "number": 1}, {"文本": "a", "number": 2}])
    query = {"field_names": '["文本"]', "sort": '["number DESC"]'}
    items = board.bare.data("GET", "/records", **query)["items"]
    assert [i["fields"] for i in items] == [{"文本": "a"}, {"文本": "b"}]
    rich = board.bare.data("GET", "/records", field_names='["文本"]', text_field_as_array="true")["items"]
    assert rich[0]["fields"]["文本"] == [{"text": "b", "type": "text"}]


def test_a_renamed_field_and_a_changed_cell_are_seen_by_the_next_scan(board: Board) -> None:
    (record,) = board.emulator.put_rows(board.app_token, board.table_id, [{"number": 1}])
    fields = board.emulator.fields(board.app_token, board.table_id)
    number = next(f["field_id"] for f in fields if f["field_name"] == "number")

    def seen() -> dict[str, Any]:
        shown: dict[str, Any] = board.bare.data("POST", "/records/search", {})["items"][0]["fields"]
        return {k: v for k, v in shown.items() if k not in ("made", "serial")}

    assert seen() == {"number": 1}
    board.bare.data("PUT", f"/fields/{number}", {"field_name": "amount", "type": 2})
    assert seen() == {"amount": 1}
    board.bare.data("PUT", f"/records/{record}", {"fields": {"amount": 2}})
    assert seen() == {"amount": 2}
