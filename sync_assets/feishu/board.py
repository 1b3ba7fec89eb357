"""Boards of Feishu Bitable: one method, one call. Nothing is split, compared or decided here.

Shapes and caps after the Bitable v1 API. Batches are atomic: one bad cell fails the whole call (`BadBatch`), and it
is the engine that halves them. Echoes of writes come in write shape, answers of `search` in read shape.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sync_assets.engine.errors import BadBatch, Gone, Retry, Stop, TooLarge
from sync_assets.feishu.client import Endpoint, FeishuClient
from sync_assets.feishu.pacing import Rate
from sync_assets.feishu.wire import encode

READ, WRITE, SCHEMA = Rate(20), Rate(50, burst=5), Rate(10, burst=1)  # calls per second, documented
FIELD_LIST = Endpoint("field list", "GET", READ)
FIELD_CREATE = Endpoint("field create", "POST", SCHEMA, write=True)  # repeatable: carries client_token
SEARCH = Endpoint("search", "POST", READ)
BATCH_GET = Endpoint("batch get", "POST", READ)
BATCH_CREATE = Endpoint("batch create", "POST", WRITE, write=True)  # repeatable: carries client_token
BATCH_UPDATE = Endpoint("batch update", "POST", WRITE, write=True)
BATCH_DELETE = Endpoint("batch delete", "POST", WRITE, write=True)

LIST_PAGE = 100
GET_ROWS = 100
SEARCH_PAGE, SMALLEST_PAGE = 500, 10
MOST_FIELD_NAMES = 200  # that a search may name; with more, all are read
SETTLING_SECONDS = 15.0  # after a creation, during which not every node of Feishu knows of it
_SHRINKING = frozenset({"1254002", "1254607", "1255040"})  # passing trouble that a smaller page often avoids


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a board. `type` is Feishu's number, `ui_type` its finer name (1 may be Text, Email or Barcode)."""

    id: str
    name: str
    type: int
    ui_type: str
    property: dict[str, Any] | None = None
    is_primary: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a scan: records in read shape, each record once in a scan, and how many there are in all."""

    items: list[dict[str, Any]]
    total: int


class Board:
    """One table of a base. Not for several threads at once, as the API is not.

    `person_ids` says by which kind of id persons are read and written: open_id, union_id or user_id.
    """

    def __init__(self, client: FeishuClient, app_token: str, table_id: str) -> None:
        self.client, self.app_token, self.table_id = client, app_token, table_id
        base = f"/open-apis/bitable/v1/apps/{quote(app_token, safe='')}"
        self._path = f"{base}/tables/{quote(table_id, safe='')}"
        self.person_ids = "open_id"
        self._page_cap = SEARCH_PAGE
        self._settled_at = float("-inf")

    def settle(self, created_at: float) -> None:
        """A table or field was created at this time of the client's clock: expect that not every node knows it."""
        self._settled_at = max(self._settled_at, created_at + SETTLING_SECONDS)

    def fields(self) -> list[Field]:
        items = listed(self.client, FIELD_LIST, f"{self._path}/fields", self.app_token, self._settling())
        return [_field(item) for item in items]

    def create_field(self, spec: dict[str, Any], client_token: str | None = None) -> Field:
        """Create one field after `spec` (field_name, type, ui_type, property)."""
        data = self._call(
            FIELD_CREATE,
            "/fields",
            params={"client_token": client_token or str(uuid.uuid4())},
            body=encode(spec),
        )
        self.settle(self.client.clock())
        return _field(data["field"])

    def search(
        self,
        field_names: Sequence[str] | None = None,
        page_size: int = SEARCH_PAGE,
        filter: dict[str, Any] | None = None,
    ) -> Iterator[Page]:
        """Scan the records, with these fields only, in pages. Records without values lack those fields.

        The scan is no snapshot: somebody may edit meanwhile, so records seen before are left out. A page too large
        for Feishu is asked for again at half the size, which this board then keeps. Raises `Stop` when the server
        repeats a page token, since such a scan would never end.
        """
        body = _search_body(field_names, filter)
        seen: set[str] = set()
        tokens: set[str] = set()
        token = ""
        while True:
            data = self._page(body, min(page_size, self._page_cap), token)
            items = [i for i in data.get("items") or () if i["record_id"] not in seen]
            seen.update([i["record_id"] for i in items])
            yield Page(items, int(data.get("total") or 0))
            if not data.get("has_more"):
                return
            token = str(data.get("page_token") or "")
            if not token or token in tokens:
                raise Stop(
                    f"{self._place(SEARCH)}: a page token came twice, the scan would never end",
                    hint="run again; report it if it stays",
                    code="page-token",
                )
            tokens.add(token)

    def batch_create(self, body: bytes, client_token: str) -> list[dict[str, Any]]:
        """Create the records of `body`, the encoded ``{"records": [{"fields": ...}]}``, sent byte for byte.

        Returns the created records in order, in write shape. Repeats with the same token have one effect.
        """
        try:
            params = {"client_token": client_token, **self._persons()}
            data = self._call(BATCH_CREATE, "/records/batch_create", params=params, body=body)
        except BadBatch as error:
            raise _vetted(error, json.loads(body)["records"]) from None
        return list(data.get("records") or ())

    def batch_update(self, records: bytes | Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Write the given fields of ``{"record_id", "fields"}`` records; null clears a cell, others stay.

        Takes the encoded body as well, so that what was measured is what is sent.
        """
        body = records if isinstance(records, bytes) else encode({"records": list(records)})
        try:
            data = self._call(BATCH_UPDATE, "/records/batch_update", params=self._persons(), body=body)
        except BadBatch as error:
            raise _vetted(error, json.loads(body)["records"]) from None
        return list(data.get("records") or ())

    def batch_delete(self, ids: Sequence[str]) -> list[str]:
        """Delete records, 500 at most; returns the ids that Feishu says are deleted."""
        try:
            data = self._call(BATCH_DELETE, "/records/batch_delete", body=encode({"records": list(ids)}))
        except BadBatch as error:
            raise _vetted(error, [{"record_id": i} for i in ids]) from None
        return [r["record_id"] for r in data.get("records") or () if r.get("deleted")]

    def absent(self, ids: Sequence[str]) -> set[str]:
        """Which of these records do not exist (any more); records that we may not see are not among them."""
        found: set[str] = set()
        for start in range(0, len(ids), GET_ROWS):
            body = encode({"record_ids": list(ids[start : start + GET_ROWS]), "automatic_fields": False})
            data = self._call(BATCH_GET, "/records/batch_get", body=body)
            found.update(data.get("absent_record_ids") or ())
        return found

    def _page(self, body: bytes, size: int, token: str) -> dict[str, Any]:
        """One page. Trouble that passes shrinks this page only; a page too large shrinks all that follow."""
        while True:
            params = {"page_size": size, **self._persons()} | ({"page_token": token} if token else {})
            try:
                return self._call(SEARCH, "/records/search", params=params, body=body)
            except (TooLarge, Retry) as error:
                too_large = isinstance(error, TooLarge)
                if size <= SMALLEST_PAGE or not (too_large or error.code in _SHRINKING):
                    raise
                size = max(SMALLEST_PAGE, size // 2)
                self._page_cap = size if too_large else self._page_cap

    def _call(
        self, endpoint: Endpoint, path: str, *, body: bytes, params: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        return self.client.call(
            endpoint,
            self._path + path,
            params=params,
            body=body,
            lane=self.app_token,
            place=self._place(endpoint),
            settling=self._settling(),
        )

    def _persons(self) -> dict[str, str]:
        return {} if self.person_ids == "open_id" else {"user_id_type": self.person_ids}

    def _place(self, endpoint: Endpoint) -> str:
        return f"Feishu {endpoint.name} on table {self.table_id}"

    def _settling(self) -> bool:
        return self.client.clock() < self._settled_at


def listed(
    client: FeishuClient, endpoint: Endpoint, path: str, lane: str, settling: bool = False
) -> list[dict[str, Any]]:
    """All items of a paged list (tables, fields), of which there are a few pages at most."""
    items: list[dict[str, Any]] = []
    params: dict[str, Any] = {"page_size": LIST_PAGE}
    while True:
        data = client.call(endpoint, path, params=params, lane=lane, settling=settling)
        items += data.get("items") or ()
        token = data.get("page_token")
        if not data.get("has_more") or not token or token == params.get("page_token"):
            return items
        params["page_token"] = token


def _search_body(field_names: Sequence[str] | None, filter: dict[str, Any] | None) -> bytes:
    body: dict[str, Any] = {"automatic_fields": False}
    if field_names and len(field_names) <= MOST_FIELD_NAMES:
        body["field_names"] = list(field_names)
    if filter:
        body["filter"] = filter
    return encode(body)


def _field(item: Mapping[str, Any]) -> Field:
    return Field(
        id=item["field_id"],
        name=item["field_name"],
        type=int(item["type"]),
        ui_type=item.get("ui_type") or "",
        property=item.get("property"),
        is_primary=bool(item.get("is_primary")),
    )


def _vetted(error: BadBatch, records: Sequence[Mapping[str, Any]]) -> BadBatch:
    """What a message names is kept only if it was sent: a field's name may else be a piece of a value."""
    if not any(error.field in record.get("fields", ()) for record in records):
        error.field = ""
    if isinstance(error, Gone):
        sent = {record.get("record_id") for record in records}
        error.ids = tuple(i for i in error.ids if i in sent)
    return error
