"""The style, the script and the icon of the page, for everybody: nothing of the installation is in them."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from sync_assets.gateway.pages.rendering import HERE
from sync_assets.gateway.refusal import missing

_KINDS = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_KEPT = "public, max-age=31536000, immutable"  # their address changes with them


def add(router: APIRouter) -> None:
    """The route of files."""

    @router.get("/pages/static/{name}")
    def static(name: str) -> Response:
        if name not in _KINDS:
            raise missing()
        return Response((HERE / "static" / name).read_bytes(), media_type=_KINDS[name],
                        headers={"Cache-Control": _KEPT})  # fmt: skip
