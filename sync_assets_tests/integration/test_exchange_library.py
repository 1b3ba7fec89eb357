"""The library on a real control database: what it promises of things that come from other installations."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest

from sync_assets.engine.errors import RejectRow
from sync_assets.exchange.model import Cleared, Did, Entity, Export, PackReceived, TaskPack, TaskUsage
from sync_assets.store.exchange import library_export
from sync_assets.store.exchange.library import PostgresLibrary
from sync_assets_tests.fix_exchange import (
    LONG_AGO,
    SEED,
    Installation,
    a_document,
    a_pack,
    a_repository,
    a_task,
    fill,
    later,
)


def put(library: PostgresLibrary, origin: str, *packs: TaskPack, link: bool = True) -> list[PackReceived]:
    """A repository 1 with these packs; none may be refused."""
    library.put_repository(origin, a_repository(1))
    outcomes = library.put_packs(origin, packs)
    assert all(isinstance(one, PackReceived) for one in outcomes), outcomes
    if link:
        library.link(origin, 1)
    return [one for one in outcomes if isinstance(one, PackReceived)]


def whole(library: PostgresLibrary, export: Export) -> list[TaskPack]:
    packs, following = list(export.first.packs), export.first.next
    while following is not None:
        page = library.export_page(export.id, following)
        packs += page.packs
        following = page.next
    return packs


# -- 1: ids


def test_two_installations_own_the_same_ids_and_both_survive(here: Installation) -> None:
    put(here.library, "a", a_pack(1, [1], title="of a"))
    before = here.library.export(here.local("a", Entity.REPOSITORY, 1)).first.packs
    put(here.library, "b", a_pack(1, [1], title="of b"))
    assert here.library.export(here.local("a", Entity.REPOSITORY, 1)).first.packs == before
    assert here.rows("select title from sync_assets.exchange_task order by 1") == [("of a",), ("of b",)]
    assert here.local("a", Entity.DOCUMENT, 1) != here.local("b", Entity.DOCUMENT, 1)


def test_a_row_of_another_repository_is_left_there(here: Installation) -> None:
    put(here.library, "a", a_pack(1, [1]), a_pack(2, [2]))
    here.library.put_repository("a", a_repository(2))
    before = here.everything()
    strange = TaskPack(a_task(1, 2), (a_document(1, 1, 2),))
    outcomes = here.library.put_packs("a", [strange, replace(a_pack(3, [], 2), usages=())])
    assert isinstance(outcomes[0], RejectRow)
    assert outcomes[0].code == "other_repository"
    assert isinstance(outcomes[1], PackReceived)
    with pytest.raises(RejectRow, match="belongs to another repository"):
        here.library.put_document("a", a_document(2, 3, 2), task=outcomes[1].task.id)
    after = here.everything()
    assert set(before["document"]) == set(after["document"])
    assert set(before["task"]) < set(after["task"])


def test_a_mapping_whose_row_is_gone_is_made_anew(here: Installation) -> None:
    (first,) = put(here.library, "a", a_pack(1, [1]))
    with psycopg.connect(**here.address.arguments()) as connection:
        connection.execute("delete from sync_assets.exchange_task")
    assert here.library.local("a", Entity.DOCUMENT, 1) is None
    (second,) = put(here.library, "a", a_pack(1, [1]))
    assert second.task.did is second.documents[1].did is Did.CREATED
    assert second.task.id != first.task.id
    assert here.local("a", Entity.TASK, 1) == second.task.id


def test_what_was_sent_and_comes_back_is_the_same_thing(here: Installation, there: Installation) -> None:
    ours = fill(here.library, 1, tasks=2)
    sent = here.library.export(ours)
    theirs = there.library.put_repository(here.name, sent.repository)
    here.library.know(there.name, Entity.REPOSITORY, {theirs.id: ours})
    for pack, got in zip(sent.first.packs, there.library.put_packs(here.name, sent.first.packs), strict=True):
        assert isinstance(got, PackReceived)
        here.library.know(there.name, Entity.TASK, {got.task.id: pack.task.task_id})
        here.library.know(there.name, Entity.DOCUMENT, {one.id: id for id, one in got.documents.items()})
    before = {name: rows for name, rows in here.everything().items() if name != "map"}
    back = there.library.export(theirs.id)
    assert here.library.put_repository(there.name, back.repository).did is Did.UNCHANGED
    here.library.put_packs(there.name, back.first.packs)
    assert {name: rows for name, rows in here.everything().items() if name != "map"} == before


# -- 2: again


def test_the_same_again_changes_no_byte(seeded: Installation) -> None:
    before = seeded.everything()
    for repository, tasks, documents in ((1, 3, 2), (2, 1, 1), (3, 0, 0)):
        fill(seeded.library, repository, tasks, documents)
    assert seeded.everything() == before


def test_the_same_call_twice_at_once_makes_one_of_each(here: Installation) -> None:
    here.library.put_repository("a", a_repository(1))
    packs = [a_pack(n, [n]) for n in range(1, 40)]
    told: list[list[Any]] = []
    threads = [threading.Thread(target=lambda: told.append(list(here.library.put_packs("a", packs)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 4
    assert len({tuple(one.task.id for one in outcomes) for outcomes in told}) == 1
    assert here.rows("select count(*) from sync_assets.exchange_task") == [(39,)]
    assert here.rows("select count(*) from sync_assets.exchange_document") == [(39,)]


def test_usages_are_replaced_as_a_set(here: Installation) -> None:
    (one,) = put(here.library, "a", a_pack(1, [1]))
    usages = [TaskUsage("k", 1), TaskUsage("k", 1), TaskUsage("l", 2**40)]
    assert here.library.put_usages(one.task.id, usages)
    assert not here.library.put_usages(one.task.id, usages)
    tokens = here.rows("select prompt_tokens from sync_assets.exchange_usage order by number")
    assert tokens == [(1,), (1,), (2**40,)]
    put(here.library, "a", a_pack(1, [1]))
    assert here.rows("select count(*) from sync_assets.exchange_usage") == [(1,)]


# -- 3: order; 4: second pass


def test_a_task_s_document_is_its_own_and_comes_last(here: Installation) -> None:
    put(here.library, "a", a_pack(1, [10, 11]), a_pack(2, [12]))
    here.library.put_task("a", a_task(3, doc_id=12))
    assert here.rows("select doc_id from sync_assets.exchange_task where title = 'task 3'") == [(None,)]
    task, document = here.local("a", Entity.TASK, 1), here.local("a", Entity.DOCUMENT, 12)
    with pytest.raises(RejectRow, match="no such document"):
        here.library.set_document(task, document)
    first = here.local("a", Entity.DOCUMENT, 10)
    assert here.library.set_document(task, first)
    before = here.table("exchange_task")
    assert not here.library.set_document(task, first)
    assert here.table("exchange_task") == before


def test_references_forward_backward_and_in_circles_are_translated(here: Installation) -> None:
    fill(here.library, 5, tasks=4)  # so that no id is by chance the same
    packs = [
        TaskPack(a_task(1, run_after=3, doc_id=2), (a_document(1, 1, replaced_by=2), a_document(2, 1, replaced_by=4))),
        TaskPack(a_task(2, run_after=1), (a_document(4, 2, replaced_by=4),)),
        TaskPack(a_task(3, run_after=2)),
    ]
    put(here.library, "a", *packs, link=False)
    assert here.library.link("a", 1) == 6
    assert here.library.link("a", 1) == 0
    local = {n: here.local("a", Entity.TASK, n) for n in (1, 2, 3)}
    runs = dict(here.rows("select task_id, run_after from sync_assets.exchange_task where run_after is not null"))
    assert runs == {local[1]: local[3], local[2]: local[1], local[3]: local[2]}
    document = {n: here.local("a", Entity.DOCUMENT, n) for n in (1, 2, 4)}
    newer = dict(here.rows("select document_id, replaced_by from sync_assets.exchange_document where replaced_by > 0"))
    assert newer == {document[1]: document[2], document[2]: document[4], document[4]: document[4]}
    before = here.everything()
    put(here.library, "a", *packs)
    assert here.everything() == before


def test_a_reference_waits_until_its_aim_has_come(here: Installation) -> None:
    put(here.library, "a", a_pack(1, run_after=2))
    put(here.library, "b", a_pack(2))  # another installation's 2
    assert here.library.link("a", 1) == 0
    before = here.table("exchange_task")
    put(here.library, "a", a_pack(1, run_after=2))
    assert here.table("exchange_task") == before
    put(here.library, "a", a_pack(2))
    row = "select run_after from sync_assets.exchange_task where task_id = %s"
    assert here.rows(row, here.local("a", Entity.TASK, 1)) == [(here.local("a", Entity.TASK, 2),)]


def test_a_reference_is_to_what_its_own_installation_sent(here: Installation) -> None:
    put(here.library, "a", a_pack(1, [1], run_after=2))
    here.library.know("b", Entity.REPOSITORY, {7: here.local("a", Entity.REPOSITORY, 1)})
    old = a_document(5, 2, 7, replaced_by=1)
    here.library.put_packs("b", [TaskPack(a_task(2, 7), (old,))])
    assert here.library.link("a", 1) == here.library.link("b", 7) == 0
    put(here.library, "a", a_pack(2))
    row = "select run_after from sync_assets.exchange_task where task_id = %s"
    assert here.rows(row, here.local("a", Entity.TASK, 1)) == [(here.local("a", Entity.TASK, 2),)]


def test_a_reference_to_another_repository_stays_unset(here: Installation) -> None:
    put(here.library, "a", a_pack(1))
    here.library.put_repository("a", a_repository(2))
    here.library.put_packs("a", [a_pack(2, [], 2, run_after=1)])
    assert here.library.link("a", 2) == 0
    assert here.rows("select count(*) from sync_assets.exchange_task where run_after is not null") == [(0,)]


# -- 7: clear


def test_clearing_is_one_step_and_told(seeded: Installation) -> None:
    ours = seeded.local(SEED, Entity.REPOSITORY, 1)
    assert seeded.library.clear(ours, by="user:ada") == Cleared(tasks=3, documents=6, usages=3)
    assert seeded.library.clear(ours, by="user:ada") == Cleared(0, 0, 0)
    assert seeded.rows("select count(*) from sync_assets.exchange_document") == [(1,)]
    assert len(seeded.library.repositories()) == 3
    row = "select who, object, (detail ->> 'documents')::int from sync_assets.gateway_audit order by number"
    assert seeded.rows(row) == [("user:ada", f"repository {ours}", 6), ("user:ada", f"repository {ours}", 0)]
    with pytest.raises(RejectRow, match="no such repository"):
        seeded.library.clear(10_000, by="user:ada")


@pytest.mark.parametrize("table", ["usage", "document", "task", "map"])
def test_clearing_that_breaks_leaves_all_as_it_was(seeded: Installation, table: str) -> None:
    before = seeded.everything()
    with psycopg.connect(**seeded.address.arguments()) as connection:
        connection.execute(
            "create function sync_assets.breaks() returns trigger language plpgsql as "
            "'begin raise exception ''broken''; end'"
        )
        connection.execute(
            f"create trigger breaks after delete on sync_assets.exchange_{table} "
            "for each statement execute function sync_assets.breaks()"
        )
    with pytest.raises(psycopg.errors.RaiseException):
        seeded.library.clear(seeded.local(SEED, Entity.REPOSITORY, 1), by="x")
    assert seeded.everything() == before
    assert seeded.table("gateway_audit") == []


def test_what_a_sync_brought_stays_and_the_rest_goes(here: Installation) -> None:
    put(here.library, "a", a_pack(1, [1, 2]), a_pack(2, [3]))
    put(here.library, "b", a_pack(1, [1]))
    here.library.begin_replacing("a", 1, "s1")
    put(here.library, "a", a_pack(1, [2]), a_pack(5, [6]))
    ours = here.local("a", Entity.REPOSITORY, 1)
    assert here.library.clear(ours, keep="s1", by="x") == Cleared(tasks=1, documents=2, usages=1)
    assert here.library.clear(ours, keep="s1", by="x") == Cleared(0, 0, 0)
    left = here.rows("select title from sync_assets.exchange_document where repository_id = %s order by 1", ours)
    assert left == [("document 2",), ("document 6",)]
    assert here.local("b", Entity.DOCUMENT, 1)


def test_a_sync_that_another_has_begun_after_clears_nothing(here: Installation) -> None:
    put(here.library, "a", a_pack(1, [1]))
    here.library.begin_replacing("a", 1, "s1")
    put(here.library, "a", a_pack(1, [1]))
    here.library.begin_replacing("a", 1, "s2")
    put(here.library, "a", a_pack(2, [2]))
    here.library.begin_replacing("a", 1, "s1")  # resumed
    put(here.library, "a", a_pack(3, [3]))
    before = here.everything()
    ours = here.local("a", Entity.REPOSITORY, 1)
    for keep in ("s1", "s3", ""):
        with pytest.raises(RejectRow) as refused:
            here.library.clear(ours, keep=keep, by="x")
        assert refused.value.code == "not_replacing"
    assert here.everything() == before


def test_putting_and_clearing_at_once_leave_whole_packs(here: Installation) -> None:
    ours = here.library.put_repository("a", a_repository(1)).id
    troubles: list[BaseException] = []

    def again(call: Callable[[], object]) -> Callable[[], None]:
        def work() -> None:
            try:
                for _ in range(15):
                    call()
            except BaseException as error:
                troubles.append(error)

        return work

    packs = [a_pack(n, [n * 2, n * 2 + 1]) for n in range(1, 30)]
    calls: list[Callable[[], object]] = [
        lambda: here.library.put_packs("a", packs),
        lambda: here.library.put_packs("a", packs[::-1]),
        lambda: here.library.clear(ours, by="x"),
        lambda: here.library.export(ours),
    ]
    threads = [threading.Thread(target=again(call)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []
    here.library.put_packs("a", packs)
    assert here.rows("select count(*) from sync_assets.exchange_task where doc_id > 0") == [(29,)]
    assert here.rows("select count(*) from sync_assets.exchange_document") == [(58,)]


# -- 13, 12: exports


def test_an_export_is_one_moment_whatever_happens_meanwhile(here: Installation) -> None:
    ours = fill(here.library, 1, tasks=25)
    export = here.library.export(ours, rows=10)
    expected = here.library.export(ours).first.packs
    here.library.clear(ours, by="x")
    fill(here.library, 1, tasks=3)
    assert tuple(whole(here.library, export)) == expected
    assert export.total == 25


def test_an_export_is_of_the_moment_at_which_it_began(here: Installation) -> None:
    ours = fill(here.library, 1, tasks=3)
    found: list[Export] = []
    with psycopg.connect(**here.address.arguments()) as other, psycopg.connect(**here.address.arguments()) as third:
        other.execute("lock table sync_assets.exchange_export in share mode")  # it has begun, but cannot write
        begin = here.store.sessions.run
        thread = threading.Thread(
            target=lambda: found.append(begin(lambda c: library_export.export(c, ours, (), 100, 10**6)))
        )
        thread.start()
        waiting = (
            "select count(*) from pg_locks where not granted and relation = 'sync_assets.exchange_export'::regclass"
        )
        while other.execute(waiting).fetchone() == (0,):
            assert thread.is_alive()
        third.execute("delete from sync_assets.exchange_document")
        third.execute("update sync_assets.exchange_task set title = 'changed'")
        third.commit()
        other.rollback()
        thread.join()
    assert [pack.task.title for pack in found[0].first.packs] == ["task 100001", "task 100002", "task 100003"]
    assert [len(pack.documents) for pack in found[0].first.packs] == [1, 1, 1]


def test_pages_are_bounded_in_rows_and_bytes(here: Installation) -> None:
    put(here.library, "a", *(TaskPack(a_task(n), (a_document(n, n, content="x" * 5000),)) for n in range(1, 8)))
    ours = here.local("a", Entity.REPOSITORY, 1)
    by_bytes = here.library.export(ours, bytes=15_000)
    assert len(by_bytes.first.packs) == 2
    assert len(here.library.export(ours, rows=3).first.packs) == 3
    assert len(here.library.export(ours, bytes=1).first.packs) == 1, "one at least"
    page, counts = by_bytes.first, []
    while page.next is not None:
        page = here.library.export_page(by_bytes.id, page.next)
        counts.append(len(page.packs))
    assert counts == [2, 2, 1]


def test_an_export_of_some_documents(seeded: Installation) -> None:
    first, last = seeded.local(SEED, Entity.DOCUMENT, 100011), seeded.local(SEED, Entity.DOCUMENT, 100032)
    ours = seeded.local(SEED, Entity.REPOSITORY, 1)
    packs = seeded.library.export(ours, [last, first]).first.packs
    assert [[one.document_id for one in pack.documents] for pack in packs] == [[first], [last]]
    assert [pack.task.doc_id for pack in packs] == [0, last], "a document that does not travel is not chosen"
    elsewhere = seeded.local(SEED, Entity.DOCUMENT, 200011)
    for wrong in (elsewhere, 10**15):
        with pytest.raises(RejectRow) as refused:
            seeded.library.export(ours, [first, wrong])
        assert refused.value.code == "unknown_document"


def test_exports_do_not_pile_up(here: Installation) -> None:
    ours = fill(here.library, 1, tasks=3)
    here.library.export(ours)
    assert here.table("exchange_export") == [], "read whole with its first page"
    exports = [here.library.export(ours, rows=1) for _ in range(23)]
    kept = here.rows("select count(*), count(distinct export_id) from sync_assets.exchange_export")[0][0]
    assert kept <= 21
    with pytest.raises(RejectRow, match="pull-export"):
        here.library.export_page(exports[0].id, 1)
    with psycopg.connect(**here.address.arguments()) as connection:
        connection.execute("update sync_assets.exchange_export set created_at = created_at - interval '13 hours'")
    newest = here.library.export(ours, rows=1)
    assert here.rows("select export_id from sync_assets.exchange_export") == [(newest.id,)]
    assert here.rows("select count(*) from sync_assets.exchange_export_pack") == [(3,)]
    assert here.library.exported(newest.id) == ours


# -- 14: version before clock


@pytest.mark.parametrize(
    ("version", "hours", "text", "did"),
    [
        (3, -5, "new", Did.UPDATED),
        (3, +5, "new", Did.UPDATED),
        (1, +5, "new", Did.OLDER),
        (1, +5, "old", Did.OLDER),
        (2, +5, "old", Did.UNCHANGED),
        (2, -5, "old", Did.UNCHANGED),
        (2, +5, "new", Did.UPDATED),
        (2, -5, "new", Did.CONFLICT),
        (2, 0, "new", Did.CONFLICT),
    ],
)
def test_version_before_clock(here: Installation, version: int, hours: int, text: str, did: Did) -> None:
    ours = a_document(1, 1, version=2, content="old", updated_at=later(0))
    put(here.library, "a", TaskPack(a_task(1), (ours,)))
    before = here.table("exchange_document")
    theirs = replace(ours, version=version, content=text, updated_at=later(hours))
    (one,) = put(here.library, "a", TaskPack(a_task(1), (theirs,)))
    assert one.documents[1].did is did
    assert (here.table("exchange_document") != before) == (did is Did.UPDATED)
    content = "select content, updated_at from sync_assets.exchange_document"
    taken = theirs if did is Did.UPDATED else ours
    assert here.rows(content) == [(taken.content, taken.updated_at)]


def test_that_a_document_is_no_longer_the_latest_is_taken(here: Installation) -> None:
    put(here.library, "a", TaskPack(a_task(1), (a_document(1, 1),)))
    older = a_document(1, 1, is_latest=False, replaced_by=2)
    (one,) = put(here.library, "a", TaskPack(a_task(1), (older, a_document(2, 1, version=2))))
    assert (one.documents[1].did, one.documents[2].did) == (Did.UPDATED, Did.CREATED)
    latest = here.rows("select is_latest, replaced_by from sync_assets.exchange_document order by document_id")
    assert latest == [(False, here.local("a", Entity.DOCUMENT, 2)), (True, None)]


def test_what_has_no_version_goes_by_the_clock(here: Installation) -> None:
    put(here.library, "a", a_pack(1, [1], updated_at=later(5)))
    older = a_pack(1, [1], title="older", updated_at=later(4))
    (one,) = put(here.library, "a", replace(older, usages=()))
    assert one.task.did is Did.OLDER
    assert here.rows("select count(*) from sync_assets.exchange_usage") == [(1,)], "its usages are of then, too"
    (two,) = put(here.library, "a", a_pack(1, [1], title="newer", updated_at=later(6)))
    assert two.task.did is Did.UPDATED
    assert here.rows("select title, updated_at from sync_assets.exchange_task") == [("newer", later(6))]
    assert here.library.put_repository("a", a_repository(1, name="x", updated_at=later(-1))).did is Did.OLDER
    assert here.library.put_repository("a", a_repository(1, name="x", updated_at=later(1))).did is Did.UPDATED


def test_a_higher_version_of_ours_stays_chosen(here: Installation) -> None:
    (one,) = put(here.library, "a", a_pack(1, [1]))
    with psycopg.connect(**here.address.arguments()) as connection:
        connection.execute(
            "insert into sync_assets.exchange_document (repository_id, task_id, title, version) "
            "select repository_id, task_id, 'written here', 2 from sync_assets.exchange_task"
        )
        connection.execute("update sync_assets.exchange_task set doc_id = (select max(document_id) "
                           "from sync_assets.exchange_document)")  # fmt: skip
    before = here.everything()
    put(here.library, "a", a_pack(1, [1]))
    assert here.everything() == before
    put(here.library, "a", TaskPack(a_task(1, doc_id=2), (a_document(2, 1, version=2),)))
    assert here.rows("select doc_id from sync_assets.exchange_task") == [(here.local("a", Entity.DOCUMENT, 2),)]
    assert one.task.id


# -- what is sent


@pytest.mark.parametrize(
    "text",
    [
        "\u4ed3\u5e93\u6587\u6863 \U0001f433\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "a\0b",
        "\ud800",
        "\\u0000 \\ '%s' \r\n\t",
        "\N{ZERO WIDTH NO-BREAK SPACE}x",
    ],
)
def test_any_text_comes_through_and_is_the_same_the_next_time(here: Installation, text: str) -> None:
    pack = TaskPack(
        a_task(1, title=text, outline=text, doc_id=1),
        (a_document(1, 1, title=text, filename=text, content=text),),
        (TaskUsage(api_key_name=text, created_at=text),),
    )
    put(here.library, "a", pack)
    before = here.everything()
    (again,) = put(here.library, "a", pack)
    assert again.task.did is again.documents[1].did is Did.UNCHANGED
    assert here.everything() == before
    storable = text.replace("\0", "\N{SYMBOL FOR NULL}").replace("\ud800", "?")
    (found,) = here.library.export(here.local("a", Entity.REPOSITORY, 1)).first.packs
    assert (found.task.title, found.task.outline) == (storable, storable)
    assert found.documents[0].content == found.usages[0].created_at == storable


def test_a_document_of_20_mb(here: Installation) -> None:
    content = "\u6587\u6863 x\n" * 2_222_222
    assert len(content.encode()) > 19_000_000
    pack = TaskPack(a_task(1, doc_id=1), (a_document(1, 1, content=content),))
    put(here.library, "a", pack)
    (again,) = put(here.library, "a", pack)
    assert again.documents[1].did is Did.UNCHANGED
    (found,) = here.library.export(here.local("a", Entity.REPOSITORY, 1)).first.packs
    assert found.documents[0].content == content


def test_a_refused_document_does_not_hold_up_the_others(here: Installation) -> None:
    good, bad = a_document(1, 1), a_document(2, 1, sort_order=2**31)
    pack = TaskPack(a_task(1, doc_id=2), (good, bad))
    (one,) = put(here.library, "a", pack)
    assert set(one.documents) == {1}
    assert set(one.errors) == {2}
    assert "sort_order" in one.errors[2]
    assert here.rows("select doc_id from sync_assets.exchange_task") == [(None,)]


def test_a_moment_that_could_not_be_read_again_is_refused(here: Installation) -> None:
    west = timezone(timedelta(hours=-14))
    at_the_end = a_document(1, 1, updated_at=datetime(9999, 12, 31, 23, tzinfo=west))
    (one,) = put(here.library, "a", TaskPack(a_task(1), (at_the_end,)))
    assert "updated_at" in one.errors[1]
    last = a_document(1, 1, updated_at=datetime(9998, 12, 31, 23, tzinfo=west))
    put(here.library, "a", TaskPack(a_task(1), (last,)))
    ((found, _),) = here.library.documents(here.local("a", Entity.REPOSITORY, 1))
    assert found.updated_at == last.updated_at


def test_one_that_the_tables_refuse_does_not_hold_up_a_batch(here: Installation) -> None:
    with psycopg.connect(**here.address.arguments()) as connection:
        connection.execute("alter table sync_assets.exchange_document add check (title <> 'nobody foresaw')")
    bad = TaskPack(a_task(2), (a_document(2, 2, title="nobody foresaw"),))
    here.library.put_repository("a", a_repository(1))
    outcomes = here.library.put_packs("a", [a_pack(1, [1]), bad, a_pack(3, [3])])
    assert [isinstance(one, PackReceived) for one in outcomes] == [True, False, True]
    assert "nobody foresaw" not in str(outcomes[1])
    assert here.rows("select title from sync_assets.exchange_task order by 1") == [("task 1",), ("task 3",)]


def test_a_task_that_comes_twice_in_a_batch_is_one(here: Installation) -> None:
    later_one = a_pack(1, [1], title="second", updated_at=later(1))
    first, second = put(here.library, "a", a_pack(1, [1]), later_one)
    assert (first.task.did, second.task.did) == (Did.CREATED, Did.UPDATED)
    assert here.rows("select title from sync_assets.exchange_task") == [("second",)]


def test_a_document_that_went_to_another_task_goes_there(here: Installation) -> None:
    put(here.library, "a", a_pack(1, [1]), a_pack(2, []))
    moved = TaskPack(a_task(2, doc_id=1), (a_document(1, 2, updated_at=later(1)),))
    put(here.library, "a", moved)
    tasks = here.rows("select title, doc_id from sync_assets.exchange_task order by 1")
    assert tasks == [("task 1", None), ("task 2", here.local("a", Entity.DOCUMENT, 1))]


def test_unknown_things_have_their_words(here: Installation) -> None:
    library, words = here.library, []
    for call in (
        lambda: library.put_task("a", a_task(1)),
        lambda: library.documents(1),
        lambda: library.export(1),
        lambda: library.set_document(1, 1),
        lambda: library.put_usages(1, []),
        lambda: library.link("a", 1),
        lambda: library.exported("x"),
    ):
        with pytest.raises(RejectRow) as refused:
            call()
        words.append(refused.value.code.removeprefix("unknown_"))
    assert words == ["repository", "repository", "repository", "task", "task", "repository", "export"]


def test_lists(seeded: Installation) -> None:
    assert [one.name for one in seeded.library.repositories()] == ["repository 1", "repository 2", "repository 3"]
    ours = seeded.local(SEED, Entity.REPOSITORY, 2)
    assert [one.name for one in seeded.library.repositories([ours, 10**15])] == ["repository 2"]
    ((document, status),) = seeded.library.documents(ours)
    assert (document.content, document.created_at, status) == ("", LONG_AGO, "succeeded")
    task = seeded.local(SEED, Entity.TASK, 200001)
    assert seeded.library.repository_of(Entity.TASK, task) == ours
    assert seeded.library.repository_of(Entity.DOCUMENT, 10**15) is None
