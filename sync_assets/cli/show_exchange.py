"""What people see of an exchange: peers, repositories, how each came out, a sync with its documents, the history.

Like `cli.show`, whose tables these are. Names and titles may hold anything.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sync_assets.cli import clock
from sync_assets.cli.show import mark, plain, table
from sync_assets.exchange.work import SyncState, UnitStatus
from sync_assets.project.exchange.items import Item

_MOST = 20  # of what failed; `exchange status` shows all


def peers(rows: Iterable[Mapping[str, Any]]) -> None:
    head = ["exchange", "peer", "address", "ways", "schedules", "title"]
    table(head, [[plain(cell) for cell in _peer(row)] for row in rows])


def _peer(row: Mapping[str, Any]) -> list[str]:
    schedules = [f"{way}: {cron}" for way, cron in row["schedules"].items() if cron]
    return [row["exchange"], row["peer"], row["url"], ", ".join(row["ways"]), "; ".join(schedules), row["title"]]


def repositories(rows: Iterable[Mapping[str, Any]]) -> None:
    head = ["way", "id", "name", "last sync", clock.named("ended"), "sync"]
    table(
        head,
        [
            [row["way"], str(row["repository_id"]), plain(row["name"]), row.get("last", ""), clock.told(row.get("at")),
             row.get("sync_id", "")[:8]]
            for row in rows
        ],
    )  # fmt: skip


def quiet(text: str) -> None:
    """Nothing is said on the way."""


def progress(text: str) -> None:
    """On the way, beside the result."""
    sys.stderr.write(f"{plain(text)}\n")


def item(done: Item) -> None:
    """One line, what failed, and what to do."""
    state = done.state
    name = plain(state.repository_name) if state and state.repository_name else ""
    sign = "" if done.good else mark(False, sys.stdout)
    counts = f": {_counts(state)}" if state else ""
    print(f"{sign}repository {done.repository_id} {name}{counts} ({done.seconds:.1f} s)")
    if not done.good:
        print(f"  {plain(done.trouble)}")
    bad = [document for document in done.documents if document.status is UnitStatus.FAILED]
    for document in bad[:_MOST]:
        print(f"  document {document.document_id} {plain(document.title)}: {plain(document.error)}")
    if state is not None and (len(bad) > _MOST or not done.good):
        print(f"  -> sync-assets exchange status {state.sync_id[:8]}")


def _counts(state: SyncState) -> str:
    parts = [f"{state.succeeded} succeeded", f"{state.failed} failed", f"{state.skipped} skipped"]
    if state.pending:
        parts.append(f"{state.pending} pending")
    return f"{state.status}, {state.total} tasks: {', '.join(parts)}"


def counted(done: Sequence[Item]) -> None:
    """How many repositories came out how: together they are what was asked for."""
    good = sum(item.good for item in done)
    documents = sum(len(item.documents) for item in done)
    print(f"{len(done)} repositories, {documents:,} documents: {good} good, {len(done) - good} not")


def whole(done: Item) -> None:
    """A sync with each of its tasks and documents."""
    state = done.state
    if state is None:
        return
    order = state.order
    print(f"{state.sync_id}: {order.direction} of {plain(state.repository_name)} ({order.repository_id}), {order.peer}")
    ended = clock.told(state.finished_at) or "not yet"
    print(f"{_counts(state)}; begun {clock.told(state.started_at)}, ended {ended} ({clock.zone()})")
    print(f"asked for by {plain(order.asked_by) or 'nobody named'}")
    if state.error:
        print(f"{plain(state.error)}")
    print()
    rows = [
        [str(unit.task_id), plain(unit.title), str(document.document_id), plain(document.title), str(document.status),
         plain(document.error)]
        for unit in done.units for document in unit.documents
    ]  # fmt: skip
    rows += [
        [str(u.task_id), plain(u.title), "", "", str(u.status), plain(u.error)] for u in done.units if not u.documents
    ]
    table(["task", "title", "document", "title", "status", "error"], rows)


def history(found: Iterable[SyncState]) -> None:
    head = [
        "sync",
        clock.named("begun"),
        "way",
        "peer",
        "repository",
        "status",
        "tasks",
        "failed",
        "skipped",
        "asked by",
    ]
    rows = [
        [s.sync_id[:8], clock.told(s.started_at), str(s.order.direction), plain(s.order.peer),
         plain(f"{s.order.repository_id} {s.repository_name}"), str(s.status), str(s.total), str(s.failed),
         str(s.skipped), plain(s.order.asked_by)]
        for s in found
    ]  # fmt: skip
    table(head, rows)
