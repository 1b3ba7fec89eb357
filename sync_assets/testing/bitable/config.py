"""How one emulator behaves: caps, limits, lifetimes, speed. Knows nothing of the server or of boards.

Defaults are those of the real service, as far as its documentation tells them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Config:
    """All that can be set, at the start or while it runs. Times are seconds, sizes are bytes."""

    app_id: str = ""  # empty: a fresh one at every start and reset (the SDK caches tokens by app id)
    app_secret: str = "emulated-secret"  # noqa: S105 - of an app that exists only here
    scopes: tuple[str, ...] = ("bitable:app", "wiki:wiki:readonly")
    token_seconds: float = 7200.0
    token_overlap_seconds: float = 1800.0  # with less left a new token is issued; both stay valid
    batch_rows: int = 1000  # the official plugin says 500 for some tenants
    delete_rows: int = 500
    row_limit: int | None = 20_000  # the basic plan; None: no limit
    field_limit: int = 300
    table_limit: int = 100
    page_bytes: int = 10_000_000  # a larger page answers 1254030
    body_bytes: int = 10_000_000  # a larger request answers HTTP 413
    rate_factor: float = 1.0  # of the documented limits; 0: no limits
    client_token_seconds: float = 600.0  # not documented by the vendor: minutes
    read_seconds: float = 0.0  # latency of a read
    write_seconds: float = 0.0  # latency of a write; it holds the table for that long
    revision_on_edit: bool = True  # whether a plain cell edit moves the table's revision (not documented)
    time_zone: str = "Asia/Shanghai"
    seed: int = 1

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Config:
        """From JSON. Raises TypeError on a name that is not a setting."""
        return cls().changed(values)

    def changed(self, values: Mapping[str, Any]) -> Config:
        plain = dict(values)
        if "scopes" in plain:
            plain["scopes"] = tuple(plain["scopes"])
        return replace(self, **plain)

    def to_json(self) -> str:
        return json.dumps(asdict(self))
