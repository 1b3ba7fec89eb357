"""Theil-Sen with Sen's interval: against the plain definition, a published example, and the shapes that sizes take."""

from __future__ import annotations

import random
import statistics
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_assets.fleet.forecast import LEAST_DAYS, forecast, trend

DAY = date(2026, 1, 1)
GB = 10**9


def series(*sizes: int) -> list[tuple[date, int]]:
    return [(DAY + timedelta(days=n), size) for n, size in enumerate(sizes)]


def test_gilberts_example() -> None:
    """Gilbert (1987), example 16.3 (p. 219): slopes 2, 2.5, 3 ... of 4 years with gaps, here by hand.

    Points (0, 10), (1, 15), (3, 14), (4, 20) have the slopes -0.5, 4/3, 5/3, 2.5, 5, 6: their median is 25/12.
    """
    points = [(DAY + timedelta(days=x), y) for x, y in [(0, 10), (1, 15), (3, 14), (4, 20)]]
    found = trend(points)
    assert found.slope == pytest.approx(25 / 12)
    assert (found.low, found.high) == (-0.5, 6.0)  # C = 1.96 * sqrt(26/3) = 5.77: ranks 0.1 and 5.9, clamped


def test_the_ranks_of_the_interval() -> None:
    """Ten points on a convex curve: 45 distinct slopes, C = 1.96 * sqrt(125) = 21.9, ranks 12 and 34 of 45."""
    points = series(*(3**n for n in range(10)))
    slopes = sorted((b[1] - a[1]) / (b[0] - a[0]).days for i, a in enumerate(points) for b in points[i + 1 :])
    found = trend(points)
    assert (found.low, found.slope, found.high) == (slopes[11], slopes[22], slopes[33])


@given(st.lists(st.integers(0, 10**15), min_size=2, max_size=40), st.randoms(use_true_random=False))
def test_the_median_of_all_pairs_in_any_order(sizes: list[int], rnd: random.Random) -> None:
    points = rnd.sample(series(*sizes), len(sizes))
    slopes = [(b[1] - a[1]) / (b[0] - a[0]).days for i, a in enumerate(points) for b in points[i + 1 :]]
    found = trend(points)
    assert found.slope == pytest.approx(statistics.median(slopes))
    assert found.low <= found.slope <= found.high


@given(st.integers(0, 10**13), st.integers(0, 10**9), st.integers(LEAST_DAYS, 90))
def test_a_straight_line_is_found_and_filled_to_the_day(start: int, rate: int, days: int) -> None:
    points = series(*(start + rate * n for n in range(days)))
    last = points[-1][1]
    found = forecast(points, last + 50 * rate + 1)
    assert found is not None
    assert found.slope == found.slope_low == found.slope_high == pytest.approx(rate)
    assert found.as_of == points[-1][0]
    if rate:
        assert found.days_to_full == pytest.approx(50 + 1 / rate)
        assert found.full_soonest == pytest.approx(found.full_latest)
    else:
        assert found.days_to_full is found.full_soonest is found.full_latest is None


def test_a_third_of_wild_days_does_not_move_it() -> None:
    rnd = random.Random(7)
    sizes = [100 * GB + n * GB for n in range(60)]
    for n in rnd.sample(range(60), 15):
        sizes[n] *= 5
    found = trend(series(*sizes))
    assert found.slope == pytest.approx(GB, rel=0.25)


def test_the_interval_covers_as_often_as_it_says() -> None:
    """95 of 100 series with independent noise: 400 of them, between 92 and 98 per cent."""
    rnd = random.Random(11)
    hits = 0
    for _ in range(400):
        found = trend(series(*(int(1_000_000 + 500 * n + rnd.gauss(0, 20_000)) for n in range(30))))
        hits += found.low <= 500 <= found.high
    assert 0.92 <= hits / 400 <= 0.98


def test_unknown_stays_unknown() -> None:
    assert forecast([]) is None
    few = forecast(series(1, 2, 3, 4, 5, 6), 100)
    assert few is not None
    assert (few.days, few.last_bytes, few.slope, few.days_to_full) == (6, 6, None, None)
    enough = forecast(series(1, 2, 3, 4, 5, 6, 7))
    assert enough is not None
    assert (enough.slope, enough.volume_bytes, enough.days_to_full) == (1.0, None, None)


def test_what_shrinks_is_never_full_and_what_is_full_is_full_now() -> None:
    shrinking = forecast(series(*range(100, 80, -1)), 1000)
    assert shrinking is not None
    assert (shrinking.slope, shrinking.days_to_full, shrinking.full_soonest) == (-1.0, None, None)
    full = forecast(series(*range(100, 120)), 119)
    assert full is not None
    assert (full.days_to_full, full.full_soonest, full.full_latest) == (0.0, 0.0, 0.0)
    at_once = forecast(series(5), 5)
    assert at_once is not None
    assert at_once.days_to_full == 0.0


def test_perhaps_never_has_a_soonest_and_no_latest() -> None:
    sizes = [1000, 1010, 990, 1020, 985, 1030, 1000, 1040, 990, 1045]
    found = forecast(series(*sizes), 2000)
    assert found is not None
    assert found.slope_low is not None and found.slope is not None
    assert found.slope_low <= 0 < found.slope
    assert found.full_soonest is not None and found.days_to_full is not None
    assert found.full_soonest < found.days_to_full
    assert found.full_latest is None
