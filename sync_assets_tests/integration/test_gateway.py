"""The ground of the gateway: it runs, says whether it can work, and lets nobody in without credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sync_assets_tests.fix_gateway import Gateway


def test_it_lives_and_can_work(gateway: Gateway):
    with gateway.client() as http:
        assert http.get("/health").json() == {"status": "ok"}
        assert http.get("/ready").json() == {"status": "ok"}


def test_what_is_not_there_is_told_only_to_those_who_may_ask(gateway: Gateway):
    with gateway.client() as stranger, gateway.client("read:*") as reader:
        assert stranger.get("/nothing").status_code == 401
        assert reader.get("/nothing").status_code == 404
        assert reader.get("/nothing").json() == {"error": "Not Found"}
