"""Others at the same table: a run that slept past its lease, writers that commit late, clocks that are wrong."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sync_assets.engine.control import LeaseHeld
from sync_assets.engine.errors import Fenced, Retry
from sync_assets.engine.tables.run import TablesRun
from sync_assets.engine.tables.writing import Head
from sync_assets.testing.memory import MemoryStore
from sync_assets.testing.tables.rig import Child, Hands, Nursery
from sync_assets_tests.chaos.table_scenes import CHAOS, SEED, SERVERS, Pair, Scene

MakePair = Callable[..., Pair]
LEASE = 1.0
# Where the sleeper lies, and whether it holds a transaction open there.
ASLEEP = {
    "digest": ("after_lease", "after_choice", "after_slice", "before_apply", "in_apply", "after_apply"),
    "swapped": ("after_choice", "in_slice:3", "after_slice:3", "before_swap"),
    "heap": ("in_slice:4", "after_slice:4", "before_end"),
}
WITHIN = ("in_slice", "in_apply", "before_end")
CASES = [
    (there, way, point)
    for there in SERVERS for way, points in ASLEEP.items() for point in points
    if there == "postgres" or point.partition(":")[0] not in WITHIN
]  # fmt: skip


@contextmanager
def asleep(scene: Scene, nursery: Nursery, point: str) -> Iterator[Child]:
    """A child that has stopped itself (SIGSTOP) at a fault point."""
    child = nursery.start(scene.pair.site, scene.jobs, f"{point}=stop")
    try:
        _wait_for(lambda: _state(child.pid) == "T")
        yield child
    finally:
        with suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGCONT)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _wait_for(seen: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end, "not seen in time"
        time.sleep(0.01)


@pytest.mark.parametrize(("there", "way", "point"), CASES)
def test_a_run_that_slept_past_its_lease_writes_no_more(
    make_pair: MakePair, nursery: Nursery, there: str, way: str, point: str
) -> None:
    """Stopped with the next write in its hands; the source moves on, another takes over; awake, it writes nothing."""
    pair = make_pair("postgres", there, lease_seconds=LEASE)
    scene = Scene(pair, way)
    scene.prepare()
    with asleep(scene, nursery, point) as child:
        time.sleep(LEASE + 0.1)
        pair.here("update items set name = 'later', at = '2026-10-03 09:00:00' where id between 41 and 90",
                  "insert into items (id, name, at) values (-1, 'later', '2026-10-03 09:00:00')")  # fmt: skip
        scene.run()
        scene.judge()
        before, head = pair.rows(), pair.head()
        os.kill(child.pid, signal.SIGCONT)
        code, told = child.wait()
    assert code == 1
    assert told["outcome"] in ("Fenced", "Retry", "Stop"), told
    assert pair.rows() == before, "not one write by the old token"
    assert (pair.head().epoch, pair.head().position, pair.head().token) == (head.epoch, head.position, head.token)
    scene.judge()
    scene.settle()


@pytest.mark.parametrize(("way", "point"), [("digest", "in_apply"), ("swapped", "in_slice:3"), ("heap", "before_end")])
def test_in_mysql_a_sleeper_with_a_transaction_open_is_waited_for(
    make_pair: MakePair, nursery: Nursery, monkeypatch: pytest.MonkeyPatch, way: str, point: str
) -> None:
    """Its row of the ledger is locked, and it cannot be told from one that works: the other run gives up for now."""
    monkeypatch.setattr("sync_assets.databases.mysql.tables.line.LOCK_SECONDS", 1)
    pair = make_pair("postgres", "mysql", lease_seconds=LEASE)
    scene = Scene(pair, way)
    scene.prepare()
    with asleep(scene, nursery, point) as child:
        time.sleep(LEASE + 0.1)
        before = [] if way == "swapped" else pair.rows()
        with pytest.raises(Retry, match="lock"):
            scene.run()
        assert before in ([], pair.rows())
        os.kill(child.pid, signal.SIGCONT)
        code, told = child.wait()
    assert (code, told["outcome"]) == (1, "Fenced"), told
    scene.run()
    scene.judge()
    scene.settle()


def test_a_second_run_waits_while_the_first_lives(make_pair: MakePair, nursery: Nursery) -> None:
    scene = Scene(make_pair("postgres", "postgres"), "digest")
    scene.prepare()
    with asleep(scene, nursery, "after_slice") as child:
        before = scene.pair.rows()
        with pytest.raises(LeaseHeld) as held:
            scene.run()
        assert 60 < held.value.after <= 120
        assert scene.pair.rows() == before
        os.kill(child.pid, signal.SIGCONT)
        assert child.wait()[0] == 0
    scene.judge()
    scene.settle()


class Unfenced:
    """A target that lets every token write: the fence left out."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def take_over_all(self, tokens: Mapping[str, int]) -> Mapping[str, Head]:
        return {sync: replace(self._inner.peek(sync), token=token) for sync, token in tokens.items()}

    def writer(self, sync: str = "", token: int = 0) -> Any:
        return Unfenced(self._inner.writer(sync, 10**18 if sync else 0))

    def serve(self, sync: str, token: int) -> Head:
        return self._inner.serve(sync, 10**18)  # type: ignore[no-any-return]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@pytest.mark.parametrize("fence", [True, False], ids=["fence", "no-fence"])
