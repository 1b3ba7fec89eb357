"""Values survive: every type of three databases, through every pair and form, listed and drawn at random.

Equal by the drivers' own values, or the loss is declared in the design, or the row (or the column) is refused by
name: nothing is changed silently. Between two databases of one kind everything arrives, spelled as it was. The digests
of the two sides must agree with the oracle, and those that are portable with the reference in Python.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
import pymysql
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sync_assets.engine.errors import Stop
from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables.canonical import canonical_text
from sync_assets.engine.tables.reading import Form
from sync_assets.testing.tables.carry import Carried, carry, reference_hash
from sync_assets.testing.tables.kinds import Kind
from sync_assets.testing.tables.kinds_mysql import MYSQL
from sync_assets.testing.tables.kinds_postgres import POSTGRES
from sync_assets.testing.tables.kinds_sqlite import SQLITE
from sync_assets.testing.tables.lab import TableLab
from sync_assets.testing.tables.oracle import Difference, compare, meaning, raw, same_meaning
from sync_assets_tests.fix_tables import Labs

KINDS: Mapping[str, Mapping[str, Kind]] = {"postgres": POSTGRES, "mysql": MYSQL, "sqlite": SQLITE}
WAYS = (
    ("postgres", "postgres", Form.PG_BINARY), ("postgres", "postgres", Form.LINES), ("postgres", "mysql", Form.LINES),
    ("postgres", "sqlite", Form.LINES), ("mysql", "postgres", Form.PG_BINARY),
    ("mysql", "postgres", Form.LINES), ("mysql", "mysql", Form.LINES), ("mysql", "sqlite", Form.LINES),
    ("sqlite", "postgres", Form.LINES), ("sqlite", "mysql", Form.LINES), ("sqlite", "sqlite", Form.LINES),
)  # fmt: skip
LISTED = [(*way, name) for way in WAYS for name in KINDS[way[0]]]
REFUSED_EVEN_AT_HOME = {("mysql", "point"), ("mysql", "geometry")}  # declared: geometry is not copied
_numbers = itertools.count(1)


@dataclass
class Trial:
    """A table of one column of a kind, with these values under ids from 1; what the source made of them."""

    kind: Kind
    here: TableLab
    there: TableLab
    values: Sequence[Any]

    def __post_init__(self) -> None:
        self.column = "single_v" if self.kind.family == "single" else "v_val"
        self.table = f"trial{next(_numbers)}"
        self.odd: set[str] = set()

    def fill(self, *, strict: bool) -> None:
        """Put the values into the source. With `strict`, one that it refuses is a fault of the list."""
        with contextlib.closing(self.here.connect()) as connection:
            cursor = connection.cursor()
            for statement in (*self._modes(), *self.kind.setup):
                with contextlib.suppress(psycopg.errors.DuplicateObject):
                    cursor.execute(statement)
            cursor.execute(f"create table {self.here.at(self.table)} (id bigint not null primary key, "
                           f"{self.here.quote(self.column)} {self.kind.native})")  # fmt: skip
            put = f"insert into {self.here.at(self.table)} values ({{}}, {self.kind.put})"
            for number, value in enumerate(self.values, 1):
                try:
                    cursor.execute(put.format(self.here.mark, self.here.mark), (number, value))
                except (psycopg.DataError, pymysql.MySQLError):
                    if strict:
                        raise
                if any(value is o for o in self.kind.odd):
                    self.odd.add(str(number))

    def _modes(self) -> list[str]:
        if self.here.dialect != "mysql":
            return []
        mode = "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE" if self.kind.mode is None else self.kind.mode
        return ["set time_zone = '+00:00'", f"set sql_mode = '{mode}'"]

    def drop(self) -> None:
        for lab in (self.here, self.there):
            lab.execute(f"drop table if exists {lab.at(self.table)}")

    @property
    def home(self) -> bool:
        return self.here.dialect == self.there.dialect

    def difference(self, carried: Carried) -> Difference:
        left = {i: v for i, v in raw(self.here, self.table, self.column).items() if i not in carried.refused}
        right = raw(self.there, self.table, self.column)
        return compare(left, right) if self.home else compare(left, right, same_meaning(self.kind.family))


def judge(trial: Trial, carried: Carried) -> None:
    """Nothing silently changed; nothing refused that should not be."""
    kind, found = trial.kind, trial.difference(carried)
    loss = carried.loss(trial.column)
    assert not found.lost and not found.strange, (found, carried.refused)
    if trial.home:
        assert not found.changed, f"changed: {found.changed}"
        lax = trial.odd if kind.mode is not None else set()  # what only a lax server takes
        assert carried.refused.keys() <= lax and not loss, (carried.refused, loss)
    if not loss:
        assert not found.changed, f"silently changed: {found.changed} in {[c.native for c in carried.theirs]}"
    if kind.core:
        changed = [c for c in found.changed if c[0] not in trial.odd]
        assert not changed, f"changed although every database holds it: {changed} (declared: {loss})"
    _judge_refusals(trial, carried)
    if carried.sums is not None:
        agree = carried.sums[0] == carried.sums[1]
        assert agree or found, f"equal, but the digests differ: {carried.kind}"
        assert not agree or not found or loss, f"different, but the digests agree: {found}"


def _judge_refusals(trial: Trial, carried: Carried) -> None:
    for id, reason in carried.refused.items():
        value = trial.values[int(id) - 1]
        if isinstance(value, str) and len(value) > 8 and not value.startswith("0000"):
            assert value not in reason, "a message quotes a value"
        assert trial.column in reason or trial.table in reason, f"the message names no place: {reason}"


def judge_hashes(trial: Trial, carried: Carried) -> None:
    """Portable hashes are those of the reference."""
    column = carried.mine[1]
    if carried.kind != "portable" or column.type in (ColumnType.OTHER, ColumnType.INTERVAL):
        return
    if carried.loss(trial.column):  # compared as the target spells it
        return
    for id, value in raw(trial.here, trial.table, trial.column).items():
        if id in trial.odd:
            continue
        text = canonical_text(_plain(meaning(trial.kind.family, value), column.type), column.type)
        assert carried.hashes[id] == reference_hash([id, text], carried.mine, carried.theirs), (value, text)


def _plain(value: Any, type: ColumnType) -> Any:
    return timedelta(microseconds=value) if type is ColumnType.TIME and isinstance(value, int) else value


def run(trial: Trial, form: Form) -> Carried | None:
    """None where the pair does not offer the form for this type."""
    carried = carry(trial.here, trial.there, trial.table, form)
    return carried if carried.form else None


@pytest.mark.parametrize(("here", "there", "form", "name"), LISTED)
def test_listed_values(labs: Labs, here: str, there: str, form: Form, name: str) -> None:
    kind = KINDS[here][name]
    trial = Trial(kind, labs(here, "here"), labs(there, "there"), [*kind.plain, *kind.odd, None])
    trial.fill(strict=True)
    try:
        try:
            carried = run(trial, form)
        except Stop as stop:
            assert trial.column in str(stop), f"refused without naming the column: {stop}"
            assert not kind.core, f"refused: {stop}"
            assert not trial.home or (here, name) in REFUSED_EVEN_AT_HOME, f"refused at home: {stop}"
            return
        if carried is None:
            assert form is not Form.LINES, "LINES must always be offered"
            return
        judge(trial, carried)
        plain = {i for i in carried.refused if i not in trial.odd}
        assert not plain or not kind.core, f"refused: { {trial.values[int(i) - 1]: carried.refused[i] for i in plain} }"
        judge_hashes(trial, carried)
    finally:
        trial.drop()


@pytest.mark.parametrize(("here", "there", "form"), WAYS)
def test_drawn_values(labs: Labs, here: str, there: str, form: Form) -> None:
    kinds = [k for k in KINDS[here].values() if k.drawn is not None]

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None, print_blob=True)
    @given(st.data())
    def attempt(data: st.DataObject) -> None:
        kind = data.draw(st.sampled_from(kinds))
        values = data.draw(st.lists(kind.any, min_size=1, max_size=20))
        trial = Trial(kind, labs(here, "here"), labs(there, "there"), values)
        trial.fill(strict=False)
        try:
            with contextlib.suppress(Stop):
                if (carried := run(trial, form)) is not None:
                    judge(trial, carried)
        finally:
            trial.drop()

    attempt()
