"""What is decided without asking anybody: which documents travel, which one a task shows, what became of a unit.

Pure. Must not know stores or peers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from sync_assets.engine.errors import Stop, SyncError
from sync_assets.exchange.model import Did, Document, PackReceived, Received, TaskPack
from sync_assets.exchange.work import DocumentOutcome, Order, Unit, UnitStatus

CONFLICT = "the other side has another text of the same version"
SEND_BYTES = 8_000_000  # of document content in one call, unless one task has more


def checked(order: Order) -> Order:
    """The order with its documents normalised: zero removed, each once, order kept. Raises `Stop` for one that would
    send nothing, and for one that would clear what the chosen documents do not replace, unless `confirm`."""
    ids = tuple(dict.fromkeys(i for i in order.document_ids if i))
    if order.document_ids and not ids:
        raise Stop("no document was chosen", hint="name documents, or none for all of them", code="invalid")
    if order.repository_id <= 0 or any(i < 0 for i in ids):
        raise Stop("ids of repositories and documents are positive", hint="correct the order", code="invalid")
    if order.replace and ids and not order.confirm:
        raise Stop(
            "some documents are chosen, and all others would be cleared",
            hint="choose no documents, do not clear, or confirm that this is meant",
            code="confirm",
        )
    return replace(order, document_ids=ids)


def shown(pack: TaskPack, *, subset: bool) -> TaskPack:
    """The pack with the document that its task shows: among some chosen ones that of the highest version, else the
    latest as flagged, else the highest version; between equals the highest id. 0 without documents."""
    flagged = [d for d in pack.documents if d.is_latest]
    among = pack.documents if subset or not flagged else flagged
    best = max(among, key=lambda d: (d.version, d.document_id), default=None)
    return replace(pack, task=replace(pack.task, doc_id=best.document_id if best else 0))


def unit_of(number: int, pack: TaskPack) -> Unit:
    """A unit that nothing was done for yet."""
    return Unit(number, pack.task.task_id, pack.task.title, documents=_each(pack.documents, UnitStatus.PENDING, ""))


def batches(packs: Sequence[TaskPack], count: int, size: int = SEND_BYTES) -> Iterator[list[TaskPack]]:
    """Packs in their order, at most `count` (at least 1) and about `size` bytes of content together."""
    batch: list[TaskPack] = []
    held = 0
    for pack in packs:
        weight = sum(len(d.content.encode("utf-8", "replace")) for d in pack.documents)
        if batch and (len(batch) >= max(count, 1) or held + weight > size):
            yield batch
            batch, held = [], 0
        batch.append(pack)
        held += weight
    if batch:
        yield batch


def ended(unit: Unit, pack: TaskPack, outcome: PackReceived | SyncError) -> Unit:
    """The unit with its outcome. It failed if the task or any document did; it is skipped if the other side has
    something newer and took nothing."""
    tried = replace(unit, attempts=unit.attempts + 1)
    if isinstance(outcome, SyncError):
        return failed(tried, pack.documents, str(outcome))
    documents = tuple(_document(d, outcome) for d in pack.documents)
    wrong = [d for d in documents if d.status is UnitStatus.FAILED]
    if outcome.task.did is Did.CONFLICT or wrong:
        error = f"document {wrong[0].document_id}: {wrong[0].error}" if wrong else CONFLICT
        return replace(tried, status=UnitStatus.FAILED, error=error, documents=documents)
    did = {outcome.task.did, *(r.did for r in outcome.documents.values())}
    skipped = Did.OLDER in did and not did & {Did.CREATED, Did.UPDATED}
    status = UnitStatus.SKIPPED if skipped else UnitStatus.SUCCEEDED
    return replace(tried, status=status, error="", documents=documents)


def failed(unit: Unit, documents: Sequence[Document], error: str) -> Unit:
    """The unit as one that failed whole."""
    each = _each(documents, UnitStatus.FAILED, error) if documents else unit.documents
    return replace(unit, status=UnitStatus.FAILED, error=error, documents=each)


def _each(documents: Sequence[Document], status: UnitStatus, error: str) -> tuple[DocumentOutcome, ...]:
    return tuple(DocumentOutcome(d.document_id, d.title, status, error) for d in documents)


def _document(document: Document, outcome: PackReceived) -> DocumentOutcome:
    said = outcome.errors.get(document.document_id)
    status, error = _judged(outcome.documents.get(document.document_id), said)
    return DocumentOutcome(document.document_id, document.title, status, error)


def _judged(received: Received | None, refused: str | None) -> tuple[UnitStatus, str]:
    if received is None:
        return UnitStatus.FAILED, refused or "the other side did not take it"
    if received.did is Did.CONFLICT:
        return UnitStatus.FAILED, CONFLICT
    return (UnitStatus.SKIPPED if received.did is Did.OLDER else UnitStatus.SUCCEEDED), ""
