"""The protocol's bodies as the gateway takes and gives them, and the way to and from the exchange's values.

What a program of the protocol leaves out, sends empty or sends as Go's zero time means its default; what it sends
besides is not looked at. Bounds are those of the tables, so that the description of the interface is true. Must not
know who calls or what is done.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field

from sync_assets.engine.errors import RejectRow
from sync_assets.exchange.model import (
    UID,
    Did,
    Document,
    ExportPage,
    Received,
    Repository,
    Task,
    TaskPack,
    TaskUsage,
)

AT_ONCE = 100  # packs in a call
_DOCUMENTS = 1000  # of one task in a call
_YEARS = range(2, 9999)  # what PostgreSQL and Python both hold in any time zone


def _none_is_default(value: Any, default: Any) -> Any:
    return default if value is None or value == "" else value


def _moment(value: Any) -> Any:
    """No time for Go's zero time and for what no clock says."""
    if isinstance(value, str) and value[:4].isdigit() and int(value[:4]) not in _YEARS:
        return None
    return None if value == "" else value


def _text_or(default: str, said: Any = str) -> BeforeValidator:
    """Text as `said`; '' and null are the default."""
    return BeforeValidator(lambda value: _none_is_default(value, default), json_schema_input_type=said | None)


def _number_or(absent: float | None, said: Any = None) -> BeforeValidator:
    """A number of JSON; null is `absent`, and then may be sent as `said`. Python would take true and "1" for numbers as
    well."""

    def number(value: object) -> object:
        if isinstance(value, bool | str):
            raise ValueError("is no number")
        return absent if value is None else value

    return BeforeValidator(number, json_schema_input_type=said | None) if said else BeforeValidator(number)


def _flag(value: object) -> object:
    if value is not None and not isinstance(value, bool):
        raise ValueError("is neither true nor false")
    return True if value is None else value


_Whole = Annotated[int, Field(ge=0, le=2**63 - 1)]
_Int4 = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
_Amount = Annotated[float, Field(ge=0, lt=1e15, allow_inf_nan=False)]
_Upto1000 = Annotated[str, Field(max_length=1000)]
_Uid = Annotated[str, Field(pattern=UID)]
Id = Annotated[int, Field(ge=1, le=2**63 - 1), _number_or(None)]
Reference = Annotated[_Whole, _number_or(0, _Whole)]
Small = Annotated[_Int4, _number_or(0, _Int4)]
Version = Annotated[_Int4, _number_or(1, _Int4)]
Flag = Annotated[bool, BeforeValidator(_flag, json_schema_input_type=bool | None)]
Tokens = Annotated[_Whole, _number_or(0, _Whole)]
Size = Annotated[_Amount, _number_or(0.0, _Amount)]
Text = Annotated[str, _text_or("")]
Short = Annotated[_Upto1000, _text_or("", _Upto1000)]
Uid = Annotated[_Uid, _text_or("", _Uid)]  # '' where the sender tells none
Moment = Annotated[AwareDatetime | None, BeforeValidator(_moment)]
_RepositoryStatus = Literal["pending", "cloning", "ready", "analyzing", "completed", "error"]
_TaskStatus = Literal["pending", "queued", "running", "succeeded", "failed", "canceled"]
_TaskType = Literal["DocWrite", "DocRewrite", "TocWrite", "TitleRewrite", "IncrementalWrite"]
RepositoryStatus = Annotated[_RepositoryStatus, _text_or("ready", Literal[_RepositoryStatus, ""])]
TaskStatus = Annotated[_TaskStatus, _text_or("pending", Literal[_TaskStatus, ""])]
TaskType = Annotated[_TaskType, _text_or("DocWrite", Literal[_TaskType, ""])]


# -- what comes


class RepositoryBody(BaseModel):
    """`repository_id` is the sender's. `replacing`: what this sync does not bring is cleared at its end."""

    repository_id: Id
    name: Text = ""
    url: Text = ""
    description: Text = ""
    clone_branch: Text = ""
    clone_commit_id: Text = ""
    size_mb: Size = 0.0
    status: RepositoryStatus = "ready"
    error_msg: Text = ""
    created_at: Moment = None
    updated_at: Moment = None
    uid: Uid = ""
    replacing: bool = False


