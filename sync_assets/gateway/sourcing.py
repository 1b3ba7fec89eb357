"""What other installations take: the source half of the protocol, below /api/sync. Ids are ours.

Callers see the repositories that they may read, and no others. An export is one moment; in pages where that is asked
for, else whole, as far as one answer holds it.
"""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Header, Query, Response

from sync_assets.exchange.model import Export, ExportPage, TaskPack
from sync_assets.gateway import wire
from sync_assets.gateway.access import Caller, allowed, caller_of
from sync_assets.gateway.envelope import Ok
from sync_assets.gateway.refusal import Refused

if TYPE_CHECKING:
    from sync_assets.exchange.model import Library
    from sync_assets.gateway.services import Services

_WHOLE = 40_000_000  # bytes of texts in an answer that is not paged
_GZIP_FROM = 1_000
Reader = Annotated[Caller, Depends(allowed("read"))]


def router(services: Services) -> APIRouter:
    routes = APIRouter()
    library = services.library

    @routes.get("/ping")
    def ping(_: Annotated[Caller, Depends(caller_of)]) -> Ok[wire.PingOut]:
        """Who is here, and what it can do besides the protocol."""
        return Ok(data=wire.PingOut(instance=services.instance))

    @routes.get("/repository-list")
    def list_repositories(caller: Reader) -> Ok[list[wire.ListedRepository]]:
        """The repositories that the caller may read."""
        found = [one for one in library.repositories() if caller.may("read", one.repository_id)]
        return Ok(data=[wire.ListedRepository.model_validate(one, from_attributes=True) for one in found])

    @routes.get("/document-list")
    def list_documents(
        repository_id: Annotated[int, Query(ge=1, le=2**63 - 1)], caller: Reader
    ) -> Ok[list[wire.ListedDocument]]:
        """The documents of a repository, oldest first, each with the status of its task."""
        caller.must("read", repository_id)
        return Ok(data=[_listed(document, status) for document, status in library.documents(repository_id)])

    @routes.post("/pull-export", response_model=Ok[wire.ExportOut])
    def pull_export(
        body: wire.ExportBody, caller: Reader, accept_encoding: Annotated[str, Header(include_in_schema=False)] = ""
    ) -> Response:
        """A repository with its tasks, documents and usages, as they are at one moment."""
        return _answer(_exported(library, body, caller), accept_encoding)

    return routes


def _listed(document: object, status: str) -> wire.ListedDocument:
    names = [name for name in wire.ListedDocument.model_fields if name != "status"]
    return wire.ListedDocument(status=status, **{name: getattr(document, name) for name in names})


def _exported(library: Library, body: wire.ExportBody, caller: Caller) -> wire.ExportOut:
    if body.export is not None:
        caller.must("read", library.exported(body.export))
        return wire.exported(library.export_page(body.export, body.cursor or 0), export=body.export)
    if body.repository_id is None:
        raise Refused(400, "name a repository_id, or export and cursor of a page before")
    caller.must("read", body.repository_id)
    asked = list(body.document_ids or ())
    chosen = list(dict.fromkeys(id for id in asked if id))
    if asked and not chosen:
        raise Refused(400, "document_ids names no document")
    export = library.export(body.repository_id, chosen)
    page = export.first if body.paged else _whole(library, export)
    return wire.exported(page, of=export.repository, export=export.id, total=export.total)


def _whole(library: Library, export: Export) -> ExportPage:
    """All pages as one. Raises 413 when that is more than an answer holds."""
    packs, following = list(export.first.packs), export.first.next
    held = _bytes(packs)
    while following is not None:
        page = library.export_page(export.id, following)
        packs += page.packs
        held += _bytes(page.packs)
        following = page.next
        if held > _WHOLE:
            raise Refused(413, "the export is too large for one answer; ask with paged: true, or for fewer documents")
    return ExportPage(tuple(packs))


def _bytes(packs: list[TaskPack] | tuple[TaskPack, ...]) -> int:
    return sum(len(document.content.encode()) for pack in packs for document in pack.documents)


def _answer(data: wire.ExportOut, accepted: str) -> Response:
    body = Ok[wire.ExportOut].model_construct(data=data).model_dump_json(exclude_none=True).encode()
    headers = {"Vary": "Accept-Encoding"}
    if len(body) >= _GZIP_FROM and "gzip" in accepted.lower():
        body = gzip.compress(body, 1, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(body, media_type="application/json", headers=headers)
