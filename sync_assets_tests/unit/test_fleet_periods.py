"""Periods: they tile the days, look back and ahead, and belong to the zone's days whatever the clock says."""

from __future__ import annotations

import ast
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sync_assets.fleet.capacity
import sync_assets.fleet.forecast
import sync_assets.fleet.periods
from sync_assets.engine.errors import Stop
from sync_assets.fleet.capacity import timing_of
from sync_assets.fleet.periods import (
    NAMES,
    Period,
    PeriodName,
    closed,
    closed_since,
    collectable,
    ended_at,
    local_day,
    parse_name,
    period_of,
    period_of_key,
)

SHANGHAI = ZoneInfo("Asia/Shanghai")
ZONES = [SHANGHAI, ZoneInfo("Europe/Berlin"), ZoneInfo("America/Havana"), ZoneInfo("America/Santiago")]
days = st.dates(date(2000, 1, 1), date(2100, 12, 31))
names = st.sampled_from(NAMES)


@given(names, days)
def test_every_day_lies_in_one_period_and_its_neighbours_touch_it(name: PeriodName, day: date) -> None:
    period = period_of(name, day)
    assert period.starts <= day < period.ends
    assert all(period_of(name, inside) == period for inside in (period.starts, period.ends - timedelta(days=1)))
    assert period.previous.ends == period.starts
    assert period.next.starts == period.ends
    assert period.next.previous == period == period.previous.next


@given(names, days)
def test_defect_5_quarter_compared_with_a_whole_quarter(name: PeriodName, day: date) -> None:
    """Of the original: the window of comparison of three quarters of four ended a month early."""
    lengths = {"day": {1}, "week": {7}, "month": {28, 29, 30, 31}, "quarter": {90, 91, 92}}[name]
    period = period_of(name, day)
    assert len(period.previous.days) in lengths
    assert len(period.days) in lengths


@pytest.mark.parametrize(
    ("name", "day", "starts", "ends"),
    [
        ("week", "2026-01-01", "2025-12-29", "2026-01-05"),
        ("week", "2026-11-22", "2026-11-16", "2026-11-23"),
        ("quarter", "2024-02-29", "2024-01-01", "2024-04-01"),
        ("quarter", "2026-06-30", "2026-04-01", "2026-07-01"),
        ("quarter", "2026-12-31", "2026-10-01", "2027-01-01"),
        ("month", "2100-02-28", "2100-02-01", "2100-03-01"),
        ("day", "2026-12-31", "2026-12-31", "2027-01-01"),
    ],
)
def test_boundaries(name: PeriodName, day: str, starts: str, ends: str) -> None:
    period = period_of(name, date.fromisoformat(day))
    assert (period.key, period.ends.isoformat()) == (starts, ends)
    assert period_of_key(name, period.key) == period


def test_lengths_of_quarters() -> None:
    lengths = [len(period_of("quarter", date(year, month, 1)).days) for year in (2027, 2028) for month in (1, 4, 7, 10)]
    assert lengths == [90, 91, 92, 92, 91, 91, 92, 92]


@pytest.mark.parametrize("text", ["weekly", "Week", "", "quarters", "year", "fortnight", "week "])
def test_d19_unknown_period_is_refused(text: str) -> None:
    """Of the original: a request of unknown names only ran all four."""
    with pytest.raises(Stop, match="there is no period") as stop:
        parse_name(text)
    assert stop.value.code == "unknown_period"
    assert "week" in stop.value.hint


def test_d19_the_nearest_name_is_told() -> None:
    with pytest.raises(Stop, match="did you mean month"):
        period_of("monthly", date(2026, 1, 1))  # type: ignore[arg-type]


@pytest.mark.parametrize("key", ["2026-11-17", "2026-13-01", "last", ""])
def test_a_key_is_the_first_day_of_a_week(key: str) -> None:
    with pytest.raises(Stop) as stop:
        period_of_key("week", key)
    assert stop.value.code == "unknown_period"


def test_dates_that_are_no_period() -> None:
    with pytest.raises(ValueError, match="is no week"):
        Period("week", date(2026, 11, 17), date(2026, 11, 24))


