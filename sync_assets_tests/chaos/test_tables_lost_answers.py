"""Lines cut and answers lost between us and a server: nothing half done, nothing twice, and runs go on alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from sync_assets.engine.errors import Retry
from sync_assets.testing.proxy import Proxy
from sync_assets.testing.tables.rig import Hands
from sync_assets_tests.chaos.table_scenes import CHAOS, SEED, SERVERS, WAYS, Pair, Scene
from sync_assets_tests.chaos.test_tables_kill import forgetful

MakePair = Callable[..., Pair]
HEAP = WAYS["heap"]
# What goes up with a batch's commit: in PostgreSQL the ledger's row and the commit are one message.
COMMIT = {"postgres": b"insert into sync_assets.sync_assets_ledger", "mysql": b"\x03commit"}


def heap(make_pair: MakePair, there: str, last: int, **changes: object) -> Pair:
    """A source with rows 1..last, and a target without a key, in which rows loaded twice are there twice."""
    pair = make_pair(SERVERS[last % 2], there, **changes)
    pair.make("here")
    pair.make("there", key="")
    pair.insert(1, last)
    return pair


@contextmanager
def behind(pair: Pair) -> Iterator[tuple[Proxy, Hands]]:
    """The target behind a proxy; no TLS, so that the proxy can tell what passes."""
    server = pair.target
    with Proxy(server.host, server.port) as proxy:
        yield proxy, Hands(there={"host": proxy.host, "port": proxy.port, "tls": "off"}, sleep=lambda _: None)


@pytest.mark.parametrize("there", SERVERS)
@pytest.mark.parametrize("times", [100 * CHAOS])
def test_commits_whose_answers_are_lost(make_pair: MakePair, there: str, times: int) -> None:
    """Each is forwarded and its answer swallowed: slices, the plan, the end of the run. 10,000 rows, each once."""
    pair = heap(make_pair, there, 10_000, slice_bytes=7_000 // CHAOS)
    with behind(pair) as (proxy, hands):
        keep_making_holes(proxy, COMMIT[there], times)
        report = pair.run(hands=hands, **HEAP)
        holes = proxy.counters.holes
    assert holes >= min(times, 50 * CHAOS), "answers really lost"
    assert report.counts.created == 10_000
    assert report.equal is True
    pair.judge()


def keep_making_holes(proxy: Proxy, pattern: bytes, times: int) -> None:
    """Every second time that `pattern` goes up its answer is lost: a hole that was used makes the next one."""
    seen = [0]
    passing = proxy._passing

    def watched(data: bytes, direction, link):  # type: ignore[no-untyped-def]
        if direction == "up" and pattern in data:
            seen[0] += 1
            if seen[0] % 2 and proxy.counters.holes < times:
                proxy.hole_on(pattern)
        return passing(data, direction, link)

    proxy._passing = watched  # type: ignore[method-assign]


@pytest.mark.parametrize("there", SERVERS)
def test_without_the_ledger_lost_answers_double_rows(make_pair: MakePair, there: str) -> None:
    """The protection seen to be needed: whoever repeats what was not answered, has it twice."""
    pair = heap(make_pair, there, 2_000, slice_bytes=20_000)
    with behind(pair) as (proxy, hands):
        keep_making_holes(proxy, COMMIT[there], 100)
        hands.target = forgetful
        pair.run(hands=hands, **HEAP | {"proof": "none"})
        holes = proxy.counters.holes
    assert holes > 2
    assert len(pair.verdict().doubled) > 100


@pytest.mark.parametrize("there", SERVERS)
def test_the_only_batch_is_the_last_one(make_pair: MakePair, there: str) -> None:
    """A small table: one batch loads it and ends the run, and no row of the ledger tells of it afterwards."""
    pair = heap(make_pair, there, 501, slice_bytes=1 << 30)
    with behind(pair) as (proxy, hands):
        proxy.hole_on(COMMIT[there])
        report = pair.run(hands=hands, **HEAP)
        assert proxy.counters.holes == 1
    assert report.counts.created == 501
    pair.judge()


@pytest.mark.parametrize("way", ["swapped", "merged", "digest", "watermark", "family"])
@pytest.mark.parametrize("there", SERVERS)
def test_every_second_answer_to_a_commit_is_lost_in_every_way(make_pair: MakePair, there: str, way: str) -> None:
    scene = Scene(make_pair("postgres", there), way)
    scene.prepare()
    with behind(scene.pair) as (proxy, hands):
        keep_making_holes(proxy, COMMIT[there], 100)
        reports = scene.run(there=hands.there, sleep=hands.sleep)
        assert proxy.counters.holes > 0
    assert all(report.equal is True and report.counts.balanced for report in reports)
    scene.judge()
    scene.settle()


@pytest.mark.parametrize("there", SERVERS)
def test_lines_cut_at_random_bytes(make_pair: MakePair, there: str) -> None:
    """In COPY or LOAD DATA, anywhere: the run goes on by itself, or ends and is run again, three times at most."""
    chance = random.Random(SEED)
    pair = heap(make_pair, there, 3_000, slice_bytes=60_000)
    for _ in range(20 * CHAOS):
        pair.there("truncate table items")
        with behind(pair) as (proxy, hands):
            size = chance.choice((1_000, 20_000, 250_000))
            proxy.cut_after(chance.randrange(1, size), chance.choice(("up", "up", "up", "down")))
            attempts = until_it_ends_well(pair, hands)
        assert attempts <= 3, f"seed {SEED}"
        pair.judge()


def until_it_ends_well(pair: Pair, hands: Hands) -> int:
    for attempt in range(1, 10):
        try:
            assert pair.run(hands=hands, **HEAP).equal is True
        except Retry:
            partial(pair)
            continue
        return attempt
    raise AssertionError("never")


def partial(pair: Pair) -> None:
    """What is there is what the ledger says: whole slices, each row once."""
    found = pair.verdict()
    assert not (found.doubled or found.changed or found.strange), str(found)


@pytest.mark.parametrize("here", SERVERS)
def test_a_cut_line_to_the_source_is_a_retry_and_leaves_nothing_half_done(make_pair: MakePair, here: str) -> None:
    chance = random.Random(SEED)
    pair = make_pair(here, "postgres", slice_bytes=60_000)
    pair.make("here")
    pair.insert(1, 3_000)
    pair.make("there", key="")
    server = pair.source
    for _ in range(8 * CHAOS):
        pair.there("truncate table items")
        with Proxy(server.host, server.port) as proxy:
            hands = Hands(here={"host": proxy.host, "port": proxy.port, "tls": "off"}, sleep=lambda _: None)
            proxy.cut_after(chance.randrange(5_000, 250_000), "down")
            assert until_it_ends_well(pair, hands) <= 3, f"seed {SEED}"
        pair.judge()
