"""Exports: a repository as it was at one moment, read in pages bounded in rows and bytes.

The moment is copied inside the database by one transaction, so that whoever reads slowly holds no snapshot open and
whatever changes meanwhile does not show. An export that fits in its first page leaves nothing behind. Must not know
who may read one.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sync_assets.engine.errors import RejectRow
from sync_assets.exchange.model import Document, Export, ExportPage, Id, Repository, Task, TaskPack, TaskUsage
from sync_assets.store.session import Cursor
from sync_assets.store.sql import read_named

_SQL = read_named(Path(__file__).with_name("library_export.sql"))
_KEPT_HOURS = 12
_KEPT = 20  # exports at once, over all callers: each is a copy of a repository
_MOMENTS = ("created_at", "updated_at", "started_at", "completed_at")
_NONE: Mapping[str, Any] = {
    "doc_id": 0, "run_after": 0, "replaced_by": 0, "run_after_uid": "", "replaced_by_uid": ""
}  # fmt: skip
_NOT_SENT = {"came_run_after", "came_replaced_by", "came_origin", "number"}


def export(cursor: Cursor, repository_id: Id, document_ids: Sequence[Id], rows: int, bytes: int) -> Export:
    """The work of a transaction. Raises `RejectRow` for an unknown repository, or documents that are not in it."""
    cursor.execute("set transaction isolation level repeatable read")
    asked: dict[str, Any] = {"repository": repository_id, "documents": list(document_ids) or None}
    facts = _row(cursor, "repository", **asked)
    if facts is None:
        raise unknown("repository")
    missing = _row(cursor, "missing", **asked) if document_ids else None
    if missing and missing[0]:
        raise unknown("document")
    id = secrets.token_urlsafe(18)
    begun = {"export": id, "facts": json.dumps(facts[0]), "rows": rows, "bytes": bytes, **asked}
    cursor.execute(_SQL["begin"], begun)
    total = cursor.execute(_SQL["fill"], begun).rowcount
    cursor.execute(_SQL["count"], {"export": id, "total": total})
    first = page(cursor, id, 0)
    if first.next is None:
        cursor.execute(_SQL["drop"], {"export": id})
    return Export(id, repository(facts[0]), total, first)


def drop_old(cursor: Cursor) -> None:
    """Apart from `export`: two that begin at once would trip over each other's removal."""
    cursor.execute(_SQL["drop_old"], {"hours": _KEPT_HOURS, "kept": _KEPT})


def page(cursor: Cursor, export_id: str, after: int) -> ExportPage:
    """Raises `RejectRow` for an export that never was or is too old."""
    _, total, rows, bytes = _exported(cursor, export_id)
    asked = {"export": export_id, "cursor": after, "rows": rows, "bytes": bytes}
    found = cursor.execute(_SQL["page"], asked).fetchall()
    last = found[-1][0] if found else total
    return ExportPage(tuple(pack(value) for _, value in found), last if last < total else None)


def exported(cursor: Cursor, export_id: str) -> Id:
    """The repository that it is of. Raises `RejectRow`."""
    return int(_exported(cursor, export_id)[0])


def _exported(cursor: Cursor, export_id: str) -> tuple[Any, ...]:
    found = _row(cursor, "exported", export=export_id)
    if found is None:
        raise RejectRow("this export is not there (any more)", code="unknown_export", hint="begin a new pull-export")
    return found


def unknown(what: str) -> RejectRow:
    return RejectRow(f"there is no such {what} here", field=f"{what}_id", code=f"unknown_{what}")


def pack(value: Mapping[str, Any]) -> TaskPack:
    return TaskPack(
        Task(**_facts(value["task"])),
        tuple(Document(**_facts(one)) for one in value["documents"]),
        tuple(TaskUsage(**{k: v for k, v in u.items() if k not in ("task_id", "number")}) for u in value["usages"]),
    )


def repository(row: Mapping[str, Any]) -> Repository:
    return Repository(**{**_facts(row), "size_mb": float(row["size_mb"])})


def _facts(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as PostgreSQL writes it in JSON, as fields of a value: no id is 0, no uid is ''."""
    sent = ((name, value) for name, value in row.items() if name not in _NOT_SENT)
    facts: dict[str, Any] = {name: _NONE.get(name) if value is None else value for name, value in sent}
    for name in _MOMENTS:
        if facts.get(name) is not None:
            facts[name] = datetime.fromisoformat(facts[name])
    return facts


def _row(cursor: Cursor, query: str, /, **values: object) -> tuple[Any, ...] | None:
    return cursor.execute(_SQL[query], values).fetchone()