@pytest.mark.parametrize("at", ["00:30", "03:00", "07:59", "23:59"])
def test_d6_d7_the_day_is_that_of_the_zone_at_any_hour(at: str) -> None:
    """Between 00:00 and 07:59 in Shanghai the date in UTC is one behind."""
    now = datetime.combine(date(2026, 4, 1), time.fromisoformat(at), SHANGHAI).astimezone(UTC)
    assert local_day(now, SHANGHAI) == date(2026, 4, 1)
    assert collectable(date(2026, 4, 1), now, SHANGHAI) == "on_time"
    assert collectable(date(2026, 3, 31), now, SHANGHAI) == "too_late"
    assert closed(period_of("quarter", date(2026, 3, 31)), now, SHANGHAI)
    assert not closed(period_of("day", date(2026, 4, 1)), now, SHANGHAI)
    newest = {name: list(closed_since(name, date(2026, 1, 1), now, SHANGHAI))[-1].key for name in NAMES}
    assert newest == {"day": "2026-03-31", "week": "2026-03-23", "month": "2026-03-01", "quarter": "2026-01-01"}


@pytest.mark.parametrize("at", ["00:30", "03:00", "07:59", "23:59"])
@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_days_of_zones_that_change_their_clocks(zone: ZoneInfo, at: str) -> None:
    """Each of a year's days, those of 23 and of 25 hours too (Havana and Santiago change at midnight)."""
    for n in range(366):
        day = date(2026, 1, 1) + timedelta(days=n)
        now = datetime.combine(day, time.fromisoformat(at), zone)
        now = now.astimezone(UTC)
        today = local_day(now, zone)
        assert collectable(today, now, zone) == "on_time"
        assert collectable(today + timedelta(days=1), now, zone) == "too_early"
        assert collectable(today - timedelta(days=1), now, zone) == "too_late"
        assert (
            ended_at(period_of("day", today - timedelta(days=1)), zone) <= now < ended_at(period_of("day", today), zone)
        )


@given(st.datetimes(datetime(2000, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC)), st.sampled_from(ZONES), names)
def test_d6_no_open_period_counts_as_closed(now: datetime, zone: ZoneInfo, name: PeriodName) -> None:
    today = local_day(now, zone)
    running = period_of(name, today)
    assert not closed(running, now, zone)
    assert closed(running.previous, now, zone)
    assert list(closed_since(name, running.previous.starts, now, zone)) == [running.previous]


def test_the_grace_is_counted_from_the_end_of_the_day() -> None:
    day, end = date(2026, 11, 16), datetime(2026, 11, 17, tzinfo=SHANGHAI)
    second = timedelta(seconds=1)
    assert collectable(day, end - second, SHANGHAI, 3) == "on_time"
    assert collectable(day, end, SHANGHAI, 3) == "late"
    assert collectable(day, end + timedelta(hours=3) - second, SHANGHAI, 3) == "late"
    assert collectable(day, end + timedelta(hours=3), SHANGHAI, 3) == "too_late"
    assert collectable(day, end, SHANGHAI) == "too_late"


def test_a_day_that_has_not_come_is_refused() -> None:
    now = datetime(2026, 11, 16, 3, tzinfo=SHANGHAI)
    with pytest.raises(Stop) as stop:
        timing_of(date(2026, 11, 17), now, SHANGHAI, 24)
    assert stop.value.code == "too_early"
    assert timing_of(date(2026, 11, 16), now, SHANGHAI) == "on_time"


def test_a_moment_without_a_zone_has_no_day() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        local_day(datetime(2026, 11, 16), SHANGHAI)


@pytest.mark.parametrize("name", ["periods", "capacity", "forecast"])
def test_d7_nothing_here_looks_at_a_clock(name: str) -> None:
    """A period is a function of its key: neither today() nor now() is called."""
    module: Any = getattr(sync_assets.fleet, name)
    calls = [n.func for n in ast.walk(ast.parse(Path(module.__file__).read_text())) if isinstance(n, ast.Call)]
    assert {f.attr for f in calls if isinstance(f, ast.Attribute)}.isdisjoint({"today", "now", "utcnow", "time"})
