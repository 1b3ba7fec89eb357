"""Scans that a server leads astray, and tables too young to be found: on a scripted transport."""

from __future__ import annotations

import json

import httpx
import pytest

from sync_assets.engine.errors import BadBatch, Gone, Retry, Stop
from sync_assets.feishu.bitable import Base
from sync_assets.feishu.client import FeishuClient
from sync_assets.feishu.token import PATH


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def play():
    clients = []

    def make(answers):
        """A base whose server gives each path's answers in order; requests seen are in `seen`."""
        seen = []

        def serve(request):
            if request.url.path == PATH:
                return httpx.Response(200, json={"code": 0, "tenant_access_token": "t-1", "expire": 7200})
            seen.append(request)
            step = answers.pop(0)
            if isinstance(step, int):
                step = {"code": step}
            return httpx.Response(200, json=step if "code" in step else {"code": 0, "data": step})

        clock = Clock()
        client = FeishuClient("a", lambda: "s", clock=clock, sleep=clock.sleep, transport=httpx.MockTransport(serve))
        clients.append(client)
        return Base(client, "bascn1"), seen, clock

    yield make
    for client in clients:
        client.close()


def page(ids, token="", more=True):
    return {"items": [{"record_id": i, "fields": {}} for i in ids], "total": 9, "has_more": more, "page_token": token}


def ids(pages):
    return [i["record_id"] for p in pages for i in p.items]


@pytest.mark.parametrize("tokens", [["a", "a"], ["a", "b", "a"], [""]])
def test_a_page_token_that_comes_twice_or_not_at_all_ends_the_scan(play, tokens):
    base, seen, _ = play([page([f"r{n}"], token) for n, token in enumerate(tokens)] * 9)
    with pytest.raises(Stop, match="page token"):
        list(base.table("tbl1").search())
    assert len(seen) == len(tokens)


def test_a_record_that_moved_to_the_next_page_comes_once(play):
    base, _, _ = play([page(["r1", "r2"], "a"), page(["r2", "r3"], more=False)])
    assert ids(base.table("tbl1").search()) == ["r1", "r2", "r3"]


def test_a_page_token_that_is_refused_is_for_the_whole_scan_to_repeat(play):
    base, seen, _ = play([page(["r1"], "a"), {"code": 1254030, "msg": "InvalidPageToken"}])
    with pytest.raises(Retry, match="page token"):
        list(base.table("tbl1").search())
    assert len(seen) == 2


def test_searches_say_what_they_want(play):
    base, seen, _ = play([page(["r1"], "a"), page(["r2"], more=False)])
    list(base.table("tbl1").search(["名"], page_size=50, filter={"conjunction": "and", "conditions": []}))
    assert [dict(r.url.params) for r in seen] == [{"page_size": "50"}, {"page_size": "50", "page_token": "a"}]
    assert json.loads(seen[1].content) == {
        "automatic_fields": False,
        "field_names": ["名"],
        "filter": {"conjunction": "and", "conditions": []},
    }


def test_a_table_just_created_is_waited_for_and_an_old_one_is_not(play):
    base, seen, clock = play([{"table_id": "tbl1"}, 1254041, 1254041, {"items": []}, 1254041])
    board = base.table(base.create_table("t", [{"field_name": "a", "type": 1}]))
    assert board.fields() == []
    clock.now += 60
    with pytest.raises(Stop):
        board.fields()
    assert len(seen) == 5


def test_a_field_just_created_is_waited_for(play):
    field = {"field": {"field_id": "fld1", "field_name": "a", "type": 1, "ui_type": "Text"}}
    base, _, _ = play([1254045, field, 1254045, page([], more=False)])
    board = base.table("tbl1")
    with pytest.raises(Stop):
        list(board.search(["a"]))
    board.create_field({"field_name": "a", "type": 1})
    assert ids(board.search(["a"])) == []


def test_paths_cannot_be_led_elsewhere(play):
    base, seen, _ = play([{"items": []}])
    base.table("../../x?y=z").fields()
    assert seen[0].url.raw_path.startswith(b"/open-apis/bitable/v1/apps/bascn1/tables/..%2F..%2Fx%3Fy%3Dz/fields")


@pytest.mark.parametrize(("named", "kept"), [("amount", "amount"), ("VALUE of a row", "")])
def test_only_a_field_that_was_sent_is_named(play, named, kept):
    refusal = {"code": 1254061, "msg": f"NumberFieldConvFail, fieldName: {named}"}
    base, _, _ = play([refusal, refusal])
    board = base.table("tbl1")
    body = b'{"records":[{"fields":{"amount":"x"}}]}'
    for write in (
        lambda: board.batch_create(body, "token"),
        lambda: board.batch_update([{"record_id": "rec1", "fields": {"amount": "x"}}]),
    ):
        with pytest.raises(BadBatch) as caught:
            write()
        assert caught.value.field == kept
        assert "VALUE" not in str(caught.value)


def test_only_records_that_were_sent_are_named_as_gone(play):
    base, _, _ = play([{"code": 1254043, "msg": "RecordIdNotFound: recAAAA1, recBBBB2"}])
    with pytest.raises(Gone) as caught:
        base.table("tbl1").batch_delete(["recAAAA1", "recCCCC3"])
    assert caught.value.ids == ("recAAAA1",)
