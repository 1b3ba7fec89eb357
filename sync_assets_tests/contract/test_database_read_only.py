"""Queries that would write: refused by the parser with a clear message, and by the server without the parser."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_assets.databases.base import Database
from sync_assets.engine.errors import Stop, SyncError
from sync_assets.sources.query import Query
from sync_assets_tests.fix_servers import ScratchDatabase

SHARED = [
    "delete from t", "update t set a = 2", "insert into t values (9)", "truncate t", "drop table t",
    "create table u (a int)", "alter table t add b int", "grant select on t to public", "select 1; delete from t",
    "select 1;;delete from t", "select 1 -- x\n; delete from t",
    "with d as (delete from t returning a) select * from d",
    "with d as (update t set a = 5 returning a) select * from d", "with d as (select 1) delete from t",
    "with d as (insert into t values (3) returning a) select * from d", "select * into u from t",
    "select * from t for update", "select * from t for share", "explain analyze delete from t", "call wipe()",
    "begin; delete from t; commit", "commit; delete from t", "rollback", "set session transaction read write",
    "start transaction read write", "(select 1); delete from t", "", ";", "-- nothing", "select 'x", "select /* x",
    "lock table t", "lock tables t write", "analyze t",
]  # fmt: skip
POSTGRES = [
    "copy t to program 'touch /tmp/x'", "copy (select 1) to '/tmp/x'", "do $$ begin delete from t; end $$",
    "select nextval('s')", "select setval('s', 99)", "select $q$a$q$; delete from t", "select e'\\''; delete from t",
    "select query_to_xml('delete from t', true, true, '')", "select wiper()", "select set_config('a.b', 'c', false)",
    "set transaction read write", "vacuum t", "notify x", "listen x", "prepare p as delete from t",
    "select pg_terminate_backend(pg_backend_pid())", "select lo_create(0)", "select pg_advisory_lock(1)",
    "select * from t for no key update", "/* /* */ select 1 */ delete from t", "refresh materialized view m",
    "merge into t using (select 1) s on true when matched then delete", "reset all", "discard all",
    'select "nextval"(\'s\')', "select pg_sleep(100)", "security label on table t is 'x'", "cluster t",
]  # fmt: skip
MYSQL = [
    "replace into t values (1)", "select * from t into outfile '/tmp/x'", "select a from t into @x",
    "load data infile '/etc/passwd' into table t", "select load_file('/etc/passwd')", "handler t open",
    "rename table t to u", "select 1 /*! ; delete from t */", "/*! delete from t */", "select 1 /*M! into @x */",
    "select wiper()", "select * from t lock in share mode", "select get_lock('x', 1)", "select sleep(100)",
    "select 'a\\'; delete from t; -- '; delete from t", "select \"a\\\"\"; delete from t", "optimize table t",
    "set @@session.sql_log_bin = 0", "select 1 # x\n; delete from t", "flush tables", "kill 1", "reset master",
    "select benchmark(1000000000, md5('x'))", "select next value for s", "select nextval(s)", "select setval(s, 99)",
    "execute immediate 'delete from t'", "prepare p from 'delete from t'", "select * from t procedure analyse()",
]  # fmt: skip
# Past the parser on purpose (a function of the user's own); the wall behind it must hold.
PASSES = {"select wiper()"}


def _cases() -> list[tuple[str, str]]:
    return [("pg_db", q) for q in SHARED + POSTGRES] + [("my_db", q) for q in SHARED + MYSQL]


def _fill(db: ScratchDatabase) -> None:
    db.execute("create table t (a int)", "insert into t values (1)", "create sequence s")
    if db.kind == "postgres":
        db.execute(
            "create function wiper() returns int language plpgsql as $$ begin delete from t; return 1; end $$",
            "create procedure wipe() language sql as $$ delete from t $$",
        )
    else:
        db.execute(
            "create function wiper() returns int begin delete from t; return 1; end",
            "create procedure wipe() delete from t",
        )


def _state(db: ScratchDatabase) -> list[object]:
    if db.kind == "postgres":
        objects = "select relname from pg_class where relnamespace = 'public'::regnamespace order by 1"
        sequence = "select last_value, is_called from s"
    else:
        objects = "select table_name from information_schema.tables where table_schema = database() order by 1"
        sequence = "select next_not_cached_value from s"
    return [db.execute(q) for q in ("select a from t", objects, sequence)]


def _attempt(database: Database, sql: str) -> str:
    """Straight to the driver, as if the parser were not there."""
    try:
        for _ in database.stream(sql.replace("%", "%%"), {}):
            pass
    except SyncError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("fixture", "sql"), _cases())
def test_the_parser_refuses_it(fixture: str, sql: str) -> None:
    dialect = "postgres" if fixture == "pg_db" else "mysql"
    if sql in PASSES:
        assert Query.parse(sql, dialect).names == frozenset()
        return
    with pytest.raises(Stop) as caught:
        Query.parse(sql, dialect)
    assert caught.value.hint


def test_without_the_parser_nothing_is_changed_either(server_db: ScratchDatabase) -> None:
    """A superuser's login, no parser: the read-only transaction and one statement a request still hold."""
    _fill(server_db)
    before = _state(server_db)
    database = server_db.open(query_seconds=2, silent_seconds=1)
    own = POSTGRES if server_db.kind == "postgres" else MYSQL
    changed = []
    for sql in itertools.chain(SHARED, own):
        if any(word in sql for word in ("outfile", "copy", "kill", "reset master", "sleep", "benchmark")):
            continue  # files and other sessions: only a right keeps those, and this user has them all
        if server_db.kind == "mysql" and any(word in sql for word in ("nextval", "setval", "next value")):
            continue  # MariaDB moves a sequence even in a read-only transaction: the parser and the role refuse it
        _attempt(database, sql)
        if _state(server_db) != before:
            changed.append(sql)
            break
    database.close()
    assert changed == []


