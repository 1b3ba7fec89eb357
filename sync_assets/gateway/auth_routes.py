"""Logins: name and password for an access token (minutes) and a refresh token (days, each used once)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from sync_assets.gateway.envelope import Ok
from sync_assets.gateway.refusal import stranger

if TYPE_CHECKING:
    from sync_assets.gateway.limits import Buckets
    from sync_assets.gateway.services import Services
    from sync_assets.gateway.settings import Settings
    from sync_assets.gateway.tokens import Tokens
    from sync_assets.store.gateway.users import Login

_SLOWLY = "too many logins"


class Credentials(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100)
    password: str = Field(min_length=1, max_length=1024, repr=False)


class RefreshToken(BaseModel):
    model_config = ConfigDict(extra="forbid")

    refresh_token: str = Field(min_length=1, max_length=200, repr=False)


class Granted(BaseModel):
    """Seconds in `expires_in` are those of the access token."""

    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105
    expires_in: int


class Ended(BaseModel):
    ended: bool = True


def router(services: Services, settings: Settings, tokens: Tokens, logins: Buckets) -> APIRouter:
    routes = APIRouter(prefix="/api/v1/auth")

    def granted(login: Login | None) -> Ok[Granted]:
        if login is None:
            raise stranger()
        access = tokens.issue(login.name, login.family)
        return Ok(data=Granted(access_token=access, refresh_token=login.refresh, expires_in=settings.access_seconds))

    @routes.post("/login")
    async def login(given: Credentials, request: Request) -> Ok[Granted]:
        """Begin a login. One answer for a wrong name and a wrong password, after the same time."""
        from anyio.to_thread import run_sync

        address = request.client.host if request.client else ""
        logins.take(f"address:{address}", _SLOWLY)
        logins.take(f"name:{given.name}", _SLOWLY)
        found = await run_sync(
            services.users.login, given.name, given.password, settings.refresh_seconds, request.state.request_id
        )
        return granted(found)

    @routes.post("/refresh")
    def refresh(given: RefreshToken, request: Request) -> Ok[Granted]:
        """Go on with a login. A refresh token that is used twice ends it."""
        seconds = settings.refresh_seconds
        return granted(services.users.refresh(given.refresh_token, seconds, request.state.request_id))

    @routes.post("/logout")
    def logout(given: RefreshToken, request: Request) -> Ok[Ended]:
        """End a login; its access tokens end with it."""
        services.users.logout(given.refresh_token, request.state.request_id)
        return Ok(data=Ended())

    return routes
