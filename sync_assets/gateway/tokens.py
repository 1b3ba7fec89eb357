"""Access tokens: JWT, HS256, short. The key is made from a key of stored secrets, so that rotating it counts here.

A token names the user and the login (`sid`); what the user may do is looked up, so that a logout counts at once.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import jwt

from sync_assets.store.keyring import Key, KeyRing

AUDIENCE = "sync_assets gateway"


@dataclass(frozen=True, slots=True)
class Tokens:
    """`issuer` is the installation: a token of another one does not count. `now` gives seconds since 1970."""

    ring: KeyRing = field(repr=False)
    issuer: str
    seconds: int
    now: Callable[[], float] = time.time

    def issue(self, user: str, family: str, seconds: int | None = None) -> str:
        """For `seconds` of its own, or as long as tokens last as a rule."""
        at = int(self.now())
        claims = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": user,
            "sid": family,
            "iat": at,
            "exp": at + (seconds or self.seconds),
            "jti": secrets.token_hex(16),
        }
        key = self.ring.newest
        return jwt.encode(claims, _signing(key), "HS256", {"kid": key.id})

    def read(self, token: str) -> tuple[str, str] | None:
        """User and login of a token that counts now."""
        try:
            key = self.ring.get(str(jwt.get_unverified_header(token).get("kid", "")))
            claims = jwt.decode(
                token,
                _signing(key) if key else b"\0" * 32,
                algorithms=["HS256"],
                audience=AUDIENCE,
                issuer=self.issuer,
                options={
                    "require": ["iss", "aud", "sub", "sid", "iat", "exp", "jti"],
                    "verify_exp": False,
                    "verify_iat": False,
                },
            )
        except jwt.PyJWTError:
            return None
        if key is None or not self._in_time(claims):
            return None
        return str(claims["sub"]), str(claims["sid"])

    def _in_time(self, claims: dict[str, object]) -> bool:
        issued, expires = claims["iat"], claims["exp"]
        whole = isinstance(issued, int) and isinstance(expires, int)
        return whole and issued - 60 <= self.now() < expires  # type: ignore[operator]


def _signing(key: Key) -> bytes:
    return hmac.new(key.raw, b"sync_assets: access tokens of the gateway", hashlib.sha256).digest()
