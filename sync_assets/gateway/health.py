"""Whether the process lives (`/health`) and whether it can work (`/ready`: the control database answers). Open to all;
they tell nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from fastapi import APIRouter
from pydantic import BaseModel

from sync_assets.engine.errors import SyncError
from sync_assets.gateway.refusal import Refused
from sync_assets.store.gateway.audit import SQL

if TYPE_CHECKING:
    from sync_assets.gateway.services import Services


class Health(BaseModel):
    status: Literal["ok"] = "ok"


def router(services: Services) -> APIRouter:
    routes = APIRouter()

    @routes.get("/health")
    async def health() -> Health:
        """The process lives."""
        return Health()

    @routes.get("/ready")
    def ready() -> Health:
        """The control database answers."""
        try:
            services.store.sessions.run(lambda cursor: cursor.execute(SQL["alive"]).fetchone())
        except SyncError:
            raise Refused(503, "the control database does not answer", {"Retry-After": "5"}) from None
        return Health()

    return routes
