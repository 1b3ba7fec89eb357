"""Rows that do not fit, and a disk that is full: the rest is written once, or nothing is, and the numbers add up."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import log2
from pathlib import Path
from typing import Any

import pytest

from sync_assets.engine.errors import Retry, Stop
from sync_assets.engine.model import Report
from sync_assets.engine.tables.careful import CHUNK
from sync_assets.testing.tables.rig import Hands
from sync_assets_tests.chaos.table_scenes import SERVERS, WAYS, Pair, Scene

MakePair = Callable[..., Pair]
ROWS, BAD = 10_000, 100
BIG = 1_000_000
_MEGABYTE = f"repeat('x', {BIG})"
# Columns of the source, and what is narrower in the target. Values that do not fit, by the column that they are in.
HERE = "(id bigint primary key, name varchar(100), price {decimal}, at {clock}, n int, ref bigint, note {long})"
THERE = (
    "(id bigint primary key, name varchar(20), price numeric(8,2), at {clock}, n int not null check (n < 1000),"
    " ref bigint, note varchar(50), foreign key (ref) references refs (id))"
)
GOOD = {"name": "'gut é'", "price": "1.5", "at": "'2026-10-01 08:00:00'", "n": "7", "ref": "1", "note": "'n'"}
SICK: Mapping[str, Mapping[str, str]] = {
    "too long": {"name": "'" + "é" * 21 + "'"},
    "out of range": {"price": "12345678.5"},
    "no parent": {"ref": "99"},
    "check": {"n": "1000"},
    "no value": {"n": "null"},
    "a megabyte": {"note": _MEGABYTE},
}
# Between two PostgreSQL the structure is compared by type, and a narrower column in the target stops the sync.
SAME = ("no parent", "check")
# What only one source can hold.
OWN: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "postgres": {"not a number": {"price": "'NaN'"}, "no such date": {"at": "'0044-03-15 00:00:00 BC'"}},
    "mysql": {"NUL": {"name": "concat('a', char(0), 'b')"}},
}
_WORDS = {
    "postgres": {"decimal": "numeric", "clock": "timestamp(6)", "long": "text"},
    "mysql": {"decimal": "decimal(20,4)", "clock": "datetime(6)", "long": "longtext"},
}


def poisoned(make_pair: MakePair, here: str, there: str, rows: int = ROWS, bad: int = BAD, **site: Any) -> Pair:
    """`rows` rows in the source, of which `bad` do not fit in one way each."""
    pair = make_pair(here, there, **site)
    pair.here(f"create table items {HERE.format(**_WORDS[here])}")
    pair.there("create table refs (id bigint primary key)", "insert into refs values (1)")
    same = here == there == "postgres"
    checked = ", check (n < 1000), foreign key (ref) references refs (id))"
    pair.there(f"create table items {(HERE[:-1] + checked if same else THERE).format(**_WORDS[there])}")
    kinds = [*SICK.values(), *(OWN[here].values() if here != there else ())]
    kinds = [SICK[name] for name in SAME] if same else kinds
    step = rows // bad
    values = [GOOD | (kinds[i // step % len(kinds)] if i % step == 0 else {}) for i in range(rows)]
    for at in range(0, rows, 1000):
        many = ", ".join(f"({at + i}, {', '.join(v.values())})" for i, v in enumerate(values[at : at + 1000]))
        relaxed = ["set sql_mode = ''"] if here == "mysql" else []
        pair.here(*relaxed, f"insert into items (id, {', '.join(GOOD)}) values {many}")
    pair.analyze()
    return pair


class Counting:
    """A target that counts what is tried while a bad row is looked for."""

    def __init__(self, inner: Any, tries: list[int]) -> None:
        self._inner, self._tries = inner, tries

    def writer(self, sync: str = "", token: int = 0) -> Any:
        return Counting(self._inner.writer(sync, token), self._tries)

    def try_load(self, table: Any, columns: Any, lines: Any) -> None:
        self._tries.append(len(lines))
        self._inner.try_load(table, columns, lines)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@pytest.mark.parametrize("changes", ["direct", "whole"])
@pytest.mark.parametrize(("here", "there"), [("mysql", "postgres"), ("postgres", "mysql"), ("postgres", "postgres"),
                                             ("mysql", "mysql")])  # fmt: skip
def test_poison_rows_are_set_aside(make_pair: MakePair, here: str, there: str, changes: str) -> None:
    small = here == there
    rows, bad = (2_000, 20) if small else (ROWS, BAD)
    pair = poisoned(make_pair, here, there, rows, bad, slice_bytes=300_000)
    settings = {"mode": "full", "policy": "ignore", "reject_limit": bad}
    if changes == "whole":
        settings["changes"] = "whole"
        pair.there("insert into items (id, n) values (1, 5)")
    tries: list[int] = []
    report = pair.run(hands=Hands(target=lambda target: Counting(target, tries)), **settings)  # type: ignore[arg-type]
    assert (report.counts.read, report.counts.rejected) == (rows, bad)
    assert report.counts.balanced
    assert report.equal is True
    _the_good_are_there_once(pair, rows, rows // bad)
    _each_has_its_reason(report, pair, bad)
    assert len(tries) <= bad * (2 * log2(CHUNK) + 1) + 2 * rows / CHUNK + 20


def _the_good_are_there_once(pair: Pair, rows: int, step: int) -> None:
    found = [row["id"] for row in pair.rows(columns=("id",))]
    assert sorted(found) == [i for i in range(rows) if i % step]


def _each_has_its_reason(report: Report, pair: Pair, bad: int) -> None:
    assert len(report.rejected) == bad
    assert all(r.reason and r.key for r in report.rejected)
    assert {r.key for r in pair.store.rejects(report.sync)} == {r.key for r in report.rejected}
    said = " ".join(r.reason for r in report.rejected)
    words = {"postgres": ("too long for column name", "range"), "mysql": ("does not fit column name", "range")}
    own = () if pair.kinds == ("postgres", "postgres") else words[pair.kinds[1]]
    for word in (*own, "foreign key", "check"):
        assert word in said
    assert "xxx" not in said and "12345678" not in said, "never a value"


@pytest.mark.parametrize("there", SERVERS)
@pytest.mark.parametrize("here", SERVERS)
def test_a_bad_row_at_the_head_of_a_large_slice(make_pair: MakePair, here: str, there: str) -> None:
    """The target refuses while most of the slice is still on its way; then it is read again from its beginning."""
    pair = make_pair(here, there, slice_bytes=1 << 30)
    pair.make("here")
    pair.make("there", more=", check (n <> 1)")
    pair.insert(1, 20_000, name="repeat('x', 60)")
    for _ in range(3):
        pair.here("insert into items (id, name, price, at, n) select id + (select max(id) from items), name, price, at,"
                  " n + 2 from items")  # fmt: skip
    report = pair.run(mode="full", policy="ignore", reject_limit=1)
    assert (report.counts.read, report.counts.rejected) == (160_000, 1)
    assert report.equal is True


@pytest.mark.parametrize("there", SERVERS)
@pytest.mark.parametrize("changes", ["auto", "whole"])
def test_more_bad_rows_than_the_limit_stop_the_run(make_pair: MakePair, there: str, changes: str) -> None:
    pair = poisoned(make_pair, "postgres", there, 1_000, 20)
    pair.there("insert into items (id, n) values (100001, 5)")
    settings = {"mode": "full", "policy": "ignore", "reject_limit": 19, "changes": changes}
    with pytest.raises(Stop, match="limit is 19"):
        pair.run(**settings)
    assert [row["id"] for row in pair.rows(columns=("id",))] == [100001]
    assert pair.head().position is None
    assert pair.head().epoch == 0


# -- a full disk


FULL = {
    "postgres": (
        "create function full_disk() returns trigger language plpgsql as"
        " $$begin if new.n = {row} then raise exception 'no space left' using errcode = '53100'; end if;"
        " return new; end$$",
        "create trigger full_disk before insert or update on items for each row execute function full_disk()",
    ),
    "mysql": (
        "create trigger full_disk before insert on items for each row if new.n = {row} then"
        " signal sqlstate 'HY000' set mysql_errno = 1114, message_text = 'The table is full'; end if",
    ),
}
ROOM = {"postgres": "drop function full_disk() cascade", "mysql": "drop trigger full_disk"}


@pytest.mark.parametrize("way", ["heap", "merged", "digest", "watermark"])
@pytest.mark.parametrize("there", SERVERS)
def test_a_full_disk_undoes_the_batch_and_waits(make_pair: MakePair, there: str, way: str) -> None:
    """Reported by the server at one row: that batch is undone, the position stays, and nobody hurries."""
    scene = Scene(make_pair("mysql", there), way)
    scene.prepare()
    before, head = scene.pair.rows(), scene.pair.head()
    scene.pair.there(*(s.format(row=700) for s in FULL[there]))
    naps: list[float] = []
    with pytest.raises(Retry) as full:
        scene.run(sleep=naps.append)
    assert full.value.after >= 60
    assert "disk" in full.value.message
    assert full.value.hint
    _undone(scene, before)
    assert (scene.pair.head().epoch, scene.pair.head().position) == (head.epoch, head.position)
    scene.pair.there(ROOM[there])
    scene.run()
    scene.judge()
    scene.settle()


def _undone(scene: Scene, before: list[dict[str, Any]]) -> None:
    if scene.way == "heap":  # slices that were loaded before it are there, each row once
        found = scene.pair.verdict()
        assert not (found.doubled or found.changed or found.strange)
        assert (700,) in found.lost
    else:
        key = lambda row: row["id"]  # noqa: E731
        assert sorted(scene.pair.rows(), key=key) == sorted(before, key=key)


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[Path]:
    """A file system of `size`; only root can have one."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0777", "tmpfs", str(path)], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def _may_mount(path: Path) -> bool:
    if os.geteuid() != 0:
        return False
    tried = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(path)], capture_output=True)
    if tried.returncode == 0:
        subprocess.run(["umount", str(path)], check=True)
    return tried.returncode == 0


