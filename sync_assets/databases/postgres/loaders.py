"""How psycopg is to load values whose Python object would be wrong for us. Text format only."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Loader
from psycopg.types.string import TextLoader


class OrText(Loader):
    """The usual loader, or the server's text where Python has no such value (infinity, BC, 24:00:00)."""

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid, context)
        usual = psycopg.adapters.get_loader(oid, self.format)
        assert usual is not None  # noqa: S101 (registered for built-in types only)
        self._usual = usual(oid, context)

    def load(self, data: Buffer) -> Any:
        try:
            return self._usual.load(data)
        except psycopg.DataError:
            return bytes(data).decode()


TEXT_LOADERS = (TextLoader,)
TOLERANT_LOADERS = dict.fromkeys(("date", "time", "timestamp", "timestamptz"), OrText)
