"""Schemas that others published, replicated whole between PostgreSQL databases, and compared by pg_dump."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from sync_assets.databases.base import ConnectionArgs, open_tables
from sync_assets.engine.tables.shape import TableName
from sync_assets.engine.tables.writing import TableTarget, Wanted
from sync_assets.testing.servers import Server
from sync_assets_tests.integration.structures import Pair, empty_pair, load

_SWITCHED_OFF = r"DISABLE (TRIGGER|RULE)"  # declared: they would change rows that a sync writes


@pytest.fixture
def pair(postgres: Server) -> Iterator[Pair]:
    yield from empty_pair(postgres)


def test_chinook_is_replicated_complete(pair: Pair) -> None:
    load(pair.server, pair.here, "chinook.sql.gz")
    pair.source("select setval('track_track_id_seq', 3503)")
    wanted = pair.wanted()
    made = pair.replicate(wanted)
    here, there = pair.dumps()
    assert here == there
    assert sum(s.startswith(("ALTER TABLE ONLY", "CREATE INDEX")) for s in there) > 40
    assert made.losses == ("owners and rights are not copied: all belongs to the target's user",)
    assert made.drift == ()
    assert pair.target("select last_value, is_called from track_track_id_seq") == [(3503, True)]
    assert pair.target("select count(*) from track") == pair.source("select count(*) from track") == [(3503,)]
    again = pair.design(wanted)
    assert (again.before, again.after, again.drift) == ((), (), ())


def test_sakila_is_replicated_complete(pair: Pair) -> None:
    load(pair.server, pair.here, "sakila-schema.sql.gz", "sakila-data.sql.gz")
    wanted = pair.wanted()
    made = pair.replicate(wanted, objects=True)
    here, there = pair.dumps(_SWITCHED_OFF, "COMMENT ON SCHEMA public")  # that schema was there before
    assert here == there
    assert "last_updated" in "".join(there)
    positions = "select string_agg(sequencename || last_value, ',' order by sequencename) from pg_sequences"
    assert pair.target(positions) == pair.source(positions)
    again = pair.design(wanted, objects=True)
    assert (again.before, again.after, again.drift) == ((), (), ())
    switched_off = [line for line in made.losses if "switched off" in line]
    assert len(switched_off) == sum("DISABLE" in s for s in pair.dumps()[1])


def test_what_hangs_on_tables_is_declared_when_it_is_left_out(pair: Pair) -> None:
    load(pair.server, pair.here, "sakila-schema.sql.gz")
    made = pair.design(pair.wanted())
    losses = "\n".join(made.losses)
    assert "6 rules not copied: public.payment.payment_insert_p2007_01" in losses
    assert "15 triggers not copied: public.actor.last_updated" in losses
    assert "7 views not copied: public.actor_info, public.customer_list" in losses
    pair.build([*made.before, *made.after])
    again = pair.design(pair.wanted())
    assert (again.before, again.after, again.drift) == ((), (), ())


def test_the_target_of_tables_designs_and_builds_it(pair: Pair) -> None:
    load(pair.server, pair.here, "chinook.sql.gz")
    with ExitStack() as stack:
        here, there = (stack.enter_context(closing(_opened(pair, name))) for name in (pair.here, pair.there))
        names = [entry.name for entry in here.tables()]
        shapes = here.shapes(names).values()
        wanted = [Wanted(s, TableName("music", s.name.name), s.writable, s.key) for s in shapes]
        made = there.design(wanted, here, "apply")
        there.build([*made.before, *made.after])
        again = there.design(wanted, here, "apply")
    assert len(wanted) == 11
    assert (again.before, again.after, again.drift) == ((), (), ())


def _opened(pair: Pair, database: str) -> TableTarget:
    server = pair.server
    return open_tables("postgres", ConnectionArgs(
        name=database, host=server.host, port=server.port, database=database, user=server.user,
        open_password=lambda: server.password,
    ))  # fmt: skip
