"""What comes from elsewhere, made fit for the tables before any statement runs, or refused with the field's name.

Checked here and not by the tables' constraints, so that one bad document does not break the transaction of a batch.
Must not know statements.
"""

from __future__ import annotations

import math
import re
from dataclasses import fields, replace
from typing import Any, TypeVar

from sync_assets.engine.errors import RejectRow
from sync_assets.exchange.model import UID, Document, Repository, Task, TaskPack, TaskUsage
from sync_assets.exchange.work import DocumentOutcome, Unit
from sync_assets.store.control import storable

REPOSITORY_STATUSES = ("pending", "cloning", "ready", "analyzing", "completed", "error")
TASK_STATUSES = ("pending", "queued", "running", "succeeded", "failed", "canceled")
TASK_TYPES = ("DocWrite", "DocRewrite", "TocWrite", "TitleRewrite", "IncrementalWrite")
_INT4, _INT8 = 2**31, 2**63
_SMALL = ("sort_order", "version")
_YEARS = range(2, 9999)  # one that leaves Python's years in another time zone could never be read again
_ERROR_LENGTH = 1000  # characters; of the protocol
_CONTENT_BYTES = 256 * 2**20  # far below what PostgreSQL can hold, even when each byte becomes an escape
Thing = TypeVar("Thing", Repository, Task, Document, TaskUsage)


def fit_repository(repository: Repository) -> Repository:
    """Raises `RejectRow`, code ``invalid``."""
    fit = _fit("repository", repository)
    _require(fit.repository_id > 0, "repository", "repository_id", "must be positive")
    _require(bool(fit.name.strip()), "repository", "name", "must not be empty")
    _require(math.isfinite(fit.size_mb) and fit.size_mb >= 0, "repository", "size_mb", "must be a number from 0 up")
    _one_of("repository", "status", fit.status, REPOSITORY_STATUSES)
    return fit


def fit_task(task: Task) -> Task:
    """Raises `RejectRow`, code ``invalid``."""
    fit = _fit("task", task)
    _require(fit.task_id > 0, "task", "task_id", "must be positive")
    _require(len(fit.error_msg) <= _ERROR_LENGTH, "task", "error_msg", f"must not exceed {_ERROR_LENGTH} characters")
    _one_of("task", "status", fit.status, TASK_STATUSES)
    _one_of("task", "task_type", fit.task_type, TASK_TYPES)
    return fit


def fit_document(document: Document) -> Document:
    """Raises `RejectRow`, code ``invalid``."""
    fit = _fit("document", document)
    _require(fit.document_id > 0, "document", "document_id", "must be positive")
    _require(len(fit.content) <= _CONTENT_BYTES, "document", "content", "is too long")
    return fit


def fit_usage(usage: TaskUsage) -> TaskUsage:
    """Raises `RejectRow`, code ``invalid``."""
    return _fit("task usage", usage)


def fit_pack(pack: TaskPack) -> TaskPack:
    """The task and the usages made fit; documents are looked at one by one. Raises `RejectRow`, code ``invalid``."""
    ids = [document.document_id for document in pack.documents]
    _require(len(set(ids)) == len(ids), "task", "documents", "names a document twice")
    return replace(pack, task=fit_task(pack.task), usages=tuple(fit_usage(usage) for usage in pack.usages))


def row(thing: Repository | Task | Document | TaskUsage | Unit | DocumentOutcome) -> dict[str, Any]:
    """Its fields by name. `dataclasses.asdict` copies each value deeply, moments too: a fifth of the time of a pull."""
    return {one.name: getattr(thing, one.name) for one in fields(thing)}


def _fit(what: str, thing: Thing) -> Thing:
    """Texts storable, numbers in the range of their columns, moments aware."""
    changed: dict[str, Any] = {}
    for one in fields(thing):
        value = getattr(thing, one.name)
        if isinstance(value, str):
            if one.name.endswith("uid"):
                _require(re.fullmatch(UID, value) is not None, what, one.name, "is no UUID")
            text = storable(value)
            if text != value:
                changed[one.name] = text
        elif isinstance(value, int) and not isinstance(value, bool):
            low, high = (-_INT4, _INT4) if one.name in _SMALL else (0, _INT8)
            _require(low <= value < high, what, one.name, "is out of range")
        elif one.name.endswith("_at") and value is not None:
            _require(value.tzinfo is not None, what, one.name, "needs its offset from UTC")
            _require(value.year in _YEARS, what, one.name, "is out of range")
    return replace(thing, **changed) if changed else thing


def _one_of(what: str, name: str, value: str, allowed: tuple[str, ...]) -> None:
    _require(value in allowed, what, name, f"must be one of {', '.join(allowed)}")


def _require(holds: bool, what: str, name: str, wish: str) -> None:
    if not holds:
        raise RejectRow(f"{name} of a {what} {wish}", field=name, code="invalid")
