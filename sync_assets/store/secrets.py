"""Opens references to secrets (`env:NAME`, `file:PATH`, `store:NAME`) as late as possible; keeps values out of texts.

The only module that turns a reference into a value. It must not know what the secret is for. Values are never
cached: a rotated file or variable counts from the next opening on.
"""

from __future__ import annotations

import hmac
import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from sync_assets.engine.errors import Stop
from sync_assets.store.home import project_root
from sync_assets.store.redaction import remember

_log = logging.getLogger(__name__)
_KINDS = ("env:", "file:", "store:")


class Secret:
    """A value that shows itself as *** everywhere; `reveal()` gives it. Every secret made is redacted in logs."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        remember(value)

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not written to disk or sent to another process; send its reference")


def resolve(ref: str) -> Secret:
    """Open the reference. Raises `Stop` that names the variable, file or stored name and what to do, never a value,
    and `Retry` when the control database, which holds what is stored, cannot be reached."""
    kind, _, place = ref.partition(":")
    if kind == "env" and place:
        return Secret(_variable(place))
    if kind == "file" and place:
        return Secret(_content(_path(place)))
    if kind == "store" and place:
        from sync_assets.store.vault import open_secret  # late: it needs the control database

        return open_secret(place)
    # The text may be the secret itself, put where a reference belongs: it is not quoted.
    raise Stop("a secret is not a reference", hint="write env:NAME, file:PATH or store:NAME", code="secret_kind")


def opener(ref: str) -> Callable[[], str]:
    """A function that opens the reference anew at each call, for clients that log in late. Nothing is read now."""
    return lambda: resolve(ref).reveal()


def is_reference(text: str) -> bool:
    return text.startswith(_KINDS)


def expand(text: str) -> str:
    """A plain field as it is, or the variable's value where it says `env:NAME`. Raises `Stop` when that is unset."""
    name = text.removeprefix("env:")
    return text if name == text else _variable(name)


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        trouble = "is not set" if value is None else "is empty"
        raise Stop(
            f"environment variable {name} {trouble}",
            hint=f"set it: export {name}=..., or a line {name}=... in .env of the project",
            code="secret_missing",
        )
    return value


def _path(place: str) -> Path:
    """`~` is the user's home; a relative path counts from the project root, wherever the command was started."""
    return project_root() / Path(place).expanduser()


def _content(path: Path) -> str:
    try:
        value = path.read_text(encoding="utf-8")
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise Stop(
            f"secret file {path} does not exist", hint="create it with mode 600", code="secret_missing"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise Stop(
            f"secret file {path} cannot be read: {type(error).__name__}",
            hint="make it a UTF-8 text file that this user may read",
            code="secret_missing",
        ) from None
    if mode & stat.S_IROTH:
        _log.warning("secret file %s can be read by every user of this machine: chmod 600 it", path)
    value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        raise Stop(f"secret file {path} is empty", hint="put the secret in it", code="secret_missing")
    return value
