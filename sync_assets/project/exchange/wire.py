"""The protocol's words as plain values: what is sent to a peer, and what a peer says, checked field by field.

A peer is somebody else's program: whatever it answers is checked, and what does not fit is refused as `RejectRow` with
the name of the field, never with its value. Must not know HTTP.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sync_assets.engine.errors import RejectRow
from sync_assets.exchange.model import (
    UID,
    Did,
    Document,
    Id,
    PackReceived,
    Received,
    Repository,
    Task,
    TaskPack,
    TaskUsage,
)

Fields = Mapping[str, Any]
_LARGEST_ID = 2**63 - 1
_LARGEST_INT = 2**31 - 1

# -- out


def repository_out(repository: Repository) -> dict[str, Any]:
    return {
        "repository_id": repository.repository_id,
        "name": repository.name,
        "url": repository.url,
        "description": repository.description,
        "clone_branch": repository.clone_branch,
        "clone_commit_id": repository.clone_commit_id,
        "size_mb": repository.size_mb,
        "status": repository.status,
        "error_msg": repository.error_msg,
        **_stamps(repository.created_at, repository.updated_at),
        **_told(uid=repository.uid),
    }


def task_out(task: Task) -> dict[str, Any]:
    out = {
        "task_id": task.task_id,
        "repository_id": task.repository_id,
        "doc_id": task.doc_id,
        "writer_name": task.writer_name,
        "task_type": task.task_type,
        "title": task.title,
        "outline": task.outline,
        "status": task.status,
        "run_after": task.run_after,
        "error_msg": task.error_msg,
        "sort_order": task.sort_order,
        **_stamps(task.created_at, task.updated_at),
        **_told(uid=task.uid, run_after_uid=task.run_after_uid),
    }
    ends = {"started_at": moment_out(task.started_at), "completed_at": moment_out(task.completed_at)}
    return out | {name: moment for name, moment in ends.items() if moment}


def document_out(document: Document) -> dict[str, Any]:
    return {
        "document_id": document.document_id,
        "repository_id": document.repository_id,
        "task_id": document.task_id,
        "title": document.title,
        "filename": document.filename,
        "content": document.content,
        "sort_order": document.sort_order,
        "version": document.version,
        "is_latest": document.is_latest,
        "replaced_by": document.replaced_by,
        "clone_branch": document.clone_branch,
        "clone_commit_id": document.clone_commit_id,
        **_stamps(document.created_at, document.updated_at),
        **_told(uid=document.uid, replaced_by_uid=document.replaced_by_uid),
    }


def usage_out(usage: TaskUsage) -> dict[str, Any]:
    return {
        "api_key_name": usage.api_key_name,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "cached_tokens": usage.cached_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "created_at": usage.created_at,
    }


def pack_out(pack: TaskPack) -> dict[str, Any]:
    return {
        "task": task_out(pack.task),
        "documents": [document_out(document) for document in pack.documents],
        "usages": [usage_out(usage) for usage in pack.usages],
    }


def moment_out(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else None


def _stamps(created: datetime | None, updated: datetime | None) -> dict[str, str]:
    """Left out where unknown: the protocol's own programs take null for a fault."""
    stamps = {"created_at": moment_out(created), "updated_at": moment_out(updated)}
    return {name: moment for name, moment in stamps.items() if moment}


def _told(**uids: str) -> dict[str, str]:
    return {name: uid for name, uid in uids.items() if uid}


# -- in


def repository_in(value: object) -> Repository:
    of = _fields(value, "repository")
    return Repository(
        repository_id=_id(of, "repository_id"),
        name=_text(of, "name") or f"repository {of['repository_id']}",
        url=_text(of, "url"),
        description=_text(of, "description"),
        clone_branch=_text(of, "clone_branch"),
        clone_commit_id=_text(of, "clone_commit_id"),
        size_mb=_number(of, "size_mb"),
        status=_text(of, "status") or "ready",
        error_msg=_text(of, "error_msg"),
        created_at=_moment(of, "created_at"),
        updated_at=_moment(of, "updated_at"),
        uid=_uid(of, "uid"),
    )


