"""Positions go to text and back as a value that compares rightly; earlier positions for the look-back."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sync_assets.engine.errors import Stop
from sync_assets.engine.model import Column, ColumnType
from sync_assets.sources import position

SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize(
    ("value", "text", "type_", "back"),
    [
        (None, None, ColumnType.TEXT, None),
        (7, "7", ColumnType.BIGINT, 7),
        (Decimal("1.10"), "1.10", ColumnType.DECIMAL, Decimal("1.10")),
        ("a", "a", ColumnType.TEXT, "a"),
        (True, "True", ColumnType.BOOL, True),
        (date(2026, 10, 1), "2026-10-01", ColumnType.DATE, datetime(2026, 10, 1)),
        (datetime(2026, 10, 1, 8), "2026-10-01 08:00:00", ColumnType.DATETIME, datetime(2026, 10, 1, 8)),
        (datetime(2026, 10, 1, 8, tzinfo=SHANGHAI), "2026-10-01 00:00:00+00:00", ColumnType.INSTANT,
         datetime(2026, 10, 1, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_there_and_back(value: Any, text: str | None, type_: ColumnType, back: Any) -> None:
    assert position.as_text(value) == text
    if text is not None:
        assert position.as_value(text, Column("w", type_), SHANGHAI) == back


def test_equal_instants_have_equal_texts() -> None:
    one = datetime(2026, 10, 1, 8, tzinfo=SHANGHAI)
    assert position.as_text(one) == position.as_text(one.astimezone(UTC))


def test_a_wall_clock_and_an_instant_meet_in_the_syncs_zone() -> None:
    column = Column("w", ColumnType.INSTANT)
    assert position.as_value("2026-10-01 08:00:00", column, SHANGHAI) == datetime(2026, 10, 1, tzinfo=UTC)
    column = Column("w", ColumnType.DATETIME)
    assert position.as_value("2026-10-01 00:00:00+00:00", column, SHANGHAI) == datetime(2026, 10, 1, 8)


@pytest.mark.parametrize("type_", [ColumnType.BIGINT, ColumnType.DECIMAL, ColumnType.DATETIME, ColumnType.BOOL])
def test_a_position_that_does_not_fit_is_named_and_not_quoted(type_: ColumnType) -> None:
    with pytest.raises(Stop, match="column 'w'") as caught:
        position.as_value("geheim", Column("w", type_), SHANGHAI)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds", "before"),
    [
        ("2026-10-01 00:00:00", 3600, "2026-09-30 23:00:00"),
        ("2026-10-01 00:00:00+00:00", 60, "2026-09-30 23:59:00+00:00"),
        ("2026-10-01", 3600, "2026-09-30 23:00:00"),
        ("12345", 3600, "12345"),
        ("a", 1, "a"),
    ],
)
def test_earlier(text: str, seconds: float, before: str) -> None:
    assert position.earlier(text, seconds) == before
