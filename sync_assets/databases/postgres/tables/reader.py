"""Reading rows, digests and keys of PostgreSQL tables, inside one snapshot. One connection, one thread."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence

from sync_assets.databases.postgres.tables import canonical, digests
from sync_assets.databases.postgres.tables.quoting import array_literal, literal
from sync_assets.databases.postgres.tables.selecting import body, restrictions, select
from sync_assets.databases.postgres.tables.session import Session
from sync_assets.databases.quoting import listed, qualified, quoted
from sync_assets.engine.errors import Stop
from sync_assets.engine.tables.reading import Bucket, BucketRule, Form, Hashing, Key, Moved, Selection
from sync_assets.engine.tables.shape import ColumnShape, TableName

_ESCAPES = re.compile(rb"\\(.)", re.DOTALL)
_OWN = {b"b": b"\b", b"f": b"\f", b"v": b"\v"}  # PostgreSQL escapes these; nobody else knows that
_UNESCAPED = {"t": "\t", "n": "\n", "r": "\r", "b": "\b", "f": "\f", "v": "\v"}
_TEXT_ESCAPES = re.compile(r"\\(.)", re.DOTALL)
# A table that was just filled has no statistics: the server would sort whole rows by bucket, where a hash table of the
# buckets, 65,536 at most, fits into memory. To compile long expressions costs more than it gains.
_DIGEST_PLANS = "set local enable_sort = off; set local work_mem = '16MB'; set local jit = off"
_WORKERS = "set local max_parallel_workers_per_gather = 4"
_ALONE = "set local max_parallel_workers_per_gather = 0"
# Many short ranges of a key: without statistics the server would rather hold every row against every range.
_BY_INDEX = f"{_ALONE}; set local enable_seqscan = off"
_AS_USUAL = "set local enable_seqscan to default"  # a setting lasts as long as the snapshot
_LEADING = """
select exists (select from pg_catalog.pg_index i
  join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
  where i.indrelid = {table}::regclass and a.attname = {column} and i.indisvalid and i.indpred is null)
