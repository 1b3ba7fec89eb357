"""Signed calls at the door: whose a call is, before its body is read; that the body is the signed one, after it.

Whoever cannot sign learns nothing. Whoever can is told what is wrong with the clock, or that the call came before.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING

import anyio.to_thread
from starlette.datastructures import Headers

from sync_assets.exchange import signing
from sync_assets.exchange.signing import Head, Proof
from sync_assets.gateway.limits import again
from sync_assets.gateway.refusal import WHO, Refused, stranger

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from sync_assets.gateway.limits import Buckets
    from sync_assets.store.gateway.signed import SignedCalls, Signer

GUESSING = "too many wrong credentials"
_REMEMBERED = 10_000
_STATE = "signed_digest"  # where the middleware below finds what the door has seen
_IN_THE_LOOP = 64 * 1024  # bytes; the digest of more is made in a thread
_TOLD = ("x-sync-origin", "x-sync-id", "idempotency-key")


class Signatures:
    """Finds signers. A key that has counted is known again by its signature alone, without the control database, so
    that nobody else at its address can use up what strangers may try; it still has to count there."""

    def __init__(self, strangers: Buckets) -> None:
        self._strangers = strangers
        self._verifiers: OrderedDict[str, bytes] = OrderedDict()  # by key id

    async def signer(self, calls: SignedCalls, scope: Scope, header: str, address: str) -> Signer:
        """Raises 401, 429, and what `SignedCalls.signer` raises."""
        proof, call = signing.read(header), _head(scope)
        known = proof is not None and call is not None and self._is_known(proof, call)
        if not known:
            self._strangers.look(address, GUESSING)
        found = await anyio.to_thread.run_sync(calls.signer, proof, call) if proof and call else None
        if proof is None or found is None:
            self._strangers.take(address, GUESSING)
            raise stranger()
        self._remember(proof.key_id, found.verifier)
        _check(found)
        scope.setdefault("state", {})[_STATE] = proof.digest
        return found

    def _is_known(self, proof: Proof, call: Head) -> bool:
        verifier = self._verifiers.get(proof.key_id)
        return verifier is not None and signing.holds(verifier, proof, call)

    def _remember(self, key_id: str, verifier: bytes) -> None:
        self._verifiers[key_id] = verifier
        self._verifiers.move_to_end(key_id)
        if len(self._verifiers) > _REMEMBERED:
            self._verifiers.popitem(last=False)


def is_signed(header: str) -> bool:
    """Whether a header `Authorization` is of this scheme, well written or not."""
    return header.partition(" ")[0].lower() == signing.SCHEME


def unsigned() -> Refused:
    """401, to every API key that is shown where calls must be signed, without looking whether it counts."""
    text = (
        "keys are not taken here, only calls that are signed with them -> docs/how-to/gateway.md says how; "
        "this key was shown on the way: have it revoked, and sign with a new one"
    )
    return Refused(401, text, WHO)


def _head(scope: Scope) -> Head | None:
    """What is signed besides the body, as it came over the wire; None for headers that contradict each other."""
    headers = Headers(scope=scope)
    told = [headers.getlist(name) for name in _TOLD]
    if any(len(values) > 1 or values == [""] for values in told):
        return None
    path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
    origin, sync_id, key = ("".join(values) for values in told)
    return Head(scope["method"], f"{path}?{query}" if query else path, origin, sync_id, key)


def _check(signer: Signer) -> None:
    """Raises 401."""
    if not signer.in_time:
        where = f"{abs(signer.ahead)} s {'ahead of' if signer.ahead > 0 else 'behind'} the time here"
        text = f"the clocks differ: this call was signed {where}, {signing.WINDOW} s are allowed -> set both by NTP"
        raise Refused(401, text, WHO, {"code": "clock", "seconds": signer.ahead})
    if signer.again:
        text = "this call has come before -> sign each attempt anew, with another nonce"
        raise Refused(401, text, WHO, {"code": "replayed"})


class Sealed:
    """Middleware inside of `Bounded`: the body of a signed call is the one that was signed, or nobody gets it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        digest = scope.get("state", {}).get(_STATE)
        if digest is None:
            await self._app(scope, receive, send)
            return
        body = (await receive()).get("body", b"")  # Bounded gives it in one piece
        if await _digest(body) != digest:
            await Refused(401, "the body is not the one that was signed", WHO).send(scope, receive, send)
            return
        await self._app(scope, again(body, receive), send)


async def _digest(body: bytes) -> str:
    if len(body) <= _IN_THE_LOOP:
        return hashlib.sha256(body).hexdigest()
    return await anyio.to_thread.run_sync(lambda: hashlib.sha256(body).hexdigest())
