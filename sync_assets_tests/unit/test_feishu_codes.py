"""Every code of the catalogue has one class, whatever HTTP status it comes with; no value passes through."""

from __future__ import annotations

import pytest

from sync_assets.engine.errors import AnswerTooLarge, BadBatch, Gone, Retry, Stop, SyncError, TooLarge, Unclear
from sync_assets.feishu.codes import CATALOGUE, REFRESHES, SETTLES, classify, classify_status, field_named

STOP = [
    *[99991661, 99991663, 99991664, 99991665, 99991668, 99991671, 99991677],
    *[10003, 10012, 10013, 10014, 10015, 99991662, 99991673, 99991672, 99991679, 99991401, 99991403],
    *[99991201, 99991301, 9499, 91402, 91403, 131002, 131005, 131006],
    *[1254000, 1254001, 1254007, 1254008, 1254010, 1254011, 1254016, 1254018, 1254024, 1254037, 1254107, 1254108],
    *[1254003, 1254004, 1254005, 1254009, 1254040, 1254041, 1254042, 1254044, 1254045],
    *[1254012, 1254013, 1254014, 1254026, 1254028, 1254029, 1254606, *range(1254080, 1254097)],
    *[1254100, 1254101, 1254102, 1254103, 1254105, 1254109],
    *[1254301, 1254302, 1254303, 1254304, 1254306, 1254027],
    *[19001, 19002, 19021, 19022, 19024],
]
RETRY = [99991400, 131001, 1254036, 1254290, 1254291, 1254607, 11232]
UNCLEAR = [1254002, 1254608, 1255001, 1255002, 1255003, 1255004, 1255005, 1255006, 1255040]
GONE = [1254006, 1254043]
BAD = [1254015, *range(1254060, 1254070), 1254072, 1254074, 1254106, 1254130]

# code -> (class for a write, class for a read)
EXPECTED: dict[int, tuple[type[SyncError], type[SyncError]]] = {
    **dict.fromkeys(STOP, (Stop, Stop)),
    **dict.fromkeys(RETRY, (Retry, Retry)),
    **dict.fromkeys(UNCLEAR, (Unclear, Retry)),
    1254030: (AnswerTooLarge, TooLarge),
    1254104: (TooLarge, TooLarge),
    **dict.fromkeys(GONE, (Gone, Stop)),
    **dict.fromkeys(BAD, (BadBatch, Stop)),
}


def test_the_table_of_this_test_covers_the_catalogue():
    assert set(EXPECTED) == set(CATALOGUE)


@pytest.mark.parametrize("status", [200, 400, 403, 429, 500, 504])
@pytest.mark.parametrize("code", EXPECTED)
def test_class_follows_the_code_and_never_the_status(code, status):
    for write, kind in zip((True, False), EXPECTED[code], strict=True):
        error = classify(code, status, "SomeText", write=write, log_id="20261122AB", place="Feishu search")
        assert type(error) is kind
        assert error.code == str(code)
        assert error.message.startswith("Feishu search: ")
        assert "20261122AB" in error.message


def test_what_a_person_must_do_comes_with_every_stop():
    assert [c for c, rule in CATALOGUE.items() if EXPECTED[c][0] is Stop and not rule.hint] == []
    assert "添加文档应用" in classify(91403, 200, "", write=False).hint
    assert "/wiki/" in classify(91402, 200, "", write=False).hint
    assert "权限管理" in classify(99991672, 400, "", write=False).hint


def test_codes_with_an_action_of_their_own():
    assert {"99991661", "99991663", "99991664", "99991668", "99991677"} <= REFRESHES
    assert {"1254040", "1254041", "1254042", "1254044", "1254045"} == SETTLES


@pytest.mark.parametrize("write", [True, False])
def test_two_meanings_of_one_code(write):
    assert type(classify(1254030, 200, "InvalidPageToken", write=write)) is Retry
    assert type(classify(1254030, 200, "TooLargeResponse", write=write)) is (AnswerTooLarge if write else TooLarge)
    assert type(classify(9499, 429, "too many request", write=write)) is Retry


def test_an_unknown_code_stops_and_shows_no_value_of_a_write():
    error = classify(1259999, 200, "SomethingNew: '13800138000' of Zhang San", write=True)
    assert type(error) is Stop
    assert error.code == "1259999"
    assert "SomethingNew" in error.message
    assert "13800138000" not in str(error) and "Zhang" not in str(error)
    assert "no such thing" in str(classify(1259999, 200, "no such thing", write=False))


@pytest.mark.parametrize("code", [9499, 1259999])
def test_a_request_that_is_too_large_for_the_gateway(code):
    assert type(classify(code, 413, "Bad Request", write=True)) is TooLarge


def test_an_unknown_code_leaves_it_to_the_status_where_that_is_plain():
    assert type(classify(2200, 500, "x", write=True)) is Unclear
    assert type(classify(2200, 500, "x", write=False)) is Retry
    assert type(classify(7, 429, "x", write=True)) is Retry


@pytest.mark.parametrize(
    ("status", "on_write", "on_read"),
    [
        (200, Unclear, Retry),
        (302, Stop, Stop),
        (403, Stop, Stop),
        (404, Stop, Stop),
        (413, TooLarge, TooLarge),
        (429, Retry, Retry),
        (500, Unclear, Retry),
        (502, Unclear, Retry),
        (504, Unclear, Retry),
    ],
)
def test_answers_without_an_envelope_go_by_status(status, on_write, on_read):
    assert type(classify_status(status, write=True)) is on_write
    assert type(classify_status(status, write=False)) is on_read


@pytest.mark.parametrize(
    ("msg", "field"),
    [
        ("NumberFieldConvFail\nfields.单价. 含税", "单价. 含税"),
        ("NumberFieldConvFail, fieldName: 单价", "单价"),
        ("NumberFieldConvFail, fieldName: unit price. The value must be a number", "unit price"),
        ("The value of field '金额' must be a number", "金额"),
        ("Invalid request parameter: 'fields.amount'. Correct format", "amount"),
        ("NumberFieldConvFail", ""),
    ],
)
def test_the_field_that_a_refusal_names(msg, field):
    assert field_named(msg) == field
    error = classify(1254061, 200, msg, write=True)
    assert isinstance(error, BadBatch) and error.field == field


def test_records_that_are_gone_are_named():
    error = classify(1254043, 200, "RecordIdNotFound. recordId: recuWx12ab and recuWx34cd", write=True)
    assert isinstance(error, Gone) and error.ids == ("recuWx12ab", "recuWx34cd")
