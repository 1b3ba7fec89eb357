"""What the partitions of an exchange show in the UI: the repository, its tasks, every document with its status, links.

Titles, ids, outcomes and counts; never the content of a document. Must not know how anything was exchanged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from sync_assets.exchange.work import UnitStatus
from sync_assets.store.redaction import redact

if TYPE_CHECKING:
    from sync_assets.exchange.work import SyncState
    from sync_assets.project.exchange.items import Item

Metadata = dict[str, dg.MetadataValue]
MOST = 500  # rows of a table; the whole is in the control database
_ORDER = (UnitStatus.FAILED, UnitStatus.PENDING, UnitStatus.SKIPPED, UnitStatus.SUCCEEDED)  # what is to be seen first
_LONGEST = 300  # characters of a title or error


def of_repository(item: Item) -> Metadata:
    """Which repository, in which sync, asked for by whom, and how that ended."""
    shown: Metadata = {
        "repository_id": dg.MetadataValue.int(item.repository_id),
        "seconds": dg.MetadataValue.float(round(item.seconds, 3)),
    }
    if item.state is not None:
        shown |= _of_state(item.state)
    if item.waited:
        shown["waited"] = dg.MetadataValue.text("another process was at it: this is what that came to")
    return shown


def _of_state(state: SyncState) -> Metadata:
    order = state.order
    shown: Metadata = {
        "name": dg.MetadataValue.text(state.repository_name),
        "peer": dg.MetadataValue.text(order.peer),
        "direction": dg.MetadataValue.text(str(order.direction)),
        "sync_id": dg.MetadataValue.text(state.sync_id),
        "status": dg.MetadataValue.text(str(state.status)),
        "asked_by": dg.MetadataValue.text(order.asked_by),
    }
    if state.error:
        shown["error"] = dg.MetadataValue.text(redact(_cut(state.error)))
    if state.cleared is not None:
        gone = state.cleared
        cleared = {"tasks": gone.tasks, "documents": gone.documents, "usages": gone.usages}
        shown["cleared"] = dg.MetadataValue.json(cleared)
    return shown


def of_tasks(item: Item) -> Metadata:
    """Tasks by outcome, and each that there is room for, with its attempts."""
    state = item.state
    counts = {"total": 0} if state is None else {
        "total": state.total, "succeeded": state.succeeded, "failed": state.failed, "skipped": state.skipped,
        "pending": state.pending,
    }  # fmt: skip
    rows = [
        {"task_id": u.task_id, "title": _cut(u.title), "status": str(u.status), "attempts": u.attempts,
         "error": redact(_cut(u.error))}
        for u in sorted(item.units, key=lambda unit: _ORDER.index(unit.status))
    ]  # fmt: skip
    columns = ("task_id", "title", "status", "attempts", "error")
    return {**_numbers(counts), **_reference(item), **_table("tasks", rows, columns)}


def of_documents(item: Item) -> Metadata:
    """Documents by outcome, and each that there is room for: what failed comes first."""
    documents = sorted(item.documents, key=lambda document: _ORDER.index(document.status))
    rows = [
        {"document_id": d.document_id, "title": _cut(d.title), "status": str(d.status), "error": redact(_cut(d.error))}
        for d in documents
    ]
    counts = {"total": len(documents), **{str(status): count for status, count in item.counted().items()}}
    columns = ("document_id", "title", "status", "error")
    return {
        "dagster/row_count": dg.MetadataValue.int(counts["succeeded"]),
        **_numbers(counts), **_reference(item), **_table("documents", rows, columns),
    }  # fmt: skip


def of_links(item: Item) -> Metadata:
    """Tasks whose chosen document, and what refers to other tasks and documents, was set at the end."""
    linked = sum(unit.status is UnitStatus.SUCCEEDED and bool(unit.documents) for unit in item.units)
    return {"tasks_with_documents": dg.MetadataValue.int(linked), **_reference(item)}


def skipped(item: Item) -> str:
    """What the receiver has newer, or otherwise, and kept. Empty where there is none."""
    kept = [d for d in item.documents if d.status is UnitStatus.SKIPPED]
    some = "; ".join(f"{d.document_id} {_cut(d.title)}: {redact(_cut(d.error))}" for d in kept[:5])
    return f"{len(kept)} documents were not taken: {some}" if kept else ""


def _reference(item: Item) -> Metadata:
    if item.state is None:
        return {}
    return {
        "sync_id": dg.MetadataValue.text(item.state.sync_id),
        "status": dg.MetadataValue.text(str(item.state.status)),
    }


def _numbers(counts: Mapping[str, int]) -> Metadata:
    return {name: dg.MetadataValue.int(number) for name, number in counts.items()}


def _table(name: str, rows: Sequence[Mapping[str, Any]], columns: Iterable[str]) -> Metadata:
    if not rows:
        return {}
    schema = dg.TableSchema([dg.TableColumn(column) for column in columns])
    shown: Metadata = {name: dg.MetadataValue.table([dg.TableRecord(dict(row)) for row in rows[:MOST]], schema)}
    if len(rows) > MOST:
        shown["not_shown"] = dg.MetadataValue.text(f"{len(rows) - MOST} more: sync-assets exchange status SYNC_ID")
    return shown


def _cut(text: str) -> str:
    plain = "".join(c if c.isprintable() else " " for c in text)
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}..."
