"""The emulator answers as the documentation says: envelopes, codes with their HTTP statuses, caps, pages, rights."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from sync_assets.testing.bitable import Emulator
from sync_assets_tests.fix_emulator import Bare, Board

TOKEN = "/open-apis/auth/v3/tenant_access_token/internal"
NODE = "/open-apis/wiki/v2/spaces/get_node"


# -- tokens and rights ------------------------------------------------------------------------------------------


def test_the_token_answer_is_flat_and_the_token_stays_the_same(bitable: Emulator, bare: Bare) -> None:
    credentials = {"app_id": bitable.app_id, "app_secret": bitable.app_secret}
    first, again = (bare.send("POST", TOKEN, credentials).json() for _ in range(2))
    assert first["code"] == 0
    assert 7190 <= first["expire"] <= 7200
    assert first["tenant_access_token"].startswith("t-")
    assert again["tenant_access_token"] == first["tenant_access_token"]


def test_with_little_time_left_a_new_token_is_issued_and_both_work(bitable: Emulator, board: Board) -> None:
    bitable.configure(token_overlap_seconds=7201)
    old = board.bare.token
    board.bare.log_in(bitable.app_id, bitable.app_secret)
    assert board.bare.token != old
    for token in (old, board.bare.token):
        board.bare.token = token
        assert board.bare.data("GET", "/fields")["total"] == 17


def test_wrong_credentials(bitable: Emulator, bare: Bare) -> None:
    assert bare.refused("POST", TOKEN, {"app_id": bitable.app_id, "app_secret": "wrong"}) == (10015, 200)
    assert bare.refused("POST", TOKEN, {"app_id": "cli_none", "app_secret": "wrong"}) == (10003, 200)


def test_a_call_without_a_good_token_is_refused(bitable: Emulator, board: Board) -> None:
    good, board.bare.token = board.bare.token, ""
    assert board.bare.refused("GET", "/fields") == (99991661, 400)
    board.bare.token = "x-1"
    assert board.bare.refused("GET", "/fields") == (99991671, 400)
    board.bare.token = "t-1"
    assert board.bare.refused("GET", "/fields") == (99991663, 400)
    board.bare.token = good
    bitable.expire_tokens()
    assert board.bare.refused("GET", "/fields") == (99991663, 400)


def test_a_token_ends_with_its_lifetime(bitable: Emulator, bare: Bare) -> None:
    base = bitable.make_base("b")
    bitable.reset(token_seconds=0)
    bare.log_in(bitable.app_id, bitable.app_secret)
    assert bare.refused("GET", f"/{base}") == (99991663, 400)


def test_scopes(bitable: Emulator, board: Board) -> None:
    bitable.configure(scopes=["base:record:retrieve", "bitable:app:readonly"])
    assert board.bare.refused("POST", "/records/batch_create", {"records": []}) == (99991672, 400)
    assert board.bare.data("POST", "/records/search", {})["items"] == []
    bitable.configure(scopes=["base:record:create"])
    assert board.bare.data("POST", "/records", {"fields": {"文本": "a"}})["record"]["record_id"]
    assert board.bare.refused("POST", "/records/search", {}) == (99991672, 400)


def test_membership_of_the_base(bitable: Emulator, board: Board) -> None:
    bitable.set_permission(board.app_token, right="read")
    assert board.bare.data("GET", "/fields")["total"] == 17
    assert board.bare.refused("POST", "/records", {"fields": {}}) == (1254302, 403)
    bitable.set_permission(board.app_token, right="")
    assert board.bare.refused("GET", "/fields") == (91403, 200)


def test_advanced_permissions_answer_success_with_nothing(bitable: Emulator, board: Board) -> None:
    bitable.put_rows(board.app_token, board.table_id, [{"文本": "a"}])
    bitable.set_permission(board.app_token, advanced=True, sees_rows=False)
    assert board.bare.data("POST", "/records/search", {}) == {"has_more": False, "items": [], "total": 0}


def test_a_wiki_token_is_not_a_base_token(bitable: Emulator, bare: Bare) -> None:
    base = bitable.make_base("b")
    node, closed = bitable.make_node(base), bitable.make_node(base, members=False)
    assert bare.data("GET", NODE, token=node)["node"]["obj_token"] == base
    assert bare.refused("GET", f"/{node}") == (91402, 200)
    assert bare.refused("GET", NODE, token=closed) == (131006, 400)
    assert bare.refused("GET", NODE) == (131002, 400)


def test_unknown_paths_methods_and_bodies(board: Board) -> None:
    nowhere = board.bare.send("GET", "/open-apis/nowhere")
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, 99991201)
    wrong = board.bare.send("PATCH", "/records/search")
    assert (wrong.status_code, wrong.json()["code"]) == (405, 99991301)
    assert board.bare.refused("POST", "/records/search", b"{nope") == (1254000, 200)
    assert board.bare.refused("POST", "/records/search", b'{"a": NaN}') == (1254000, 200)
    assert board.bare.refused("POST", "/records/search", [1]) == (1254001, 200)
    assert board.bare.refused("POST", "/records/batch_create", {}) == (1254001, 200)
    assert board.bare.refused("POST", "/records/batch_create", {"records": []}) == (1254007, 200)
    assert board.bare.refused("POST", "/records/batch_create", {"records": [{}]}) == (1254001, 200)


# -- caps -------------------------------------------------------------------------------------------------------


def test_caps_of_batches(bitable: Emulator, board: Board) -> None:
    bitable.configure(batch_rows=500)
    rows = [{"fields": {}}] * 501
    assert board.bare.refused("POST", "/records/batch_create", {"records": rows}) == (1254104, 200)
    assert board.bare.refused("POST", "/records/batch_update", {"records": rows}) == (1254104, 200)
    assert board.bare.refused("POST", "/records/batch_delete", {"records": ["r"] * 501}) == (1254104, 200)
    assert board.bare.refused("POST", "/records/batch_get", {"record_ids": ["r"] * 101}) == (1254104, 400)
    assert board.rows() == {}
    assert len(board.bare.data("POST", "/records/batch_create", {"records": rows[:500]})["records"]) == 500


def test_row_limit(bitable: Emulator, board: Board) -> None:
    bitable.configure(row_limit=3)
    two = {"records": [{"fields": {}}] * 2}
    board.bare.data("POST", "/records/batch_create", two)
    assert board.bare.refused("POST", "/records/batch_create", two) == (1254103, 200)
    assert len(board.rows()) == 2
    bitable.configure(row_limit=None)
    board.bare.data("POST", "/records/batch_create", two)


def test_answers_and_requests_that_are_too_large(bitable: Emulator, board: Board) -> None:
    bitable.put_rows(board.app_token, board.table_id, [{"文本": "长" * 100}] * 10)
    bitable.configure(page_bytes=1000, body_bytes=2000)
    assert board.bare.refused("POST", "/records/search", {}, page_size=10) == (1254030, 200)
    assert len(board.bare.data("POST", "/records/search", {}, page_size=2)["items"]) == 2
    wide = {"records": [{"fields": {"文本": "x" * 3000}}]}
    assert board.bare.refused("POST", "/records/batch_create", wide) == (9499, 413)


# -- pages ------------------------------------------------------------------------------------------------------


def _numbers(board: Board, count: int) -> list[str]:
    return board.emulator.put_rows(board.app_token, board.table_id, [{"number": n} for n in range(count)])


def test_pages_of_a_scan(board: Board) -> None:
    ids = _numbers(board, 45)
    first = board.bare.data("POST", "/records/search", {})
    assert (len(first["items"]), first["total"], first["has_more"]) == (20, 45, True)
    rest = board.bare.data("POST", "/records/search", {}, page_size=500, page_token=first["page_token"])
    assert "page_token" not in rest
    assert rest["has_more"] is False
    assert [r["record_id"] for r in first["items"] + rest["items"]] == ids


@pytest.mark.parametrize("size", ["0", "501", "many"])
def test_page_size(board: Board, size: str) -> None:
    assert board.bare.refused("POST", "/records/search", {}, page_size=size) == (1254011, 400)


def test_a_page_token_belongs_to_its_query(board: Board) -> None:
    _numbers(board, 30)
    token = board.bare.data("POST", "/records/search", {})["page_token"]
    other = {"sort": [{"field_name": "number"}]}
    assert board.bare.refused("POST", "/records/search", other, page_token=token) == (1254030, 200)
    for made_up in ("x", base64.urlsafe_b64encode(b"a:b").decode()):
        assert board.bare.refused("POST", "/records/search", {}, page_token=made_up) == (1254030, 200)


def test_names_views_and_ids_that_are_not_there(bitable: Emulator, board: Board) -> None:
    send = board.bare.refused
    assert send("POST", "/records/search", {"field_names": ["none"]}) == (1254045, 200)
    assert send("POST", "/records/search", {"field_names": ["文本"] * 201}) == (1254024, 200)
    assert send("POST", "/records/search", {"sort": [{"field_name": "none"}]}) == (1254045, 200)
    assert send("POST", "/records/search", {"view_id": "vewNone"}) == (1254042, 200)
    sorted_anyway = {"view_id": "vewNone", "sort": [{"field_name": "number"}]}
    assert board.bare.data("POST", "/records/search", sorted_anyway)["total"] == 0
    assert send("GET", "/records/recNone") == (1254043, 200)
    assert send("PUT", "/fields/fldNone", {"field_name": "a", "type": 1}) == (1254044, 200)
    board.bare.prefix = f"/open-apis/bitable/v1/apps/{board.app_token}/tables/tblNone"
    assert send("POST", "/records/search", {}) == (1254041, 200)


# -- search -----------------------------------------------------------------------------------------------------

DAY = 86_400_000
NOON = 1_790_049_600_000  # 2026-09-22 12:00 in Shanghai
EARLY = NOON - 10 * 3_600_000  # the same day in Shanghai, the day before in UTC


@pytest.fixture
def searched(board: Board) -> Board:
    rows = [
        {"文本": "apple pie", "number": 1, "single": "甲", "multi": ["a", "b"], "date": EARLY, "checkbox": True},
        {"文本": "apple", "number": 2, "single": "乙", "multi": ["b"], "date": NOON - 13 * 3_600_000},
        {"文本": "梨", "number": 3, "date": NOON + DAY, "checkbox": False},
        {},
    ]
    board.emulator.put_rows(board.app_token, board.table_id, rows)
    return board


@pytest.mark.parametrize(
    ("field", "operator", "value", "found"),
    [
        ("文本", "is", ["apple"], "2"),
        ("文本", "isNot", ["apple"], "134"),
        ("文本", "contains", ["apple"], "12"),
        ("文本", "doesNotContain", ["apple"], "34"),
        ("文本", "isEmpty", [], "4"),
        ("文本", "isNotEmpty", [], "123"),
        ("number", "isGreater", ["1"], "23"),
        ("number", "isGreaterEqual", ["2"], "23"),
        ("number", "isLess", ["2"], "1"),
        ("number", "isLessEqual", ["2"], "12"),
        ("number", "is", ["2.0"], "2"),
        ("single", "is", ["甲"], "1"),
        ("single", "contains", ["甲", "乙"], "12"),
        ("multi", "contains", ["a"], "1"),
        ("multi", "is", ["b", "a"], "1"),
        ("checkbox", "is", ["true"], "1"),
        ("checkbox", "is", ["false"], "234"),
        ("date", "is", ["ExactDate", str(NOON + 3_600_000)], "1"),  # rounded to the day of the base
        ("date", "isLess", ["ExactDate", str(NOON)], "2"),
        ("date", "isGreater", ["ExactDate", str(NOON)], "3"),
        ("date", "is", ["Yesterday"], ""),
        ("made", "is", ["Today"], "1234"),
        ("made", "is", ["CurrentMonth"], "1234"),
    ],
)
def test_filters(searched: Board, field: str, operator: str, value: list[str], found: str) -> None:
    condition = {"field_name": field, "operator": operator, "value": value}
    body = {"filter": {"conjunction": "and", "conditions": [condition]}, "field_names": ["serial"]}
    items = searched.bare.data("POST", "/records/search", body)["items"]
    assert "".join(i["fields"]["serial"] for i in items) == found


@pytest.mark.parametrize(
    "broken",
    [
        {"conjunction": "xor", "conditions": []},
        {"conjunction": "and", "conditions": [{"field_name": "number", "operator": "like", "value": ["1"]}]},
        {"conjunction": "and", "conditions": [{"field_name": "number", "operator": "isEmpty", "value": ["1"]}]},
        {"conjunction": "and", "conditions": [{"field_name": "number", "operator": "is", "value": []}]},
        {"conjunction": "and", "conditions": [{"field_name": "number", "operator": "is", "value": ["x"]}]},
        {
            "conjunction": "and",
            "conditions": [{"field_name": "date", "operator": "isGreaterEqual", "value": ["Today"]}],
        },
        {"conjunction": "and", "conditions": [{"field_name": "date", "operator": "is", "value": ["2026-01-01"]}]},
        {"conjunction": "and", "conditions": [{"field_name": "文本", "operator": "is", "value": ["a"]}] * 51},
        {"conjunction": "and", "conditions": [{"field_name": "文本", "operator": "is", "value": ["a"] * 11}]},
        {"conjunction": "and", "children": [{"conjunction": "and", "children": [{"conjunction": "and"}]}]},
    ],
)
def test_broken_filters(board: Board, broken: dict[str, Any]) -> None:
    assert board.bare.refused("POST", "/records/search", {"filter": broken}) == (1254018, 200)


def test_nested_filter_and_sort(searched: Board) -> None:
    def condition(name: str, value: str) -> dict[str, Any]:
        return {"field_name": name, "operator": "is", "value": [value]}

    either = {"conjunction": "or", "conditions": [condition("文本", "梨"), condition("number", "2")]}
    body = {
        "filter": {"conjunction": "and", "children": [either]},
        "sort": [{"field_name": "number", "desc": True}],
        "field_names": ["serial"],
    }
    items = searched.bare.data("POST", "/records/search", body)["items"]
    assert [i["fields"]["serial"] for i in items] == ["3", "2"]


def test_a_kept_search_sees_later_changes(searched: Board) -> None:
    body = {"filter": {"conjunction": "and", "conditions": [
        {"field_name": "number", "operator": "isGreater", "value": ["2"]}]}}  # fmt: skip
    assert searched.bare.data("POST", "/records/search", body)["total"] == 1
    ids = list(searched.rows())
    searched.emulator.put_rows(searched.app_token, searched.table_id, {ids[0]: {"number": 9}})
    assert searched.bare.data("POST", "/records/search", body)["total"] == 2
    searched.emulator.delete_rows(searched.app_token, searched.table_id, ids[2:3])
    assert searched.bare.data("POST", "/records/search", body)["total"] == 1


# -- tables, fields, revisions ----------------------------------------------------------------------------------


def test_revisions_move_with_writes(bitable: Emulator, board: Board) -> None:
    def revision() -> tuple[int, int]:
        told = bitable.describe(board.app_token)
        return told["revision"], told["tables"][0]["revision"]

    seen = [revision()]
    record = board.bare.data("POST", "/records", {"fields": {"number": 1}})["record"]["record_id"]
    seen.append(revision())
    board.bare.data("PUT", f"/records/{record}", {"fields": {"number": 2}})
    seen.append(revision())
    assert seen[0] < seen[1] < seen[2]
    bitable.configure(revision_on_edit=False)
    board.bare.data("PUT", f"/records/{record}", {"fields": {"number": 3}})
    assert revision() == seen[2]


def test_tables_are_made_renamed_listed_and_deleted(bitable: Emulator, bare: Bare) -> None:
    bare.prefix += "/" + bitable.make_base("b", [{"name": "one"}])
    assert bare.refused("POST", "/tables", {"table": {"name": " one "}}) == (1254013, 200)
    two = bare.data("POST", "/tables", {"table": {"name": "two"}})["table_id"]
    assert bare.data("PATCH", f"/tables/{two}", {"name": "zwei"})["name"] == "zwei"
    more = bare.data("POST", "/tables/batch_create", {"tables": [{"name": "a"}, {"name": "b"}]})["table_ids"]
    assert bare.refused("POST", "/tables/batch_create", {"tables": [{"name": "c"}, {"name": "c"}]}) == (1254013, 200)
    assert [t["name"] for t in bare.data("GET", "/tables")["items"]] == ["one", "zwei", "a", "b"]
    bare.data("POST", "/tables/batch_delete", {"table_ids": more})
    bare.data("DELETE", f"/tables/{two}")
    assert bare.data("GET", "/tables", page_size=100)["total"] == 1
    bitable.configure(table_limit=1)
    assert bare.refused("POST", "/tables", {"table": {"name": "x"}}) == (1254100, 200)


@pytest.mark.parametrize(
    ("spec", "code", "status"),
    [
        ({"field_name": " 文本 ", "type": 1}, 1254014, 200),
        ({"field_name": "  ", "type": 1}, 1254029, 200),
        ({"field_name": "x", "type": 15, "property": {}}, 1254087, 400),
        ({"field_name": "x", "type": 7, "property": {}}, 1254087, 400),
        ({"field_name": "x", "type": 2, "property": {"formatter": "#,##0"}}, 1254081, 400),
        ({"field_name": "x", "type": 5, "property": {"date_formatter": "dd.MM.yy"}}, 1254084, 400),
        ({"field_name": "x", "type": 3, "property": {"options": [{"name": ""}]}}, 1254026, 200),
        ({"field_name": "x", "type": 3, "property": {"options": [{"name": "a", "color": 55}]}}, 1254082, 400),
        ({"field_name": "x", "type": 18, "property": {"table_id": "tblNone"}}, 1254089, 400),
        ({"field_name": "x", "type": 2, "ui_type": "Email"}, 1254096, 400),
        ({"field_name": "x", "type": 19}, 1254001, 200),
    ],
)
def test_field_rules(board: Board, spec: dict[str, Any], code: int, status: int) -> None:
    assert board.bare.refused("POST", "/fields", spec) == (code, status)


def test_field_limit_and_primary_field(bitable: Emulator, board: Board) -> None:
    bitable.configure(field_limit=18)
    board.bare.data("POST", "/fields", {"field_name": "one more", "type": 1})
    assert board.bare.refused("POST", "/fields", {"field_name": "too many", "type": 1}) == (1254105, 200)
    first = board.bare.data("GET", "/fields")["items"][0]
    assert first["is_primary"]
    change = {"field_name": "文本", "type": 3}
    assert board.bare.refused("PUT", f"/fields/{first['field_id']}", change) == (1254012, 200)
    assert board.bare.refused("DELETE", f"/fields/{first['field_id']}") == (1254012, 200)
    primary = {"table": {"name": "t", "fields": [{"field_name": "a", "type": 3}]}}
    board.bare.prefix = board.bare.prefix.rpartition("/")[0].rpartition("/")[0]
    assert board.bare.refused("POST", "/tables", primary) == (1254012, 200)


def test_a_changed_field_keeps_options_that_are_sent_back_and_loses_the_others(board: Board) -> None:
    (record,) = board.emulator.put_rows(board.app_token, board.table_id, [{"multi": ["a", "b"]}])
    field = next(f for f in board.emulator.fields(board.app_token, board.table_id) if f["field_name"] == "multi")
    kept = {**field["property"]["options"][0], "name": "A"}
    spec = {"field_name": "several", "type": 4, "property": {"options": [kept]}}
    board.bare.data("PUT", f"/fields/{field['field_id']}", spec)
    assert board.rows()[record] == {"several": ["A"]}
    assert board.bare.refused("PUT", f"/fields/{field['field_id']}", spec) == (1254606, 200)
    board.bare.data("DELETE", f"/fields/{field['field_id']}")
    assert board.rows()[record] == {}