def test_a_really_full_disk(make_pair: MakePair, tmp_path: Path) -> None:
    """PostgreSQL with the target's tables on a file system of 8 MB, where we may mount one."""
    if not _may_mount(tmp_path):
        pytest.skip("mounting a small file system needs root and the right to mount")
    for folder in (tmp_path, *tmp_path.parents):
        if str(folder).startswith("/tmp/"):  # pytest's folders are closed to the server's user
            folder.chmod(folder.stat().st_mode | 0o011)
    with small_disk(tmp_path, "8m") as disk:
        pair = make_pair("mysql", "postgres", slice_bytes=300_000)
        place = disk / "space"
        place.mkdir()
        uid = Path(f"/proc/{pair.target.pid}").stat().st_uid
        os.chown(place, uid, uid)
        name = f"small_{os.getpid()}"
        pair.there(f"create tablespace {name} location '{place}'")
        try:
            _fill_it_up(pair, name, disk)
        finally:
            pair.there("drop table if exists items")
            pair.there(f"drop tablespace {name}")


def _fill_it_up(pair: Pair, space: str, disk: Path) -> None:
    pair.make("here")
    pair.insert(1, 8_000)
    pair.make("there", key="", more="")
    pair.there(f"alter table items set tablespace {space}")
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * (8 * 1024 * 1024 - 500_000))
    with pytest.raises(Retry) as full:
        pair.run(hands=Hands(sleep=lambda _: None), **WAYS["heap"])
    assert full.value.after >= 60
    found = pair.verdict()
    assert not (found.doubled or found.changed or found.strange)
    assert found.lost
    ballast.unlink()
    assert pair.run(**WAYS["heap"]).equal is True
    pair.judge()
