"""How the work on one instance, or on one period, came out: values that a caller shows, counts and records.

Every instance that was asked for comes out as exactly one item in exactly one state. Knows no database and no Dagster.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from sync_assets.engine.errors import SyncError
from sync_assets.fleet.capacity import GapReason
from sync_assets.fleet.model import Sections

if TYPE_CHECKING:
    from sync_assets.fleet.periods import Period, PeriodSummary
    from sync_assets.store.fleet.accounts import Publication


class ItemState(StrEnum):
    """`EMPTY`: all went well and there is nothing there. `DEGRADED`: done, without some section that was denied or
    failed. `BLOCKED`: the shrink guard refused to publish. `SKIPPED`: there was nothing to do."""

    OK = "ok"
    EMPTY = "empty"
    DEGRADED = "degraded"
    FAILED = "failed"
    SKIPPED = "skipped"
    BLOCKED = "blocked"

    @property
    def good(self) -> bool:
        """Whether nobody has to look: what was asked for is there."""
        return self not in (ItemState.FAILED, ItemState.BLOCKED)


@dataclass(frozen=True, slots=True)
class Item:
    """One instance. `reason` is the class of trouble (``dns``, ``refused``, ``timeout``, ``auth``, ``privilege``,
    ``version``, ``protocol``, ``too_late``, ``blocked``, ``other``), of what failed only; `counts` are of rows that
    were kept; `attempts` how often the server was dialled."""

    instance: str
    state: ItemState
    error: SyncError | None = None
    reason: GapReason | Literal[""] = ""
    sections: Sections = field(default_factory=lambda: MappingProxyType({}))
    counts: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    seconds: float = 0.0
    publication: Publication | None = None
    attempts: int = 0
    server: str = ""
    observed_at: datetime | None = None
    late: bool = False  # of capacity: collected within the grace, after its day


@dataclass(frozen=True, slots=True)
class PeriodItem:
    """One period: its summary, or the error that stopped it."""

    period: Period
    state: ItemState
    summary: PeriodSummary | None = None
    error: SyncError | None = None
    seconds: float = 0.0


def counted(items: Iterable[Item | PeriodItem]) -> dict[ItemState, int]:
    """How many came out in which state, every state named: their sum is the number of items."""
    found = Counter(item.state for item in items)
    return {state: found[state] for state in ItemState}
