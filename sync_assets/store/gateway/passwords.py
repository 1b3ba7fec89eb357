"""Passwords as scrypt digests that carry their cost and salt: `scrypt$n$r$p$salt$digest`, the last two in base64.

Cost as OWASP advises (N=2^17, r=8, p=1: 128 MiB), from https://cheatsheetseries.owasp.org, "Password Storage".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading

from sync_assets.engine.errors import Stop

_N, _R, _P, _BYTES = 2**17, 8, 1, 32
SHORTEST, LONGEST = 10, 1024  # characters
_one_at_a_time = threading.Semaphore(2)  # each takes 128 MiB


def digest(password: str) -> str:
    """Raises `Stop` for a password that is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        hint = f"{SHORTEST} to {LONGEST} characters"
        raise Stop("the password is too short or too long", hint=hint, code="password")
    salt = secrets.token_bytes(16)
    return "$".join(["scrypt", str(_N), str(_R), str(_P), _text(salt), _text(_derive(password, salt, _N, _R, _P))])


def matches(password: str, kept: str | None) -> bool:
    """Takes as long for a user that does not exist (`kept` None) as for one that does."""
    _, n, r, p, salt, wanted = (kept or _NOBODY).split("$")
    found = _derive(password[: LONGEST + 1], base64.b64decode(salt), int(n), int(r), int(p))
    return hmac.compare_digest(found, base64.b64decode(wanted)) and kept is not None


def _derive(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    raw = password.encode("utf-8", "surrogatepass")
    with _one_at_a_time:
        return hashlib.scrypt(raw, salt=salt, n=n, r=r, p=p, maxmem=256 * n * r, dklen=_BYTES)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


_NOBODY = "$".join(["scrypt", str(_N), str(_R), str(_P), _text(bytes(16)), _text(bytes(_BYTES))])
