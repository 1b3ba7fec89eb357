"""What is known of a fleet without asking its control database: its instances, and since when it has any.

Definitions load from it, so that they load while the database is down. The sensor that looks for instances writes it:
``fleets/NAME.json`` of SYNC_ASSETS_HOME, for its user alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from sync_assets.components.listings import put
from sync_assets.store.home import home


@dataclass(frozen=True, slots=True)
class Kept:
    """The instances that belong to a fleet, and the first day that one of them was expected."""

    instances: tuple[str, ...] = ()
    since: date | None = None


def place(name: str) -> Path:
    return home() / "fleets" / f"{name}.json"


def kept(name: str) -> Kept | None:
    """What was kept of a fleet; None where nothing was, or by another version."""
    try:
        data = json.loads(place(name).read_text(encoding="utf-8"))
        since = data["since"]
        return Kept(tuple(str(i) for i in data["instances"]), date.fromisoformat(since) if since else None)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def keep(name: str, known: Kept) -> None:
    """Put it in the place of what was kept before, whole. What is equal is not written again."""
    if kept(name) != known:
        since = known.since.isoformat() if known.since else None
        put(place(name), {"instances": list(known.instances), "since": since})
