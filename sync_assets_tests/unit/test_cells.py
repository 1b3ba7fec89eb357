"""Cells: one value at a time. What a person expects to see, and what is refused rather than bent."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_assets.engine.errors import RejectRow
from sync_assets.engine.plan import same as equal
from sync_assets.targets.bitable import cells
from sync_assets.targets.bitable.clock import NoSuchTime, WallClock

SHANGHAI, NEW_YORK = ZoneInfo("Asia/Shanghai"), ZoneInfo("America/New_York")


def codec(kind: int, zone: ZoneInfo = SHANGHAI, **options: bool) -> cells.Codec:
    return cells.codec(kind, "f", WallClock(zone), **options)


def canonical(kind: int, value: object, zone: ZoneInfo = SHANGHAI, **options: bool) -> object:
    return codec(kind, zone, **options).canonise(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("00123", "00123"),
        ("", None),
        (None, None),
        (" ", " "),
        (7, "7"),
        (7.0, "7"),  # XTF: "7.0"
        (0.1, "0.1"),
        (1e22, "10000000000000000000000"),
        (1.5e-7, "0.00000015"),
        (-0.0, "0"),
        (True, "true"),
        (123456789012345678, "123456789012345678"),
        (Decimal("12.50"), "12.50"),
        (Decimal("1E+3"), "1000"),
        (date(2026, 1, 5), "2026-01-05"),
        (datetime(2026, 1, 5, 8, 0), "2026-01-05 08:00:00"),
        (datetime(2026, 1, 5, 23, 30, tzinfo=UTC), "2026-01-06 07:30:00"),
        (time(8, 5), "08:05:00"),
        (timedelta(hours=-30, minutes=-5), "-30:05:00"),
        (["红", "blue"], "红,blue"),
        ({"b": 1, "a": "中"}, '{"a":"中","b":1}'),
        (b"\xe4\xb8\xad", "中"),
        (b"\xff\x00", "\\xff00"),
    ],
)
def test_a_text_is_what_a_person_expects(value: object, text: object) -> None:
    assert canonical(cells.TEXT, value) == text


def test_two_instants_of_the_repeated_hour_stay_two_texts() -> None:
    first = datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    texts = [canonical(cells.TEXT, first + timedelta(hours=n), NEW_YORK) for n in range(2)]
    assert texts == ["2026-11-01 01:30:00", "2026-11-01 01:30:00-05:00"]


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("12.50", 12.5),
        (" 12 ", 12.0),
        ("+3", 3.0),
        (True, 1),
        (Decimal("0.1"), 0.1),
        (Decimal("12345678901234.5"), 12345678901234.5),
        (2**53, 2**53),
        (10**18, 1e18),
        ("", None),
    ],
)
def test_numbers_that_a_double_keeps(value: object, number: object) -> None:
    assert canonical(cells.NUMBER, value) == number


@pytest.mark.parametrize(
    "value",
    [
        "00123", "85%", "1,234", "￥5", "12abc", "1e5", "１２", "0x10", 123456789012345678, 2**60,
        "123456789012345678", Decimal("0.1234567890123456789"), Decimal("NaN"), float("nan"), float("inf"),
        Decimal("1E+999"),
    ],
)  # fmt: skip
def test_a_number_field_takes_no_text_that_looks_like_one_and_no_digits_it_would_drop(value: object) -> None:
    with pytest.raises(RejectRow) as refused:
        canonical(cells.NUMBER, value)
    assert refused.value.field == "f"
    assert not any(c.isdigit() for c in str(refused.value)), "a reason quotes no value"


def test_percent_signs_mean_hundredths_in_a_percent_field_only() -> None:
    assert canonical(cells.NUMBER, "85%", percent=True) == 0.85
    assert canonical(cells.NUMBER, "0.5%", percent=True) == 0.005
    assert canonical(cells.NUMBER, 0.85, percent=True) == 0.85


MIDNIGHT = datetime(2024, 1, 15)


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "UTC", "America/New_York"])
def test_dates_datetimes_and_texts_of_one_moment_agree(zone: str) -> None:
    """XTF wrote Timestamps as UTC and date texts as local time: 8 hours apart."""
    there = ZoneInfo(zone)
    forms = (
        date(2024, 1, 15),
        MIDNIGHT,
        MIDNIGHT.replace(tzinfo=there),
        "2024-01-15",
        "2024/1/15 00:00",
        "2024年1月15日",
    )
    wanted = int(MIDNIGHT.replace(tzinfo=there).timestamp() * 1000)
    assert {canonical(cells.DATE, form, there) for form in forms} == {wanted}


@pytest.mark.parametrize("text", ["01-15", "1月15日", "2024-01", "15/01/2024", "2024-02-30", "today", "20240115"])
def test_a_text_without_year_month_and_day_is_no_date(text: str) -> None:
    """XTF put a month-day-only text into the year 1900."""
    with pytest.raises(RejectRow, match="year, month and day"):
        canonical(cells.DATE, text)


def test_a_time_that_the_clock_skips_is_refused() -> None:
    with pytest.raises(RejectRow, match="skipped"):
        canonical(cells.DATE, datetime(2026, 3, 8, 2, 30), NEW_YORK)
    with pytest.raises(RejectRow, match="skipped"):
        canonical(cells.DATE, "2026-03-08 02:30", NEW_YORK)
    assert canonical(cells.DATE, datetime(2026, 3, 8, 3, 0), NEW_YORK) == 1772953200000


@given(
    st.datetimes(),
    st.sampled_from(["Asia/Shanghai", "UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe"]),
)
def test_a_wall_clock_comes_back_to_the_millisecond_or_is_refused(value: datetime, zone: str) -> None:
    there = ZoneInfo(zone)
    try:
        at = WallClock(there).at(value)
    except NoSuchTime:
        again = value.replace(tzinfo=there).astimezone(UTC).astimezone(there)
        assert again.replace(tzinfo=None) != value
        return
    back = (datetime(1970, 1, 1) + timedelta(milliseconds=at)) if abs(at) < 6e13 else None
    if back is not None:
        shown = back.replace(tzinfo=UTC).astimezone(there) if back.year > 1 and back.year < 9999 else None
        assert shown is None or shown.replace(tzinfo=None) == value.replace(
            microsecond=value.microsecond // 1000 * 1000
        )


@given(st.datetimes(timezones=st.sampled_from([UTC, SHANGHAI, timezone(timedelta(hours=-5))])))
def test_an_instant_is_the_same_in_every_zone(value: datetime) -> None:
    assert canonical(cells.DATE, value, NEW_YORK) == canonical(cells.DATE, value, SHANGHAI)


@pytest.mark.parametrize(
    ("value", "ticked"),
    [
        (True, True),
        (False, None),
        (None, None),
        (1, True),
        (0, None),
        ("是", True),
        ("否", None),
        ("Yes", True),
        ("off", None),
    ],
)
def test_a_checkbox_is_ticked_or_not(value: object, ticked: object) -> None:
    assert canonical(cells.CHECKBOX, value) is ticked


@pytest.mark.parametrize("value", [2, "maybe", -1, 0.5])
def test_a_checkbox_takes_nothing_else(value: object) -> None:
    with pytest.raises(RejectRow, match="neither yes nor no"):
        canonical(cells.CHECKBOX, value)


def test_lists() -> None:
    assert canonical(cells.MULTI, ["b", "a", "b", None]) == ("a", "b")
    assert canonical(cells.MULTI, "红，蓝; green") == ("green", "红", "蓝")
    assert canonical(cells.MULTI, '["a,b", "c"]') == ("a,b", "c")
    assert canonical(cells.MULTI, "[]") is None
    assert canonical(cells.PERSON, "ou_1,ou_2") == ("ou_1", "ou_2")
    assert codec(cells.PERSON).write(("ou_1",)) == [{"id": "ou_1"}]
    assert codec(cells.LINK).read({"link_record_ids": ["recB", "recA"]}) == ("recA", "recB")


def test_urls_and_phones() -> None:
    url = codec(cells.URL)
    assert url.canonise("https://example.com/a b") == ("https://example.com/a b",) * 2
    assert url.canonise('{"text": "店", "link": "https://e.cn"}') == ("店", "https://e.cn")
    assert url.write(("店", "https://e.cn")) == {"text": "店", "link": "https://e.cn"}
    phone = codec(cells.PHONE)
    assert phone.canonise("+86 138-0000 0000") == "+8613800000000"
    for bad in ("12a", "１３８", "+"):
        with pytest.raises(RejectRow, match="phone number"):
            phone.canonise(bad)


def test_a_text_longer_than_a_cell_is_refused() -> None:
    assert canonical(cells.TEXT, "字" * 100_000) == "字" * 100_000
    with pytest.raises(RejectRow, match="100,000"):
        canonical(cells.TEXT, "字" * 100_001)


def test_segments_are_joined() -> None:
    """A text with a link or a mention in it comes in pieces."""
    read = codec(cells.TEXT).read
    assert read([{"text": "a "}, {"type": "url", "text": "b", "link": "https://b"}]) == "a b"
    assert read("echo") == "echo"
    assert read([]) is None


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.decimals(), st.text(), st.dates(), st.datetimes(),
    st.datetimes(timezones=st.sampled_from([UTC, NEW_YORK])), st.times(), st.timedeltas(), st.binary(), st.uuids(),
    st.lists(st.text()),
)  # fmt: skip


@given(st.sampled_from(cells.WRITABLE), VALUES)
def test_whatever_comes_is_refused_with_a_reason_or_survives_being_written_and_read(kind: int, value: object) -> None:
    made = codec(kind, NEW_YORK)
    try:
        held = made.canonise(value)
    except RejectRow as refused:
        assert refused.field == "f"
        return
    if held is not None and held is not False:
        assert equal(made.read(shown(kind, made.write(held))), held)


def shown(kind: int, written: object) -> object:
    """What search shows of a cell that was written so (bitable.md 2)."""
    if kind == cells.TEXT:
        return [{"type": "text", "text": written}]
    if kind in (cells.LINK, cells.DUPLEX):
        return {"link_record_ids": written}
    return {"location": written} if kind == cells.LOCATION else written
