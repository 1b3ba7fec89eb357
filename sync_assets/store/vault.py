"""Secrets at rest in the control database: stored, opened, listed, moved to a new key, forgotten.

What holds:
- A value is encrypted before it leaves this process and decrypted after it came back; the database sees neither value
  nor key. A row opens only where it was put: deployment, name, kind, version and key id are part of what is sealed.
- Writers take turns, and a key that was rotated away is refused by a constraint: after a rotation no row is, and none
  can come, under the old key, whatever a process with an old environment tries.

Must not know what a secret is for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from sync_assets.engine.errors import Stop
from sync_assets.store.address import Address, control_address
from sync_assets.store.control import open_store
from sync_assets.store.keyring import Key, KeyRing, grow, read_ring
from sync_assets.store.sealing import Box, DoesNotOpen, Place, seal, unseal
from sync_assets.store.secrets import Secret
from sync_assets.store.session import Cursor, Sessions
from sync_assets.store.sql import read_named

Kind = Literal["secret", "mysql", "postgres"]  # one value, or a whole address (DSN) of that database
_SQL = read_named(Path(__file__).with_name("vault.sql"))


@dataclass(frozen=True, slots=True)
class Entry:
    """What may be seen of a stored secret."""

    name: str
    kind: str
    key_id: str
    version: int
    added_at: datetime
    changed_at: datetime
    sealed_at: datetime


@dataclass(frozen=True, slots=True)
class Rotation:
    """`unused`: ids that are still in the ring and that nothing is encrypted with any more."""

    key_id: str
    resealed: int
    unused: tuple[str, ...]
    place: str


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    kind: str
    version: int
    key_id: str
    fingerprint: str
    nonce: bytes
    ciphertext: bytes


@contextmanager
def open_vault(
    address: Callable[[], Address] = control_address, environ: Mapping[str, str] = os.environ
) -> Iterator[Vault]:
    """The vault of the control database, tables made where they are missing. Raises `Stop`, `Retry`."""
    with open_store(address) as store:
        yield Vault(store.sessions, lambda: read_ring(environ))


def open_secret(name: str) -> Secret:
    """The value behind `store:NAME`. Raises `Stop` with the next action, `Retry` when the database is away."""
    with open_vault() as vault:
        return vault.open(name)


class Vault:
    """Every method is one transaction."""

    def __init__(self, sessions: Sessions, ring: Callable[[], KeyRing]) -> None:
        self._sessions = sessions
        self._ring = ring

    def entries(self) -> list[Entry]:
        """What is stored, by name. Needs no key."""
        return self._sessions.run(_entries)

    def open(self, name: str) -> Secret:
        """Raises `Stop` when there is no such name, when its key is missing, and when the row is not as it was."""
        deployment, row = self._sessions.run(lambda cursor: (_deployment(cursor), _row(cursor, name)))
        if row is None:
            raise _nothing(name)
        return Secret(_unsealed(row, self._ring(), deployment))

    def put(self, name: str, kind: Kind, value: str, *, replace: bool = False) -> Path | None:
        """Store the value under the newest key. Returns the key file when this call had to make it.

        Raises `Stop` when the name is taken (without `replace`), or when the keys are not those of what is stored.
        """
        made: list[Path] = []

        def work(cursor: Cursor) -> None:
            cursor.execute(_SQL["lock"])
            old = _row(cursor, name)
            if old is not None and not replace:
                raise Stop(f"{name} is stored already", hint="give --replace for a new value", code="secret_exists")
            key = _known(cursor, self._key_to_write(cursor, made))
            version = old.version + 1 if old else 1
            _sealed(cursor, "put", key, value, Place(_deployment(cursor), name, kind, version, key.id))

        self._sessions.run(work)
        return made[0] if made else None

    def remove(self, name: str) -> None:
        """Forget it. Needs no key. Raises `Stop` when there is no such name."""
        gone = self._sessions.run(lambda cursor: cursor.execute(_SQL["drop"], {"name": name}).rowcount)
        if not gone:
            raise _nothing(name)

    def rotate(self) -> Rotation:
        """Encrypt everything with the newest key, making a new one first if the newest is in use already (so that a
        rotation that was cut off is finished, not repeated). Before the commit everything is read back and opened
        with that key alone, and all others are retired, which the database refuses while any row is under one.

        Raises `Stop`, with nothing changed in the database, when anything does not open.
        """
        ring, count = self._sessions.run(self._resealed)
        unused = tuple(key.id for key in ring.keys if key.id != ring.newest.id)
        return Rotation(ring.newest.id, count, unused, ring.place)

    def _resealed(self, cursor: Cursor) -> tuple[KeyRing, int]:
        cursor.execute(_SQL["lock"])
        deployment, rows = _deployment(cursor), _rows(cursor)
        if not rows:
            raise Stop("nothing is stored yet", hint="sync-assets connections add NAME", code="vault_empty")
        ring = self._ring()
        values = [_unsealed(row, ring, deployment) for row in rows]
        if all(row.key_id == ring.newest.id for row in rows):
            ring = grow(ring)
        key = _known(cursor, ring.newest)
        for row, value in zip(rows, values, strict=True):
            _sealed(cursor, "reseal", key, value, Place(deployment, row.name, row.kind, row.version, key.id))
        _prove(cursor, key, values)
        cursor.execute(_SQL["retire"], {"id": key.id})
        return ring, len(rows)

    def _key_to_write(self, cursor: Cursor, made: list[Path]) -> Key:
        """The newest key; the first one is made here, unless something stored needs a key that is lost."""
        ring = self._ring()
        if not ring.keys and ring.file is not None:
            lost = sorted({entry.key_id for entry in _entries(cursor)})
            if lost:
                raise _missing(f"what is stored is encrypted with key {', '.join(lost)}", ring)
            ring = grow(ring)
            made.append(Path(ring.place))
        return ring.newest


# -- rows -------------------------------------------------------------------------------------------------------


def _entries(cursor: Cursor) -> list[Entry]:
    return [Entry(*row) for row in cursor.execute(_SQL["listed"]).fetchall()]


def _row(cursor: Cursor, name: str) -> _Row | None:
    row = cursor.execute(_SQL["box"], {"name": name}).fetchone()
    return _Row(*row) if row else None


def _rows(cursor: Cursor) -> Sequence[_Row]:
    return [_Row(*row) for row in cursor.execute(_SQL["boxes"]).fetchall()]


def _deployment(cursor: Cursor) -> str:
    row = cursor.execute(_SQL["deployment"]).fetchone()
    if row is None:
        hint = "restore it from a dump: what is stored opens nowhere else"
        raise Stop("the control database has lost its identity (table deployment)", hint=hint, code="deployment")
    return str(row[0])


def _known(cursor: Cursor, key: Key) -> Key:
    """The key, if nothing may be sealed under another one of its id, nor under an older one."""
    cursor.execute(_SQL["know_key"], {"id": key.id, "fingerprint": key.fingerprint})
    fingerprint, retired = cursor.execute(_SQL["key"], {"id": key.id}).fetchone() or ("", False)
    if fingerprint != key.fingerprint:
        hint = "give the new key an id of its own, or put the right key back"
        raise Stop(f"the id {key.id} belongs to another key here", hint=hint, code="wrong_key")
    if retired:
        hint = "put the newer key in front of it in this process, too"
        raise Stop(f"key {key.id} was rotated away; nothing new is encrypted with it", hint=hint, code="key_retired")
    return key


def _sealed(cursor: Cursor, query: Literal["put", "reseal"], key: Key, value: str, place: Place) -> None:
    box = seal(key.raw, value, place)
    values = {
        "name": place.name,
        "kind": place.kind,
        "version": place.version,
        "key_id": key.id,
        "nonce": box.nonce,
        "ciphertext": box.ciphertext,
    }
    cursor.execute(_SQL[query], values)


def _unsealed(row: _Row, ring: KeyRing, deployment: str) -> str:
    key = ring.get(row.key_id)
    if key is None:
        raise _missing(f"{row.name} is encrypted with key {row.key_id}", ring)
    if key.fingerprint != row.fingerprint:
        hint = f"put back the key that was called {row.key_id} when {row.name} was stored"
        raise Stop(f"the key {row.key_id} in {ring.place} is another key of that id", hint=hint, code="wrong_key")
    try:
        place = Place(deployment, row.name, row.kind, row.version, row.key_id)
        return unseal(key.raw, Box(row.nonce, row.ciphertext), place)
    except DoesNotOpen:
        raise Stop(
            f"the stored {row.name} does not open: its row was changed, or comes from another row or deployment",
            hint=f"store it anew: sync-assets connections add {row.name} --replace; and find out who wrote there",
            code="secret_tampered",
        ) from None


def _prove(cursor: Cursor, key: Key, values: Sequence[str]) -> None:
    """All that is stored opens with this key alone, and to what it was. Raises `Stop` otherwise."""
    deployment, alone = _deployment(cursor), KeyRing((key,), f"the new key {key.id} alone")
    if [_unsealed(row, alone, deployment) for row in _rows(cursor)] != list(values):
        hint = "nothing was changed; find out what else writes to the table secret (a trigger, a rule)"
        raise Stop("what was encrypted with the new key is not what it was", hint=hint, code="secret_tampered")


def _missing(what: str, ring: KeyRing) -> Stop:
    hint = (
        "put that key back from its copy; if there is none, the values are lost: "
        "sync-assets connections remove them, and add them again"
    )
    return Stop(f"{what}, which is not in {ring.place}", hint=hint, code="key_missing")


def _nothing(name: str) -> Stop:
    hint = f"sync-assets connections add {name}; what there is: sync-assets connections list"
    return Stop(f"store:{name}: nothing is stored under this name", hint=hint, code="secret_missing")
