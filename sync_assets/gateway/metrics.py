"""Figures for Prometheus, in a registry of their own: calls, times, refusals, syncs. Labels are routes, never ids.

`/metrics` answers a caller with the scope `metrics` or `admin`, and this machine without one; not what came through a
proxy.
"""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.responses import PlainTextResponse

from sync_assets.engine.errors import SyncError
from sync_assets.gateway.access import Caller
from sync_assets.gateway.refusal import Refused, stranger
from sync_assets.gateway.settings import is_loopback
from sync_assets.store.gateway.audit import SQL

if TYPE_CHECKING:
    from sync_assets.gateway.services import Services

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


class Meters:
    """The figures of one gateway."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route")
        self.calls = Counter(
            "sync_assets_gateway_requests", "Answered requests.", (*labels, "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "sync_assets_gateway_request_seconds", "From the first byte asked to the last answered.", labels,
            buckets=(0.005, 0.02, 0.1, 0.5, 2, 10, 60), registry=self.registry,
        )  # fmt: skip
        self.at_work = Gauge("sync_assets_gateway_requests_at_work", "Requests at work now.", registry=self.registry)
        self.syncs = Gauge(
            "sync_assets_exchange_syncs", "Syncs that are kept, by how they stand.", ("direction", "status"),
            registry=self.registry,
        )  # fmt: skip
        about = Gauge("sync_assets_gateway_info", "Version.", ("version",), registry=self.registry)
        about.labels(importlib.metadata.version("sync-assets")).set(1)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        known = method if method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS") else "other"
        self.calls.labels(known, route, str(status)).inc()
        self.seconds.labels(known, route).observe(seconds)


def router(services: Services, meters: Meters) -> APIRouter:
    """`GET /metrics`."""
    routes = APIRouter()

    @routes.get("/metrics", response_class=PlainTextResponse)
    def metrics(request: Request) -> PlainTextResponse:
        """Figures in the text format of Prometheus."""
        _check(request)
        _look(services, meters)
        return PlainTextResponse(generate_latest(meters.registry), media_type=CONTENT_TYPE_LATEST)

    return routes


def _look(services: Services, meters: Meters) -> None:
    """What is counted in the control database. Without it the other figures are answered all the same."""
    try:
        rows = services.store.sessions.run(lambda cursor: cursor.execute(SQL["sync_counts"]).fetchall())
    except SyncError:
        return
    meters.syncs.clear()
    for direction, status, count in rows:
        meters.syncs.labels(direction, status).set(count)


def _check(request: Request) -> None:
    """Raises 401, 403."""
    caller = request.scope.get("state", {}).get("caller")
    if isinstance(caller, Caller):
        if {"metrics", "admin"}.isdisjoint(caller.scopes):
            raise Refused(403, "this needs the scope metrics")
        return
    here = request.client is not None and is_loopback(request.client.host)
    if not here or any(name in request.headers for name in _FORWARDED):
        raise stranger()
