"""The plan: what a run will create, update and delete, from two sides compared by canonical value per field.

Source rows come first and stay in memory as canonical tuples by key; records of the target stream past and are not
kept. Pure: no I/O, so that every mode can be tested row by row.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import repeat
from operator import itemgetter
from typing import Any

from sync_assets.engine.errors import RejectRow, Stop
from sync_assets.engine.model import Batch, Canonical, Canonise, CanoniseColumn, Mode, Record, Rejected

Values = tuple[Canonical, ...]
Key = Any  # one canonical value, or a tuple of them


def digest(values: object) -> str:
    """A short fingerprint of a row, to notice that a rejected row changed."""
    return blake2b(repr(values).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def key_text(key: Key) -> str:
    """The key as text, for the journal and for `rejected`. Long ones are cut and fingerprinted."""
    text = " | ".join(_plain(v) for v in key) if isinstance(key, tuple) else _plain(key)
    return text if len(text) <= 200 else f"{text[:160]}... {digest(key)}"


def _plain(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)


class ByColumns:
    """Rows are the same when their key columns are."""

    def __init__(self, positions: Sequence[int]) -> None:
        self.positions = tuple(positions)
        self.get = itemgetter(*positions)  # without a look at empty parts

    def restart(self) -> None:
        """Nothing is counted."""

    def __call__(self, values: Values) -> Key | None:
        """The key, or None when a part of it is empty."""
        if len(self.positions) == 1:
            return values[self.positions[0]]
        key = tuple(values[i] for i in self.positions)
        return None if None in key else key


class ByContent:
    """Without a key: the n-th row of equal content is the same as the n-th record of equal content."""

    def __init__(self) -> None:
        self.seen: Counter[Values] = Counter()

    def restart(self) -> None:
        """Begin to count the other side."""
        self.seen.clear()

    def __call__(self, values: Values) -> Key | None:
        n = self.seen[values]
        self.seen[values] = n + 1
        return (digest(values), n)


KeyOf = ByColumns | ByContent


@dataclass(slots=True)
class SourceRows:
    """The source side: canonical rows by key, each with the number of its partition."""

    key_of: KeyOf
    canonise: Sequence[Canonise]
    pick: Sequence[int]  # positions of the mapped columns in a source row
    duplicates: str = "error"
    known_rejects: dict[str, str] = field(default_factory=dict)  # key text -> digest
    columnwise: Sequence[CanoniseColumn | None] = ()  # faster than `canonise`, where there is one
    rows: dict[Key, tuple[Values, int]] = field(default_factory=dict)
    held: set[Key] = field(default_factory=set)  # keys that are in the source but cannot be written
    rejected: list[Rejected] = field(default_factory=list)
    rejected_parts: Counter[int] = field(default_factory=Counter)
    still_rejected: int = 0  # rows that the target refused before and that have not changed
    repeated: Counter[tuple[Key, int]] = field(default_factory=Counter)  # by key and partition of the later row
    read: Counter[int] = field(default_factory=Counter)
    _covered: dict[int, dict[Key, tuple[Values, int]]] = field(default_factory=dict)  # by partition: rows it replaced

    def add(self, batch: Batch, part: int = 0, label: str = "") -> None:
        """Take a batch of source rows in."""
        self.read[part] += len(batch.rows)
        try:
            whole = self._by_columns(batch)
        except RejectRow:
            for values in self._rowwise(batch, part, label):
                self._put(values, part, label)
            return
        if not self._put_all(whole, part):
            for values in whole:
                self._put(values, part, label)

    def _by_columns(self, batch: Batch) -> list[Values]:
        if not batch.rows:
            return []
        columns = list(zip(*batch.rows, strict=True))
        whole = self.columnwise or [None] * len(self.canonise)
        made = [
            f(columns[i]) if f else list(map(one, columns[i]))
            for f, one, i in zip(whole, self.canonise, self.pick, strict=True)
        ]
        return list(zip(*made, strict=True))

    def _put_all(self, rows: Sequence[Values], part: int) -> bool:
        """Put a whole batch at once, if nothing in it asks for a second look; otherwise do nothing."""
        if self.known_rejects or not isinstance(self.key_of, ByColumns):
            return False
        keys = list(map(self.key_of, rows))
        if (
            len(set(keys)) < len(keys)
            or None in keys
            or not self.rows.keys().isdisjoint(keys)
            or not self.held.isdisjoint(keys)
        ):
            return False
        self.rows.update(zip(keys, zip(rows, repeat(part)), strict=False))
        return True

    def _rowwise(self, batch: Batch, part: int, label: str) -> Iterable[Values]:
        first = self.read[part] - len(batch.rows) + 1  # of its partition; the batch is counted already
        for number, row in enumerate(batch.rows, first):
            values: list[Canonical] = []
            fault: RejectRow | None = None
            for f, i in zip(self.canonise, self.pick, strict=True):
                try:
                    values.append(f(row[i]))
                except RejectRow as error:
                    fault = fault or error
                    values.append(None)
            if fault is None:
                yield tuple(values)
            else:
                key = self.key_of(tuple(values))
                self.reject(key, f"row {number}", digest(row), fault, part, label)

    def _put(self, values: Values, part: int, label: str) -> None:
        key = self.key_of(values)
        if key is None:
            fault = RejectRow("the key is empty", code="empty_key")
            self.reject(None, digest(values), digest(values), fault, part, label)
            return
        if key in self.held:  # a row of this key was set aside: two rows share it all the same
            self.repeated[key, part] += 1
        if self.known_rejects and self.known_rejects.get(key_text(key)) == digest(values):
            self._still_rejected(key, part)
            return
        before = self.rows.get(key)
        if before is not None and not self._give_way(key, before, part):
            return
        self.rows[key] = (values, part)

    def _give_way(self, key: Key, before: tuple[Values, int], part: int) -> bool:
        """A second row of one key: whether it replaces the first. The loser counts as rejected."""
        self.repeated[key, part] += 1
        last = self.duplicates == "last"
        self.rejected_parts[before[1] if last else part] += 1
        if last and before[1] != part:
            self._covered.setdefault(part, {}).setdefault(key, before)
        return last

    def _still_rejected(self, key: Key, part: int) -> None:
        if key in self.rows:
            self.repeated[key, part] += 1
        self.held.add(key)
        self.still_rejected += 1
        self.rejected_parts[part] += 1

    def reject(self, key: Key | None, name: str, mark: str, fault: RejectRow, part: int, label: str) -> None:
        """Set a row aside: it is neither written nor, in clone, taken for deleted."""
        if key is not None:
            self.held.add(key)
        shown = name if key is None else key_text(key)
        self.rejected.append(Rejected(shown, mark, fault.field, fault.code, fault.message, label))
        self.rejected_parts[part] += 1

    def forget(self, part: int, label: str) -> None:
        """Take a partition out again, because reading it failed half-way: as if it had never been asked for."""
        self.rows = {k: v for k, v in self.rows.items() if v[1] != part}
        for key, before in self._covered.pop(part, {}).items():
            self.rows[key] = before
            self.rejected_parts[before[1]] -= 1
        self.rejected = [r for r in self.rejected if r.partition != label]
        self.repeated = Counter({at: n for at, n in self.repeated.items() if at[1] != part})
        self.read.pop(part, None)
        self.rejected_parts.pop(part, None)

    def refuse_duplicates(self, sync: str, key: Sequence[str]) -> None:
        """Raise `Stop` when keys repeat and the policy is `error`."""
        if self.repeated and self.duplicates == "error":
            columns, keys = ", ".join(key), len({key for key, _ in self.repeated})
            rows = sum(self.repeated.values()) + keys
            raise Stop(
                f"{sync}: {keys} keys stand on {rows} source rows; the key must be unique",
                hint=f"find them with: select {columns}, count(*) ... group by {columns} having count(*) > 1; "
                "or choose duplicates: {source: first|last}",
                code="duplicate_key",
            )


@dataclass(slots=True)
class Update:
    """One record to change: the positions that differ, with their new values, and unmapped fields to clear."""

    record: str
    key: Key
    part: int
    changes: dict[int, Canonical]
    clear: tuple[str, ...] = ()


def same(a: Canonical, b: Canonical) -> bool:
    """Equal for a reader: exact, or two doubles that differ by less than their last printed digit."""
    if a == b:
        return type(a) is type(b) or not isinstance(a, bool) ^ isinstance(b, bool)
    return isinstance(a, float) and isinstance(b, float) and math.isclose(a, b, rel_tol=1e-14)


@dataclass(slots=True)
class Plan:
    """What a run will do. Filled by `see` for each record of the target, then closed by `finish`."""

    mode: Mode
    source: SourceRows
    clear_unmapped: bool
    watermark: int | None = None  # position of the version column, for incremental
    in_scope: Callable[[Values], int | None] = lambda values: 0  # partition number, None: foreign
    target_duplicates: str = "error"
    updates: list[Update] = field(default_factory=list)
    creates: list[Key] = field(default_factory=list)
    deletes: list[str] = field(default_factory=list)
    delete_keys: list[str] = field(default_factory=list)
    unchanged: Counter[int] = field(default_factory=Counter)
    deleted_parts: Counter[int] = field(default_factory=Counter)
    seen: dict[Key, str] = field(default_factory=dict)
    repeated: int = 0
    records: int = 0
    scoped: int = 0

    def see_all(self, records: Iterable[Record]) -> None:
        """Compare records with their source rows; quick about those that are equal, which most are."""
        key_of, rows, seen = self.source.key_of, self.source.rows, self.seen
        if not isinstance(key_of, ByColumns):
            for record in records:
                self.see(record)
            return
        page = list(records)
        keys = [key_of.get(r.values) for r in page]
        equal: list[tuple[Record, int]] = []
        for record, key, found in zip(page, keys, map(rows.get, keys), strict=True):
            if found is None or found[0] != record.values or key in seen or record.extra:
                self.see(record)
            else:
                seen[key] = record.id
                equal.append((record, found[1]))
        self.records += len(equal)
        self.unchanged.update([part for _, part in equal])
        self.scoped += sum([self.in_scope(record.values) is not None for record, _ in equal])

    def see(self, record: Record) -> None:
        """Compare one record of the target with its source row, if it has one."""
        self.records += 1
        key = self.source.key_of(record.values)
        part = self.in_scope(record.values)
        self.scoped += part is not None
        if key is not None and key in self.seen:
            self._repeat(record, key, part)
            return
        if key is not None:
            self.seen[key] = record.id
        found = None if key is None else self.source.rows.get(key)
        if found is not None:
            self._match(record, key, *found)
        elif part is not None and self.mode is Mode.CLONE and key not in self.source.held:
            self._delete(record, key, part)

    def _match(self, record: Record, key: Key, values: Values, part: int) -> None:
        if self.mode in (Mode.INCREMENTAL, Mode.APPEND) and not self._newer(values, record.values):
            self.unchanged[part] += 1
            return
        clear = record.extra if self.clear_unmapped else ()
        changes: dict[int, Canonical] = {}
        if values != record.values:
            changes = {
                i: a for i, (a, b) in enumerate(zip(values, record.values, strict=True)) if a != b and not same(a, b)
            }
        if changes or clear:
            self.updates.append(Update(record.id, key, part, changes, clear))
        else:
            self.unchanged[part] += 1

    def _newer(self, ours: Values, theirs: Values) -> bool:
        if self.watermark is None:
            return False
        a, b = ours[self.watermark], theirs[self.watermark]
        return a is not None and (b is None or a > b)  # type: ignore[operator]

    def _repeat(self, record: Record, key: Key, part: int | None) -> None:
        self.repeated += 1
        if self.target_duplicates == "last" and key in self.source.rows:
            self._forget_match(key)
            self.seen[key] = record.id
            self._match(record, key, *self.source.rows[key])
            return
        unwanted = self.mode is Mode.CLONE and key not in self.source.rows and key not in self.source.held
        if part is not None and (self.target_duplicates == "delete" or unwanted):
            self._delete(record, key, part)

    def _forget_match(self, key: Key) -> None:
        last = next((i for i in range(len(self.updates) - 1, -1, -1) if self.updates[i].key == key), None)
        if last is not None:
            del self.updates[last]
        else:
            self.unchanged[self.source.rows[key][1]] -= 1

    def _delete(self, record: Record, key: Key | None, part: int) -> None:
        self.deletes.append(record.id)
        self.delete_keys.append("" if key is None else key_text(key))
        self.deleted_parts[part] += 1

    def take_for_granted(self, text: str, record_id: str) -> None:
        """A record was acknowledged without its values: the row of that key text is not created again."""
        key = next((k for k in self.source.rows if key_text(k) == text), None)
        self.records += 1
        if key is not None and key not in self.seen:
            self.seen[key] = record_id
            self.unchanged[self.source.rows[key][1]] += 1

    def finish(self) -> None:
        """Close the plan: what was not seen is created."""
        self.creates = [k for k in self.source.rows if k not in self.seen]

    def refuse_duplicates(self, sync: str) -> None:
        """Raise `Stop` on repeated keys of the target, where that is the policy."""
        if self.repeated and self.target_duplicates == "error" and isinstance(self.source.key_of, ByColumns):
            raise Stop(
                f"{sync}: {self.repeated} records of the target repeat the key of another one",
                hint="delete the doubles, or choose duplicates: {target: first|last|delete}",
                code="duplicate_record",
            )
