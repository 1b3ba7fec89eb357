"""Signed calls: whose they are, and that each counts once, whichever process of the gateway it comes to.

The clock is that of the control database: there is one, however many gateways. Must not know HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from sync_assets.exchange import signing
from sync_assets.exchange.signing import Head, Proof
from sync_assets.store.gateway.audit import SQL
from sync_assets.store.session import Cursor, Sessions
from sync_assets.store.sql import read_named

_SQL = read_named(Path(__file__).with_name("signed.sql"))


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signed a call. `ahead`: seconds by which the signer's clock is ahead of ours; `again`: it came before."""

    name: str
    scopes: tuple[str, ...]
    verifier: bytes = field(repr=False)
    ahead: int
    again: bool = False

    @property
    def in_time(self) -> bool:
        return abs(self.ahead) <= signing.WINDOW


class SignedCalls:
    """Raises `Retry` when the control database cannot be reached."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def signer(self, proof: Proof, call: Head) -> Signer | None:
        """Whoever signed this call with a key that counts now; None for anything else. One transaction.

        A call that is in time is remembered: the second is told as `again`, from whichever process it is asked.
        """
        values = {"key_id": proof.key_id, "nonce": proof.nonce, "time": proof.time}

        def look(cursor: Cursor) -> Signer | None:
            row = cursor.execute(_SQL["signer"], values).fetchone()
            if row is None or not signing.holds(bytes(row[2]), proof, call):
                return None
            name, scopes, public, ahead, note_use = row
            signer = Signer(name, tuple(scopes), bytes(public), int(ahead))
            if not signer.in_time:
                return signer
            if cursor.execute(_SQL["keep_nonce"], values).fetchone() is None:
                return replace(signer, again=True)
            if note_use:
                cursor.execute(SQL["key_used"], values)
                cursor.execute(_SQL["forget_nonces"])
            return signer

        return self._sessions.run(look)
