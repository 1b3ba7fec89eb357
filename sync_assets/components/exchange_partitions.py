"""How an exchange is cut into partitions: by repository. Which there are, a sensor finds out.

A key is the repository's id in the installation that sends, and its name as it was when it was first seen: people read
the name, the id alone decides. A repository that is renamed keeps its key, and so its history. Must not know the
control database or how anything is exchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import dagster as dg

from sync_assets.components.naming import slug

if TYPE_CHECKING:
    from sync_assets.exchange.model import Id, Repository
    from sync_assets.project.exchange.placed import PlacedPeer
    from sync_assets.project.exchange_spec import Way

# Dagster refuses control characters in keys, and reads "..." as a range; a comma separates keys in its launchpad.
_FORBIDDEN = re.compile(r"[|,\[\]\x00-\x1f\x7f-\x9f\ud800-\udfff\u200b-\u200f\u202a-\u202e\u2066-\u2069]+|\.{3,}")
_LONGEST = 80  # characters of a name


def key_of(repository: Repository) -> str:
    """``12 name``; without what Dagster cannot hold."""
    name = " ".join(_FORBIDDEN.sub(" ", repository.name).split())[:_LONGEST].rstrip()
    return f"{repository.repository_id} {name}".rstrip()


def id_of(key: str) -> Id | None:
    """The id in a key; None for what somebody added by hand that is none."""
    first = key.partition(" ")[0]
    return int(first) if first.isascii() and first.isdigit() else None


def ids_of(keys: Iterable[str]) -> dict[Id, str]:
    """The keys by id, in their order."""
    return {found: key for key in keys if (found := id_of(key))}


def definition_name(peer: PlacedPeer, way: Way) -> str:
    """What is pushed is ours, the same for all peers; what is pulled is the peer's."""
    parts = [peer.exchange.name, "repositories"] if way == "push" else [peer.exchange.name, peer.name, "repositories"]
    return "__".join(slug(part) for part in parts)


@lru_cache(maxsize=256)
def repositories(name: str) -> dg.DynamicPartitionsDefinition:
    """The partitions of that name. A sensor adds and removes them."""
    return dg.DynamicPartitionsDefinition(name=name)


def differences(found: Sequence[Repository], shown: Iterable[str]) -> tuple[list[str], list[str]]:
    """Keys to add, and keys to remove."""
    keys = list(shown)
    here, known = {one.repository_id for one in found}, {id_of(key) for key in keys}
    new = [key_of(one) for one in found if one.repository_id not in known]
    return new, [key for key in keys if id_of(key) not in here]
