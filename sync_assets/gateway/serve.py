"""Runs the gateway as a process of its own. The first line printed is its address, as soon as it listens."""

from __future__ import annotations

import logging
import socket
import ssl
import sys
from typing import TYPE_CHECKING

import uvicorn

from sync_assets.engine.errors import Stop
from sync_assets.gateway.app import create_app
from sync_assets.gateway.logging import access_log
from sync_assets.gateway.services import Services
from sync_assets.store import redaction
from sync_assets.store.control import open_store

if TYPE_CHECKING:
    from sync_assets.gateway.settings import Settings

_GRACE = 10  # seconds for requests at work
_AT_ONCE = 256  # connections; more are answered 503
_HEADERS = 32 * 1024  # bytes of a request's head


def serve(settings: Settings) -> None:
    """Until a signal ends it. Raises `Stop` for a port or certificate that cannot be used, `Retry`."""
    _log_lines()
    with open_store() as store:
        services = Services(store)
        listener = _listen(settings)
        server = uvicorn.Server(config(settings, services))
        scheme = "https" if settings.tls else "http"
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        sys.stdout.write(f"{scheme}://{host}:{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        server.run(sockets=[listener])


def config(settings: Settings, services: Services) -> uvicorn.Config:
    """How uvicorn runs it: h11, whose limits hold for the head; nothing said about itself. Raises `Stop`."""
    made = uvicorn.Config(
        create_app(settings, services),
        http="h11",
        ws="none",
        h11_max_incomplete_event_size=_HEADERS,
        limit_concurrency=_AT_ONCE,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=_GRACE,
        proxy_headers=False,  # ours believes only those it was told of
        server_header=False,
        date_header=True,
        access_log=False,
        log_config=None,
        lifespan="on",
        ssl_certfile=settings.certificate,
        ssl_keyfile=str(settings.certificate_key) if settings.certificate_key else None,
    )
    try:
        made.load()
    except (OSError, ssl.SSLError) as error:
        hint = "give a certificate in PEM and its key, readable by this user"
        raise Stop(f"the certificate cannot be used: {type(error).__name__}", hint=hint, code="tls") from None
    return made


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=512)
    except OSError as error:
        trouble = f"cannot listen on {settings.host} port {settings.port}: {error.strerror}"
        raise Stop(trouble, hint="is another gateway running? --port takes another", code="listen") from None
    # asyncio does this only for sockets that it made; without it small answers wait 40 ms for an acknowledgement
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _log_lines() -> None:
    """The access log and what goes wrong, on standard error; secrets are masked."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter('{"at": "%(asctime)s", "log": %(message)s}'))
    access_log.addHandler(handler)
    access_log.setLevel(logging.INFO)
    access_log.propagate = False
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    for logger in (access_log, logging.getLogger()):
        redaction.install(logger)
