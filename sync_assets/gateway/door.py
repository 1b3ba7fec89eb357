"""Logins, for programs (`auth_routes`) and for pages alike: paced by address and by name, then checked.

Must not know how a request or an answer looks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sync_assets.gateway.limits import Buckets
from sync_assets.gateway.tokens import Tokens

if TYPE_CHECKING:
    from sync_assets.store.gateway.users import Login, Users

_SLOWLY = "too many logins"


@dataclass(frozen=True, slots=True)
class Signed:
    """A login that goes on: `access` proves it for `seconds`, `refresh` continues it once or ends it."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    seconds: int


@dataclass(frozen=True, slots=True)
class Door:
    """`keep_seconds`: how long a login goes on that is not used."""

    users: Users
    tokens: Tokens
    paces: Buckets
    keep_seconds: int

    def sign_in(
        self, name: str, password: str, address: str, request_id: str, seconds: int | None = None
    ) -> Signed | None:
        """None when refused, whatever the reason and after the same time. Raises `Refused` (429).

        With `seconds` one access token lasts as long as the login, for browsers, which do not go on by themselves.
        """
        self.paces.take(f"address:{address}", _SLOWLY)
        self.paces.take(f"name:{name[:100]}", _SLOWLY)
        return self._signed(self.users.login(name, password, seconds or self.keep_seconds, request_id), seconds)

    def go_on(self, refresh: str, request_id: str) -> Signed | None:
        """The next tokens; None where the login has ended, or ends now because `refresh` was used before."""
        return self._signed(self.users.refresh(refresh, self.keep_seconds, request_id))

    def sign_out(self, refresh: str, request_id: str) -> None:
        self.users.logout(refresh, request_id)

    def _signed(self, login: Login | None, seconds: int | None = None) -> Signed | None:
        if login is None:
            return None
        lasts = seconds or self.tokens.seconds
        return Signed(self.tokens.issue(login.name, login.family, lasts), login.refresh, lasts)
