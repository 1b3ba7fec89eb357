"""Which syncs and events a caller is told of: what is beyond his sight takes no place in a list, and one rule holds for
the status of one sync and for lists."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest

from sync_assets.engine.holder import holder_name
from sync_assets.exchange.model import Repository
from sync_assets.exchange.work import Direction, DocumentOutcome, Order, SyncStatus, Unit, UnitStatus
from sync_assets.gateway.access import Caller
from sync_assets.gateway.exchanging import may_see, sight
from sync_assets.store.exchange.syncs import PostgresSyncs

if TYPE_CHECKING:
    from sync_assets_tests.fix_gateway import Gateway

OTHERS = 600  # documents; a list shows at most 500


def carried_out(syncs: PostgresSyncs, order: Order, documents: int = 1) -> str:
    """A sync that has ended, with a unit for each document; its id."""
    sync_id = syncs.start(order, holder_name("test")).sync_id
    units = [
        Unit(n, n, f"task {n}", UnitStatus.SUCCEEDED, 1, documents=(DocumentOutcome(n, "x", UnitStatus.SUCCEEDED),))
        for n in range(1, documents + 1)
    ]
    syncs.plan(sync_id, Repository(order.repository_id, "repository"), units)
    syncs.done(sync_id, units)
    syncs.finish(sync_id, SyncStatus.COMPLETED)
    return sync_id


@pytest.fixture
def syncs(gateway: Gateway) -> PostgresSyncs:
    return PostgresSyncs(gateway.store)


@pytest.fixture
def all_kinds(syncs: PostgresSyncs) -> dict[str, Order]:
    """Pushes and pulls of two repositories by two callers, by their ids."""
    orders = [
        Order(way, "other", repository, asked_by=who)
        for way, repository, who in product(Direction, (7, 8), ("key:me", "user:ada"))
    ]
    return {carried_out(syncs, order): order for order in orders}


SCOPES = (("admin",), ("read:*",), ("read:7",), ("write:*",), ("read:8", "write:7"), ("read:9",), ("write:9",))


@pytest.mark.parametrize("scopes", SCOPES, ids="+".join)
def test_a_list_shows_exactly_what_may_be_looked_at(
    gateway: Gateway, syncs: PostgresSyncs, all_kinds: dict[str, Order], scopes: tuple[str, ...]
) -> None:
    me = Caller("me", scopes)
    visible = {sync_id for sync_id, order in all_kinds.items() if may_see(me, order)}
    assert {state.sync_id for state in syncs.recent(sight=sight(me))} == visible
    with gateway.client(key=gateway.key(*scopes, name="me")) as http:
        told = http.get("/api/sync/event-list").json()["data"]
        assert {event["sync_id"] for event in told} == visible
        statuses = {sync_id: http.get(f"/api/sync/status/{sync_id}").status_code for sync_id in all_kinds}
    assert statuses == {sync_id: 200 if sync_id in visible else 404 for sync_id in all_kinds}
    assert {sync_id for sync_id, order in all_kinds.items() if order.asked_by == "key:me"} <= visible


def test_who_could_see_no_sync_at_all_is_told_so(gateway: Gateway, all_kinds: dict[str, Order]) -> None:
    with gateway.client("metrics") as http:
        for path in ("/api/sync/event-list", f"/api/sync/status/{next(iter(all_kinds))}", "/api/sync/status/nothing"):
            assert http.get(path).status_code == 403


def test_what_lies_behind_many_events_of_others_is_seen(gateway: Gateway, syncs: PostgresSyncs) -> None:
    mine = carried_out(syncs, Order(Direction.PUSH, "other", 7), 3)
    carried_out(syncs, Order(Direction.PUSH, "other", 8), OTHERS)
    carried_out(syncs, Order(Direction.PULL, "other", 7, asked_by="user:ada"), OTHERS)
    with gateway.client("read:7") as http:
        told = http.get("/api/sync/event-list").json()["data"]
        assert [(event["sync_id"], event["doc_id"]) for event in told] == [(mine, 3), (mine, 2), (mine, 1)]
        assert len(http.get("/api/sync/event-list", params={"limit": 2}).json()["data"]) == 2
        assert http.get("/api/sync/event-list", params={"repository_id": 8}).json()["data"] == []
    with gateway.client("read") as http:
        told = http.get("/api/sync/event-list", params={"limit": 500, "mode": "push"}).json()["data"]
        assert {event["sync_id"] for event in told} != {mine} and len(told) == 500


def test_a_sync_that_goes_on_is_among_the_events_at_once(gateway: Gateway, syncs: PostgresSyncs) -> None:
    sync_id = syncs.start(Order(Direction.PUSH, "other", 7), holder_name("test")).sync_id
    unit = Unit(1, 1, "task", UnitStatus.FAILED, 1, "refused", (DocumentOutcome(5, "x", UnitStatus.FAILED, "refused"),))
    syncs.plan(sync_id, Repository(7, "repository"), [unit, Unit(2, 2, "without documents")])
    syncs.done(sync_id, [unit, Unit(2, 2, "without documents", UnitStatus.SUCCEEDED, 1)])
    for scope in ("read:7", "read"):
        with gateway.client(scope) as http:
            [event] = http.get("/api/sync/event-list").json()["data"]
            assert (event["doc_id"], event["success"], event["error"]) == (5, False, "refused")
