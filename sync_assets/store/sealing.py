"""AES-256-GCM around one text: sealed for one place, it opens with the same key and in the same place only.

The place goes in as associated data, so a box that was moved to another row does not open there. Must not know where
keys come from, nor where boxes are kept.
"""

from __future__ import annotations

import json
import os
from dataclasses import astuple, dataclass

NONCE_BYTES = 12  # 96 bits, as NIST SP 800-38D wants it; random: good for 2**32 boxes a key
_FORM = "sync_assets.secret/1"


class DoesNotOpen(Exception):
    """The key is another one, the place is another one, or the box was changed: AES-GCM does not tell which."""


@dataclass(frozen=True, slots=True)
class Place:
    """The one row that a box is good for."""

    deployment: str
    name: str
    kind: str
    version: int
    key_id: str

    @property
    def associated_data(self) -> bytes:
        """Unambiguous: no two places have the same bytes."""
        return json.dumps([_FORM, *astuple(self)], ensure_ascii=True).encode()


@dataclass(frozen=True, slots=True)
class Box:
    nonce: bytes
    ciphertext: bytes  # with the tag of 16 bytes at its end


def seal(key: bytes, text: str, place: Place) -> Box:
    """Encrypt under a fresh random nonce."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(NONCE_BYTES)
    return Box(nonce, AESGCM(key).encrypt(nonce, text.encode(), place.associated_data))


def unseal(key: bytes, box: Box, place: Place) -> str:
    """The text again. Raises `DoesNotOpen`."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key).decrypt(box.nonce, box.ciphertext, place.associated_data).decode()
    except (InvalidTag, ValueError):  # ValueError: a nonce of a wrong length
        raise DoesNotOpen from None