@pytest.mark.parametrize("there", SERVERS)
def test_without_the_fence_old_values_come_back(make_pair: MakePair, there: str, fence: bool) -> None:
    """In one process: the first run's clock stands still, so it believes in its lease; it is overtaken."""
    pair = make_pair("postgres", there, lease_seconds=0.2)
    scene = Scene(pair, "digest")
    scene.prepare()
    overtaken: list[str] = []

    def target(opened: Any) -> Any:
        return Overtaken(opened if fence else Unfenced(opened), overtake)

    def overtake() -> None:
        if not overtaken:
            overtaken.append("now")
            time.sleep(0.3)
            pair.here("update items set name = 'newer' where id <= 40")
            scene.run()
            scene.judge()

    with suppress(Fenced):
        scene.run(target=target, clock=lambda: 0.0)
    assert overtaken
    assert pair.verdict().equal is fence, str(pair.verdict())


@pytest.mark.parametrize("fence", [True, False], ids=["fence", "looked-at-only"])
@pytest.mark.parametrize("there", SERVERS)
def test_who_finds_nothing_to_do_has_overtaken_the_sleeper_all_the_same(
    make_pair: MakePair, nursery: Nursery, monkeypatch: pytest.MonkeyPatch, there: str, fence: bool
) -> None:
    """The sleeper has a change in hand that the source took back. The other run writes nothing, but for its token."""
    pair = make_pair("postgres", there, lease_seconds=LEASE)
    pair.make("here")
    pair.insert(1, 100)
    scene = Scene(pair, "digest")
    scene.run()
    pair.here("update items set name = 'taken back' where id = 1")
    with asleep(scene, nursery, "before_apply") as child:
        time.sleep(LEASE + 0.1)
        pair.here("update items set name = '第 1 件 é' where id = 1")
        if not fence:
            monkeypatch.setattr(TablesRun, "_fence", _only_look)
        assert "nothing to do" in scene.run()[0].notes
        os.kill(child.pid, signal.SIGCONT)
        child.wait()
    assert pair.verdict().equal is fence


def _only_look(run: TablesRun) -> None:
    for work in run.works:
        work.head = run.target.peek(work.ledger)


class Overtaken:
    """A target whose writer is overtaken just before it merges."""

    def __init__(self, inner: Any, overtake: Callable[[], None]) -> None:
        self._inner, self._overtake = inner, overtake

    def writer(self, sync: str = "", token: int = 0) -> Any:
        return Overtaken(self._inner.writer(sync, token), self._overtake)

    @contextmanager
    def batch(self, id: str, **ends: Any) -> Iterator[bool]:
        if id.endswith("apply"):
            self._overtake()
        with self._inner.batch(id, **ends) as todo:
            yield todo

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


# -- writers that commit late

SINCE: Mapping[str, Any] = {"mode": "full", "watermark": "at"}
NOW = {"postgres": "(now() at time zone 'UTC')", "mysql": "utc_timestamp(6)"}


@pytest.mark.parametrize("here", SERVERS)
def test_rows_that_are_committed_late_are_not_lost(make_pair: MakePair, here: str) -> None:
    """Writers hold their transactions open for up to two seconds, over the ends of runs. 0 of 1,000 rows are lost."""
    chance = random.Random(SEED)
    pair = make_pair(here, "postgres" if here == "mysql" else "mysql")
    pair.make("here")
    pair.insert(0, 0, at=NOW[here])
    settings = {**SINCE, "lookback": 5.0}
    pair.run(**settings)
    threads = [threading.Thread(target=_write_late, args=(pair, here, n, chance.random())) for n in range(10)]
    for thread in threads:
        thread.start()
    runs = 0
    while any(thread.is_alive() for thread in threads):
        pair.run(**settings)
        runs += 1
    for thread in threads:
        thread.join()
    pair.run(**settings)
    assert runs > 2
    assert len(pair.rows("here")) == 1 + 1_000 * CHAOS
    pair.judge()


def _write_late(pair: Pair, kind: str, number: int, share: float) -> None:
    """10 transactions of 10 rows, each stamped when it began and committed later."""
    for turn in range(10 * CHAOS):
        first = 1 + number * 100 * CHAOS + turn * 10
        rows = ", ".join(f"({i}, 'late', {NOW[kind]})" for i in range(first, first + 10))
        with closing(pair.source.connect(pair.site.here.args["database"])) as connection:
            cursor = connection.cursor()
            cursor.execute("start transaction")
            cursor.execute(f"insert into items (id, name, at) values {rows}")
            time.sleep(share * (2.0 if turn % 5 == 0 else 0.05))
            cursor.execute("commit")


@pytest.mark.parametrize(("lookback", "bound"), [(0.0, True), (0.0, False), (30.0, False)],
                         ids=["bound", "neither", "lookback"])  # fmt: skip
