"""The emulator as an ASGI application: routes, the cutting of connections, saving at the end.

Nothing is decided here: calls go to `pipeline`, control to `control`, boards are shown by `pages`.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from sync_assets.testing.bitable import control, pages, saving
from sync_assets.testing.bitable.answers import Refusal, dumps
from sync_assets.testing.bitable.call import Call, Endpoint
from sync_assets.testing.bitable.catalogue import ENDPOINTS
from sync_assets.testing.bitable.config import Config
from sync_assets.testing.bitable.faults import Cut
from sync_assets.testing.bitable.pipeline import Stage, serve
from sync_assets.testing.bitable.world import World

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER with no time: close sends RST


def create_app(config: Config | None = None, *, control_open: bool = False, state: Path | None = None) -> ASGIApp:
    """The emulator for any ASGI server; cutting connections needs uvicorn.

    `control_open` opens `/_emulator/...` to everybody who reaches the server. `state` names a file that boards are
    loaded from, and saved to when the server stops.
    """
    config = config or Config()
    stage = Stage(saving.load(state, config) if state and state.exists() else World(config), config)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        if state:
            saving.save(state, stage.world)

    routes = [Route(e.path, _endpoint(stage, e), methods=[e.method]) for e in ENDPOINTS]
    routes += _page_routes(stage)
    if control_open:
        routes.append(Route("/_emulator/{verb}", _control(stage), methods=["POST"]))
    handlers: Any = {404: _refusing(99991201), 405: _refusing(99991301)}
    return Severable(Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers))


class Severable:
    """Lends the connection to the application, which may have to cut it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":  # uvicorn's send is a method of the cycle that holds the transport
            scope["transport"] = getattr(getattr(send, "__self__", None), "transport", None)
        await self.app(scope, receive, send)


async def _sever(request: Request, hard: bool) -> Response:
    transport: asyncio.Transport | None = request.scope.get("transport")
    if transport is None:
        raise ConnectionError("the answer was cut off")
    if hard:
        raw: socket.socket = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    transport.abort()
    while not await request.is_disconnected():  # what is sent before uvicorn knows would be an error
        await asyncio.sleep(0)
    return Response()


Serve = Callable[[Request], Awaitable[Response]]


def _endpoint(stage: Stage, endpoint: Endpoint) -> Serve:
    async def respond(request: Request) -> Response:
        raw = await request.body()
        call = Call(stage.world, request.path_params, request.query_params, raw, request.headers)
        try:
            reply = await serve(stage, endpoint, call)
        except Cut as cut:
            return await _sever(request, cut.hard)
        kind = "application/json; charset=utf-8" if reply.json else "text/html"
        response = Response(reply.body, reply.status, media_type=kind)
        # not through the constructor, which would put the names in small letters: see __main__
        response.raw_headers += [(k.encode(), v.encode()) for k, v in reply.headers.items()]
        return response

    return respond


def _control(stage: Stage) -> Serve:
    async def respond(request: Request) -> Response:
        try:
            answer = control.VERBS[request.path_params["verb"]](stage, await request.json())
        except Refusal as refusal:
            return Response(refusal.encode(""), 400)
        except (KeyError, TypeError, ValueError) as error:  # a mistake in a test: tell it
            return Response(dumps({"code": -1, "msg": f"{type(error).__name__}: {error}"}), 400)
        return Response(dumps(answer), media_type="application/json")

    return respond


def _page_routes(stage: Stage) -> list[Route]:
    async def index(request: Request) -> Response:
        return HTMLResponse(pages.index(stage.world))

    async def board(request: Request) -> Response:
        base = stage.world.bases.get(request.path_params["token"])
        return _shown(pages.board(stage.world, base, request.query_params.get("table")) if base else None)

    async def wiki(request: Request) -> Response:
        node = stage.world.nodes.get(request.path_params["token"])
        base = stage.world.bases.get(node.obj_token) if node else None
        return _shown(pages.board(stage.world, base, request.query_params.get("table")) if base else None)

    return [Route("/", index), Route("/base/{token}", board), Route("/wiki/{token}", wiki)]


def _shown(page: str | None) -> Response:
    return HTMLResponse(page or pages.missing(), 200 if page else 404)


def _refusing(code: int) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def respond(request: Request, error: Exception) -> Response:
        refusal = Refusal(code)
        return Response(refusal.encode(""), refusal.status, media_type="application/json")

    return respond
