"""The keys that stored secrets are encrypted with: where they come from, how they are made, what is wrong with them.

    SYNC_ASSETS_KEYS         id:base64,id:base64 with the newest first; counts alone where it is set
    SYNC_ASSETS_KEY_FILE     a file of such entries, one a line; default: `keys` in $SYNC_ASSETS_HOME

The newest key encrypts, all decrypt. A key is 32 random bytes; its id is no secret. The ring is read anew each time,
so a key that was added counts at once. Only a file can be written here: keys of the environment are its owner's.
Must not know what is encrypted, nor the database.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import hashlib
import hmac
import logging
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sync_assets.engine.errors import Stop
from sync_assets.store import home
from sync_assets.store.redaction import remember

KEYS, KEY_FILE = "SYNC_ASSETS_KEYS", "SYNC_ASSETS_KEY_FILE"
_BYTES = 32  # AES-256
_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MAKE = "id:$(openssl rand -base64 32)"
_HEAD = "# Keys of stored secrets, newest first. Whoever has this file and the database has the secrets; without\n" \
        "# it they are lost. Keep a copy, and keep it apart from the copies of the database.\n"  # fmt: skip
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Key:
    """One key. Shows its id only."""

    id: str
    raw: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """Tells two keys of one id apart, and nothing about either (a keyed hash of 256 random bits)."""
        return hmac.new(self.raw, b"sync_assets: fingerprint of a key", hashlib.sha256).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Keys, newest first; `place` says to people where they are. Empty where no key was made yet."""

    keys: tuple[Key, ...]
    place: str
    file: Path | None = None  # None: the environment

    @property
    def newest(self) -> Key:
        """Raises `Stop` when there is none."""
        if not self.keys:
            raise Stop(
                f"there is no key of stored secrets: {self.place} does not exist",
                hint=f"put the key file back from its copy, or name it: {KEY_FILE}=PATH, or {KEYS}={_MAKE}",
                code="key_missing",
            )
        return self.keys[0]

    def get(self, key_id: str) -> Key | None:
        return next((key for key in self.keys if key.id == key_id), None)


def read_ring(environ: Mapping[str, str] = os.environ) -> KeyRing:
    """The ring as it is now. Raises `Stop` that says which entry is wrong, and never quotes one."""
    if environ.get(KEYS):
        return KeyRing(_parsed(environ[KEYS].split(","), KEYS, "entry"), KEYS)
    path = key_file(environ)
    return KeyRing(_parsed(_lines(path), str(path), "line"), str(path), path)


def key_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the key file is, or would be. A relative path counts from the project root."""
    named = environ.get(KEY_FILE)
    return home.project_root() / Path(named).expanduser() if named else home.home() / "keys"


def grow(ring: KeyRing) -> KeyRing:
    """Make a new newest key in the ring's file, making the file where there is none. Raises `Stop` for a ring of the
    environment, and when the file has changed since `ring` was read."""
    if ring.file is None:
        raise Stop(
            f"the keys are in {KEYS}, which only you can write",
            hint=f'put a new one in front, everywhere: {KEYS}="new{_MAKE},<the present value>"; then come again',
            code="key_environment",
        )
    with _locked(ring.file):
        now = KeyRing(_parsed(_lines(ring.file), ring.place, "line"), ring.place, ring.file)
        if now != ring:
            raise Stop(f"{ring.place} was changed meanwhile", hint="do it again", code="key_changed")
        grown = KeyRing((_new_key(), *ring.keys), ring.place, ring.file)
        _write(grown, ring.file)
    return grown


def _new_key() -> Key:
    return Key(f"k{secrets.token_hex(4)}", secrets.token_bytes(_BYTES))


# -- text -------------------------------------------------------------------------------------------------------


def _parsed(entries: list[str], place: str, unit: str) -> tuple[Key, ...]:
    keys: list[Key] = []
    for number, entry in enumerate(entries, 1):
        text = entry.strip()
        if text and not text.startswith("#"):
            keys.append(_key(text, f"{place}, {unit} {number}"))
    for at, key in enumerate(keys):
        if any(key.id == other.id or key.raw == other.raw for other in keys[:at]):
            raise _wrong(f"{place}: a key or an id of one stands there twice", "drop the repeated one")
    return tuple(keys)


def _key(text: str, where: str) -> Key:
    key_id, colon, encoded = text.partition(":")
    if not colon or not _ID.fullmatch(key_id):
        raise _wrong(f"{where}: no key with an id", f"write {_MAKE}; an id has letters, digits, . _ and -")
    remember(encoded)
    try:
        raw = base64.b64decode(encoded.translate({ord("-"): "+", ord("_"): "/"}), validate=True)
    except (binascii.Error, ValueError):
        raise _wrong(f"{where}: what follows the id is not base64", f"write {_MAKE}") from None
    if len(raw) != _BYTES:
        raise _wrong(f"{where}: the key has {len(raw)} bytes, not {_BYTES}", f"write {_MAKE}")
    return Key(key_id, raw)


def _wrong(message: str, hint: str) -> Stop:
    return Stop(message, hint=hint, code="key_form")


# -- the file ---------------------------------------------------------------------------------------------------


def _lines(path: Path) -> list[str]:
    """No lines where there is no file. Raises `Stop` when it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
        mode = path.stat().st_mode
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise Stop(
            f"the key file {path} cannot be read: {type(error).__name__}",
            hint="work as the user who owns it (mode 600)",
            code="key_file",
        ) from None
    if mode & stat.S_IROTH:
        _log.warning("key file %s can be read by every user of this machine: chmod 600 it", path)
    return text.splitlines()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time changes the file. The folder is locked: the file itself is replaced."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = os.open(path.parent, os.O_RDONLY)
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _write(ring: KeyRing, path: Path) -> None:
    """Replace the file whole and durably: a crash leaves the old one or the new one."""
    lines = [f"{key.id}:{base64.b64encode(key.raw).decode()}\n" for key in ring.keys]
    for line in lines:
        remember(line.partition(":")[2].strip())
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        draft.unlink(missing_ok=True)  # of a process that died with our number
        descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(_HEAD + "".join(lines))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(path: Path, error: OSError) -> Stop:
    return Stop(
        f"the key file {path} cannot be written: {error.strerror}",
        hint=f"work as its owner, or name another file: {KEY_FILE}=PATH",
        code="key_file",
    )
