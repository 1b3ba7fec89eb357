"""Tell a group which repositories failed to travel, once for each trouble, and when it is over.

A sensor reads the syncs in the control database, so that it is told by whichever door they came in: a run, the page, a
command. Must not know how anything was exchanged.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from sync_assets.components.exchange_assets import Made
from sync_assets.components.naming import slug
from sync_assets.components.notices import Notice
from sync_assets.engine.errors import SyncError
from sync_assets.exchange.work import SyncStatus
from sync_assets.store.redaction import redact

if TYPE_CHECKING:
    from sync_assets.engine.control import ControlStore
    from sync_assets.exchange.work import SyncState

_LINES = 30  # of one notice


def alerts(made: Made) -> Callable[[dg.SensorEvaluationContext], dg.SensorResult]:
    """The tick of the sensor. When the group cannot be reached, the next tick says it again."""

    def tick(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        ended = made.execution.newest([peer.name for peer in made.exchange.spec.peers])
        with made.execution.open_store() as store:
            new, over = settle(store, made.exchange.name, ended)
            try:
                _tell(made, list(new.values()), over)
            except SyncError:
                for incident in new:  # nobody knows of it yet
                    store.close_incident(incident)
                raise
        return dg.SensorResult(skip_reason=f"{len(new)} new, {len(over)} over")

    return tick


def settle(store: ControlStore, exchange: str, ended: Sequence[SyncState]) -> tuple[dict[str, str], list[str]]:
    """Open an incident for each repository whose last sync failed, close it for those whose last one is good.
    Returns what was not told yet, by incident, and the texts of what is over."""
    new: dict[str, str] = {}
    over: list[str] = []
    for state in ended:
        name = incident(exchange, state)
        if state.status is SyncStatus.COMPLETED:
            closed = store.close_incident(name)
            over += [closed.message] if closed is not None else []
        elif state.status is not SyncStatus.IN_PROGRESS:
            text = _text(state)
            if store.open_incident(name, text)[1]:
                new[name] = text
    return new, over


def incident(exchange: str, state: SyncState) -> str:
    order = state.order
    return f"exchange/{exchange}/{order.peer}/{order.direction}/{order.repository_id}"


def _text(state: SyncState) -> str:
    order = state.order
    what = f"{order.direction} of {state.repository_name or f'repository {order.repository_id}'} ({order.peer})"
    counts = f": {state.failed} of {state.total} tasks failed" if state.failed else ""
    return redact(f"{what} {state.status}{counts}{f': {state.error}' if state.error else ''} (sync {state.sync_id})")


def _tell(made: Made, new: Sequence[str], over: Sequence[str]) -> None:
    """One notice for what is new, one for what is over."""
    title, bot = made.exchange.spec.title or made.exchange.name, made.exchange.spec.alerts or ""
    for lines, what, recovered in ((new, "new", False), (over, "over", True)):
        if lines:
            more = [f"and {len(lines) - _LINES} more: sync-assets exchange history"] if len(lines) > _LINES else []
            notice = Notice(f"{title}: {len(lines)} {what}", (*lines[:_LINES], *more), _link(made), recovered=recovered)
            made.execution.notify(made.project, bot, notice)


def _link(made: Made) -> str:
    ui = os.environ.get("SYNC_ASSETS_UI_URL", "http://127.0.0.1:3000").rstrip("/")
    return f"{ui}/asset-groups/{slug(made.exchange.name)}"
