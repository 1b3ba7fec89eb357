"""What a caller of the gateway may do: `read`, `write`, `clear`, each for `*` or a repository's id; `metrics`; `admin`.

    read:*  write:12  clear:12  metrics  admin

`admin` may do everything. None of the others brings another: who may write may not read. Ids are this
installation's. Must not know HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from sync_assets.engine.errors import Stop

Action = Literal["read", "write", "clear"]
_SCOPE = re.compile(r"(read|write|clear):(\*|[1-9][0-9]{0,18})|metrics|admin")


def checked(scopes: Iterable[str]) -> tuple[str, ...]:
    """The scopes, sorted, each once. `read` alone stands for `read:*`. Raises `Stop`."""
    found = {f"{scope}:*" if scope in ("read", "write", "clear") else scope for scope in scopes}
    wrong = [scope for scope in found if not _SCOPE.fullmatch(scope)]
    if wrong or not found:
        trouble = f"{sorted(wrong)[0]!r} is no scope" if wrong else "there is no scope"
        hint = "read:*, write:*, clear:*, or with a repository's id in place of *; metrics; admin"
        raise Stop(trouble, hint=hint, code="scope")
    return tuple(sorted(found))


def may(scopes: Iterable[str], action: Action, repository: int) -> bool:
    """Whether `action` is allowed on this repository."""
    return not {"admin", f"{action}:*", f"{action}:{repository}"}.isdisjoint(scopes)


def everywhere(scopes: Iterable[str], action: Action) -> bool:
    """Whether `action` is allowed on all repositories, those to come included."""
    return not {"admin", f"{action}:*"}.isdisjoint(scopes)


def somewhere(scopes: Iterable[str], action: Action) -> bool:
    """Whether `action` is allowed on any repository."""
    return any(scope == "admin" or scope.startswith(f"{action}:") for scope in scopes)


def named(scopes: Iterable[str], action: Action) -> frozenset[int]:
    """The repositories that scopes name one by one for `action`."""
    parts = (scope.partition(":") for scope in scopes)
    return frozenset(int(id) for word, _, id in parts if word == action and id != "*")
