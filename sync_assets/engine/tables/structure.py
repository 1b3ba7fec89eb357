"""From jobs to works: the shapes of both sides, the target's structure built, columns paired.

One bad table does not hold up the others: its error is kept with its job.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sync_assets.engine.errors import Retry, Stop, SyncError
from sync_assets.engine.tables.job import TableJob
from sync_assets.engine.tables.reading import TableSource
from sync_assets.engine.tables.shape import TableKind, TableName, TableShape
from sync_assets.engine.tables.work import Work, key_of, names_between, wanted
from sync_assets.engine.tables.writing import Design, TableTarget, Wanted


@dataclass(slots=True)
class Structure:
    """What both sides look like, and what is done about it. `errors` are by sync."""

    source: TableSource
    target: TableTarget
    jobs: Sequence[TableJob]
    shapes: dict[str, TableShape] = field(default_factory=dict)  # of the source, by sync
    existing: dict[TableName, TableShape] = field(default_factory=dict)
    fresh: frozenset[TableName] = frozenset()
    design: Design = field(default_factory=Design)
    errors: dict[str, SyncError] = field(default_factory=dict)
    pretend: bool = False  # that missing tables were made as wanted: for a plan, which makes nothing

    def look(self) -> None:
        """Read the shapes of both sides and decide what is to be built."""
        self._read_source()
        self.existing = dict(self.target.shapes([job.target for job in self.jobs]))
        self.fresh = frozenset(job.target for job in self.jobs if job.target not in self.existing)
        self.design = self._designed()

    def build(self) -> None:
        """Build what rows need, and look at the tables that there are now."""
        if self.design.before:
            self.target.build(self.design.before)
            self.existing = dict(self.target.shapes([job.target for job in self.left()]))

    def positions(self) -> Sequence[str]:
        """Statements that bring sequences to where the source's are now: they belong to no snapshot."""
        return self.target.positions([self._wanted(job) for job in self.left()], self.source)

    def left(self) -> list[TableJob]:
        """The jobs that nothing speaks against."""
        return [job for job in self.jobs if job.sync not in self.errors]

    def works(self) -> list[Work]:
        """One work for each job, or for each of its windows."""
        found: list[Work] = []
        for job in self.left():
            try:
                found += self._works(job)
            except Stop as error:
                self.errors[job.sync] = error
        return found

    def refuse_changed(self) -> None:
        """Raise `Retry` when the source's tables changed their shape since we looked; now they are held."""
        names = [job.source for job in self.left() if job.source is not None]
        now = self.source.shapes(names)
        for job in self.left():
            if job.source is not None and not _same(now.get(job.source), self.shapes[job.sync]):
                self.errors[job.sync] = Retry(f"{job.sync}: {job.source} changed its columns just now", after=1)

    # -- shapes

    def _read_source(self) -> None:
        found = self.source.shapes([job.source for job in self.jobs if job.source is not None])
        for job in self.jobs:
            try:
                self.shapes[job.sync] = self._shape(job, found)
                wanted(job, self.shapes[job.sync])
            except SyncError as error:
                self.errors[job.sync] = error

    def _shape(self, job: TableJob, found: Mapping[TableName, TableShape]) -> TableShape:
        if job.source is None:
            return TableShape(TableName("", job.sync), self.source.query_columns(job.query), TableKind.VIEW)
        if job.source not in found:
            hint = "check its spelling and schema, and that this user may see it"
            raise Stop(f"{job.sync}: {self.source.place} has no table {job.source}", hint=hint, code="no_table")
        return found[job.source]

    def _works(self, job: TableJob) -> list[Work]:
        shape, there = self.shapes[job.sync], self.existing.get(job.target)
        if there is None and self.pretend and job.create:
            there = TableShape(job.target, self._wanted(job).columns)
        if there is None:
            hint = "create it, or let the sync do it: create: true"
            raise Stop(f"{job.sync}: {self.target.place} has no table {job.target}", hint=hint, code="no_table")
        names, key = names_between(job, shape, there), key_of(job, shape)
        if job.partitioned:
            return [Work(job, window, shape, names, key) for window in job.windows]
        return [Work(job, None, shape, names, key)]

    # -- design

    def _designed(self) -> Design:
        """One design for all tables, so that foreign keys between them are seen; without those that it stops."""
        jobs = [job for job in self.left() if job.create or job.target in self.existing]
        try:
            design = _sum(self._design(group) for group in _by_policy(jobs))
        except Stop as error:
            if len(jobs) == 1:
                self.errors[jobs[0].sync] = error
                return Design()
            return self._one_by_one(jobs)
        return self._one_by_one(jobs) if design.stops else design

    def _one_by_one(self, jobs: Sequence[TableJob]) -> Design:
        for job in jobs:
            try:
                design = self._design([job], alone=True)
            except Stop as error:
                self.errors[job.sync] = error
                continue
            if design.stops:
                hint = "change the target, or skip or rename columns; see schema_changes"
                self.errors[job.sync] = Stop(f"{job.sync}: {'; '.join(design.stops)}", hint=hint, code="schema")
        good = [job for job in jobs if job.sync not in self.errors]
        return _sum(self._design(group) for group in _by_policy(good))

    def _design(self, jobs: Sequence[TableJob], *, alone: bool = False) -> Design:
        """`alone`: to find out which table it is that stops; views stand on several."""
        asked = [self._wanted(job) for job in jobs]
        objects = not alone and any(job.objects for job in jobs)
        return self.target.design(asked, self.source, jobs[0].policy, objects) if asked else Design()

    def _wanted(self, job: TableJob) -> Wanted:
        return wanted(job, self.shapes[job.sync])


def _same(now: TableShape | None, then: TableShape) -> bool:
    return now is not None and replace(now, rows=0, bytes=0) == replace(then, rows=0, bytes=0)


def _by_policy(jobs: Sequence[TableJob]) -> list[list[TableJob]]:
    return [group for p in ("apply", "stop", "ignore") if (group := [j for j in jobs if j.policy == p])]


def _sum(designs: Iterable[Design]) -> Design:
    found = list(designs)
    names = ("before", "after", "losses", "stops", "drift")
    return Design(*(tuple(line for d in found for line in getattr(d, name)) for name in names))
