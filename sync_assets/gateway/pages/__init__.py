"""The page of an exchange, for people: rendered here, escaped always, in Chinese and English. No API is told here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import APIRouter

    from sync_assets.gateway.pages.desk import Desk
    from sync_assets.gateway.services import Services


def router(services: Services, desk: Desk | None = None) -> APIRouter:
    """The routes of the page, at the root of the gateway: ``/pages``, ``/repo`` and ``/`` itself."""
    from fastapi import APIRouter

    from sync_assets.gateway.pages import assets, choosing, entering, following, reading
    from sync_assets.gateway.pages.installation import Installation

    routes, used = APIRouter(), desk or Installation(services)
    assets.add(routes)
    for part in (entering, choosing, following, reading):
        part.add(routes, used)
    return routes