class TaskBody(BaseModel):
    """All ids are the sender's; `doc_id` counts only in a pack."""

    task_id: Id
    repository_id: Id
    doc_id: Reference = 0
    writer_name: Annotated[str, _text_or("DefaultWriter")] = "DefaultWriter"
    task_type: TaskType = "DocWrite"
    title: Text = ""
    outline: Text = ""
    status: TaskStatus = "pending"
    run_after: Reference = 0
    error_msg: Short = ""
    sort_order: Small = 0
    started_at: Moment = None
    completed_at: Moment = None
    created_at: Moment = None
    updated_at: Moment = None
    uid: Uid = ""
    run_after_uid: Uid = ""


class DocumentBody(BaseModel):
    """All ids are the sender's, but for `task_id` of document-create, which is the receiver's."""

    document_id: Id
    repository_id: Id
    task_id: Id
    title: Text = ""
    filename: Text = ""
    content: Annotated[Text, Field(repr=False)] = ""
    sort_order: Small = 0
    version: Version = 1
    is_latest: Flag = True
    replaced_by: Reference = 0
    clone_branch: Text = ""
    clone_commit_id: Text = ""
    created_at: Moment = None
    updated_at: Moment = None
    uid: Uid = ""
    replaced_by_uid: Uid = ""


class UsageBody(BaseModel):
    """`task_id` 0 or left out: that of the call."""

    task_id: Reference = 0
    api_key_name: Text = ""
    prompt_tokens: Tokens = 0
    completion_tokens: Tokens = 0
    total_tokens: Tokens = 0
    cached_tokens: Tokens = 0
    reasoning_tokens: Tokens = 0
    created_at: Text = ""


class UsagesBody(UsageBody):
    """All that a task has cost, in place of what was told before. Without `task_usages` the other fields are one."""

    task_id: Id
    task_usages: Annotated[list[UsageBody], Field(max_length=10_000)] | None = None


class PackBody(BaseModel):
    task: TaskBody
    documents: Annotated[list[DocumentBody], Field(max_length=_DOCUMENTS)] = []
    usages: Annotated[list[UsageBody], Field(max_length=_DOCUMENTS)] = []


class PacksBody(BaseModel):
    packs: Annotated[list[PackBody], Field(max_length=AT_ONCE)]


class ChoiceBody(BaseModel):
    """Both ids are the receiver's."""

    task_id: Id
    document_id: Id


class LinkBody(BaseModel):
    """`repository_id` is the sender's."""

    repository_id: Id


class ClearBody(LinkBody):
    """`keep`: the sync whose tasks and documents stay."""

    keep: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[\x21-\x7e]+$")] | None = None


class ExportBody(BaseModel):
    """Either a repository (all of it, or `document_ids`), or `export` and `cursor` of a page before. Ids are ours."""

    repository_id: Id | None = None
    document_ids: Annotated[list[Reference], Field(max_length=100_000)] | None = None
    paged: bool = False
    export: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_-]+$")] | None = None
    cursor: Annotated[int, Field(ge=0, le=2**31 - 1), _number_or(None)] | None = None


# -- what goes


class PingOut(BaseModel):
    instance: str
    batch: int = AT_ONCE
    staged_clear: bool = True
    paged_export: bool = True
    uids: bool = True


class RepositoryOut(BaseModel):
    repository_id: int
    name: str
    did: Did


class TaskOut(BaseModel):
    task_id: int
    repository_id: int
    title: str
    did: Did


class DocumentOut(BaseModel):
    document_id: int
    repository_id: int
    task_id: int
    did: Did


class ChoiceOut(BaseModel):
    task_id: int
    document_id: int
    changed: bool


class UsagesOut(BaseModel):
    task_id: int
    changed: bool


class ClearedOut(BaseModel):
    repository_id: int
    tasks: int
    documents: int
    usages: int


class LinkedOut(BaseModel):
    linked: int


class ReceivedOut(BaseModel):
    id: int
    did: Did


