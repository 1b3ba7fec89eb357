"""How fast something grows, and when it will fill its disk: Theil-Sen's slope with Sen's interval.

The slope is the median of the slopes of all pairs of days (Theil 1950; Sen 1968): a third of the days may be wild
without moving it far. Its interval is by ranks, from Kendall's variance with its correction for ties: Sen, "Estimates
of the regression coefficient based on Kendall's tau", JASA 63 (1968) 1379-1389; in the form of Gilbert, "Statistical
Methods for Environmental Pollution Monitoring" (1987), 16.5. It takes the days' deviations for independent of each
other; sizes are not quite that, so the true interval is somewhat wider. Pure; bytes and days.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from statistics import NormalDist, median

LEAST_DAYS = 7  # fewer say too little
WINDOW_DAYS = 90  # a quarter: 4,005 pairs
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Forecast:
    """Slopes in bytes a day, None with fewer than `LEAST_DAYS` days. Days to full count from `as_of`.

    `days_to_full` is 0 when it is full now, None where the volume or the slope is not known or it does not grow.
    `soonest` goes by the upper end of the interval; `latest` by the lower one, None when that does not grow.
    """

    as_of: date
    days: int
    last_bytes: int
    slope: float | None = None
    slope_low: float | None = None
    slope_high: float | None = None
    volume_bytes: int | None = None
    days_to_full: float | None = None
    full_soonest: float | None = None
    full_latest: float | None = None


@dataclass(frozen=True, slots=True)
class Trend:
    """A slope and its interval."""

    slope: float
    low: float
    high: float


def pair_slopes(points: Sequence[tuple[date, int]]) -> list[float]:
    """The slopes of all pairs, smallest first. No two points may be of one day."""
    numbered = [(day.toordinal(), size) for day, size in points]
    return sorted((late[1] - early[1]) / (late[0] - early[0]) for early, late in combinations(numbered, 2))


def trend(points: Sequence[tuple[date, int]], confidence: float = CONFIDENCE) -> Trend:
    """Theil-Sen with its interval. Needs two points."""
    slopes = pair_slopes(points)
    half = NormalDist().inv_cdf(0.5 + confidence / 2) * math.sqrt(_kendall_variance([y for _, y in points]))
    low = max(round((len(slopes) - half) / 2) - 1, 0)  # the M1-th smallest, counted from 0
    high = min(round((len(slopes) + half) / 2), len(slopes) - 1)  # the (M2 + 1)-th
    return Trend(median(slopes), slopes[low], slopes[high])


def _kendall_variance(values: Sequence[int]) -> float:
    """Of the number of concordant less discordant pairs when there is no trend; ties in the values make it less."""

    def term(n: int) -> int:
        return n * (n - 1) * (2 * n + 5)

    return (term(len(values)) - sum(term(n) for n in Counter(values).values())) / 18


def forecast(points: Sequence[tuple[date, int]], volume: int | None = None) -> Forecast | None:
    """What the days say of the next ones; `points` need no order. None without a point."""
    if not points:
        return None
    ordered = sorted(points)
    as_of, last = ordered[-1]
    if len(ordered) < LEAST_DAYS:
        return Forecast(as_of, len(ordered), last, volume_bytes=volume, days_to_full=_until_full(last, volume, 0.0))
    found = trend(ordered)
    full, soonest, latest = (_until_full(last, volume, rate) for rate in (found.slope, found.high, found.low))
    return Forecast(as_of, len(ordered), last, found.slope, found.low, found.high, volume, full, soonest, latest)


def _until_full(last: int, volume: int | None, rate: float) -> float | None:
    if volume is None:
        return None
    if last >= volume:
        return 0.0
    days = (volume - last) / rate if rate > 0 else math.inf
    return days if math.isfinite(days) else None