PIECES = st.lists(
    st.sampled_from(["'", "'", "'", '"', "`", "$$", "$a$", "\\", "/*", "*/", "-- ", "#", "\n", "e'", "1", "a"]),
    max_size=5,
)


def test_no_second_statement_hides_behind_quotes_and_comments(server_db: ScratchDatabase) -> None:
    """What the parser lets through is sent to a login that may do everything and takes many statements at once."""
    server_db.execute("create table t (a int)", "insert into t values (1)")
    connection = _boss_of_many(server_db)
    dialect, sent = server_db.open().dialect, 0

    @settings(max_examples=3000, deadline=None, database=None)
    @given(PIECES, PIECES)
    def hold(before: list[str], after: list[str]) -> None:
        nonlocal sent
        try:
            hidden = "select " + "".join(before) + "; delete from t; " + "".join(after)
            sql = Query.parse(hidden, dialect).text
        except Stop:
            return
        sent += 1
        _send(connection, sql)
        with connection.cursor() as cursor:
            cursor.execute("select count(*) from t")
            assert cursor.fetchall()[0][0] == 1

    hold()
    connection.close()
    assert sent > 20


def _boss_of_many(db: ScratchDatabase):
    assert db.server is not None
    if db.kind == "postgres":
        return db.server.connect(db.args.database)
    import pymysql
    from pymysql.constants import CLIENT

    return pymysql.connect(
        host=db.args.host, port=db.args.port, user=db.server.user, password=db.server.password, autocommit=True,
        database=db.args.database, charset="utf8mb4", client_flag=CLIENT.MULTI_STATEMENTS,
    )  # fmt: skip


def _send(connection, sql: str) -> None:
    with connection.cursor() as cursor:
        try:
            cursor.execute(sql)
            while cursor.nextset():
                pass
        except Exception as error:
            assert type(error).__module__.startswith(("psycopg", "pymysql")), error


@pytest.mark.parametrize("how", ["stream", "observe"])
def test_a_query_that_runs_too_long_is_ended_at_the_server(server_db: ScratchDatabase, how: str) -> None:
    database = server_db.open(query_seconds=1, silent_seconds=1)
    sql = "select pg_sleep(50)" if server_db.kind == "postgres" else "select sleep(50), 1 from seq_1_to_9"
    with pytest.raises(Stop, match="longer than it may"):
        list(database.stream(sql, {})) if how == "stream" else database.observe(sql, {})
    database.close()
    running = (
        "select count(*) from pg_stat_activity where query like '%sleep(50)%' and state = 'active'"
        " and pid <> pg_backend_pid()"
        if server_db.kind == "postgres"
        else "select count(*) from information_schema.processlist where info like 'select sleep(50)%'"
    )
    assert server_db.execute(running) == [(0,)]