def task_in(value: object) -> Task:
    of = _fields(value, "task")
    return Task(
        task_id=_id(of, "task_id"),
        repository_id=_id(of, "repository_id"),
        doc_id=_reference(of, "doc_id"),
        writer_name=_text(of, "writer_name") or "DefaultWriter",
        task_type=_text(of, "task_type") or "DocWrite",
        title=_text(of, "title"),
        outline=_text(of, "outline"),
        status=_text(of, "status") or "pending",
        run_after=_reference(of, "run_after"),
        error_msg=_text(of, "error_msg"),
        sort_order=_integer(of, "sort_order"),
        started_at=_moment(of, "started_at"),
        completed_at=_moment(of, "completed_at"),
        created_at=_moment(of, "created_at"),
        updated_at=_moment(of, "updated_at"),
        uid=_uid(of, "uid"),
        run_after_uid=_uid(of, "run_after_uid"),
    )


def document_in(value: object) -> Document:
    of = _fields(value, "document")
    return Document(
        document_id=_id(of, "document_id"),
        repository_id=_id(of, "repository_id"),
        task_id=_id(of, "task_id"),
        title=_text(of, "title"),
        filename=_text(of, "filename"),
        content=_text(of, "content"),
        sort_order=_integer(of, "sort_order"),
        version=_integer(of, "version", 1),
        is_latest=_flag(of, "is_latest", True),
        replaced_by=_reference(of, "replaced_by"),
        clone_branch=_text(of, "clone_branch"),
        clone_commit_id=_text(of, "clone_commit_id"),
        created_at=_moment(of, "created_at"),
        updated_at=_moment(of, "updated_at"),
        uid=_uid(of, "uid"),
        replaced_by_uid=_uid(of, "replaced_by_uid"),
    )


def usage_in(value: object) -> TaskUsage:
    of = _fields(value, "usage")
    return TaskUsage(
        api_key_name=_text(of, "api_key_name"),
        prompt_tokens=_tokens(of, "prompt_tokens"),
        completion_tokens=_tokens(of, "completion_tokens"),
        total_tokens=_tokens(of, "total_tokens"),
        cached_tokens=_tokens(of, "cached_tokens"),
        reasoning_tokens=_tokens(of, "reasoning_tokens"),
        created_at=_text(of, "created_at"),
    )


def packs_in(data: Fields) -> tuple[TaskPack, ...]:
    """Tasks with their documents and usages, in the order of the tasks. Documents of tasks that are not there are
    refused: they would be lost without a word."""
    documents: dict[Id, list[Document]] = defaultdict(list)
    usages: dict[Id, list[TaskUsage]] = defaultdict(list)
    for item in _items(data, "documents"):
        document = document_in(item)
        documents[document.task_id].append(document)
    for item in _items(data, "task_usages"):
        usages[_id(_fields(item, "usage"), "task_id")].append(usage_in(item))
    tasks = [task_in(item) for item in _items(data, "tasks")]
    known = {task.task_id for task in tasks}
    if not documents.keys() <= known:
        raise wrong("task_id", "a document belongs to a task that was not sent")
    return tuple(TaskPack(t, tuple(documents[t.task_id]), tuple(usages[t.task_id])) for t in tasks)


def listed_in(data: object) -> Iterator[tuple[Id, str, str, datetime | None]]:
    """What a list of documents says of each: id, title, status of its task, time of creation."""
    for item in items_in(data):
        of = _fields(item, "document")
        yield _id(of, "document_id"), _text(of, "title"), _text(of, "status"), _moment(of, "created_at")


def items_in(data: object) -> Sequence[object]:
    """The items of a list, which may be the data itself or below a name."""
    found = data
    if isinstance(data, Mapping):
        found = next((data[n] for n in ("items", "list", "repositories", "documents") if n in data), None)
    return () if found is None else _list(found, "data")


