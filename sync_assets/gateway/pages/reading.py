"""A document, as it is here: /repo/{repository}/doc/{document}. Its text is shown as text, whatever is in it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from sync_assets.gateway.access import Caller, caller_of
from sync_assets.gateway.pages.desk import Desk
from sync_assets.gateway.pages.rendering import render
from sync_assets.gateway.refusal import missing

_MOST_ID = 2**63


def add(router: APIRouter, desk: Desk) -> None:
    """The route of a document."""

    @router.get("/repo/{repository_id}/doc/{document_id}")
    def document(
        request: Request, repository_id: str, document_id: str, caller: Annotated[Caller, Depends(caller_of)]
    ) -> Response:
        repository, number = _id(repository_id), _id(document_id)
        caller.must("read", repository)
        found = desk.document(repository, number)
        here = desk.library.repositories([repository])
        if found is None or not here:
            raise missing()
        return render(request, "document.html", document=found[0],
                      status_of_task=found[1], repository=here[0])  # fmt: skip


def _id(text: str) -> int:
    """Raises 404 for what can be no id."""
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:20]) < _MOST_ID and len(text) < 20):
        raise missing()
    return int(text)
