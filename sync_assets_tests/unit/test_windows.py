"""Partition windows agree with Dagster's, cover time without gap or overlap, and refuse keys that do not exist."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sync_assets.engine.errors import Stop
from sync_assets.project import windows
from sync_assets.project.spec import FixedValues, TimeWindows

SHANGHAI, BERLIN, NEW_YORK = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
ZONES = ["Asia/Shanghai", "Europe/Berlin", "America/New_York", "UTC", "Asia/Kolkata", "Australia/Sydney"]
EVERY = ["hour", "day", "week", "month"]
SPAN = {
    "hour": timedelta(hours=30),
    "day": timedelta(days=20),
    "week": timedelta(days=80),
    "month": timedelta(days=300),
}


def spec_of(every: str, start: Any, end: Any = None, current: bool = True) -> TimeWindows:
    return TimeWindows(every=every, start=start, end=end, include_current=current)  # type: ignore[arg-type]


def dagster_of(spec: TimeWindows, tz: ZoneInfo) -> dg.TimeWindowPartitionsDefinition:
    """The definition that a component builds from the same words."""
    options: dict[str, Any] = {
        "start_date": windows.first_instant(spec, tz),
        "end_date": windows.end_instant(spec, tz),
        "timezone": tz.key,
        "end_offset": 1 if spec.include_current else 0,
    }
    match spec.every:
        case "hour":
            return dg.HourlyPartitionsDefinition(**options)
        case "day":
            return dg.DailyPartitionsDefinition(**options)
        case "week":
            return dg.WeeklyPartitionsDefinition(day_offset=1, **options)
        case "month":
            return dg.MonthlyPartitionsDefinition(**options)


def assert_same(spec: TimeWindows, tz: ZoneInfo, now: datetime) -> None:
    theirs = dagster_of(spec, tz)
    keys = windows.keys(spec, tz, now)
    assert keys == list(theirs.get_partition_keys(current_time=now))
    for key in keys:
        ours, window = windows.partition(spec, key, tz, now=now), theirs.time_window_for_partition_key(key)
        assert ours.start is not None
        assert ours.end is not None
        assert (ours.start.timestamp(), ours.end.timestamp()) == (window.start.timestamp(), window.end.timestamp())


@given(
    every=st.sampled_from(EVERY),
    zone=st.sampled_from(ZONES),
    start=st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)),
    length=st.floats(-0.2, 1),
    end=st.none() | st.floats(0, 1.2),
    current=st.booleans(),
)
@settings(max_examples=400, deadline=None)
def test_keys_and_bounds_are_those_of_dagster(every, zone, start, length, end, current):
    tz = ZoneInfo(zone)
    start = start.replace(microsecond=0)
    finish = None if end is None else (start + SPAN[every] * end).replace(microsecond=0)
    spec = spec_of(every, start, finish, current)
    if not windows.holds_any(spec, tz):  # such a spec is refused when the project is loaded
        return
    now = windows.first_instant(spec, tz).astimezone(UTC) + SPAN[every] * length
    assert_same(spec, tz, now.replace(microsecond=0))


@given(
    year=st.integers(2000, 2099),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Sydney"]),
    every=st.sampled_from(["hour", "day", "week"]),
    hour=st.integers(0, 23),
)
@example(year=2026, zone="Europe/Berlin", every="hour", hour=2)
@settings(max_examples=80, deadline=None)
def test_around_every_clock_change_they_agree_too(year, zone, every, hour):
    tz = ZoneInfo(zone)
    day = datetime(year, 1, 1, 12, tzinfo=UTC)
    for _ in range(365):
        after = day + timedelta(days=1)
        if day.astimezone(tz).utcoffset() != after.astimezone(tz).utcoffset():
            start = (day - timedelta(days=1)).astimezone(tz).replace(hour=hour, tzinfo=None)
            assert_same(spec_of(every, start), tz, day + timedelta(days=2))
        day = after


@given(
    every=st.sampled_from(EVERY),
    zone=st.sampled_from([*ZONES, "America/Havana", "Africa/Cairo"]),
    at=st.datetimes(datetime(2000, 3, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
)
@settings(max_examples=300, deadline=None)
@example(every="day", zone="America/Havana", at=datetime(2010, 3, 13, 12, tzinfo=UTC))  # the next midnight is skipped
def test_every_instant_lies_in_exactly_the_window_named_for_it(every, zone, at):
    tz = ZoneInfo(zone)
    spec = spec_of(every, date(2000, 1, 1))
    key = windows.containing(spec, at, tz)
    assert key is not None
    found = windows.partition(spec, key, tz)
    assert found.start is not None
    assert found.end is not None
    assert found.start.timestamp() <= at.timestamp() < found.end.timestamp()
    again = windows.containing(spec, found.end, tz)
    assert again is not None
    assert windows.partition(spec, again, tz).start == found.end


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "America/Havana", "Africa/Cairo"])
@pytest.mark.parametrize("every", EVERY)
def test_windows_follow_each_other_without_gap_or_overlap(every, zone):
    tz = ZoneInfo(zone)
    found = windows.partitions(spec_of(every, date(2025, 12, 31)), tz, datetime(2027, 1, 2, tzinfo=UTC))
    assert len({p.key for p in found}) == len(found)
    for one, after in pairwise(found):
        assert one.end is not None
        assert after.start is not None
        assert one.end.timestamp() == after.start.timestamp()
        assert one.start is not None
        assert one.start.timestamp() < one.end.timestamp()


def test_the_repeated_hour_has_two_keys_and_the_missing_one_has_none():
    spec = spec_of("hour", datetime(2026, 3, 1))
    keys = windows.keys(spec, BERLIN, datetime(2026, 10, 26, tzinfo=UTC))
    assert [k for k in keys if k.startswith("2026-10-25-02")] == ["2026-10-25-02:00", "2026-10-25-02:00+0100"]
    assert [k for k in keys if k.startswith("2026-03-29-02")] == []
    with pytest.raises(Stop):
        windows.partition(spec, "2026-03-29-02:00", BERLIN)


def test_today_is_offered_unless_switched_off():
    now = datetime(2026, 10, 3, 12, tzinfo=SHANGHAI)
    assert windows.keys(spec_of("day", date(2026, 10, 1)), SHANGHAI, now) == ["2026-10-01", "2026-10-02", "2026-10-03"]
    assert windows.keys(spec_of("day", date(2026, 10, 1), current=False), SHANGHAI, now) == ["2026-10-01", "2026-10-02"]


def test_a_day_is_closed_by_the_clock_of_its_zone():
    spec = spec_of("day", date(2026, 10, 1), current=False)
    now = datetime(2026, 10, 2, 16, 0, 1, tzinfo=UTC)  # one second past midnight in Shanghai
    assert windows.keys(spec, SHANGHAI, now)[-1] == "2026-10-02"
    assert windows.keys(spec, ZoneInfo("UTC"), now)[-1] == "2026-10-01"


@pytest.mark.parametrize(
    ("every", "key"),
    [
        ("day", "2026-10-1"),
        ("day", "2026-13-01"),
        ("day", "yesterday"),
        ("day", "2026-10-01-00:00"),
        ("day", "2025-12-31"),
        ("day", ""),
        ("week", "2026-10-06"),
        ("month", "2026-10-02"),
        ("hour", "2026-10-01"),
        ("hour", "2026-10-01-00:30"),
        ("hour", "2026-10-01-00:00+0300"),
        ("hour", "9999-12-31-23:00+9999"),
    ],
)
def test_a_key_that_does_not_exist_is_refused_and_the_message_shows_real_ones(every, key):
    with pytest.raises(Stop) as caught:
        windows.partition(spec_of(every, date(2026, 10, 1)), key, SHANGHAI, now=datetime(2026, 12, 1, tzinfo=UTC))
    assert "2026-1" in caught.value.hint
    assert caught.value.message.startswith("there is no partition")


def test_a_future_key_is_refused_and_the_newest_are_named():
    now = datetime(2026, 10, 3, 12, tzinfo=SHANGHAI)
    with pytest.raises(Stop) as caught:
        windows.partition(spec_of("day", date(2026, 10, 1)), "2026-10-04", SHANGHAI, now=now)
    assert "future" in caught.value.message
    assert "2026-10-03" in caught.value.hint


def test_instants_outside_of_start_and_end_have_no_window():
    spec = spec_of("day", date(2026, 10, 2), date(2026, 10, 4))
    days = [windows.containing(spec, datetime(2026, 10, d, 23, tzinfo=SHANGHAI), SHANGHAI) for d in (1, 2, 3, 4)]
    assert days == [None, "2026-10-02", "2026-10-03", None]


def test_an_aware_start_is_taken_at_its_instant():
    spec = spec_of("hour", datetime(2026, 10, 1, 0, 0, tzinfo=UTC))
    assert windows.keys(spec, SHANGHAI, datetime(2026, 10, 1, 1, 30, tzinfo=UTC)) == [
        "2026-10-01-08:00",
        "2026-10-01-09:00",
    ]


def test_fixed_values_are_their_own_keys():
    spec = FixedValues(column="region", values=["华东", "north"])
    assert windows.keys(spec, SHANGHAI, datetime(2026, 1, 1, tzinfo=UTC)) == ["华东", "north"]
    assert windows.partition(spec, "华东", SHANGHAI).value == "华东"
    with pytest.raises(Stop, match="no partition 'south'"):
        windows.partition(spec, "south", SHANGHAI)