@pytest.mark.parametrize("here", SERVERS)
def test_a_late_commit_below_the_watermark(make_pair: MakePair, here: str, lookback: float, bound: bool) -> None:
    """Either the look-back or the bound of the oldest open transaction finds it; without both it is lost."""
    pair = make_pair(here, "postgres")
    pair.make("here")
    pair.insert(1, 100, at="'2026-10-01 08:00:00'")
    hands = Hands() if bound else Hands(source=Unbound)
    settings = {**SINCE, "lookback": lookback}
    pair.run(hands=hands, **settings)
    with closing(pair.source.connect(pair.site.here.args["database"])) as late:
        cursor = late.cursor()
        cursor.execute("start transaction")
        cursor.execute(f"insert into items (id, name, at) values (900, 'late', {NOW[here]})")
        time.sleep(1.2)  # MySQL tells the age of transactions in seconds
        pair.insert(901, 901, at=NOW[here])
        report = pair.run(hands=hands, **settings)
        cursor.execute("commit")
    warned = [note for note in report.notes if note.startswith("warning: a transaction")]
    assert len(warned) == (1 if bound else 0), "longer than the look-back: exactly one warning"
    pair.insert(902, 902, at=NOW[here])
    pair.run(hands=hands, **settings)
    lost = pair.verdict().lost
    assert lost == (() if bound or lookback else ((900,),))


class Unbound:
    """A source that does not tell of open transactions."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def oldest_writer(self) -> None:
        return None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@pytest.mark.parametrize("here", SERVERS)
@pytest.mark.parametrize("hours", [-11, 12])
def test_a_late_commit_where_the_source_writes_its_local_time(make_pair: MakePair, here: str, hours: int) -> None:
    """A wall clock without a zone, far from UTC: the bound is in UTC, and must hold all the same."""
    local = {"postgres": f"(now() at time zone 'UTC' + interval '{hours} hours')",
             "mysql": f"timestampadd(hour, {hours}, utc_timestamp(6))"}[here]  # fmt: skip
    pair = make_pair(here, "postgres")
    pair.make("here")
    pair.insert(1, 100, at="'2020-10-01 08:00:00'")
    settings = {**SINCE, "lookback": 0.0}
    pair.run(**settings)
    with closing(pair.source.connect(pair.site.here.args["database"])) as late:
        cursor = late.cursor()
        cursor.execute("start transaction")
        cursor.execute(f"insert into items (id, name, at) values (900, 'late', {local})")
        time.sleep(1.2)
        pair.insert(901, 901, at=local)
        pair.run(**settings)
        cursor.execute("commit")
    pair.insert(902, 902, at=local)
    report = pair.run(**settings)
    pair.judge()
    assert report.counts.read <= 3 + 1, "and the position does move on"


# -- clocks


@pytest.mark.parametrize("hours", [-1, 1])
def test_the_control_databases_clock_is_wrong(make_pair: MakePair, hours: int) -> None:
    """Leases are of its time alone: two runs never share one, whatever other clocks say."""
    now = [datetime.now(UTC) + timedelta(hours=hours)]
    store = MemoryStore(lambda: now[0])
    pair = make_pair("postgres", "mysql")
    pair.make("here")
    pair.insert(1, 100)
    pair.run(hands=Hands(store=store), **SINCE)
    lease = store.acquire_lease(f"rig {pair.site.there.args['database']}.items", "other", 120)
    now[0] -= timedelta(minutes=30)
    with pytest.raises(LeaseHeld):
        pair.run(hands=Hands(store=store), **SINCE)
    store.release_lease(lease)
    assert pair.run(hands=Hands(store=store), **SINCE).equal is True
    pair.judge()


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
def test_our_clock_jumps_in_mid_run(make_pair: MakePair, step: float) -> None:
    """An hour back: the lease looks young. An hour on: it looks old, is renewed, and is still ours."""
    pair = make_pair("mysql", "postgres")
    pair.make("here")
    pair.insert(1, 2_000)
    asked = [0]

    def clock() -> float:
        asked[0] += 1
        return 10_000.0 + (step if asked[0] > 3 else 0.0)

    assert pair.run(hands=Hands(clock=clock), **SINCE).equal is True
    pair.judge()


@pytest.mark.parametrize("hours", [-1, 1])
@pytest.mark.parametrize("here", SERVERS)
def test_the_applications_clock_is_wrong_and_steps_back(make_pair: MakePair, here: str, hours: int) -> None:
    """Stamps an hour off, then right again. A step back that is longer than the look-back needs changes: hash."""
    pair = make_pair(here, "mysql")
    pair.make("here")
    off = {"postgres": f"({NOW['postgres']} + interval '{hours} hours')",
           "mysql": f"timestampadd(hour, {hours}, {NOW['mysql']})"}[here]  # fmt: skip
    settings = {**SINCE, "lookback": 7200.0}
    pair.insert(1, 100, at=off)
    pair.run(**settings)
    pair.insert(101, 200, at=NOW[here])
    assert pair.run(**settings).equal is True
    pair.judge()
