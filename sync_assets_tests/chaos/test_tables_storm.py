"""Runs killed at random instants, and servers killed under runs, while the source moves on."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from sync_assets.engine.errors import Retry, Stop
from sync_assets.engine.tables.writing import Head
from sync_assets.store.address import Address
from sync_assets.store.control import PostgresStore
from sync_assets.testing.servers import Server, mariadb_server, postgres_server
from sync_assets.testing.tables.rig import Hands, Nursery, Site
from sync_assets_tests.chaos.table_scenes import CHAOS, KILLED, SEED, SERVERS, WAYS, Pair
from sync_assets_tests.fix_table_chaos import end_of, plain_address

MakePair = Callable[..., Pair]
KILLS = 25 * CHAOS


@pytest.mark.parametrize("there", SERVERS)
def test_a_storm_of_kills(make_pair: MakePair, nursery: Nursery, there: str) -> None:
    """After each kill rows and ledger agree; in between, rows come, change and go; in the end both sides are equal.

    The target has no key: a slice that took effect twice would show at once.
    """
    chance = random.Random(SEED)
    pair = make_pair("postgres", there, streams=3, slice_bytes=30_000)
    pair.make("here")
    pair.make("there", key="")
    pair.insert(1, 12_000)
    settings = WAYS["heap"]
    kills, last, head = 0, 0.3, pair.head()
    while kills < KILLS:
        started = time.monotonic()
        child = nursery.start(pair.site, [("items", settings)])
        killer = threading.Timer(chance.uniform(0, last * 1.2), _kill, [child.pid])
        killer.start()
        code, told = child.wait()
        killer.cancel()
        killer.join()
        assert code == KILLED or told.get("outcome") == "done", f"seed {SEED}: {told}"
        kills += code == KILLED
        last = time.monotonic() - started if code == 0 else last
        found = pair.verdict()
        assert not (found.doubled or found.strange), f"seed {SEED}: {found}"
        before, head = head, pair.head()
        assert (head.epoch, head.position or "") >= (before.epoch, before.position or "")
        _agrees(pair, head)
        if code == 0:
            pair.judge()
            pair.there("truncate table items")
            pair.here(f"update items set n = n + 1 where id % 7 = {chance.randrange(7)}")
    assert pair.run(**settings).equal is True
    pair.judge()


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _agrees(pair: Pair, head: Head) -> None:
    """Of an unfinished load there are just the rows of the slices in the ledger, each whole.

    Once updates have moved the rows about, slices are of pages, which no other snapshot can be asked for.
    """
    slices = json.loads(head.plan)["slices"] if head.plan is not None else None
    for number, cut in enumerate(slices or ()):
        where = " and ".join(f"{column} {operator} {value}" for column, operator, value in cut)
        there = pair.there(f"select count(*) from items where {where}")[0][0]
        here = pair.here(f"select count(*) from items where {where}")[0][0]
        applied = any(batch.endswith(f":{number}") for batch in head.applied)
        assert there == (here if applied else 0), f"seed {SEED}: slice {number}"


@contextmanager
def own_servers(kind: str, address: Address, store: PostgresStore) -> Iterator[Pair]:
    """Two servers that may be killed."""
    make = postgres_server if kind == "postgres" else mariadb_server
    with make() as source, make() as target:
        ends = []
        for role, server in (("here", source), ("there", target)):
            server.create_database(f"chaos_{role}")
            ends.append(end_of(server, f"chaos_{role}", f"{kind}_{role}", silent_seconds=10))
        yield Pair(Site(*ends, plain_address(address), streams=2, slice_bytes=40_000), source, target, store)


@pytest.mark.parametrize("kind", SERVERS)
def test_servers_killed_under_runs(kind: str, boards_control: Address, boards_store: PostgresStore) -> None:
    """Four tables at once; each server killed -9 several times. Every run ends by itself soon after the restart."""
    chance = random.Random(SEED)
    settings = {"mode": "clone", "changes": "whole"}
    with own_servers(kind, boards_control, boards_store) as pair:
        tables = [f"items{n}" for n in range(4)]
        for table in tables:
            pair.make("here", table)
            pair.insert(1, 3_000, table)
        for _turn in range(3 * CHAOS):
            for server in (pair.source, pair.target):
                _crash_under_runs(pair, server, tables, settings, chance)
        for table in tables:
            assert pair.run(table, hands=Hands(sleep=lambda _: None), **settings).equal is True
            pair.judge(table=table)
        assert pair.leftovers() == []


def _crash_under_runs(
    pair: Pair, server: Server, tables: list[str], settings: dict[str, str], chance: random.Random
) -> None:
    ends: dict[str, object] = {}

    def work(table: str) -> None:
        try:
            ends[table] = pair.run(table, **settings)
        except (Retry, Stop) as error:
            ends[table] = error

    threads = [threading.Thread(target=work, args=(table,)) for table in tables]
    for thread in threads:
        thread.start()
    time.sleep(chance.uniform(0.05, 0.8))
    server.kill()
    server.start()
    back = time.monotonic()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert time.monotonic() - back < 30, "each ends by itself (the machine may be busy)"
    stops = [end for end in ends.values() if isinstance(end, Stop)]
    assert not stops, f"seed {SEED}: passing trouble is not a person's: {stops}"
