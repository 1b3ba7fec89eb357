"""What must look suspicious before anything is written, and what must not."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest

from sync_assets.engine import guard
from sync_assets.engine.errors import Stop
from sync_assets.engine.guard import DeleteLimit


def stops(wanted: bool, code: str | None = None) -> Any:
    return pytest.raises(Stop, match=code) if wanted else nullcontext()


@pytest.mark.parametrize(
    ("records", "last", "refused"),
    [
        (0, None, False),  # the first run
        (0, 0, False),
        (0, 20, False),  # a handful may be deleted by hand
        (0, 21, True),  # rows hidden by advanced permissions look just like this
        (50, 100, False),
        (49, 100, True),
        (49, 69, False),
        (200, 100, False),
    ],
)
def test_a_target_that_shows_far_too_little(records: int, last: int | None, refused: bool) -> None:
    with stops(refused, "target_shrunken"):
        guard.refuse_shrunken_target("orders", records, last)


@pytest.mark.parametrize(
    ("read", "scoped", "allowed", "refused"),
    [(0, 10, False, True), (0, 10, True, False), (0, 0, False, False), (1, 10, False, False)],
)
def test_a_source_that_is_empty(read: int, scoped: int, allowed: bool, refused: bool) -> None:
    with stops(refused, "empty_source"):
        guard.refuse_empty_source("orders", read, scoped, allowed)


@pytest.mark.parametrize(
    ("deletes", "scoped", "refused"),
    [
        (20, 20, False),  # `rows` may always go
        (21, 21, True),
        (21, 70, False),  # exactly the share
        (22, 70, True),
        (300, 1000, False),
        (301, 1000, True),
    ],
)
def test_more_deletes_than_the_limit(deletes: int, scoped: int, refused: bool) -> None:
    with stops(refused, "delete_guard"):
        guard.refuse_mass_delete("orders", deletes, scoped, DeleteLimit(0.3, 20))


@pytest.mark.parametrize(("deletes", "refused"), [(0, False), (1, True)])
def test_a_limit_of_nothing(deletes: int, refused: bool) -> None:
    with stops(refused):
        guard.refuse_mass_delete("orders", deletes, 100, DeleteLimit(0.0, 0))


@pytest.mark.parametrize(
    ("rejected", "known", "refused"), [(3, 0, False), (4, 0, True), (0, 4, True), (2, 1, False), (2, 2, True)]
)
def test_more_rejects_than_the_limit(rejected: int, known: int, refused: bool) -> None:
    with stops(refused, "reject_limit"):
        guard.refuse_many_rejects("orders", rejected, known, 3)


def test_the_way_out_is_named() -> None:
    with pytest.raises(Stop, match="sync-assets plan orders"):
        guard.refuse_many_rejects("orders", 4, 0, 3)
    with pytest.raises(Stop, match=r"sync-assets rejects orders.*--resend"):
        guard.refuse_many_rejects("orders", 0, 4, 3)
    with pytest.raises(Stop, match="sync-assets plan orders"):
        guard.refuse_mass_delete("orders", 50, 50, DeleteLimit())
    with pytest.raises(Stop, match="--accept-empty"):
        guard.refuse_shrunken_target("orders", 0, 100)
