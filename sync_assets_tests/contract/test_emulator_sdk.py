"""The official SDK, unmodified, works against the emulator: what it sends is understood, what it gets it can read."""

from __future__ import annotations

import uuid
import warnings

import pytest

with warnings.catch_warnings():  # the SDK's own: it still imports pkg_resources and websockets' old names
    warnings.simplefilter("ignore", DeprecationWarning)
    import lark_oapi as lark
    from lark_oapi.api.bitable.v1 import (
        AppTableCreateHeader,
        AppTableField,
        AppTableFieldProperty,
        AppTableFieldPropertyOption,
        AppTableRecord,
        BatchCreateAppTableRecordRequest,
        BatchCreateAppTableRecordRequestBody,
        BatchDeleteAppTableRecordRequest,
        BatchDeleteAppTableRecordRequestBody,
        BatchGetAppTableRecordRequest,
        BatchGetAppTableRecordRequestBody,
        BatchUpdateAppTableRecordRequest,
        BatchUpdateAppTableRecordRequestBody,
        Condition,
        CreateAppRequest,
        CreateAppTableFieldRequest,
        CreateAppTableRequest,
        CreateAppTableRequestBody,
        FilterInfo,
        GetAppRequest,
        ListAppTableFieldRequest,
        ListAppTableRequest,
        ReqApp,
        ReqTable,
        SearchAppTableRecordRequest,
        SearchAppTableRecordRequestBody,
        Sort,
        UpdateAppTableFieldRequest,
    )
    from lark_oapi.api.wiki.v2 import GetNodeSpaceRequest

from sync_assets.testing.bitable import Emulator


@pytest.fixture
def sdk(bitable: Emulator) -> lark.Client:
    return lark.Client.builder().app_id(bitable.app_id).app_secret(bitable.app_secret).domain(bitable.url).build()


def _records(*rows: dict[str, object]) -> list[AppTableRecord]:
    return [AppTableRecord.builder().fields(row).build() for row in rows]


@pytest.fixture
def table(sdk: lark.Client) -> tuple[str, str]:
    """A base and a table, both made by the SDK."""
    made = sdk.bitable.v1.app.create(
        CreateAppRequest.builder().request_body(ReqApp.builder().name("店铺").time_zone("UTC").build()).build()
    )
    assert made.success(), made.msg
    token = made.data.app.app_token
    headers = [
        AppTableCreateHeader.builder().field_name("编号").type(1).build(),
        AppTableCreateHeader.builder().field_name("amount").type(2).build(),
    ]
    spec = ReqTable.builder().name("订单").default_view_name("全部").fields(headers).build()
    request = (
        CreateAppTableRequest.builder()
        .app_token(token)
        .request_body(CreateAppTableRequestBody.builder().table(spec).build())
        .build()
    )
    created = sdk.bitable.v1.app_table.create(request)
    assert created.success(), created.msg
    assert len(created.data.field_id_list) == 2
    return token, created.data.table_id


def _create(sdk: lark.Client, table: tuple[str, str], records: list[AppTableRecord], token: str = ""):
    request = (
        BatchCreateAppTableRecordRequest.builder()
        .app_token(table[0])
        .table_id(table[1])
        .client_token(token or str(uuid.uuid4()))
        .ignore_consistency_check(True)
        .request_body(BatchCreateAppTableRecordRequestBody.builder().records(records).build())
        .build()
    )
    return sdk.bitable.v1.app_table_record.batch_create(request)


def _search(sdk: lark.Client, table: tuple[str, str], body: SearchAppTableRecordRequestBody, page: str = ""):
    request = SearchAppTableRecordRequest.builder().app_token(table[0]).table_id(table[1]).page_size(2)
    if page:
        request = request.page_token(page)
    return sdk.bitable.v1.app_table_record.search(request.request_body(body).build())


def test_base_and_its_starter_table(sdk: lark.Client, table: tuple[str, str]) -> None:
    app = sdk.bitable.v1.app.get(GetAppRequest.builder().app_token(table[0]).build())
    assert (app.data.app.name, app.data.app.time_zone) == ("店铺", "UTC")
    listed = sdk.bitable.v1.app_table.list(ListAppTableRequest.builder().app_token(table[0]).build())
    assert [t.name for t in listed.data.items] == ["数据表", "订单"]