def received_in(value: object, pack: TaskPack) -> PackReceived | RejectRow:
    """What a peer of our kind did with a pack; `RejectRow` where it refused it."""
    of = _fields(value, "pack")
    if "error" in of:
        return RejectRow("the peer refuses this task", code=_word(of.get("code")), hint=_hint(of.get("code")))
    known = {d.document_id for d in pack.documents}
    taken, refused = _documents_in(of.get("documents"), known)
    return PackReceived(_received(of.get("task")), taken, refused)


def _documents_in(value: object, known: set[Id]) -> tuple[dict[Id, Received], dict[Id, str]]:
    taken: dict[Id, Received] = {}
    refused: dict[Id, str] = {}
    entries: list[tuple[object, object]] = []
    if isinstance(value, Mapping):
        entries = list(value.items())
    elif isinstance(value, list):
        entries = [(item.get("document_id") if isinstance(item, Mapping) else None, item) for item in value]
    for key, item in entries:
        number = int(key) if isinstance(key, str) and key.isdecimal() else key
        if not isinstance(number, int) or number not in known:
            continue
        of = _fields(item, "document")
        if of.get("error"):
            refused[number] = str(RejectRow("the peer refuses it", code=_word(of.get("code"))))
        else:
            taken[number] = _received(item)
    return taken, refused


def _received(value: object) -> Received:
    of = _fields(value, "outcome")
    try:
        return Received(_id(of, "id"), Did(of.get("did", "created")))
    except ValueError:
        raise wrong("did", "is no word of the protocol") from None


# -- checks


def wrong(field: str, why: str) -> RejectRow:
    """Something that a peer said does not fit."""
    return RejectRow(f"the peer's answer is wrong: {field} {why}", field=field, code="invalid")


def _word(value: object) -> str:
    """A code of a peer, if it is a word: other text is not passed on."""
    short = isinstance(value, str) and len(value) <= 40 and value.replace("_", "").isalnum() and value.isascii()
    return str(value) if short else "refused"


def _hint(code: object) -> str:
    return "it belongs to another repository there" if code == "other_repository" else ""


def fields_in(value: object, what: str) -> Fields:
    return _fields(value, what)


def _fields(value: object, what: str) -> Fields:
    if not isinstance(value, Mapping):
        raise wrong(what, "is no object")
    return value


def _list(value: object, what: str) -> list[object]:
    if not isinstance(value, list):
        raise wrong(what, "is no list")
    return value


def _items(data: Fields, name: str) -> list[object]:
    found = data.get(name)
    return [] if found is None else _list(found, name)  # Go writes null for an empty list


def _id(of: Fields, name: str) -> Id:
    number = of.get(name)
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number <= _LARGEST_ID:
        raise wrong(name, "is no id")
    return number


def _reference(of: Fields, name: str) -> Id:
    return _id(of, name) if of.get(name) else 0


def _integer(of: Fields, name: str, default: int = 0, largest: int = _LARGEST_INT) -> int:
    number = of.get(name)
    if number is None:
        return default
    if not isinstance(number, int) or isinstance(number, bool) or not -largest - 1 <= number <= largest:
        raise wrong(name, "is no whole number that fits")
    return number


def _tokens(of: Fields, name: str) -> int:
    return _integer(of, name, largest=_LARGEST_ID)


def _number(of: Fields, name: str) -> float:
    number = of.get(name) or 0.0
    if not isinstance(number, int | float) or isinstance(number, bool) or not 0 <= number < 1e15:
        raise wrong(name, "is no number that fits")
    return float(number)


def _flag(of: Fields, name: str, default: bool) -> bool:
    value = of.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise wrong(name, "is neither true nor false")
    return value


def _text(of: Fields, name: str) -> str:
    value = of.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise wrong(name, "is no text")
    return value


def _uid(of: Fields, name: str) -> str:
    text = _text(of, name)
    if not re.fullmatch(UID, text):
        raise wrong(name, "is no UUID")
    return text


def _moment(of: Fields, name: str) -> datetime | None:
    text = _text(of, name)
    if not text or text.startswith("0001-01-01"):  # Go's word for no time
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise wrong(name, "is no moment") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
