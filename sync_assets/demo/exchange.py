"""The fifth act: two installations exchange a repository, by what their gateways offer to everybody.

What is there afterwards is looked up in both control databases, not believed. Must not know how documents travel.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, LiteralString

from sync_assets.demo.installations import USER, Installation, installations
from sync_assets.engine.errors import Stop
from sync_assets.exchange.model import Document, Repository, Task, TaskPack, TaskUsage

TASKS, EACH = 100, 3
EDITED = 7
_WRITTEN = datetime(2026, 11, 1, 1, 0, tzinfo=UTC)
_TEXT: LiteralString = """
select t.title, d.title, d.filename, d.content, d.version, d.is_latest, t.doc_id = d.document_id, d.updated_at
  from sync_assets.exchange_document d join sync_assets.exchange_task t using (task_id)
 where d.repository_id = %s order by t.sort_order, d.sort_order"""
_ROWS: LiteralString = """
select d.*, t.* from sync_assets.exchange_document d join sync_assets.exchange_task t using (task_id)
 order by d.document_id"""
_EDIT: LiteralString = """
update sync_assets.exchange_document
   set content = content || ' 修订。', version = version + 1, updated_at = clock_timestamp()
 where document_id in (select document_id from sync_assets.exchange_document order by document_id limit %s)"""


@contextmanager
def fifth_act(home: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Play it; both installations stay for whoever wants to look at their page, until this ends."""
    say("two installations, each with its own control database and gateway, are made peers of each other")
    with installations(home, ("beijing", "北京"), ("shanghai", "上海")) as (beijing, shanghai):
        Exchanging(beijing, shanghai, say).play()
        for one in (beijing, shanghai):
            say(f"page of {one.name:<9} {one.url}/pages   user {USER}, password {one.password}")
        yield


@dataclass(frozen=True, slots=True)
class Exchanging:
    """`here` has a handbook that `there` gets, and `there` has notes that `here` fetches."""

    here: Installation
    there: Installation
    say: Callable[[str], None]
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def play(self) -> None:
        """Raises `Stop` where something is not as it must be."""
        handbook, notes = write(self.here, "产品手册", TASKS, EACH), write(self.there, "运维笔记", 20, 2)
        both = f"both have a repository, a task and a document number {handbook}"
        self.say(f"{self.here.name} has {TASKS * EACH} documents of {TASKS} tasks; {both}, and they are not the same")
        self._push(handbook, f"pushed to {self.there.name}")
        there = self._copy_of("产品手册", handbook)
        rows(self.here, _EDIT, EDITED)
        self._push(handbook, f"{EDITED} documents edited, pushed again")
        self._same(handbook, there, f"{EDITED} new versions, nothing doubled")
        before = rows(self.there, _ROWS)
        self._push(handbook, "pushed once more")
        if rows(self.there, _ROWS) != before:
            raise Stop("a push of what was there already changed something", hint="this is a bug: please report it")
        self.say(f"    {self.there.name} has the same rows as before, to the last time stamp")
        self._run("/api/sync/pull", notes, f"{self.here.name} pulls the notes of {self.there.name}")
        mine = repository(self.here, "运维笔记")
        self._same(mine, notes, f"the same on both sides; there it is repository {notes}, here {mine}")

    def _push(self, repository_id: int, what: str) -> None:
        self._run("/api/sync", repository_id, what)

    def _run(self, path: str, repository_id: int, what: str) -> None:
        """Begin a sync as anybody would, follow it, and say what it came to."""
        began = self.clock()
        order = {"target_server": self.there.name, "repository_id": repository_id}
        state = _data(self.here, partial(self.here.http.post, path, json=order))
        address = f"/api/sync/status/{state['sync_id']}"
        while state["status"] == "in_progress":
            self.sleep(0.1)
            state = _data(self.here, partial(self.here.http.get, address))
        if state["status"] != "completed":
            raise Stop(
                f"{what}: it ended as {state['status']}: {state['error']}", hint=f"{self.here.url}/pages/history"
            )
        done = f"{state['completed_tasks']} of {state['total_tasks']} tasks in {self.clock() - began:.1f} s"
        self.say(f"{what}: {done}")

    def _copy_of(self, name: str, repository_id: int) -> int:
        there = repository(self.there, name)
        self._same(
            repository_id, there, f"the same on both sides; here it is repository {repository_id}, there {there}"
        )
        return there

    def _same(self, here: int, there: int, what: str) -> None:
        mine, theirs = rows(self.here, _TEXT, here), rows(self.there, _TEXT, there)
        if mine != theirs or not mine:
            raise Stop(f"{len(mine)} documents here and {len(theirs)} there are not the same", hint="this is a bug")
        self.say(f"    {len(theirs)} documents compared, text by text: {what}")


def write(one: Installation, name: str, tasks: int, each: int) -> int:
    """A repository as its writers left it; its id."""
    from sync_assets.store.exchange.library import PostgresLibrary

    library = PostgresLibrary(one.store.sessions)
    made = library.put_repository("writers", Repository(1, name, clone_branch="main", updated_at=_WRITTEN))
    library.put_packs("writers", [_pack(name, number, each) for number in range(1, tasks + 1)])
    library.link("writers", 1)
    return made.id


def _pack(name: str, number: int, each: int) -> TaskPack:
    at = _WRITTEN + timedelta(minutes=number)
    ids = [number * each + n for n in range(each)]
    documents = tuple(_document(name, number, id, version, id == ids[-1]) for version, id in enumerate(ids, 1))
    task = Task(number, 1, doc_id=ids[-1], title=f"{name} 第 {number} 章", status="succeeded", sort_order=number,
                run_after=number - 1, created_at=at, updated_at=at)  # fmt: skip
    usage = TaskUsage("demo", 900, 300, 1200, created_at=at.isoformat())
    return TaskPack(task, tuple(replace(d, created_at=at, updated_at=at) for d in documents), (usage,))


def _document(name: str, task: int, id: int, version: int, latest: bool) -> Document:
    title, file = f"第 {task} 章 第 {version} 稿", f"{task:03}-{version}.md"
    text = f"# {name} {title}\n\n" + "同步时不重复，也不遗漏。 Once, and only once.\n" * 40
    return Document(id, 1, task, title, file, text, version, version, latest, 0 if latest else id + 1)


def repository(one: Installation, name: str) -> int:
    """The id of the repository of that name. Raises `Stop` when there is not exactly one."""
    found = rows(one, "select repository_id from sync_assets.exchange_repository where name = %s", name)
    if len(found) != 1:
        raise Stop(f"{one.name} has {len(found)} repositories {name}, one was expected", hint="this is a bug")
    return int(found[0][0])


def rows(one: Installation, statement: LiteralString, *values: object) -> list[tuple[Any, ...]]:
    """What a statement gives in the control database."""

    def ask(cursor: Any) -> list[tuple[Any, ...]]:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []

    return one.store.sessions.run(ask)


def _data(one: Installation, call: Callable[[], Any]) -> dict[str, Any]:
    answer = call()
    content = answer.json()
    if answer.status_code != 200:
        raise Stop(f"the gateway of {one.name} answers {answer.status_code}: {content.get('error', '')}")
    return dict(content["data"])