"""


class PostgresReader:
    """`engine.tables.reading.Reader`. `whole` are the tables whose rows a plain COPY of the table gives."""

    def __init__(self, session: Session, whole: Collection[TableName], give_back: Callable[[Session], None]) -> None:
        self.moved = Moved()
        self._session, self._whole, self._give_back = session, whole, give_back
        self._indexed: dict[tuple[TableName, str], bool] = {}
        self._closed = False

    # -- rows

    def rows(self, selection: Selection, form: Form, into: Sequence[ColumnShape], dialect: str) -> Iterator[bytes]:
        blocks = self._copy(_copy_sql(selection, form, into, dialect, self._whole), self._silence(selection))
        if form is Form.PG_BINARY or dialect == "postgres":
            return blocks
        return (_plain_escapes(block) for block in blocks)

    def _silence(self, selection: Selection) -> float:
        """How long the server may say nothing: a filter may look at many rows before it finds one."""
        seconds = self._session.args.silent_seconds
        return seconds + (self._session.args.query_seconds if selection.query or restrictions(selection) else 0)

    def _copy(self, sql: str, seconds: float) -> Iterator[bytes]:
        self.moved.statements += 1
        # a statement's time limit would count the time that the other side takes
        for block in self._session.copy_out(f"set local statement_timeout = 0; {_AS_USUAL}; {sql}", seconds):
            self.moved.bytes += len(block)
            yield block

    # -- digests

    def buckets(self, selection: Selection, hashing: Hashing) -> Iterator[Bucket]:
        number, value = digests.bucket(hashing), digests.row_hash(hashing, hashing.columns)
        sql = select(selection, (f"{number} as number", "count(*)", f"sum({value})")) + " group by 1"
        piece = hashing.buckets.width and selection.conditions  # other readers are asked for the other pieces
        for number_text, rows, total in self._lines(sql, _ALONE if piece else _WORKERS):
            if number_text is None:
                raise _null_key(self._session.place, hashing.buckets)
            yield Bucket(int(number_text), int(rows or 0), int(total or 0))

    def hashes(self, selection: Selection, hashing: Hashing, numbers: Sequence[int]) -> Iterator[tuple[Key, int]]:
        key = [canonical.canonical(c) for c in digests.key_columns(hashing)]
        outputs = (*key, digests.row_hash(hashing, hashing.columns))
        ranged = hashing.buckets.width and self._leads_index(selection, hashing.buckets.columns[0])
        sql = self._in_buckets(selection, hashing, numbers, outputs)
        for *values, value in self._lines(sql, _BY_INDEX if ranged else _WORKERS):
            self.moved.rows += 1
            yield tuple(values if None not in values else (v or "" for v in values)), int(value or 0)  # type: ignore[arg-type]

    def _in_buckets(
        self, selection: Selection, hashing: Hashing, numbers: Sequence[int], outputs: Sequence[str]
    ) -> str:
        rule = hashing.buckets
        if not rule.columns:
            return select(selection, outputs)
        if rule.width and self._leads_index(selection, rule.columns[0]):
            parts = digests.ranges(rule.width, numbers)
            lows, highs = (array_literal([str(p[at]) for p in parts]) for at in (0, 1))
            ranges = f"unnest({lows}::int8[], {highs}::int8[]) as r(low, high) cross join "
            between = f"t.{quoted(rule.columns[0])} between r.low and r.high"
            return f"select {', '.join(outputs)} {body(selection, (between,), before=ranges)}"
        wanted = array_literal([str(n) for n in numbers])
        return select(selection, outputs, (f"{digests.bucket(hashing)} = any({wanted}::int8[])",))

    def _leads_index(self, selection: Selection, column: str) -> bool:
        """Whether an index begins with the column: else a join by ranges would read the table once for each."""
        if selection.table is None or selection.query:
            return False
        place = (selection.table, column)
        if place not in self._indexed:
            self._indexed[place] = bool(
                self._ask(_LEADING.format(table=literal(qualified(selection.table)), column=literal(column)))[0][0]
            )
        return self._indexed[place]

    # -- single values

    def count(self, selection: Selection) -> int:
        return int(str(self._ask(select(selection, ("count(*)",)))[0][0]))

    def empty(self, selection: Selection) -> bool:
        return not self._ask(select(selection, ("1",)) + " limit 1")

    def newest(self, selection: Selection, column: str, *, oldest: bool = False) -> str | None:
        shape = next((c for c in selection.columns if c.name == column), None)
        if shape is None:
            raise Stop(f"{self._session.place}: the column {column} is not among those that are read")
        outer = canonical.canonical_of(shape, "n.value")
        inner = select(selection, (f"{'min' if oldest else 'max'}(t.{quoted(column)}) as value",))
        found = self._ask(f"select {outer} from ({inner}) as n")[0][0]  # noqa: S608 (made of quoted names)
        return None if found is None else str(found)

    # -- the connection

    def _ask(self, sql: str) -> list[tuple[object, ...]]:
        self.moved.statements += 1
        return self._session.ask(f"{self._limit()}; {sql}")

    def _limit(self) -> str:
        return f"set local statement_timeout = '{int(self._session.args.query_seconds)}s'; {_AS_USUAL}"

    def _lines(self, sql: str, how: str) -> Iterator[Sequence[str | None]]:
        """The rows of a query as texts, by COPY: unlike a cursor's, its plan may use parallel workers."""
        seconds = self._session.args.query_seconds
        sql = f"{self._limit()}; {_DIGEST_PLANS}; {how}; copy ({sql}) to stdout"
        self.moved.statements += 1
        for block in self._session.copy_out(sql, seconds + self._session.args.silent_seconds):
            self.moved.bytes += len(block)
            text = block.decode()
            lines = text.split("\n")[:-1]
            if "\\" in text:
                yield from ([_field(f) for f in line.split("\t")] for line in lines)
            else:
                yield from (line.split("\t") for line in lines)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._give_back(self._session)


def _copy_sql(
    selection: Selection, form: Form, into: Sequence[ColumnShape], dialect: str, whole: Collection[TableName]
) -> str:
    """A COPY of the table itself where that gives the same rows: it needs no executor."""
    if form is Form.PG_BINARY:
        outputs, how = [f"t.{quoted(c.name)}" for c in selection.columns], "(format binary)"
    elif form is Form.LINES:
        pairs = zip(selection.columns, into, strict=True)
        outputs, how = [canonical.line_value(here, there, dialect) for here, there in pairs], "(format text)"
    else:
        raise Stop(f"rows do not leave PostgreSQL as {form}")
    natural = all(o == f"t.{quoted(c.name)}" for o, c in zip(outputs, selection.columns, strict=True))
    stored = all(c.generated is None for c in selection.columns)
    table = selection.table
    plain = natural and stored and not selection.query and not restrictions(selection)
    if plain and table is not None and table in whole:
        return f"copy {qualified(table)} ({listed(c.name for c in selection.columns)}) to stdout {how}"
    return f"copy ({select(selection, outputs)}) to stdout {how}"


def _plain_escapes(block: bytes) -> bytes:
    """Only backslash, tab, newline and return stay escaped."""
    if not (b"\\b" in block or b"\\f" in block or b"\\v" in block):
        return block
    return _ESCAPES.sub(lambda m: _OWN.get(m.group(1), m.group(0)), block)


def _field(text: str) -> str | None:
    if "\\" not in text:
        return text
    return None if text == "\\N" else _TEXT_ESCAPES.sub(lambda m: _UNESCAPED.get(m.group(1), m.group(1)), text)


def _null_key(place: str, rule: BucketRule) -> Stop:
    hint = "choose a key without NULL"
    return Stop(f"{place}: the key {', '.join(rule.columns)} is NULL in some row", hint=hint, code="null_key")
