"""A sync while it goes on and afterwards, and all of them: what was asked, how far it is, each document's outcome."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from sync_assets.exchange.work import Direction, Order, SyncState, SyncStatus, UnitStatus
from sync_assets.gateway.access import Caller, caller_of
from sync_assets.gateway.pages.desk import Desk
from sync_assets.gateway.pages.rendering import render
from sync_assets.gateway.refusal import missing

_NEWEST = 100


def add(router: APIRouter, desk: Desk) -> None:
    """The routes of syncs."""

    @router.get("/pages/sync/{sync_id}")
    def sync(request: Request, sync_id: str, caller: Annotated[Caller, Depends(caller_of)], show: str = "") -> Response:
        state = _state(desk, caller, sync_id)
        units = desk.syncs.units(sync_id)
        failed = [unit for unit in units if UnitStatus.FAILED in {unit.status, *(d.status for d in unit.documents)}]
        return render(
            request, "sync.html", **_shown(desk, state), show=show, running="running" in request.query_params,
            units=failed if show == "failed" else units, failures=len(failed),
        )  # fmt: skip

    @router.get("/pages/sync/{sync_id}/progress")
    def progress(request: Request, sync_id: str, caller: Annotated[Caller, Depends(caller_of)]) -> Response:
        """The part of the page that changes; asked for every second while a sync goes on."""
        return render(request, "progress.html", **_shown(desk, _state(desk, caller, sync_id)))

    @router.get("/pages/history")
    def history(
        request: Request, caller: Annotated[Caller, Depends(caller_of)], peer: str = "", direction: str = "",
    ) -> Response:  # fmt: skip
        way = Direction(direction) if direction in set(Direction) else None
        states = desk.syncs.recent(direction=way, peer=peer or None, sight=desk.sight(caller), limit=_NEWEST)
        return render(
            request, "history.html", states=states, titles=_titles(desk), peer=peer, direction=direction,
            newest=_NEWEST,
        )  # fmt: skip


def _state(desk: Desk, caller: Caller, sync_id: str) -> SyncState:
    """Raises 404 where there is none, or none for the caller."""
    state = desk.syncs.state(sync_id)
    if state is None or not desk.may_see(caller, state):
        raise missing()
    return state


def _shown(desk: Desk, state: SyncState) -> dict[str, Any]:
    """What both the page and its changing part say of a sync."""
    order = state.order
    return {
        "state": state, "peer": _titles(desk).get(order.peer, order.peer), "going": state.status
        is SyncStatus.IN_PROGRESS, "done": state.succeeded + state.failed + state.skipped,
        "name": state.repository_name or _name(desk, order),
        "home": "" if order.direction is Direction.PUSH else _home(desk, order.peer),
    }  # fmt: skip


def _name(desk: Desk, order: Order) -> str:
    """Until the sync has told it."""
    found = desk.library.repositories([order.repository_id]) if order.direction is Direction.PUSH else ()
    return found[0].name if found else f"#{order.repository_id}"


def _titles(desk: Desk) -> dict[str, str]:
    return {peer.name: peer.title for peer in desk.peers()}


def _home(desk: Desk, peer: str) -> str | None:
    """Where documents of a pull live; None where the peer is not configured any more."""
    return next((p.page for p in desk.peers() if p.name == peer), None)