def test_a_reader_changes_nothing_whatever_the_session_says(server_db: ScratchDatabase) -> None:
    """The real guard: a role that may only SELECT, here without parser and without read-only session."""
    _fill(server_db)
    before = _state(server_db)
    name = server_db.args.database
    assert server_db.server is not None
    grants = (
        [f"grant usage on schema public to {name}_r", f"grant select on t to {name}_r"]
        if server_db.kind == "postgres"
        else [f"grant select on `{name}`.t to '{name}_r'@'%'"]
    )
    server_db.server.create_user(f"{name}_r", "secret", *grants, database=name)
    connection = _plain_login(server_db, f"{name}_r")
    for sql in SHARED + (POSTGRES if server_db.kind == "postgres" else MYSQL):
        if "terminate" in sql or "sleep" in sql or "benchmark" in sql or "kill" in sql or not sql.strip("-; nothig"):
            continue
        cursor = connection.cursor()
        try:
            cursor.execute(sql)
        except Exception as error:
            assert type(error).__module__.startswith(("psycopg", "pymysql")), error
        cursor.close()
        if server_db.kind == "postgres":
            connection.rollback()
    connection.close()
    assert _state(server_db) == before
    if server_db.kind == "postgres":
        server_db.execute(f"drop owned by {name}_r")
    server_db.server.drop_user(f"{name}_r")


def _plain_login(db: ScratchDatabase, user: str):
    if db.kind == "postgres":
        import psycopg

        return psycopg.connect(
            host=db.args.host, port=db.args.port, dbname=db.args.database, user=user, password="secret"
        )
    import pymysql

    return pymysql.connect(
        host=db.args.host, port=db.args.port, database=db.args.database, user=user, password="secret"
    )


@pytest.mark.parametrize(
    "sql",
    ["attach 'x' as y", "pragma writable_schema = 1", "delete from t", "vacuum", "create temp table x (a)",
     "select load_extension('x')", "with d as (select 1) delete from t", "replace into t values (2)",
     "select * from pragma_table_info('t'); drop table t", "reindex", "drop table t", "insert into t values (4)"],
)  # fmt: skip
def test_sqlite_refuses_it_twice(sqlite_db: ScratchDatabase, sql: str) -> None:
    sqlite_db.execute("create table t (a)", "insert into t values (1)")
    with pytest.raises(Stop):
        Query.parse(sql, "sqlite")
    database = sqlite_db.open()
    assert _attempt(database, sql) != ""
    database.close()
    assert sqlite_db.execute("select a from t") == [(1,)]


@pytest.mark.parametrize(
    "sql",
    [
        "select 'delete from t; drop table t' as x from t", "select a as \"update\" from t", "select 1 as x -- delete",
        "select /* insert into t */ a from t", "with x as (select a from t) select * from x;", "(select a from t)",
        "select a from t where a % 2 = 1", "select a from t where 'a%b' like '%%'", "table t", "values (1), (2)",
        "select t.a from t where exists (select 1 from t x where x.a = t.a)", "select a::text from t",
        "select $$; delete from t$$ as x", "select a from t order by a limit 1", "select replace('a', 'b', 'c') as x",
        "select 'it''s :start' as x", "select interval '1 day' as x", "select (array[1,2,3])[1:2] as x",
    ],
)  # fmt: skip
def test_an_honest_query_passes_and_runs(pg_db: ScratchDatabase, sql: str) -> None:
    pg_db.execute("create table t (a int)", "insert into t values (1)")
    text, names = Query.parse(sql, "postgres").bind()
    assert names == ()
    database = pg_db.open()
    assert len(database.observe(text, {})) >= 1
    database.close()


@pytest.mark.parametrize(
    "sql",
    [
        "select 'delete from t\\'; drop' as x from t", "select a as `update` from t", "select 1 as x # delete",
        "select insert('abc', 1, 1, 'x') as x, truncate(1.5, 0) as y", "select a % 2 as x from t where 'a%b' like '%'",
        "with x as (select a from t) select * from x;", "(select a from t)", "select \"it's :start\" as x",
        "select a from t where a = 1 -- ; delete\n", "select if(a, 'into', ':x') as x from t", "values (1), (2)",
    ],
)  # fmt: skip
def test_an_honest_query_passes_and_runs_on_mysql(my_db: ScratchDatabase, sql: str) -> None:
    my_db.execute("create table t (a int)", "insert into t values (1)")
    text, names = Query.parse(sql, "mysql").bind()
    assert names == ()
    database = my_db.open()
    assert len(database.observe(text, {})) >= 1
    database.close()
