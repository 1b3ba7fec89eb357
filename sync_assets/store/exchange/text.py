"""One document with its content, for whoever reads it here. Lists and exports never load a text alone (`library`)."""

from __future__ import annotations

from pathlib import Path

from sync_assets.exchange.model import Document, Id
from sync_assets.store.session import Sessions
from sync_assets.store.sql import read_named

SQL = read_named(Path(__file__).with_suffix(".sql"))


def document_with_text(sessions: Sessions, repository_id: Id, document_id: Id) -> tuple[Document, str] | None:
    """With the status of its task; None where the repository has no such document. Raises `Retry`."""
    asked = {"repository": repository_id, "document": document_id}
    row = sessions.run(lambda cursor: cursor.execute(SQL["document"], asked).fetchone())
    return (Document(*row[:-1]), str(row[-1])) if row else None
