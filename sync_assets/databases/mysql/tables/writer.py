"""One writer: batches under the fence, loads, merges, swaps. Each batch is one transaction with its ledger row."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence

from sync_assets.databases.base import ConnectionArgs
from sync_assets.databases.mysql.tables import catalogue, choice, ledger, load, merge, swap
from sync_assets.databases.mysql.tables.line import Line
from sync_assets.engine.errors import BadBatch, Fenced, Retry, Stop, SyncError, Unclear
from sync_assets.engine.model import Counts
from sync_assets.engine.tables.reading import Condition, Form, Moved, Selection
from sync_assets.engine.tables.shape import ColumnShape, TableName, TableShape
from sync_assets.engine.tables.writing import Head, Merge


class TableWriter:
    """`engine.tables.writing.Writer`. `sync` is the one being served; without one only `serve` works."""

    def __init__(self, args: ConnectionArgs, sync: str, token: int) -> None:
        self.line = Line(args, writes=True)
        self.moved = Moved()
        self.local = True  # whether the server takes LOAD DATA LOCAL, as far as we know
        self._sync, self._token = sync, token
        self._points = 0
        self._shapes: dict[TableName, TableShape] = {}

    def serve(self, sync: str, token: int) -> Head:
        self._sync, self._token = sync, token
        return ledger.take_over(self.line, sync, token)

    # -- batches

    @contextlib.contextmanager
    def batch(self, id: str, *, position: str | None = None, ends: bool = False) -> Iterator[bool]:
        line = self.line
        with self._transaction():
            epoch = self._fence(alone=ends or position is not None)
            todo = not ledger.known(line, self._sync, epoch, id)
            yield todo
            if todo:
                ledger.record(line, self._sync, epoch, id, position)
                if ends:
                    ledger.end(line, self._sync, epoch, position)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self.line.run("start transaction")
        self.line.pinned = True
        try:
            yield
            self._commit()
        except BaseException:
            self._undo()
            raise
        finally:
            self.line.pinned = False

    def _fence(self, *, alone: bool) -> int:
        if not self._sync:
            raise Fenced("this writer serves no sync yet", code="fenced")
        return ledger.fence(self.line, self._sync, self._token, alone=alone)

    def _commit(self) -> None:
        try:
            self.line.run("commit")
        except Retry as error:
            raise Unclear(error.message, after=error.after, hint="the ledger knows", code=error.code) from None

    def _undo(self) -> None:
        """Whatever went wrong, its error is the one to tell."""
        if self.line.open:
            try:
                self.line.run("rollback")
            except SyncError:
                self.line.close()

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        self._points += 1
        name = f"sync_assets_{self._points}"  # of its own: a second one of the same name would take its place
        self.line.run(f"savepoint {name}")
        try:
            yield
        except BaseException:
            if self.line.open:
                self.line.run(f"rollback to savepoint {name}")
                self.line.run(f"release savepoint {name}")
            raise
        self.line.run(f"release savepoint {name}")

    def keep_plan(self, plan: str) -> None:
        with self._transaction():
            self._fence(alone=True)
            ledger.keep_plan(self.line, self._sync, plan)

    # -- rows

    def load(self, table: TableName, columns: Sequence[ColumnShape], form: Form, blocks: Iterable[bytes]) -> int:
        if form is not Form.LINES:
            raise Stop(f"{self.line.place}: MySQL takes no {form}", code="form")
        self._refuse_others(table)
        rows, size, self.local = load.load(self.line, table, columns, blocks, local=self.local)
        self.moved.rows += rows
        self.moved.bytes += size
        self.moved.statements += 1
        return rows

    def try_load(self, table: TableName, columns: Sequence[ColumnShape], lines: Sequence[bytes]) -> None:
        with self.savepoint():
            self.load(table, columns, Form.LINES, lines)

    def merge(self, stage: TableName, table: TableName, how: Merge) -> Counts:
        self._refuse_others(table)
        return merge.merge(self.line, stage, table, how)

    def delete(self, table: TableName, key: Sequence[ColumnShape], keys: Sequence[tuple[str, ...]]) -> int:
        whole = Selection(table, tuple(key), key=tuple(c.name for c in key), keys=tuple(keys))
        return sum(self._delete(piece) for piece in choice.pieces(whole))

    def clear(self, table: TableName, scope: Sequence[Condition] = ()) -> int:
        columns = self._shape(table).columns if scope else ()
        return self._delete(Selection(table, columns, conditions=tuple(scope)))

    def _delete(self, selection: Selection) -> int:
        return self.line.run(f"delete from {choice.source_of(selection)}{choice.where(selection)}")  # noqa: S608

    def _refuse_others(self, table: TableName) -> None:
        load.refuse_other_tables(self.line.place, self._shape(table))

    def _shape(self, table: TableName) -> TableShape:
        if table not in self._shapes:
            found = catalogue.shapes(self.line, [table]).get(table)
            if found is None:
                raise Stop(f"{self.line.place}: there is no table {table}", hint="create it, or check its name")
            self._shapes[table] = found
        return self._shapes[table]

    # -- tables of ours; each of these statements commits

    def stage(self, table: TableName, columns: Sequence[ColumnShape]) -> TableName:
        shape = self._shape(table)
        key = shape.key or (shape.unique[0] if shape.unique else ())
        whole = not any(i.columns == key and not i.plain for i in shape.indexes)
        made = swap.stage(self.line, self._sync, table, columns, key if whole else ())
        self._shapes.pop(made, None)
        return made

    def twin(self, table: TableName, *, keep: bool = False) -> TableName:
        made = swap.twin(self.line, self._sync, table, keep=keep)
        self._shapes.pop(made, None)
        return made

    def swap(self, twin: TableName, table: TableName, id: str, *, position: str | None = None) -> bool:
        guard = Line(self.line.args, writes=True)
        try:
            done = swap.swap(self.line, guard, self._sync, self._token, twin, table, id, position)
        except BadBatch as error:
            raise Stop(error.message, hint=error.hint, code=error.code) from None
        finally:
            guard.close()
        self._shapes.clear()
        return done

    def drop(self, table: TableName) -> None:
        swap.drop(self.line, table)
        self._shapes.pop(table, None)

    def close(self) -> None:
        self.line.close()
