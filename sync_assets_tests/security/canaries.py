"""Secrets that can be found again: in plain, URL-encoded, escaped or base64, whole or torn apart."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql


@dataclass(frozen=True)
class Canary:
    """`value` has every character that tears an address or a statement apart; `marks` are its two safe ends, which
    show whatever was done to the rest."""

    value: str
    marks: tuple[str, ...]

    @staticmethod
    def fresh() -> Canary:
        first, last = secrets.token_hex(8), secrets.token_hex(8)
        return Canary(f"{first}@ / # % ' \" : ? & \\ 密{last}", (first, last))

    @staticmethod
    def of(value: str) -> Canary:
        """A secret that somebody else made."""
        return Canary(value, (value,))


def _base64(raw: bytes) -> Iterator[str]:
    """What base64 makes of `raw` in the middle of a longer text, at each of the three places it may begin."""
    for before in range(3):
        text = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        yield text[(before * 8 + 5) // 6 : (before + len(raw)) * 8 // 6]


def found(text: str, canaries: Iterable[Canary]) -> list[str]:
    """Where a canary sings: what stands around each hit."""
    hits = []
    for canary in canaries:
        for mark in canary.marks:
            for form in {mark, mark.upper(), mark.encode().hex(), *_base64(mark.encode())}:
                at = text.find(form)
                if at >= 0:
                    hits.append(text[max(0, at - 80) : at + len(form) + 20])
    return hits


def dump(arguments: Mapping[str, Any]) -> str:
    """Every row of every table of a database, as text."""
    with psycopg.connect(**arguments) as connection:
        tables = connection.execute(
            "select schemaname, tablename from pg_tables where schemaname not in ('pg_catalog', 'information_schema')"
        ).fetchall()
        assert tables, "an empty dump proves nothing"
        pieces = []
        for name in tables:
            rows = connection.execute(sql.SQL("select t::text from {} t").format(sql.Identifier(*name))).fetchall()
            pieces += [f"{'.'.join(name)}: {row[0]}" for row in rows]
    return "\n".join(pieces)


def files(folder: Path, *, without: Iterable[Path] = ()) -> str:
    """Every file below `folder`, as text, each after its name."""
    left_out = set(without)
    pieces = []
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if Path(here, name) not in left_out]
        for path in (Path(here, name) for name in names):
            if path not in left_out and path.is_file():
                pieces.append(f"{path}:\n{path.read_bytes().decode('utf-8', errors='replace')}")
    return "\n".join(pieces)
