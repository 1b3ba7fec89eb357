"""What tests of syncs between installations share: a repository of one's own, and all that an installation holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sync_assets.exchange.model import PackReceived, TaskPack
from sync_assets_tests.fix_exchange import Installation, a_pack, a_repository

SHAPE = """
select r.name, t.title, t.status, d.title, d.content, d.version, d.is_latest, d.document_id = t.doc_id, b.title,
       n.title, (select count(*) from sync_assets.exchange_usage u where u.task_id = t.task_id)
  from sync_assets.exchange_repository r
  left join sync_assets.exchange_task t using (repository_id)
  left join sync_assets.exchange_document d using (task_id)
  left join sync_assets.exchange_task b on b.task_id = t.run_after
  left join sync_assets.exchange_document n on n.document_id = d.replaced_by
 order by 1, 2, 4, 5
"""


def shape(of: Installation) -> list[tuple[Any, ...]]:
    """All that an installation holds, without ids."""
    return of.rows(SHAPE)


def own(of: Installation, packs: Sequence[TaskPack], repository: int = 1) -> int:
    """A repository with these tasks; our id of it."""
    received = of.library.put_repository("seed", a_repository(repository))
    for outcome in of.library.put_packs("seed", packs):
        assert isinstance(outcome, PackReceived), outcome
    of.library.link("seed", repository)
    return received.id


def ring(tasks: int) -> list[TaskPack]:
    """Tasks of two documents, each to run after the next; the first document is replaced by the second."""
    packs = [a_pack(n, [n * 10, n * 10 + 1], run_after=n % tasks + 1) for n in range(1, tasks + 1)]
    old, new = packs[0].documents
    packs[0] = replace(packs[0], documents=(replace(old, replaced_by=new.document_id, is_latest=False), new))
    return packs


def own_repository(of: Installation, tasks: int) -> int:
    return own(of, ring(tasks))
