"""How a call between two installations is signed: what is signed, how it is written down, how it is proven.

    Authorization: Sync key="0123456789ab", time="1790000000", nonce="<22>", digest="<64>", signature="<86>"

The private key is made from the API key, which stays where it is; whoever made the API key has kept the public half.
Signed is everything that says what the call does (`text`). Both sides import this, so that they mean the
same. Must not know HTTP libraries, stores, or whether a call has come before.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SCHEME = "sync"  # of the header; case says nothing there
BASE = "/api/sync"  # what a peer's address ends in, and where the gateway has it, whatever stands before it
WINDOW = 300  # seconds by which the clocks of both may differ
NOTHING = hashlib.sha256(b"").hexdigest()  # the digest of no body
API_KEY = re.compile(r"sak_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_VERSION = "sync_assets signed call 1"
_SEED = b"sync_assets: signed calls\0"
_PARTS = re.compile(
    r'[Ss][Yy][Nn][Cc] key="(?P<key_id>[0-9a-f]{12})", time="(?P<time>[1-9][0-9]{0,11})", '
    r'nonce="(?P<nonce>[A-Za-z0-9_-]{22})", digest="(?P<digest>[0-9a-f]{64})", '
    r'signature="(?P<signature>[A-Za-z0-9_-]{86})"'
)


@dataclass(frozen=True, slots=True)
class Proof:
    """What the header says. `digest`: sha256 of the plain body, in hexadecimal; `time`: seconds since 1970."""

    key_id: str
    time: int
    nonce: str
    digest: str
    signature: str = ""

    def header(self) -> str:
        return (
            f'Sync key="{self.key_id}", time="{self.time}", nonce="{self.nonce}", '
            f'digest="{self.digest}", signature="{self.signature}"'
        )


@dataclass(frozen=True, slots=True)
class Head:
    """What a call says besides its body. `target`: path and query as they are sent, from `BASE` on; '' for a header
    that is left out."""

    method: str
    target: str
    origin: str = ""
    sync_id: str = ""
    idempotency_key: str = ""


def text(proof: Proof, call: Head) -> bytes:
    """What is signed: a line for each part, in this order. Raises ValueError for a part that has lines itself."""
    parts = (
        _VERSION, call.method, call.target, proof.key_id, str(proof.time), proof.nonce, proof.digest,
        call.origin, call.sync_id, call.idempotency_key,
    )  # fmt: skip
    if any("\n" in part for part in parts):
        raise ValueError("a part of a signed call has more than one line")
    return "\n".join(parts).encode()


def can_sign(key: str) -> bool:
    """Whether this is a key of an installation of our kind."""
    return API_KEY.fullmatch(key) is not None


def verifier(key: str) -> bytes:
    """The public half of an API key, 32 bytes; it proves signatures and makes none."""
    return _private(key).public_key().public_bytes_raw()


def sign(key: str, call: Head, *, digest: str, time: int) -> str:
    """The header `Authorization` for one attempt of a call, with a nonce of its own. Raises ValueError for another
    kind of key."""
    parts = API_KEY.fullmatch(key)
    if parts is None:
        raise ValueError("this is no key of an installation")
    proof = Proof(parts[1], time, secrets.token_urlsafe(16), digest)
    return replace(proof, signature=_written(_private(key).sign(text(proof, call)))).header()


def read(header: str) -> Proof | None:
    """What a header says, None where it is not written as it must be."""
    found = _PARTS.fullmatch(header)
    if found is None:
        return None
    return Proof(found["key_id"], int(found["time"]), found["nonce"], found["digest"], found["signature"])


def holds(public: bytes, proof: Proof, call: Head) -> bool:
    """Whether the signature is of this key and this call. Says nothing of its time, nor whether it came before."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    raw = base64.urlsafe_b64decode(proof.signature + "==")
    if _written(raw) != proof.signature:  # two ways to write one signature
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(raw, text(proof, call))
    except (InvalidSignature, ValueError):
        return False
    return True


def _private(key: str) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(_SEED + key.encode()).digest())


def _written(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
