"""The library against a model: repositories of two installations, in any order, again and again, cut anywhere."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sync_assets.exchange.model import Document, Id, PackReceived, Task, TaskPack, TaskUsage
from sync_assets.store.exchange.library import PostgresLibrary
from sync_assets_tests.fix_exchange import Installation, a_document, a_repository, a_task, later

ORIGINS = ("a", "b")
REPOSITORIES = (1, 2)
TASKS = (1, 2, 3, 4)
# a document of task n has an id n * 10 + 1 or 2, so that all its references can be drawn
_documents = st.integers(min_value=0, max_value=2)


@st.composite
def packs(draw: st.DrawFn) -> TaskPack:
    """Tasks 1, 2 are of repository 1, and 3, 4 of 2; sometimes one says that it is of the other."""
    id = draw(st.sampled_from(TASKS))
    repository = (1 if id <= 2 else 2) if draw(st.integers(0, 9)) else draw(st.sampled_from(REPOSITORIES))
    ids = [id * 10 + n for n in range(1, 1 + draw(_documents))]
    task = a_task(
        id,
        repository,
        title=draw(st.sampled_from(["x", "y"])),
        doc_id=draw(st.sampled_from([0, *ids])),
        run_after=draw(st.sampled_from([0, *TASKS])),
        updated_at=later(draw(st.integers(0, 3))),
    )
    documents = [
        a_document(
            one,
            id,
            repository,
            version=draw(st.integers(1, 2)),
            content=draw(st.sampled_from(["p", "q"])),
            is_latest=draw(st.booleans()),
            replaced_by=draw(st.sampled_from([0, 11, 12, 21, 31])),
            updated_at=later(draw(st.integers(0, 3))),
        )
        for one in ids
    ]
    usages = tuple(TaskUsage("k", n) for n in draw(st.lists(st.integers(0, 1), max_size=2)))
    return TaskPack(task, tuple(documents), usages)


Step = tuple[str, str, Any]
_steps: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("packs"), st.sampled_from(ORIGINS), st.lists(packs(), min_size=1, max_size=5)),
    st.tuples(st.just("one"), st.sampled_from(ORIGINS), packs()),
    st.tuples(st.just("link"), st.sampled_from(ORIGINS), st.sampled_from(REPOSITORIES)),
    st.tuples(st.just("clear"), st.sampled_from(ORIGINS), st.sampled_from(REPOSITORIES)),
)


@dataclass
class Model:
    """What one installation has sent and what of it is here, with its own ids."""

    tasks: dict[Id, Task] = field(default_factory=dict)
    documents: dict[Id, Document] = field(default_factory=dict)
    usages: dict[Id, tuple[TaskUsage, ...]] = field(default_factory=dict)
    chosen: dict[Id, Id] = field(default_factory=dict)

    def put(self, pack: TaskPack) -> None:
        task, ours = pack.task, self.tasks.get(pack.task.task_id)
        if ours is not None and ours.repository_id != task.repository_id:
            return
        older = ours is not None and replace(ours, updated_at=None) != replace(task, updated_at=None, doc_id=0)
        older = older and ours is not None and _at(task) < _at(ours)
        if ours is None or (not older and replace(task, updated_at=None, doc_id=0) != replace(ours, updated_at=None)):
            self.tasks[task.task_id] = replace(task, doc_id=0)
        taken = {one.document_id for one in pack.documents if self._document(one)}
        if not older:
            self.usages[task.task_id] = pack.usages
            if task.doc_id in taken:
                self.chosen[task.task_id] = task.doc_id

    def _document(self, theirs: Document) -> bool:
        ours = self.documents.get(theirs.document_id)
        if ours is not None and ours.repository_id != theirs.repository_id:
            return False
        if ours is None or _wins(theirs, ours):
            self.documents[theirs.document_id] = theirs
        return True

    def clear(self, repository: Id) -> None:
        for id in [id for id, task in self.tasks.items() if task.repository_id == repository]:
            del self.tasks[id]
            self.usages.pop(id, None)
            self.chosen.pop(id, None)
        self.documents = {id: one for id, one in self.documents.items() if one.repository_id != repository}
        # what refers to them refers to nothing until it is sent again; who sends again is another draw


def _at(thing: Task | Document) -> float:
    assert thing.updated_at is not None
    return thing.updated_at.timestamp()


def _wins(theirs: Document, ours: Document) -> bool:
    if theirs.version != ours.version:
        return theirs.version > ours.version
    if theirs.content != ours.content:
        return _at(theirs) > _at(ours)
    return replace(theirs, updated_at=None) != replace(ours, updated_at=None) and _at(theirs) >= _at(ours)


def _do(library: PostgresLibrary, models: dict[str, Model], step: Step) -> None:
    name, origin, what = step
    if name in ("packs", "one"):
        sent = what if name == "packs" else [what]
        outcomes = library.put_packs(origin, sent)
        for pack in sent:
            models[origin].put(pack)
        assert len(outcomes) == len(sent)
        assert all(isinstance(one, PackReceived) or one.code == "other_repository" for one in outcomes)
    elif name == "link":
        library.link(origin, what)
    else:
        _clear(library, models, origin, what)


def _clear(library: PostgresLibrary, models: dict[str, Model], origin: str, repository: Id) -> None:
    ours = library.put_repository(origin, a_repository(repository)).id
    library.clear(ours, by="model")
    models[origin].clear(repository)


def _rows(here: Installation, origin: str) -> dict[str, dict[Id, tuple[Any, ...]]]:
    """What is here of an installation, in its own ids."""
    back = "join sync_assets.exchange_map {0} on {0}.origin = %s and {0}.entity = '{1}' and {0}.local_id = {2}"
    task = here.rows(
        "select m.origin_id, r.origin_id, t.title, t.updated_at, d.origin_id from sync_assets.exchange_task t "
        + back.format("m", "task", "t.task_id")
        + " "
        + back.format("r", "repository", "t.repository_id")
        + " left "
        + back.format("d", "document", "t.doc_id"),
        origin,
        origin,
        origin,
    )
    document = here.rows(
        "select m.origin_id, r.origin_id, t.origin_id, o.content, o.version, o.is_latest, o.updated_at "
        "from sync_assets.exchange_document o "
        + back.format("m", "document", "o.document_id")
        + " "
        + back.format("r", "repository", "o.repository_id")
        + " "
        + back.format("t", "task", "o.task_id"),
        origin,
        origin,
        origin,
    )
    usage = here.rows(
        "select m.origin_id, array_agg(prompt_tokens order by number) from sync_assets.exchange_usage u "
        + back.format("m", "task", "u.task_id")
        + " group by 1",
        origin,
    )
    found = {"task": task, "document": document, "usage": usage}
    return {name: {row[0]: row[1:] for row in rows} for name, rows in found.items()}


def _expected(model: Model) -> dict[str, dict[Id, tuple[Any, ...]]]:
    return {
        "task": {
            id: (one.repository_id, one.title, one.updated_at, model.chosen.get(id)) for id, one in model.tasks.items()
        },
        "document": {
            id: (one.repository_id, one.task_id, one.content, one.version, one.is_latest, one.updated_at)
            for id, one in model.documents.items()
        },
        "usage": {id: ([one.prompt_tokens for one in usages],) for id, usages in model.usages.items() if usages},
    }


def _empty(here: Installation) -> None:
    with here.store.sessions.connect() as connection:
        connection.execute("truncate sync_assets.exchange_repository, sync_assets.exchange_map cascade")


@settings(
    max_examples=60,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(_steps, min_size=1, max_size=8))
def test_the_library_is_what_the_model_says(here: Installation, steps: list[Step]) -> None:
    _empty(here)
    models = {origin: Model() for origin in ORIGINS}
    for origin in ORIGINS:
        for repository in REPOSITORIES:
            here.library.put_repository(origin, a_repository(repository))
    for step in steps:
        _do(here.library, models, step)
        for origin, model in models.items():
            assert _rows(here, origin) == _expected(model)
    for origin in ORIGINS:
        for repository in REPOSITORIES:
            here.library.link(origin, repository)
    name, _, sent = steps[-1]
    if name == "one" or (name == "packs" and len({pack.task.task_id for pack in sent}) == len(sent)):
        before = here.everything()
        _do(here.library, models, steps[-1])
        assert here.everything() == before, "the same again changes nothing"
