"""Which records a partitioned clone may delete: those of its windows, to the millisecond, in the zone of the sync."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sync_assets.engine import scope
from sync_assets.engine.errors import Stop
from sync_assets.engine.model import Column, ColumnType, Partition
from sync_assets.engine.target import Mapped, Shape
from sync_assets.targets.bitable import cells
from sync_assets.targets.bitable.clock import WallClock, milliseconds

SHANGHAI = ZoneInfo("Asia/Shanghai")


def shape(kind: int) -> Shape:
    codec = cells.codec(kind, "day", WallClock(SHANGHAI))
    key = cells.codec(cells.NUMBER, "id", WallClock(SHANGHAI))
    return Shape(
        (
            Mapped(Column("id", ColumnType.INTEGER), 0, "id", key.canonise),
            Mapped(Column("day", ColumnType.DATETIME), 1, "day", codec.canonise),
        )
    )


def day(text: str) -> Partition:
    start = datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)
    return Partition(text, start, start + timedelta(days=1))


def ms(text: str) -> int:
    return milliseconds(datetime.fromisoformat(text).replace(tzinfo=SHANGHAI))


@pytest.mark.parametrize(
    ("at", "number"),
    [
        (ms("2026-10-01 00:00:00"), 0),
        (ms("2026-10-01 23:59:59.999"), 0),
        (ms("2026-10-02 00:00:00"), 7),
        (ms("2026-10-02 23:59:59.999"), 7),
        (ms("2026-10-03 00:00:00"), None),
        (ms("2026-09-30 23:59:59.999"), None),
        (None, None),  # an empty cell belongs to no window: nobody deletes it
    ],
)
def test_windows_are_half_open_at_the_midnight_of_the_zone(at: int | None, number: int | None) -> None:
    inside = scope.of_partitions("orders", shape(cells.DATE), "day", [(7, day("2026-10-02")), (0, day("2026-10-01"))])
    assert inside((1.0, at)) == number


def test_utc_midnight_is_no_border() -> None:
    inside = scope.of_partitions("orders", shape(cells.DATE), "day", [(0, day("2026-10-01"))])
    utc = milliseconds(datetime(2026, 10, 1, 0, 0, tzinfo=UTC))
    assert inside((1.0, utc)) == 0
    assert inside((1.0, utc + 16 * 3600 * 1000)) is None, "16:00 UTC is the next day in Shanghai"


@pytest.mark.parametrize(("kind", "values"), [(cells.TEXT, ["1", "2"]), (cells.NUMBER, [1.0, 2.0])])
def test_fixed_values_are_compared_as_the_board_holds_them(kind: int, values: list[Any]) -> None:
    parts = [(0, Partition("1", value="1")), (1, Partition("2", value="2"))]
    inside = scope.of_partitions("orders", shape(kind), "day", parts)
    assert [inside((9.0, v)) for v in values] == [0, 1]
    assert inside((9.0, "other")) is None
    assert inside((9.0, None)) is None


def test_texts_cannot_be_compared_with_windows() -> None:
    with pytest.raises(Stop, match="type: datetime"):
        scope.of_partitions("orders", shape(cells.TEXT), "day", [(0, day("2026-10-01"))])


def test_the_column_must_be_on_the_board() -> None:
    with pytest.raises(Stop, match="cannot be told apart"):
        scope.of_partitions("orders", shape(cells.DATE), "month", [(0, day("2026-10-01"))])


def test_without_partitions_everything_is_in_scope() -> None:
    assert scope.whole((1.0, None)) == 0
