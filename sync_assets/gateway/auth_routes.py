"""Logins: name and password for an access token (minutes) and a refresh token (days, each used once)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from sync_assets.gateway.envelope import Ok
from sync_assets.gateway.refusal import stranger

if TYPE_CHECKING:
    from sync_assets.gateway.door import Signed
    from sync_assets.gateway.services import Services


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


def router(services: Services) -> APIRouter:
    routes = APIRouter(prefix="/api/v1/auth")

    @routes.post("/login")
    def login(given: Credentials, request: Request) -> Ok[Granted]:
        """Begin a login. One answer for a wrong name and a wrong password, after the same time."""
        address = request.client.host if request.client else ""
        return _granted(services.door.sign_in(given.name, given.password, address, request.state.request_id))

    @routes.post("/refresh")
    def refresh(given: RefreshToken, request: Request) -> Ok[Granted]:
        """Go on with a login. A refresh token that is used twice ends it."""
        return _granted(services.door.go_on(given.refresh_token, request.state.request_id))

    @routes.post("/logout")
    def logout(given: RefreshToken, request: Request) -> Ok[Ended]:
        """End a login; its access tokens end with it."""
        services.door.sign_out(given.refresh_token, request.state.request_id)
        return Ok(data=Ended())

    return routes


def _granted(signed: Signed | None) -> Ok[Granted]:
    """Raises 401."""
    if signed is None:
        raise stranger()
    return Ok(data=Granted(access_token=signed.access, refresh_token=signed.refresh, expires_in=signed.seconds))
