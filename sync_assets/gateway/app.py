"""The gateway put together: what stands around every request, then the endpoints. Must not import Dagster.

From the outside in: headers, proxies that are trusted, id and log, who calls, how often, how much, whether
it is what was signed, audit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import JSONResponse

from sync_assets.engine.errors import SyncError
from sync_assets.gateway import auth_routes, health, initiating, metrics, pages, receiving, sourcing
from sync_assets.gateway.access import Gatekeeper
from sync_assets.gateway.audit import Audited
from sync_assets.gateway.headers import Hardened
from sync_assets.gateway.limits import Bounded, Buckets, Paced
from sync_assets.gateway.logging import Watched
from sync_assets.gateway.openapi import describe
from sync_assets.gateway.pages.shown import Shown
from sync_assets.gateway.refusal import Refused, of_error
from sync_assets.gateway.signed import Sealed

if TYPE_CHECKING:
    from sync_assets.gateway.services import Services
    from sync_assets.gateway.settings import Settings

_THREADS = 16  # each may hold a connection to the control database


def create_app(settings: Settings, services: Services) -> FastAPI:
    """The gateway for any ASGI server. `services` stay the caller's to close, after the app has ended."""
    services.settings = settings
    meters = metrics.Meters()
    app = FastAPI(
        title="sync-assets gateway",
        version="1",
        openapi_url="/api/openapi.json",
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan(services),
        middleware=_around(settings, services, meters),
        exception_handlers={
            SyncError: _expected,
            HTTPException: _refused,
            RequestValidationError: _invalid,
        },
    )
    _include(app, services, meters)
    describe(app)
    return app


def _around(settings: Settings, services: Services, meters: metrics.Meters) -> list[Middleware]:
    limits = settings.limits
    strangers = Buckets(limits.strangers, limits.strangers_burst, services.clock)
    calls = Buckets(limits.calls, limits.burst, services.clock)
    return [
        Middleware(Hardened),
        *_proxies(settings),
        Middleware(Watched, meters=meters),
        Middleware(Shown),
        Middleware(Gatekeeper, services=services, strangers=strangers),
        Middleware(Paced, buckets=calls),
        Middleware(Bounded, limits=limits),
        Middleware(Sealed),
        Middleware(Audited, services=services),
    ]


def _proxies(settings: Settings) -> list[Middleware]:
    """What trusted proxies say of the caller's address and scheme."""
    from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

    believing: Any = ProxyHeadersMiddleware
    return [Middleware(believing, trusted_hosts=list(settings.proxies))] if settings.proxies else []


def _include(app: FastAPI, services: Services, meters: metrics.Meters) -> None:
    app.include_router(health.router(services))
    app.include_router(metrics.router(services, meters))
    app.include_router(auth_routes.router(services), tags=["auth"])
    for part in (receiving, sourcing, initiating):
        app.include_router(part.router(services), prefix="/api/sync", tags=["sync"])
    app.include_router(pages.router(services), include_in_schema=False)


def _lifespan(services: Services) -> Any:
    @asynccontextmanager
    async def around(_: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
        for begin in services.at_start:
            await anyio.to_thread.run_sync(begin)
        try:
            yield
        finally:
            for end in reversed(services.at_end):
                await anyio.to_thread.run_sync(end)

    return around


async def _expected(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, SyncError)  # noqa: S101
    return of_error(error).response()


async def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    if isinstance(error, Refused):
        return error.response()
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    """What is wrong with each field; never the value."""
    assert isinstance(error, RequestValidationError)  # noqa: S101
    faults = [f"{'.'.join(map(str, fault['loc']))[:100]}: {fault['msg'][:200]}" for fault in error.errors()[:10]]
    return JSONResponse({"error": "; ".join(faults)}, 400)
