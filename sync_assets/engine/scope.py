"""Which records of the target belong to the partitions of a run: only those may a partitioned clone delete."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sync_assets.engine.errors import Stop
from sync_assets.engine.model import Partition
from sync_assets.engine.plan import Values
from sync_assets.engine.target import Shape

InScope = Callable[[Values], int | None]


def whole(values: Values) -> int | None:
    """Without partitions every record is in scope."""
    return 0


def of_partitions(sync: str, shape: Shape, column: str, partitions: Sequence[tuple[int, Partition]]) -> InScope:
    """A function from a record's values to the number of its partition, or None when it lies outside.

    Raises `Stop` when the target does not hold `column` in a form that can be compared with the windows.
    """
    position = shape.position(column)
    if position is None:
        raise Stop(
            f"{sync}: partition column {column} is not on the target, so its records cannot be told apart",
            hint="select the column in the query and do not skip it, or use another mode than clone",
        )
    if partitions and partitions[0][1].value is not None:
        return _by_value(shape, position, partitions)
    return _by_window(sync, shape, position, partitions)


def _by_value(shape: Shape, position: int, partitions: Sequence[tuple[int, Partition]]) -> InScope:
    canonise = shape.mapped[position].canonise
    wanted = {canonise(p.value): number for number, p in partitions}
    return lambda values: wanted.get(values[position])


def _by_window(sync: str, shape: Shape, position: int, partitions: Sequence[tuple[int, Partition]]) -> InScope:
    canonise = shape.mapped[position].canonise
    windows = sorted((canonise(p.start), canonise(p.end), number) for number, p in partitions)
    if any(isinstance(edge, str) for window in windows for edge in window[:2]):
        raise Stop(
            f"{sync}: {shape.mapped[position].field} is a text on the target; clone of time windows needs a date",
            hint="give the column type: datetime, or use another mode",
        )

    def scope(values: Values) -> int | None:
        at = values[position]
        if at is None:
            return None
        return next((n for start, end, n in windows if start <= at < end), None)  # type: ignore[operator]

    return scope
