"""The kept lists of tables: what a replica consists of is known from a file, so that loading asks no server.

A list holds all tables that the source has; which of them the patterns mean is told anew at each load, so that a change
of the YAML needs no new list. Kept in ``replicas/NAME.json`` of SYNC_ASSETS_HOME, for its user alone.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from sync_assets.project.replicas import Listing
from sync_assets.store.home import home


def place(name: str) -> Path:
    return home() / "replicas" / f"{name}.json"


def kept(name: str) -> Listing | None:
    """The list of a replica; None where none was kept, or by another version."""
    return read(place(name))


def read(path: Path) -> Listing | None:
    try:
        return Listing.from_data(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, KeyError, TypeError, IndexError, AttributeError):  # none, or none of ours
        return None


def keep(name: str, listing: Listing) -> None:
    """Put the list in the place of the one before, whole."""
    write(place(name), listing)


def write(path: Path, listing: Listing) -> None:
    put(path, listing.as_data())


def put(path: Path, data: object) -> None:
    """Write `data` as JSON, for our user alone. A reader sees the file of before or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # 0600
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(data, file, ensure_ascii=False)
    Path(aside).replace(path)