class PackDocumentOut(BaseModel):
    """`document_id` is the sender's. Refused: `error` and `code`; else our `id` and what was done."""

    document_id: int
    id: int | None = None
    did: Did | None = None
    error: str | None = None
    code: str | None = None


class PackOut(BaseModel):
    """Of one pack: its task and documents, or `error` and `code`."""

    task: ReceivedOut | None = None
    documents: list[PackDocumentOut] | None = None
    error: str | None = None
    code: str | None = None


class PacksOut(BaseModel):
    packs: list[PackOut]


class ListedRepository(BaseModel):
    repository_id: int
    name: str
    url: str
    clone_branch: str
    status: str
    updated_at: datetime | None


class ListedDocument(BaseModel):
    """`status` is that of its task."""

    document_id: int
    repository_id: int
    task_id: int
    title: str
    status: str
    created_at: datetime | None


class ExportedUsage(BaseModel):
    task_id: int
    api_key_name: str
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    created_at: str


class ExportOut(BaseModel):
    """`repository` and `total` (tasks in all) come with the first page, `next` with every page but the last."""

    repository: Repository | None = None
    tasks: list[Task]
    documents: list[Document]
    task_usages: list[ExportedUsage]
    export: str | None = None
    next: int | None = None
    total: int | None = None


# -- there and back

Value = TypeVar("Value", Repository, Task, Document, TaskUsage)


def repository(body: RepositoryBody) -> Repository:
    facts = _facts(body, "replacing")
    return Repository(**{**facts, "name": facts["name"] or f"repository {body.repository_id}"})


def task(body: TaskBody) -> Task:
    return Task(**_facts(body))


def document(body: DocumentBody) -> Document:
    return Document(**_facts(body))


def usages(body: UsagesBody) -> list[TaskUsage]:
    """Raises `RejectRow` for a usage of another task."""
    items = [body] if body.task_usages is None else body.task_usages
    if any(item.task_id not in (0, body.task_id) for item in items):
        raise RejectRow("a usage is of another task", field="task_id", code="invalid")
    return [_usage(item) for item in items]


def pack(body: PackBody) -> TaskPack:
    documents = tuple(document(one) for one in body.documents)
    return TaskPack(task(body.task), documents, tuple(_usage(one) for one in body.usages))


def _usage(body: UsageBody) -> TaskUsage:
    return TaskUsage(**_facts(body, "task_id", "task_usages"))


def _facts(body: BaseModel, *but: str) -> dict[str, Any]:
    return {name: _utc(value) for name, value in body.__dict__.items() if name not in but}


def _utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def exported(
    page: ExportPage, *, of: Repository | None = None, export: str | None = None, total: int | None = None
) -> ExportOut:
    """A page as it is sent; the values are taken as they are."""
    return ExportOut.model_construct(
        repository=of,
        tasks=[one.task for one in page.packs],
        documents=[each for one in page.packs for each in one.documents],
        task_usages=[_exported_usage(one.task.task_id, each) for one in page.packs for each in one.usages],
        export=export if page.next is not None else None,
        next=page.next,
        total=total,
    )


def _exported_usage(task_id: int, usage: TaskUsage) -> ExportedUsage:
    return ExportedUsage.model_construct(task_id=task_id, **{name: getattr(usage, name) for name in _USAGE})


_USAGE = tuple(name for name in ExportedUsage.model_fields if name != "task_id")


def received(one: Received) -> ReceivedOut:
    return ReceivedOut(id=one.id, did=one.did)


def pack_received(task: Received, documents: Mapping[int, Received], refused: Mapping[int, str]) -> PackOut:
    each = [PackDocumentOut(document_id=id, id=one.id, did=one.did) for id, one in documents.items()]
    each += [PackDocumentOut(document_id=id, error=error, code=_code(error)) for id, error in refused.items()]
    return PackOut(task=received(task), documents=each)


def pack_refused(error: RejectRow) -> PackOut:
    return PackOut(error=_said(error), code=error.code)


def _code(text: str) -> str:
    """The code that an error's text ends with, or holds before its hint."""
    found = re.search(r"\[([a-z_]+)\]", text)
    return found[1] if found else "refused"


def _said(error: RejectRow) -> str:
    return error.message + (f" -> {error.hint}" if error.hint else "")
