"""Who speaks for an installation: whether a caller may say its `X-Sync-Origin`, in a call that writes.

An installation is bound to the caller with the first change that is made in its name, in the same transaction: a call
that is denied, or changes nothing, binds nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sync_assets.gateway.refusal import Refused
from sync_assets.store.gateway.origins import Origins, Voice
from sync_assets.store.session import Witness, witness

if TYPE_CHECKING:
    from sync_assets.gateway.access import Caller
    from sync_assets.store.session import Cursor

_REFUSED = {
    Voice.TAKEN: "another key speaks for this installation (X-Sync-Origin) -> use that key; if it is to be changed, "
    "have the old one revoked, or released: sync-assets keys release NAME",
    Voice.OTHER: "this key speaks for another installation than it says (X-Sync-Origin) -> a key for each "
    "installation; if this is the same with a new id, have the key released: sync-assets keys release NAME",
}


def check(origins: Origins, caller: Caller, said: str) -> None:
    """Raises 403 where another speaks for it, or the caller for another. Where nobody does, the change that the calling
    thread makes next binds it; that raises the same when somebody else was quicker, and is undone."""
    voice = origins.voice(said, str(caller))
    _refuse(voice)
    if voice is Voice.FREE:
        witness.set(_Binding(origins, said, str(caller), witness.get()))


@dataclass(slots=True)
class _Binding:
    """A `Witness` before the one that is there already."""

    origins: Origins
    origin: str
    holder: str
    before: Witness | None
    bound: bool = False
    _next: bool = False

    def sign(self, cursor: Cursor) -> None:
        if not self.bound:
            voice = self.origins.bind(cursor, self.origin, self.holder)
            _refuse(voice)
            self._next = voice is Voice.BOUND
        if self.before is not None:
            self.before.sign(cursor)

    def signed(self) -> None:
        self.bound = self.bound or self._next
        if self.before is not None:
            self.before.signed()


def _refuse(voice: Voice | None) -> None:
    text = _REFUSED.get(voice) if voice else None
    if text is not None:
        raise Refused(403, text)