def test_fields_with_options_are_made_listed_and_changed(sdk: lark.Client, table: tuple[str, str]) -> None:
    option = AppTableFieldPropertyOption.builder().name("已付款").color(3).build()
    spec = AppTableField.builder().field_name(" 状态 ").type(3)
    spec = spec.property(AppTableFieldProperty.builder().options([option]).build()).build()
    request = CreateAppTableFieldRequest.builder().app_token(table[0]).table_id(table[1]).request_body(spec)
    made = sdk.bitable.v1.app_table_field.create(request.build())
    assert made.success(), made.msg
    assert (made.data.field.field_name, made.data.field.ui_type) == ("状态", "SingleSelect")

    listing = ListAppTableFieldRequest.builder().app_token(table[0]).table_id(table[1]).page_size(100).build()
    fields = sdk.bitable.v1.app_table_field.list(listing).data.items
    assert [(f.field_name, f.is_primary) for f in fields] == [("编号", True), ("amount", False), ("状态", False)]
    assert fields[2].property.options[0].name == "已付款"

    again = UpdateAppTableFieldRequest.builder().app_token(table[0]).table_id(table[1])
    again = again.field_id(fields[1].field_id)
    same = sdk.bitable.v1.app_table_field.update(
        again.request_body(AppTableField.builder().field_name("amount").type(2).build()).build()
    )
    assert same.code == 1254606
    renamed = sdk.bitable.v1.app_table_field.update(
        again.request_body(AppTableField.builder().field_name("金额").type(2).build()).build()
    )
    assert renamed.data.field.field_name == "金额"


def test_records_created_updated_read_deleted(sdk: lark.Client, table: tuple[str, str]) -> None:
    made = _create(sdk, table, _records({"编号": "1", "amount": 1.5}, {"编号": "2"}))
    assert made.success(), made.msg
    ids = [r.record_id for r in made.data.records]
    assert made.data.records[0].fields == {"编号": "1", "amount": 1.5}

    change = AppTableRecord.builder().record_id(ids[1]).fields({"amount": 7}).build()
    update = BatchUpdateAppTableRecordRequest.builder().app_token(table[0]).table_id(table[1])
    body = BatchUpdateAppTableRecordRequestBody.builder().records([change]).build()
    assert sdk.bitable.v1.app_table_record.batch_update(update.request_body(body).build()).success()

    get = BatchGetAppTableRecordRequest.builder().app_token(table[0]).table_id(table[1])
    wanted = BatchGetAppTableRecordRequestBody.builder().record_ids([ids[1], "recNone"]).build()
    got = sdk.bitable.v1.app_table_record.batch_get(get.request_body(wanted).build())
    assert got.data.records[0].fields == {"编号": [{"text": "2", "type": "text"}], "amount": 7}
    assert got.data.absent_record_ids == ["recNone"]

    gone = BatchDeleteAppTableRecordRequest.builder().app_token(table[0]).table_id(table[1])
    which = BatchDeleteAppTableRecordRequestBody.builder().records(ids[:1]).build()
    deleted = sdk.bitable.v1.app_table_record.batch_delete(gone.request_body(which).build())
    assert [(d.record_id, d.deleted) for d in deleted.data.records] == [(ids[0], True)]


def test_search_pages_filters_and_sorts(sdk: lark.Client, table: tuple[str, str]) -> None:
    assert _create(sdk, table, _records(*({"编号": str(n), "amount": n} for n in range(5)))).success()
    order = Sort.builder().field_name("amount").desc(True).build()
    condition = Condition.builder().field_name("amount").operator("isGreater").value(["0"]).build()
    chosen = FilterInfo.builder().conjunction("and").conditions([condition]).build()
    body = SearchAppTableRecordRequestBody.builder().field_names(["amount"]).sort([order]).filter(chosen)
    seen, page = [], ""
    while True:
        answer = _search(sdk, table, body.automatic_fields(True).build(), page)
        assert answer.success(), answer.msg
        assert answer.data.total == 4
        assert answer.data.items[0].created_time > 0
        seen += [r.fields["amount"] for r in answer.data.items]
        if not answer.data.has_more:
            break
        page = answer.data.page_token
    assert seen == [4, 3, 2, 1]


def test_the_same_client_token_makes_rows_once(sdk: lark.Client, table: tuple[str, str]) -> None:
    token = str(uuid.uuid4())
    first = _create(sdk, table, _records({"编号": "1"}), token)
    again = _create(sdk, table, _records({"编号": "1"}), token)
    assert [r.record_id for r in first.data.records] == [r.record_id for r in again.data.records]
    assert _create(sdk, table, _records({"编号": "2"}), token).code == 1255006
    assert _search(sdk, table, SearchAppTableRecordRequestBody.builder().build()).data.total == 1


def test_refusals_reach_the_sdk_with_code_and_log_id(sdk: lark.Client, table: tuple[str, str]) -> None:
    refused = _create(sdk, table, _records({"编号": "1", "amount": "many"}))
    assert refused.code == 1254061
    assert "amount" in refused.msg
    assert refused.get_log_id()
    assert _create(sdk, table, _records({"nothing": 1})).code == 1254045


def test_wiki_node_leads_to_the_base(sdk: lark.Client, bitable: Emulator, table: tuple[str, str]) -> None:
    node = bitable.make_node(table[0])
    found = sdk.wiki.v2.space.get_node(GetNodeSpaceRequest.builder().token(node).build())
    assert (found.data.node.obj_type, found.data.node.obj_token) == ("bitable", table[0])
    missing = sdk.wiki.v2.space.get_node(GetNodeSpaceRequest.builder().token("wikNone").build())
    assert missing.code == 131005
    assert _search(sdk, (node, table[1]), SearchAppTableRecordRequestBody.builder().build()).code == 91402
