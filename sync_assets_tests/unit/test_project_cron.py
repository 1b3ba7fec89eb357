"""What passes as a cron expression is one for the scheduler, and what it refuses does not pass."""

from __future__ import annotations

import pytest
from dagster._utils.schedules import is_valid_cron_string
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_assets.project import cron

RIGHT = ["0 9 * * *", "*/15 * * * *", "0 8-18/2 * * mon-fri", "5,35 * 1,15 * *", "0 0 * jan-jun SUN", "0 0 29 2 *",
         "0 0 * * 7", "30 23 31 12 *", *cron.NAMES]  # fmt: skip
WRONG = {
    "": "0 fields",
    "0 9 * *": "4 fields",
    "0 0 9 * * *": "6 fields",
    "60 * * * *": "minute '60'",
    "0 24 * * *": "hour '24'",
    "0 0 0 * *": "day of the month '0'",
    "0 0 * 13 *": "month '13'",
    "0 0 * * 8": "weekday '8'",
    "0 0 * * monday": "weekday 'monday'",
    "*/0 * * * *": "minute step '0'",
    "0 18-8 * * *": "hour '18-8' runs backwards",
    "5/15 * * * *": "write */15 or 5-59/15",
    "0 0 31 4 *": "month 4 has no day 31",
    "@sometimes": "@sometimes is not one of",
    "0 九 * * *": "hour '九'",
    "0 ９ * * *": "hour '９'",
    "0 -1 * * *": "hour ''",
    "0 1,, * * *": "hour ''",
}
FIELD = st.one_of(
    st.sampled_from(["*", "*/2", "*/99", "1-5", "5-1", "1-5/2", "1,2", "1/2", "mon", "jan", "jan-mar", "?", "L", "-"]),
    st.integers(-1, 70).map(str),
)  # fmt: skip


@pytest.mark.parametrize("expression", RIGHT)
def test_right_ones_pass(expression):
    assert cron.fault(expression) is None
    assert is_valid_cron_string(expression)


@pytest.mark.parametrize("expression", WRONG)
def test_wrong_ones_are_told_what_is_wrong(expression):
    assert WRONG[expression] in (cron.fault(expression) or "")


@given(st.lists(FIELD, min_size=4, max_size=6).map(" ".join))
@settings(max_examples=500, deadline=None)
def test_what_passes_the_scheduler_takes(expression):
    if cron.fault(expression) is None:
        assert is_valid_cron_string(expression)
