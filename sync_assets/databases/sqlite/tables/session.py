"""Connections to a SQLite file for tables: one that only reads, one that writes. Errors come sorted.

The file must be there: a mistyped path must not become a new, empty database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote as quote_path

from sync_assets.databases.base import ConnectionArgs
from sync_assets.databases.sqlite import classify
from sync_assets.databases.sqlite.tables.values import digest_text
from sync_assets.engine.errors import BadBatch, Stop, SyncError
from sync_assets.engine.model import ColumnType

_WAIT = 60.0  # seconds for the file's lock, which one batch holds at a time


def dial(args: ConnectionArgs, *, write: bool = False) -> sqlite3.Connection:
    """A connection in autocommit, for one thread at a time. Raises `Stop` or `Retry`."""
    place, path = f"connection {args.name}", Path(args.path)
    if not path.is_file():
        raise Stop(f"{place}: there is no file {path}", hint="check path in the connection; touch FILE makes a new one")
    mode = "rw" if write else "ro"
    with sorted_errors(place):
        connection = sqlite3.connect(
            f"file:{quote_path(str(path.resolve()))}?mode={mode}", uri=True, isolation_level=None,
            timeout=min(_WAIT, args.silent_seconds), check_same_thread=False, cached_statements=16,
        )  # fmt: skip
        connection.create_function("sync_assets_text", 2, _text, deterministic=True)
        connection.execute("select count(*) from sqlite_schema").fetchone()
    return connection


def _text(value: Any, type: str) -> str | None:
    """The canonical text of a value, for SQL."""
    return digest_text(value, ColumnType(type))


@contextmanager
def sorted_errors(place: str) -> Iterator[None]:
    """The driver's errors in our words. A rule of a table that a row breaks is a `BadBatch`."""
    try:
        yield
    except (sqlite3.IntegrityError, OverflowError) as error:
        raise refused(error, place) from None
    except sqlite3.Error as error:
        raise classify(error, place) from None


def refused(error: Exception, place: str) -> SyncError:
    """Which rule: SQLite names tables and columns, never values."""
    kind, _, names = str(error).partition(" constraint failed")
    if not names and not str(error).endswith("constraint failed"):
        return BadBatch(f"{place}: SQLite does not take a value", code="unfit")
    shown = names.removeprefix(": ") if kind in ("UNIQUE", "NOT NULL") else ""
    column = shown.split(",")[0].rpartition(".")[2]
    what = _RULES.get(kind, "a rule of the table refuses a row")
    return BadBatch(f"{place}: {what}" + (f" ({shown})" if shown else ""), field=column, code=kind.lower() or "rule")


_RULES = {
    "UNIQUE": "a key is there twice",
    "NOT NULL": "a value is missing",
    "CHECK": "a check refuses a row",
    "FOREIGN KEY": "a row points to one that is not there",
}
