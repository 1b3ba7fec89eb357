"""The scenes that runs over tables are broken in: two databases, a table with a past, a source that has moved on.

``SEED=...`` repeats what a seed chose; ``CHAOS=5`` makes five times as much of it (`make chaos`).
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from sync_assets.engine.model import Report
from sync_assets.engine.tables.writing import Head
from sync_assets.store.control import PostgresStore
from sync_assets.testing import oracle
from sync_assets.testing.servers import Server
from sync_assets.testing.tables import rig

# In the environment, so that all workers of a test run have the same.
SEED = int(os.environ.setdefault("SEED", str(random.SystemRandom().randrange(1, 10**6))))
CHAOS = int(os.environ.get("CHAOS", "1"))
KILLED = -9
SERVERS = ("postgres", "mysql")
PAIRS = tuple(itertools.product(SERVERS, SERVERS))
COLUMNS = ("id", "name", "price", "at", "n")
_TABLE = "create table {name} (id bigint {key}, name varchar(60), price numeric(12,2), at {clock}, n bigint {more})"
Row = dict[str, Any]


@dataclass
class Pair:
    """A site with the servers that it stands on, as applications see them."""

    site: rig.Site
    source: Server
    target: Server
    store: PostgresStore

    @property
    def kinds(self) -> tuple[str, str]:
        return self.site.here.kind, self.site.there.kind

    def here(self, *statements: str) -> list[tuple[Any, ...]]:
        return self.source.execute(*statements, database=self.site.here.args["database"])

    def there(self, *statements: str) -> list[tuple[Any, ...]]:
        return self.target.execute(*statements, database=self.site.there.args["database"])

    def make(self, where: str, table: str = "items", key: str = "primary key", more: str = "") -> None:
        ask, kind = (self.here, self.kinds[0]) if where == "here" else (self.there, self.kinds[1])
        clock = "datetime(6)" if kind == "mysql" else "timestamp(6)"
        ask(_TABLE.format(name=table, key=key, clock=clock, more=more))

    def insert(self, first: int, last: int, table: str = "items", **columns: str) -> None:
        """Rows with these ids into the source. `columns` replace the SQL of a value, which may use `i`."""
        values = {
            "id": "{i}", "name": "'第 {i} 件 é'", "price": "{i}.25", "at": "'2026-10-01 08:{m:02}:00'", "n": "{i}",
            **columns,
        }  # fmt: skip
        for start in range(first, last + 1, 1000):
            many = (
                ", ".join(values[c] for c in COLUMNS).format(i=i, m=i % 60)
                for i in range(start, min(start + 1000, last + 1))
            )
            self.here(f"insert into {table} ({', '.join(COLUMNS)}) values " + ", ".join(f"({row})" for row in many))
        self.analyze(table)

    def analyze(self, table: str = "items") -> None:
        self.here(f"analyze table {table}" if self.kinds[0] == "mysql" else f"analyze {table}")

    def rows(self, where: str = "there", table: str = "items", columns: Sequence[str] = COLUMNS) -> list[Row]:
        found = getattr(self, where)(f"select {', '.join(columns)} from {table}")
        return [{c: _plain(v) for c, v in zip(columns, row, strict=True)} for row in found]

    def verdict(self, wanted: Sequence[Row] | None = None, table: str = "items",
                columns: Sequence[str] = COLUMNS) -> oracle.Verdict:  # fmt: skip
        source = self.rows("here", table, columns) if wanted is None else wanted
        return oracle.compare(source, self.rows("there", table, columns), (columns[0],))

    def judge(self, wanted: Sequence[Row] | None = None, **settings: Any) -> None:
        found = self.verdict(wanted, **settings)
        assert found.equal, f"seed {SEED}: {found}"

    def run(self, table: str = "items", hands: rig.Hands | None = None, **settings: Any) -> Report:
        """One run over one table in this process; the lease is that of this process."""
        hands = hands or rig.Hands()
        hands.store = hands.store or self.store
        return rig.run(self.site, [rig.job(self.site, table, **settings)], hands)[0]

    def head(self, table: str = "items") -> Head:
        target = self.site.there.open()
        try:
            return target.peek(f"copy_{table}")
        finally:
            target.close()

    def leftovers(self) -> list[str]:
        """Stages, twins and old tables of ours that lie about in the target."""
        if self.kinds[1] == "postgres":
            found = self.there("select tablename from pg_tables where schemaname = 'sync_assets'")
        else:
            found = self.there("show tables like 'sync\\_assets\\_%'")
        return [name for (name,) in found if name not in ("sync_assets_head", "sync_assets_ledger")]


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    return value.isoformat(" ", "microseconds") if isinstance(value, datetime) else value


WAYS: Mapping[str, Mapping[str, Any]] = {
    "heap": {"mode": "full", "key": ("id",), "policy": "ignore"},
    "created": {"mode": "clone"},
    "swapped": {"mode": "clone", "changes": "whole"},
    "merged": {"mode": "full", "changes": "whole"},
    "digest": {"mode": "clone", "changes": "hash"},
    "watermark": {"mode": "full", "watermark": "at", "lookback": 60.0},
    "family": {"mode": "clone", "changes": "hash"},
}
SAID = {
    "heap": "loaded directly", "created": "loaded directly", "swapped": "staged and swapped",
    "merged": "staged and merged", "digest": "differences by digest", "watermark": "since the last watermark",
    "family": "differences by digest",
}  # fmt: skip
FRESH = ("heap", "created")  # ways into a table that holds nothing yet
MOVED_ON = (
    "update {t} set name = 'moved on', at = '2026-10-02 09:00:00', price = null where id <= 40",
    "delete from {t} where id between 301 and 330",
)


@dataclass
class Scene:
    """One way into a table. `prepare` leaves both sides as a run of that way finds them; `judge` knows the end.

    The heap has no key in the target: rows that were loaded twice would be there twice.
    """

    pair: Pair
    way: str
    before: list[Row] = field(default_factory=list)

    @property
    def jobs(self) -> list[tuple[str, Mapping[str, Any]]]:
        names = ("boxes", "items") if self.way == "family" else ("items",)
        return [(name, WAYS[self.way]) for name in names]

    def prepare(self) -> None:
        pair = self.pair
        pair.make("here")
        if self.way == "heap":
            pair.make("there", key="")
        if self.way == "family":
            pair.make("here", "boxes", more=", foreign key (n) references items (id)")
        if self.way not in FRESH:
            pair.insert(1, 600)
            if self.way == "family":
                pair.insert(1, 400, "boxes")
            self.run()
            pair.there(*_foreign(self.way))
            self._move_on()
        else:
            pair.insert(1, 1200)
        self.before = [] if self.way == "created" else pair.rows()

    def _move_on(self) -> None:
        pair = self.pair
        if self.way == "family":
            pair.here("delete from boxes where id between 295 and 335")
        pair.here(*(s.format(t="items") for s in MOVED_ON))
        pair.insert(601, 1200, at="'2026-10-02 10:{m:02}:00'")
        if self.way == "family":
            pair.insert(601, 700, "boxes")

    def run(self, **settings: Any) -> list[Report]:
        hands = rig.Hands(store=self.pair.store, **settings)
        return rig.run(self.pair.site, [rig.job(self.pair.site, t, **s) for t, s in self.jobs], hands)

    def wanted(self) -> list[Row]:
        source = self.pair.rows("here")
        if WAYS[self.way]["mode"] == "clone":
            return source
        ids = {row["id"] for row in source}
        return source + [row for row in self.before if row["id"] not in ids]

    def judge(self) -> None:
        self.pair.judge(self.wanted())
        if self.way == "family":
            self.pair.judge(table="boxes")

    def settle(self) -> None:
        """One more run finds nothing to do. A stage that a dead run left lies there until the next one that ships."""
        for report in self.run():
            counts = report.counts
            if self.way != "swapped":  # which makes everything anew each time
                assert (counts.created, counts.updated, counts.deleted) == (0, 0, 0), str(counts)
            assert counts.balanced
            assert report.equal is True
        if self.pair.leftovers():
            for table, _ in self.jobs:
                self.pair.here(f"update {table} set name = 'after all', at = '2026-11-01 10:00:00' where id = 100")
            self.run()
            self.judge()
        assert self.pair.leftovers() == []


def _foreign(way: str) -> tuple[str, ...]:
    """What others did in the target: a clone undoes it, the other ways leave rows alone that they do not know."""
    return ("insert into items (id, name) values (100001, 'theirs'), (100002, 'theirs')",)
