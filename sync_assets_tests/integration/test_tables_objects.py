"""Views and triggers that go with their tables, by the word of a replica, between real servers of one kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sync_assets.project import tables as work
from sync_assets.project.load import load_project
from sync_assets.project.tables import Order
from sync_assets.store.control import PostgresStore
from sync_assets.testing.servers import Server, mariadb_server
from sync_assets_tests.fix_project import write_defs

REPLICA = """
type: sync_assets.components.DatabaseReplica
attributes:
  name: copy
  source: shop
  target: dw
  tables: [<tables>]
  into: {<here>: <there>}
  views_and_triggers: <word>
"""
POSTGRES = (
    "create table public.orders (id int primary key, amount int, changed int default 0)",
    "create table public.secrets (id int primary key)",
    "insert into public.orders values (1, 10), (2, 20)",
    "create function public.count_change() returns trigger language plpgsql as "
    "$$ begin new.changed := old.changed + 1; return new; end $$",
    "create trigger counted before update on public.orders for each row execute function public.count_change()",
    "create view public.large as select id, amount from public.orders where amount > 15",
    "create view public.larger as select id from public.large where amount > 18",
    "create view public.hidden as select o.id from public.orders o join public.secrets s on s.id = o.id",
    "create view public.hidden_too as select id from public.hidden",
)
MYSQL = (
    "create table `{0}`.orders (id int primary key, amount int, changed int not null default 0)",
    "create table `{0}`.secrets (id int primary key)",
    "insert into `{0}`.orders values (1, 10, 0), (2, 20, 0)",
    "create trigger `{0}`.counted before update on `{0}`.orders for each row set new.changed = old.changed + 1",
    "create trigger `{0}`.named before insert on `{0}`.orders for each row begin if new.amount is null then"
    " set new.amount = 7; end if; end",
    "create view `{0}`.large as select id, amount, 'from `x`, `f`(1)' as note from `{0}`.orders where amount > 15",
    "create view `{0}`.larger as select l.id from `{0}`.large l where l.amount > 18 and exists"
    " (select 1 from `{0}`.orders)",
    "create view `{0}`.hidden as select o.id from `{0}`.orders o join `{0}`.secrets s on s.id = o.id",
    "create view `{0}`.hidden_too as select id from `{0}`.hidden",
)


@dataclass
class Shop:
    """Two databases of one server, and the replica between them. `here` and `there` are schemas."""

    folder: Path
    store: PostgresStore
    server: Server
    databases: tuple[str, str]
    schemas: tuple[str, str]

    def write(self, word: str = "true", tables: str | None = None) -> None:
        here, there = self.schemas
        yaml = REPLICA.replace("<tables>", tables or f"{here}.orders").replace("<word>", word)
        both = "\n".join(
            f"    - {{type: {self.server.kind}, name: {name}, host: 127.0.0.1, port: {self.server.port}, database:"
            f' {database}, user: {self.server.user}, password: "env:OBJECTS_WORD"}}'
            for name, database in zip(("shop", "dw"), self.databases, strict=True)
        )
        head = f"type: sync_assets.components.Connections\nattributes:\n  connections:\n{both}\n"
        write_defs(self.folder / "defs", connections=head, copy=yaml.replace("<here>", here).replace("<there>", there))

    def run(self, **order: object) -> list[str]:
        """Run the replica; what the reports note and how the structure differed."""
        project = load_project(self.folder / "defs")
        syncs = work.tables_of(project, "copy")
        found = work.run_replica(project, project.replica("copy"), syncs, {}, Order(store=self.store, **order))
        for outcome in found.values():
            assert outcome.error is None, outcome.error
            assert outcome.report is not None
            assert outcome.report.equal is not False
        reports = [outcome.report for outcome in found.values() if outcome.report is not None]
        return [line for report in reports for line in (*report.notes, *(f"drift: {d}" for d in report.drift))]

    def here(self, *statements: str) -> list[tuple[object, ...]]:
        return self.server.execute(*statements, database=self.databases[0])

    def there(self, *statements: str) -> list[tuple[object, ...]]:
        return self.server.execute(*statements, database=self.databases[1])


@pytest.fixture
def pg(tmp_path: Path, store: PostgresStore, postgres: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setenv("OBJECTS_WORD", postgres.password)
    names = ("objects_here", "objects_there")
    for name in names:
        postgres.drop_database(name)
        postgres.create_database(name)
    shop = Shop(tmp_path, store, postgres, names, ("public", "copied"))
    shop.here(*POSTGRES)
    yield shop
    for name in names:
        postgres.drop_database(name)


def views(shop: Shop) -> set[str]:
    asked = f"select table_name from information_schema.views where table_schema = '{shop.schemas[1]}'"
    return {str(name) for (name,) in shop.there(asked)}


def test_views_and_triggers_arrive_and_a_second_run_changes_nothing(pg: Shop) -> None:
    pg.write()
    notes = pg.run()
    assert views(pg) == {"large", "larger"}
    assert pg.there("select id from copied.larger") == [(2,)]
    assert pg.there("select tgname::text, tgenabled::text from pg_trigger where not tgisinternal") == [("counted", "D")]
    assert any("counted" in line and "switched off" in line for line in notes)
    marks = "select oid::int8, xmin::text from pg_class where relname in ('large', 'larger') order by 1"
    before = pg.there(marks)
    twice = "update public.orders set amount = amount + 10 where id = 1"
    pg.here(twice, twice)
    again = pg.run()
    assert pg.there(marks) == before
    assert not [line for line in again if line.startswith("drift")], again
    assert pg.there("select id, amount, changed from copied.orders order by 1") == [(1, 30, 2), (2, 20, 0)]


def test_a_view_on_a_table_that_is_not_copied_is_a_finding_and_no_end_of_the_run(pg: Shop) -> None:
    pg.write()
    notes = "\n".join(pg.run())
    assert 'view "copied"."hidden" is not made: it stands on public.secrets, which is not copied with it' in notes
    assert 'view "copied"."hidden_too" is not made: it stands on public.hidden, which is not copied with it' in notes
    pg.write(tables="public.*")
    pg.run()
    assert views(pg) == {"large", "larger", "hidden", "hidden_too"}


def test_without_the_word_nothing_but_tables_is_made_and_what_is_left_is_told(pg: Shop) -> None:
    pg.write("false")
    notes = "\n".join(pg.run())
    assert views(pg) == set()
    assert "views not copied: " in notes
    assert "1 trigger not copied" in notes


def test_a_definition_that_changed_is_told(pg: Shop) -> None:
    pg.write()
    pg.run()
    pg.here("create or replace view public.large as select id, amount from public.orders where amount > 16")
    assert [line for line in pg.run() if line.startswith("drift")] == [
        'drift: view "copied"."large": its definition in the target is another'
    ]
    assert pg.there("select count(*) from copied.large") == [(1,)]


# -- MariaDB


@pytest.fixture
def my(tmp_path: Path, store: PostgresStore, mariadb: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setenv("OBJECTS_WORD", mariadb.password)
    names = ("objects 'here`s", "objects_there")
    for name in names:
        mariadb.drop_database(name)
        mariadb.create_database(name)
    quoted = names[0].replace("`", "``")
    shop = Shop(tmp_path, store, mariadb, names, names)
    shop.here(*(statement.format(quoted) for statement in MYSQL))
    yield shop
    for name in names:
        mariadb.drop_database(name)


def triggers(shop: Shop) -> set[str]:
    asked = f"select trigger_name from information_schema.triggers where trigger_schema = '{shop.schemas[1]}'"
    return {str(name) for (name,) in shop.there(asked)}


def made_at(shop: Shop) -> list[tuple[object, ...]]:
    """Changes with every statement that makes one of them anew."""
    asked = "select trigger_name, created from information_schema.triggers where trigger_schema = '{0}' order by 1"
    return shop.there(asked.format(shop.schemas[1]))


def test_views_and_triggers_of_mariadb_arrive_and_a_second_run_changes_nothing(my: Shop) -> None:
    my.write()
    notes = my.run()
    assert views(my) == {"large", "larger"}
    assert triggers(my) == {"counted", "named"}
    assert my.there("select id, note from large") == [(2, "from `x`, `f`(1)")]
    assert my.there("select id from larger") == [(2,)]
    assert sum("does nothing when a sync writes" in line for line in notes) == 2
    before = made_at(my)
    twice = "update orders set amount = amount + 10 where id = 1"
    my.here(twice, twice, "insert into orders values (3, null, 5)")
    again = my.run()
    assert made_at(my) == before
    assert not [line for line in again if line.startswith("drift") or "trigger" in line], again
    rows = [(1, 30, 2), (2, 20, 0), (3, 7, 5)]
    assert my.there("select id, amount, changed from orders order by id") == rows, "the copy's triggers kept still"
    my.there("update orders set amount = 31 where id = 1", "insert into orders values (4, null, 0)")
    mine = [(1, 31, 3), (4, 7, 0)]
    assert my.there("select id, amount, changed from orders where id in (1, 4) order by id") == mine, "others' do not"


def test_a_view_of_mariadb_on_a_table_that_is_not_copied_is_a_finding(my: Shop) -> None:
    my.write()
    notes = "\n".join(my.run())
    assert "hidden is not made: it stands on secrets, which is not copied with it" in notes
    assert "hidden_too is not made: it stands on hidden, which is not copied with it" in notes
    my.write(tables='"*"')
    my.run()
    assert views(my) == {"large", "larger", "hidden", "hidden_too"}


def test_what_of_mariadb_cannot_be_carried_is_told_by_name(my: Shop) -> None:
    other = my.schemas[0].replace("`", "``")
    my.here(
        "create function plus(n int) returns int deterministic return n + 1",
        "create view calls as select plus(id) as n from orders",
        "create view elsewhere as select schema_name from information_schema.schemata",
        f"create trigger names_it after insert on orders for each row insert into `{other}`.secrets values (new.id)",
        "create view years as with c as (select id from orders) select extract(year from now()) as y, c.id from c",
    )
    my.write()
    notes = "\n".join(my.run())
    assert "calls is not made: it calls the function plus, which is not copied" in notes
    assert "elsewhere is not made: it names tables of more than its own database" in notes
    assert "trigger objects_there.names_it" in notes
    assert "it names its database" in notes
    assert views(my) == {"large", "larger", "years"}
    my.here("create or replace view large as select id, amount, 'y' as note from orders where amount > 16")
    assert [line for line in my.run() if line.startswith("drift")] == [
        "drift: view objects_there.large: its definition in the target is another"
    ]


def test_who_may_not_see_definitions_is_told_what_is_missing(my: Shop) -> None:
    my.server.create_user(
        "half_blind", my.server.password, "grant select, process, reload, lock tables on *.* to 'half_blind'@'%'"
    )
    try:
        my.write()
        file = my.folder / "defs" / "connections" / "defs.yaml"
        file.write_text(file.read_text("utf-8").replace(f"user: {my.server.user}", "user: half_blind", 1), "utf-8")
        notes = "\n".join(my.run())
        assert "grant SHOW VIEW" in notes
        assert "may be hidden: grant TRIGGER" in notes
    finally:
        my.server.drop_user("half_blind")


def test_a_trigger_is_made_in_the_mode_that_its_body_was_written_for(my: Shop) -> None:
    """Read in our own mode its quotes would be texts, and nothing would be said."""
    my.here(
        "set session sql_mode = 'ANSI_QUOTES'",
        "create trigger quoted before insert on orders for each row"
        ' set new."amount" = coalesce(new."amount", new."changed")',
    )
    my.write()
    my.run()
    asked = "select sql_mode from information_schema.triggers where trigger_name = 'quoted'"
    assert my.there(asked) == [("ANSI_QUOTES",), ("ANSI_QUOTES",)]
    my.there("drop trigger named", "insert into orders (id, amount, changed) values (9, null, 5)")
    assert my.there("select amount from orders where id = 9") == [(5,)]


def test_where_a_binary_log_forbids_triggers_they_are_a_finding(
    tmp_path: Path, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server refuses them with error 1419; at the end of a run that would fail each run."""
    with mariadb_server(options=["--log-bin=log", "--server-id=7"]) as server:
        monkeypatch.setenv("OBJECTS_WORD", server.password)
        for name in ("here", "there"):
            server.create_database(name)
        server.create_user("plain", server.password, "grant all on `there`.* to 'plain'@'%'")
        shop = Shop(tmp_path, store, server, ("here", "there"), ("here", "there"))
        shop.here(*(statement.format("here") for statement in MYSQL))
        shop.write()
        file = tmp_path / "defs" / "connections" / "defs.yaml"
        first, second = file.read_text("utf-8").split("name: dw", 1)
        file.write_text(f"{first}name: dw{second.replace(f'user: {server.user}', 'user: plain')}", "utf-8")
        assert "set log_bin_trust_function_creators = 1 there" in "\n".join(shop.run())
        assert triggers(shop) == set()
        server.execute("set global log_bin_trust_function_creators = 1")
        shop.run()
        assert triggers(shop) == {"counted", "named"}
